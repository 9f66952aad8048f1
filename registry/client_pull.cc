// SPDX-License-Identifier: Apache-2.0
// Reading from a registry: manifests, whole blobs, parts of blobs.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "layers/error.h"
#include "registry/client.h"

namespace imgslim {
namespace {

// Why what comes cannot be the blob; ends the exchange.
struct WrongBody {
  std::string why;
};

std::string short_reference(const std::string& reference) {
  const auto digest = Digest::parse(reference);
  return digest ? digest->short_text() : printable(reference);
}

// Counts, checks the length, and hands on.
class BodySink : public Sink {
 public:
  BodySink(BlobReceiver& receiver, Transfers& transfers, std::uint64_t size)
      : receiver_(receiver), transfers_(transfers), size_(size) {}
  void begin(std::uint64_t offset) { at_ = offset; }
  std::uint64_t at() const { return at_; }
  void write(std::span<const std::byte> bytes) override {
    transfers_.came(bytes.size());
    if (bytes.size() > size_ - at_) throw WrongBody{"is longer than its descriptor says"};
    receiver_.write(at_, bytes);
    at_ += bytes.size();
  }

 private:
  BlobReceiver& receiver_;
  Transfers& transfers_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

std::optional<std::uint64_t> content_length(const HttpResponse& response) {
  const auto field = response.headers.find("content-length");
  return field ? parse_number(*field) : std::nullopt;
}

}  // namespace

std::optional<RemoteDocument> RegistryClient::manifest_from(Server& server,
                                                            const std::string& reference) const {
  Call get;
  get.path = "/manifests/" + reference;
  get.headers.emplace_back("Accept", std::string(kManifestTypes));
  get.max_body = kMaxManifest;
  // Bytes that changed on the way may be right the next time.
  for (int attempt = 0;; ++attempt) {
    const HttpResponse response = call_patiently(server, get, server.endpoint.mirror ? 2 : 9);
    if (response.status == 404) return std::nullopt;
    const std::string subject = "manifest " + short_reference(reference);
    if (response.status != 200) fail(subject, response);
    session_->transfers().came(response.body.size());
    const auto named = Digest::parse(reference);
    const auto header = response.headers.find("docker-content-digest");
    const auto said = header ? Digest::parse(*header) : std::nullopt;
    const std::optional<Digest>& expected = named ? named : said;
    Hasher hasher(expected ? expected->algorithm() : "sha256");
    hasher.update(response.body);
    Digest digest = hasher.finish();
    if (expected && digest != *expected) {
      if (attempt == 0) continue;
      throw_bad_image(what(subject) + ": the content has another digest");
    }
    session_->transfers().came_whole();
    std::string type(response.headers.find("content-type").value_or(""));
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' '))
      type.pop_back();
    return RemoteDocument{response.body,
                          Descriptor{type, std::move(digest), response.body.size(), {}, {}, {}}};
  }
}

std::optional<RemoteDocument> RegistryClient::find_own_manifest(const std::string& reference) const {
  return manifest_from(*servers_->origin, reference);
}

std::optional<RemoteDocument> RegistryClient::find_manifest(const std::string& reference) const {
  for (const auto& server : servers_->mirrors) {
    try {
      if (auto found = manifest_from(*server, reference)) return found;
    } catch (const Error&) {
      // The registry itself has the last word.
    }
  }
  return find_own_manifest(reference);
}

void RegistryClient::fetch_from(Server& server, const Descriptor& descriptor, BlobReceiver& receiver) const {
  const std::string subject = "blob " + descriptor.digest.short_text();
  BodySink sink(receiver, session_->transfers(), descriptor.size);
  Patience patience(session_->pool(), server.endpoint.mirror ? 2 : 9);
  bool ranges = true;
  while (true) {
    const std::uint64_t from = ranges ? sink.at() : 0;
    bool useless_range = false;
    Call get;
    get.path = "/blobs/" + descriptor.digest.text();
    if (from > 0) get.headers.emplace_back("Range", fmt::format("bytes={}-", from));
    get.choose = [&](const HttpResponse& response) -> Sink* {
      if (response.status == 206 && from > 0) {
        const auto field = response.headers.find("content-range");
        const auto range = field ? parse_content_range(*field) : std::nullopt;
        const bool exact = range && range->first == from && range->last + 1 == descriptor.size &&
                           (!range->total || *range->total == descriptor.size);
        if (!exact) {
          useless_range = true;
          throw WrongBody{"comes in another range than asked for"};
        }
        sink.begin(from);
        return &sink;
      }
      if (response.status != 200) return nullptr;
      const auto length = content_length(response);
      if (length && *length != descriptor.size) {
        throw WrongBody{fmt::format("has {} bytes instead of {}", *length, descriptor.size)};
      }
      sink.begin(0);
      return &sink;
    };
    HttpOutcome outcome;
    try {
      outcome = call(server, get);
    } catch (const WrongBody& wrong) {
      if (useless_range) {
        ranges = false;
        sink.begin(0);
        continue;
      }
      throw_bad_image(what(subject) + " " + wrong.why);
    }
    const int status = outcome.response.status;
    if (!outcome.fault) {
      if (status == 200 || status == 206) {
        if (sink.at() == descriptor.size) return;
        // It ended properly, but too early.
        outcome.fault = HttpFault{HttpFault::Kind::kBroken, "the blob ends too early"};
      } else if (status == 416 && from > 0) {
        ranges = false;
        sink.begin(0);
        continue;
      } else if (status == 404) {
        throw_bad_image(what(subject) + " is missing in the registry");
      } else if (!is_passing_status(status)) {
        fail(subject, outcome.response);
      }
    }
    const std::uint64_t gained = sink.at() > from ? sink.at() - from : 0;
    if (!patience.again(outcome, ranges ? gained : 0)) {
      throw Error(Failure::kNetwork, fmt::format("{}: {}", what(subject), patience.reason(outcome)));
    }
  }
}

void RegistryClient::fetch_blob(const Descriptor& descriptor, BlobReceiver& receiver, bool fresh) const {
  if (!fresh) {
    for (const auto& server : servers_->mirrors) {
      try {
        return fetch_from(*server, descriptor, receiver);
      } catch (const Error& error) {
        if (error.failure() == Failure::kIo) throw;
      }
    }
  }
  fetch_from(*servers_->origin, descriptor, receiver);
}

bool RegistryClient::fetch_range(const Descriptor& descriptor, std::uint64_t offset,
                                 std::span<std::byte> into) const {
  class SpanSink : public Sink {
   public:
    explicit SpanSink(std::span<std::byte> into) : into_(into) {}
    void write(std::span<const std::byte> bytes) override {
      if (bytes.size() > into_.size() - at) throw WrongBody{"is longer than the range asked for"};
      std::memcpy(into_.data() + at, bytes.data(), bytes.size());
      at += bytes.size();
    }
    std::size_t at = 0;

   private:
    std::span<std::byte> into_;
  };
  const std::string subject = "blob " + descriptor.digest.short_text();
  Server& server = *servers_->origin;
  Patience patience(session_->pool());
  while (true) {
    SpanSink sink(into);
    Call get;
    get.path = "/blobs/" + descriptor.digest.text();
    get.headers.emplace_back("Range", fmt::format("bytes={}-{}", offset, offset + into.size() - 1));
    get.choose = [&](const HttpResponse& response) -> Sink* {
      if (response.status == 200) throw WrongBody{"comes whole"};
      if (response.status != 206) return nullptr;
      const auto field = response.headers.find("content-range");
      const auto range = field ? parse_content_range(*field) : std::nullopt;
      if (!range || range->first != offset || range->last != offset + into.size() - 1) {
        throw WrongBody{"comes in another range than asked for"};
      }
      return &sink;
    };
    HttpOutcome outcome;
    try {
      outcome = call(server, get);
    } catch (const WrongBody&) {
      return false;
    }
    session_->transfers().came(sink.at);
    const int status = outcome.response.status;
    if (!outcome.fault && status == 206 && sink.at == into.size()) return true;
    if (!outcome.fault && status == 416) return false;
    if (!outcome.fault && status == 404) throw_bad_image(what(subject) + " is missing in the registry");
    if (!outcome.fault && status != 206 && !is_passing_status(status)) fail(subject, outcome.response);
    if (!outcome.fault && status == 206) {
      outcome.fault = HttpFault{HttpFault::Kind::kBroken, "the range ends too early"};
    }
    if (!patience.again(outcome, sink.at)) {
      throw Error(Failure::kNetwork, fmt::format("{}: {}", what(subject), patience.reason(outcome)));
    }
  }
}

bool RegistryClient::has_blob(const Descriptor& descriptor) const {
  Call head;
  head.method = "HEAD";
  head.path = "/blobs/" + descriptor.digest.text();
  const HttpResponse response = call_patiently(*servers_->origin, head);
  if (response.status != 200) return false;
  const auto length = content_length(response);
  return !length || *length == descriptor.size;
}

}  // namespace imgslim
