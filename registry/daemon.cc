// SPDX-License-Identifier: Apache-2.0
// docker-daemon: over the Docker Engine's API. An image comes as GET /images/NAME/get, a docker-archive, and
// goes as POST /images/load.
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/archive_store.h"
#include "layers/durable_file.h"
#include "layers/error.h"
#include "layers/json_fields.h"
#include "registry/local_file.h"
#include "registry/patience.h"
#include "registry/remote_store.h"

namespace imgslim {
namespace {

// The engine gathers a whole image before its first byte.
constexpr std::chrono::seconds kEnginePatience{1800};
constexpr std::uint64_t kMaxAnswer = std::uint64_t{16} << 20;

class Engine {
 public:
  Engine(std::string name, const SessionPtr& session) : name_(std::move(name)), session_(session) {
    const std::string host = environment("DOCKER_HOST");
    if (host.empty()) {
      socket_ = "/var/run/docker.sock";
    } else if (host.starts_with("unix://")) {
      socket_ = host.substr(7);
    } else if (host.starts_with("tcp://")) {
      base_ = Url::parse("http://" + host.substr(6));
      if (!base_ || !is_loopback_host(base_->host)) {
        throw_usage(name_ + ": DOCKER_HOST names another machine, which is not talked to without TLS");
      }
    } else {
      throw_usage(name_ + ": DOCKER_HOST is neither unix:// nor tcp://");
    }
    if (!socket_.empty()) base_ = Url::parse("http://localhost/");
  }

  HttpRequest request(std::string method, const std::string& path, const std::string& query = "") const {
    HttpRequest out;
    out.method = std::move(method);
    out.url = *base_;
    out.url.path = path;
    out.url.query = query;
    out.unix_socket = socket_;
    out.paced = false;
    out.answer_within = kEnginePatience;
    out.max_body = kMaxAnswer;
    return out;
  }

  HttpResponse ask(const HttpRequest& request, const HttpPool::ChooseSink& choose = nullptr) const {
    HttpOutcome outcome = session_->pool().exchange(request, choose);
    if (outcome.fault) {
      throw Error(Failure::kNetwork, fmt::format("{}: the Docker daemon at {}: {}", name_,
                                                 printable(socket_.empty() ? base_->authority() : socket_),
                                                 outcome.fault->message));
    }
    return std::move(outcome.response);
  }

  [[noreturn]] void fail(const HttpResponse& response) const {
    std::string said;
    try {
      said = string_member(parse_json(response.body, "answer"), "message", "answer");
    } catch (const Error&) {
      said = fmt::format("status {}", response.status);
    }
    throw Error(Failure::kNetwork, fmt::format("{}: the Docker daemon says: {}", name_, printable(said)));
  }

  const std::string& name() const { return name_; }
  NetworkSession& session() const { return *session_; }

 private:
  std::string name_;
  SessionPtr session_;
  std::string socket_;
  std::optional<Url> base_;
};

// NAME of a path of the API.
std::string path_of(const std::string& image, std::string_view action) {
  std::string out = "/images/";
  for (const char c : image) {
    const bool plain = c == '/' || c == ':' || c == '@';
    out += plain ? std::string(1, c) : percent_encoded(std::string_view(&c, 1));
  }
  return out + "/" + std::string(action);
}

std::string tagged(const ImageName& name) {
  if (!name.digest.empty()) return name.location + "@" + name.digest;
  return name.location + ":" + (name.reference.empty() ? "latest" : name.reference);
}

class FileSink : public Sink {
 public:
  FileSink(int fd, Transfers& transfers) : fd_(fd), transfers_(transfers) {}
  void write(std::span<const std::byte> bytes) override {
    write_fully(fd_, bytes, "a copy of the image");
    transfers_.came(bytes.size());
  }

 private:
  int fd_;
  Transfers& transfers_;
};

class DaemonDestination : public ImageDestination {
 public:
  DaemonDestination(const ImageName& name, const DestinationNeeds& needs, const SessionPtr& session)
      : engine_(name.text(), session), image_(name) {
    if (!name.digest.empty()) throw_usage(name.text() + ": a destination is named by a tag, not by a digest");
    if (needs.several_platforms)
      throw_usage(name.text() + ": a Docker daemon holds one platform, choose one");
    if (needs.zstd) throw_usage(name.text() + ": a Docker daemon may not read zstd layers, choose gzip");
    const std::string& directory = session->options().spool_directory;
    make_directories(directory);
    Scratch::remove_leftovers(directory, "daemon");
    scratch_.emplace(Scratch::Kind::kDirectory, directory, "daemon");
    ImageName archive;
    archive.transport = Transport::kDockerArchive;
    archive.location = scratch_->path() + "/image.tar";
    archive.reference = tagged(name);
    path_ = archive.location;
    archive_ = open_archive_destination(archive, {});
  }

  std::string name() const override { return engine_.name(); }
  bool has(const Descriptor& descriptor) const override { return archive_->has(descriptor); }
  BlobPtr open(const Descriptor& descriptor) const override { return archive_->open(descriptor); }
  std::unique_ptr<BlobWriter> start_blob() override { return archive_->start_blob(); }

  void publish(const Descriptor& root) override {
    const std::optional<OneImage> image = image_of(root, 0);
    if (!image) throw_usage(engine_.name() + ": the Docker daemon takes one image at a time");
    archive_->publish(root);
    HttpRequest load = engine_.request("POST", "/images/load", "quiet=1");
    load.body = open_file_blob(path_);
    load.body_length = load.body->size();
    load.headers.emplace_back("Content-Type", "application/x-tar");
    const HttpResponse response = engine_.ask(load);
    if (response.status != 200) engine_.fail(response);
    engine_.session().transfers().went(load.body_length);
    engine_.session().transfers().went_whole();
    check_messages(response.body);
    // A daemon that could not use it may have answered as if it had.
    const HttpResponse there = engine_.ask(engine_.request("GET", path_of(tagged(image_), "json")));
    if (there.status != 200) engine_.fail(there);
    const std::string id = string_member(parse_json(there.body, "answer"), "Id", "answer");
    if (id != image->config.text() && id != image->manifest.text() && id != root.digest.text()) {
      throw Error(Failure::kNetwork, engine_.name() + ": the Docker daemon did not take the image");
    }
    scratch_.reset();
  }

  bool holds_referrers() const override { return false; }
  bool publish_referrer(const Descriptor&) override { return false; }

 private:
  // One JSON object a line; errors come with status 200.
  void check_messages(std::string_view lines) const {
    while (!lines.empty()) {
      const std::size_t end = std::min(lines.find('\n'), lines.size());
      const std::string_view line = lines.substr(0, end);
      lines.remove_prefix(std::min(end + 1, lines.size()));
      if (line.find('{') == std::string_view::npos) continue;
      const std::string error =
          string_member(parse_json(line, "the Docker daemon's answer"), "error", "answer");
      if (!error.empty()) {
        throw Error(Failure::kNetwork,
                    fmt::format("{}: the Docker daemon says: {}", engine_.name(), printable(error)));
      }
    }
  }

  Engine engine_;
  ImageName image_;
  std::optional<Scratch> scratch_;
  std::string path_;
  struct OneImage {
    Digest manifest;
    Digest config;
  };
  // The one image that a manifest or an index names; nothing if there are several or none.
  std::optional<OneImage> image_of(const Descriptor& document, int depth) const {
    constexpr int kDeepest = 8;
    if (depth > kDeepest || !is_document_type(document.media_type) || is_attestation(document)) return {};
    const std::string text =
        read_all(*archive_->open(document), std::uint64_t{4} << 20, document.digest.text());
    const std::string what = engine_.name() + ", " + document.digest.short_text();
    if (classify_document(parse_json(text, what), document.media_type, what) == DocumentKind::kManifest) {
      const Manifest manifest = Manifest::parse(text, document.media_type, what);
      if (!manifest.is_image()) return {};
      return OneImage{document.digest, manifest.config.digest};
    }
    std::optional<OneImage> found;
    for (const Descriptor& entry : Index::parse(text, document.media_type, what).manifests) {
      std::optional<OneImage> image = image_of(entry, depth + 1);
      if (image && found) return {};
      if (image) found = std::move(image);
    }
    return found;
  }

  std::unique_ptr<ImageDestination> archive_;
};

}  // namespace

std::unique_ptr<ImageSource> open_daemon_source(const ImageName& name, const SessionPtr& session) {
  const Engine engine(name.text(), session);
  const std::string& directory = session->options().spool_directory;
  make_directories(directory);
  UniqueFd fd = open_unlinked_file(directory);
  FileSink sink(fd.get(), session->transfers());
  const HttpRequest get = engine.request("GET", path_of(tagged(name), "get"));
  const HttpResponse response = engine.ask(
      get, [&](const HttpResponse& answer) -> Sink* { return answer.status == 200 ? &sink : nullptr; });
  if (response.status != 200) engine.fail(response);
  session->transfers().came_whole();
  const auto members =
      std::make_shared<const ArchiveMembers>(fd_blob(std::move(fd), name.text()), name.text());
  return make_docker_archive_source(name.text(), members, "");
}

std::unique_ptr<ImageDestination> open_daemon_destination(const ImageName& name,
                                                          const DestinationNeeds& needs,
                                                          const SessionPtr& session) {
  return std::make_unique<DaemonDestination>(name, needs, session);
}

}  // namespace imgslim
