// SPDX-License-Identifier: Apache-2.0
// Writing to a registry (distribution-spec, "Push"): a blob goes in one PUT, in chunks where the server wants
// that, and goes on where it stopped where the server says how far it got.
#include <fmt/format.h>

#include <algorithm>

#include "layers/blob_file.h"
#include "layers/error.h"
#include "registry/client.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kChunk = std::uint64_t{16} << 20;
// After such a size it may take a server a second more to store what came.
constexpr std::uint64_t kStoredPerSecond = std::uint64_t{10} << 20;
constexpr std::chrono::seconds kAnswerWithin{20};

std::chrono::seconds answer_after(std::uint64_t bytes) {
  return kAnswerWithin + std::chrono::seconds(bytes / kStoredPerSecond);
}

bool is_success(int status) {
  return status >= 200 && status < 300;
}

}  // namespace

bool RegistryClient::move_to(Upload& upload, const HttpResponse& response) const {
  const auto location = response.headers.find("location");
  const auto next = location ? response.url.resolve(*location) : std::nullopt;
  if (!next) return false;
  const Url& base = servers_->origin->endpoint.base;
  if (base.scheme == "https" && next->scheme != "https") return false;
  if (is_local_host(next->host) && !is_local_host(base.host)) return false;
  upload.location = *next;
  return true;
}

std::optional<RegistryClient::Upload> RegistryClient::start_upload(const Descriptor& descriptor,
                                                                   const std::string& mount_from) const {
  Server& server = *servers_->origin;
  HttpResponse response;
  if (!mount_from.empty() && mount_from != repository_) {
    Call post;
    post.method = "POST";
    post.path = fmt::format("/blobs/uploads/?mount={}&from={}", percent_encoded(descriptor.digest.text()),
                            percent_encoded(mount_from));
    post.mount_from = mount_from;
    try {
      response = call_patiently(server, post, 3);
    } catch (const Error&) {
      // Not every server mounts, and not everybody may read there.
      response = HttpResponse();
    }
    if (response.status == 201) return std::nullopt;
  }
  if (response.status != 202) {
    Call post;
    post.method = "POST";
    post.path = "/blobs/uploads/";
    response = call_patiently(server, post);
  }
  const std::string subject = "upload of " + descriptor.digest.short_text();
  if (response.status != 202) fail(subject, response);
  Upload upload;
  if (!move_to(upload, response)) {
    throw Error(Failure::kNetwork, what(subject) + ": the server names no place that it may go to");
  }
  if (const auto least = response.headers.find("oci-chunk-min-length")) {
    upload.least_chunk = parse_number(*least).value_or(0);
  }
  return upload;
}

std::optional<std::uint64_t> RegistryClient::uploaded_so_far(Upload& upload) const {
  Call get;
  get.url = upload.location;
  const HttpOutcome outcome = call(*servers_->origin, get);
  if (outcome.fault || (outcome.response.status != 204 && outcome.response.status != 202))
    return std::nullopt;
  const auto range = outcome.response.headers.find("range");
  const auto size = range ? parse_upload_range(*range) : std::nullopt;
  if (size) move_to(upload, outcome.response);
  return size;
}

// The server does not take the content: its fault or ours?
void RegistryClient::refuse_content(const Descriptor& descriptor, const BlobPtr& blob,
                                    const HttpResponse& response) const {
  if (hash_blob(*blob, descriptor.digest) != descriptor.digest) {
    throw_bad_image(descriptor.digest.text() + ": the content has another digest");
  }
  fail("upload of " + descriptor.digest.short_text(), response);
}

// Sends all from `from` in chunks, then closes the upload. False: `reason` says why, another upload may work.
bool RegistryClient::upload_chunks(Upload& upload, const Descriptor& descriptor, const BlobPtr& blob,
                                   std::uint64_t from, Patience& patience, std::string& reason) const {
  Server& server = *servers_->origin;
  std::uint64_t chunk = std::max(kChunk, upload.least_chunk);
  std::uint64_t at = from;
  int asked = 0;
  while (at < descriptor.size) {
    Call patch;
    patch.method = "PATCH";
    patch.url = upload.location;
    patch.body = blob;
    patch.body_offset = at;
    patch.body_length = std::min(chunk, descriptor.size - at);
    patch.answer_within = answer_after(patch.body_length);
    patch.headers.emplace_back("Content-Type", "application/octet-stream");
    patch.headers.emplace_back("Content-Range", fmt::format("{}-{}", at, at + patch.body_length - 1));
    const HttpOutcome outcome = call(server, patch);
    session_->transfers().went(outcome.body_sent);
    const int status = outcome.response.status;
    if (!outcome.fault && is_success(status)) {
      // Some servers' Range stays behind; the digest has the last word.
      move_to(upload, outcome.response);
      at += patch.body_length;
      asked = 0;
      continue;
    }
    if (!outcome.fault && status == 413 && chunk > std::max<std::uint64_t>(upload.least_chunk, 1 << 20)) {
      chunk = std::max(chunk / 4, std::max<std::uint64_t>(upload.least_chunk, 1 << 20));
      continue;
    }
    const bool ask = outcome.fault || status == 416 || is_passing_status(status);
    reason = outcome.fault ? outcome.fault->message : fmt::format("status {}", status);
    if (!ask || ++asked > 2) return false;
    if (status != 416 && !patience.again(outcome, at > from ? at - from : 0)) return false;
    const auto so_far = uploaded_so_far(upload);
    if (!so_far || *so_far > descriptor.size) return false;
    at = *so_far;
  }
  Call put;
  put.method = "PUT";
  put.url = upload.location.with_query("digest", descriptor.digest.text());
  put.answer_within = answer_after(descriptor.size);
  const HttpOutcome outcome = call(server, put);
  if (!outcome.fault && is_success(outcome.response.status)) return true;
  reason = outcome.fault ? outcome.fault->message : fmt::format("status {}", outcome.response.status);
  return false;
}

// One upload from its start. False: `reason` says why, another may work.
bool RegistryClient::upload_once(Upload upload, const Descriptor& descriptor, const BlobPtr& blob,
                                 Patience& patience, std::string& reason) const {
  Server& server = *servers_->origin;
  Call put;
  put.method = "PUT";
  put.url = upload.location.with_query("digest", descriptor.digest.text());
  put.body = blob;
  put.body_length = descriptor.size;
  put.answer_within = answer_after(descriptor.size);
  put.headers.emplace_back("Content-Type", "application/octet-stream");
  const HttpOutcome outcome = call(server, put);
  session_->transfers().went(outcome.body_sent);
  const int status = outcome.response.status;
  if (!outcome.fault && is_success(status)) return true;
  reason = patience.reason(outcome);
  if (!outcome.fault && (status == 413 || status == 405 || status == 501)) {
    // It wants smaller pieces, or chunks at all.
    const auto again = start_upload(descriptor, "");
    Upload chunked = *again;
    return upload_chunks(chunked, descriptor, blob, 0, patience, reason);
  }
  if (!outcome.fault && status == 400) refuse_content(descriptor, blob, outcome.response);
  const bool passing = outcome.fault || status == 416 || status == 404 || is_passing_status(status);
  if (!passing) fail("upload of " + descriptor.digest.short_text(), outcome.response);
  if (outcome.fault && outcome.fault->kind == HttpFault::Kind::kDeadline) return false;
  if ((outcome.fault || is_passing_status(status)) && !patience.again(outcome, 0)) {
    const std::string said = outcome.fault ? "" : words(outcome.response);
    throw Error(Failure::kNetwork, what("upload of " + descriptor.digest.short_text() + ": ") +
                                       patience.reason(outcome) + (said.empty() ? "" : " (" + said + ")"));
  }
  // It may have arrived although the answer did not.
  if (has_blob(descriptor)) return true;
  const auto so_far = status == 404 ? std::nullopt : uploaded_so_far(upload);
  if (!so_far || *so_far == 0 || *so_far > descriptor.size) return false;
  return upload_chunks(upload, descriptor, blob, *so_far, patience, reason);
}

RegistryClient::Stored RegistryClient::store_blob(const Descriptor& descriptor, const BlobPtr& blob,
                                                  const std::string& mount_from) const {
  Transfers& transfers = session_->transfers();
  const std::string subject = "upload of " + descriptor.digest.short_text();
  if (has_blob(descriptor)) {
    transfers.was_there(descriptor.digest, descriptor.size);
    return Stored::kThere;
  }
  constexpr int kUploads = 8;
  Patience patience(session_->pool());
  std::string reason;
  for (int attempt = 0; attempt < kUploads; ++attempt) {
    const auto upload = start_upload(descriptor, attempt == 0 ? mount_from : "");
    if (!upload) {
      transfers.was_mounted(descriptor.size);
      return Stored::kMounted;
    }
    if (upload_once(*upload, descriptor, blob, patience, reason) || (attempt > 0 && has_blob(descriptor))) {
      transfers.went_whole();
      return Stored::kUploaded;
    }
  }
  throw Error(Failure::kNetwork, fmt::format("{}: {}", what(subject), reason));
}

bool RegistryClient::has_or_mounts(const Descriptor& descriptor, const std::string& mount_from) const {
  if (has_blob(descriptor)) {
    session_->transfers().was_there(descriptor.digest, descriptor.size);
    return true;
  }
  if (mount_from.empty() || mount_from == repository_) return false;
  const auto upload = start_upload(descriptor, mount_from);
  if (upload) {
    // Not mounted: the upload that was started instead is not needed now.
    Call cancel;
    cancel.method = "DELETE";
    cancel.url = upload->location;
    call(*servers_->origin, cancel);
    return false;
  }
  session_->transfers().was_mounted(descriptor.size);
  return true;
}

bool RegistryClient::store_manifest(const Descriptor& descriptor, const std::string& bytes,
                                    const std::string& reference) const {
  Call put;
  put.method = "PUT";
  put.path = "/manifests/" + reference;
  put.body = memory_blob(bytes);
  put.body_length = bytes.size();
  put.headers.emplace_back("Content-Type", descriptor.media_type);
  put.answer_within = std::chrono::seconds(25);
  const HttpResponse response = call_patiently(*servers_->origin, put);
  const std::string subject =
      "manifest " + (Digest::parse(reference) ? descriptor.digest.short_text() : reference);
  if (!is_success(response.status)) fail(subject, response);
  session_->transfers().went(bytes.size());
  session_->transfers().went_whole();
  const auto header = response.headers.find("docker-content-digest");
  const auto stored = header ? Digest::parse(*header) : std::nullopt;
  if (stored && stored->algorithm() == descriptor.digest.algorithm() && *stored != descriptor.digest) {
    throw Error(Failure::kNetwork,
                fmt::format("{}: the server stored it as {}", what(subject), stored->short_text()));
  }
  return response.headers.find("oci-subject").has_value();
}

}  // namespace imgslim
