// SPDX-License-Identifier: Apache-2.0
// One repository of a registry (OCI distribution-spec 1.1): manifests, blobs, uploads, referrers. Thread
// safe. Errors are Error{kNetwork} that name the repository and what the server said; none holds a secret.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/manifest.h"
#include "layers/stream.h"
#include "registry/patience.h"
#include "registry/session.h"

namespace imgslim {

struct RemoteDocument {
  std::string bytes;
  Descriptor descriptor;  // media type as the server named it, digest and size of `bytes`
};

// Where the bytes of a blob go. They come in order; at() begins again at a lower offset when the server could
// not go on where it stopped.
class BlobReceiver {
 public:
  virtual ~BlobReceiver() = default;
  virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
};

class RegistryClient {
 public:
  enum class Access { kPull, kPush };
  // `host` and `repository` as in an image name.
  RegistryClient(SessionPtr session, std::string host, std::string repository, Access access);

  const std::string& host() const { return host_; }
  const std::string& repository() const { return repository_; }
  NetworkSession& session() const { return *session_; }

  // A manifest or index by tag or digest, from a mirror if there is one. Nothing if there is none of that
  // name. The digest is that of the bytes; if `reference` is one, or the server names one, it is the same.
  std::optional<RemoteDocument> find_manifest(const std::string& reference) const;
  // The same from the registry itself.
  std::optional<RemoteDocument> find_own_manifest(const std::string& reference) const;
  // The size of a blob that is there.
  bool has_blob(const Descriptor& descriptor) const;
  // Fetches all of a blob and verifies neither digest nor content. Throws Error{kBadImage} if it is not
  // there or of another size. `fresh`: not from a mirror.
  void fetch_blob(const Descriptor& descriptor, BlobReceiver& receiver, bool fresh = false) const;
  // A part of a blob; false if the server does not give parts.
  bool fetch_range(const Descriptor& descriptor, std::uint64_t offset, std::span<std::byte> into) const;

  // Uploads a blob unless it is there, or can be mounted from another repository of the same host.
  enum class Stored { kThere, kMounted, kUploaded };
  Stored store_blob(const Descriptor& descriptor, const BlobPtr& blob, const std::string& mount_from) const;
  // Whether it is there, or was just mounted; nothing is uploaded.
  bool has_or_mounts(const Descriptor& descriptor, const std::string& mount_from) const;
  // Puts a manifest or index under a tag or its digest. Returns whether the server knows about referrers
  // (OCI-Subject).
  bool store_manifest(const Descriptor& descriptor, const std::string& bytes,
                      const std::string& reference) const;

  // Documents that refer to `subject`: the referrers API, else the index under the fallback tag.
  std::vector<Descriptor> referrers(const Digest& subject) const;
  // Adds `manifest` to the index under the fallback tag of `subject`.
  void add_to_referrers_tag(const Digest& subject, const Descriptor& manifest) const;

 private:
  using Server = NetworkSession::Server;
  struct Call {
    std::string method = "GET";
    std::string path;        // behind ".../v2/REPOSITORY", or
    std::optional<Url> url;  // an upload's Location
    std::vector<std::pair<std::string, std::string>> headers;
    BlobPtr body;
    std::uint64_t body_offset = 0;
    std::uint64_t body_length = 0;
    std::uint64_t max_body = std::uint64_t{64} << 10;
    std::chrono::seconds answer_within{20};
    std::string mount_from;  // a repository that must be readable as well
    HttpPool::ChooseSink choose;
  };
  // Authorizes and follows redirects; tries once.
  HttpOutcome call(Server& server, const Call& what) const;
  // Tries again while it makes sense; the outcome is an answer, or the last fault as an error.
  HttpResponse call_patiently(Server& server, const Call& what, int tries = 9) const;
  Url url_for(const Server& server, const Call& what) const;
  Scopes scopes(const Call& what) const;
  std::vector<std::shared_ptr<Server>> pull_servers() const;

  std::optional<RemoteDocument> manifest_from(Server& server, const std::string& reference) const;
  void fetch_from(Server& server, const Descriptor& descriptor, BlobReceiver& receiver) const;

  struct Upload {
    Url location;
    std::uint64_t least_chunk = 0;
  };
  // Starts an upload; nothing if the blob was mounted.
  std::optional<Upload> start_upload(const Descriptor& descriptor, const std::string& mount_from) const;
  bool upload_once(Upload upload, const Descriptor& descriptor, const BlobPtr& blob, Patience& patience,
                   std::string& reason) const;
  bool upload_chunks(Upload& upload, const Descriptor& descriptor, const BlobPtr& blob, std::uint64_t from,
                     Patience& patience, std::string& reason) const;
  std::optional<std::uint64_t> uploaded_so_far(Upload& upload) const;
  bool move_to(Upload& upload, const HttpResponse& response) const;
  [[noreturn]] void refuse_content(const Descriptor& descriptor, const BlobPtr& blob,
                                   const HttpResponse& response) const;

  std::string what(std::string_view subject) const;
  // What a server said with an error status, in words.
  std::string words(const HttpResponse& response) const;
  [[noreturn]] void fail(std::string_view subject, const HttpResponse& response) const;

  SessionPtr session_;
  std::string host_;
  std::string repository_;
  Access access_;
  std::shared_ptr<const NetworkSession::Host> servers_;
};

// Media types that a pull asks for.
inline constexpr std::string_view kManifestTypes =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::uint64_t kMaxManifest = std::uint64_t{4} << 20;

}  // namespace imgslim
