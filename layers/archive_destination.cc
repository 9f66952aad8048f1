// SPDX-License-Identifier: Apache-2.0
// Writing oci-archive and docker-archive. Blobs are collected as files in a scratch directory beside the
// archive; publish() writes the archive there and renames it into place. A docker-archive is laid out as
// Docker 25 and later do: an OCI layout whose blobs manifest.json names too, so that every byte is there
// once. The same blobs give the same archive.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "layers/archive_store.h"
#include "layers/blob_file.h"
#include "layers/error.h"

// libarchive's own stands beside a table of all formats, which would bring their code and its libraries into
// a program that is linked with the static one. The pax writer calls it for entries that are neither file,
// link nor folder.
extern "C" void __archive_write_entry_filetype_unsupported(archive* writer, archive_entry*,  // NOLINT
                                                           const char* format) {
  ::archive_set_error(writer, EINVAL, "%s cannot hold this type of file", format);
}

namespace imgslim {
namespace {

constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr const char* kContainerdName = "io.containerd.image.name";
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr int kMaxIndexDepth = 8;

struct WriterDeleter {
  void operator()(archive* writer) const { ::archive_write_free(writer); }
};
struct EntryDeleter {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};

// A tar archive written to a file descriptor; equal members give equal bytes.
class TarFile {
 public:
  TarFile(int fd, std::string path) : fd_(fd), path_(std::move(path)), writer_(::archive_write_new()) {
    if (!writer_) throw std::bad_alloc();
    check(::archive_write_set_format_pax_restricted(writer_.get()));
    check(::archive_write_set_bytes_per_block(writer_.get(), static_cast<int>(kBlockBytes)));
    check(::archive_write_set_bytes_in_last_block(writer_.get(), 1));
    check(::archive_write_open2(writer_.get(), this, nullptr, &TarFile::take, nullptr, nullptr));
  }

  void directory(const std::string& name) { header(name, AE_IFDIR, 0755, 0); }

  void file(const std::string& name, const Blob& blob) {
    header(name, AE_IFREG, 0644, blob.size());
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, blob.size())));
    for (std::uint64_t at = 0; at < blob.size();) {
      const auto part = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size() - at)));
      blob.read_at(at, part);
      const la_ssize_t done = ::archive_write_data(writer_.get(), part.data(), part.size());
      if (done < 0 || static_cast<std::size_t>(done) != part.size()) check(ARCHIVE_FATAL);
      at += part.size();
    }
    check(::archive_write_finish_entry(writer_.get()));
  }

  void finish() { check(::archive_write_close(writer_.get())); }

 private:
  // An exception must not cross libarchive's frames: it is kept.
  static la_ssize_t take(archive* writer, void* self, const void* bytes, std::size_t count) {
    TarFile& file = *static_cast<TarFile*>(self);
    // After a failure the destructor closes the archive, which writes once more.
    if (file.failure_) return -1;
    try {
      write_fully(file.fd_, std::span(static_cast<const std::byte*>(bytes), count), file.path_);
      return static_cast<la_ssize_t>(count);
    } catch (...) {
      file.failure_ = std::current_exception();
      ::archive_set_error(writer, EIO, "write failed");
      return -1;
    }
  }

  void header(const std::string& name, unsigned type, int mode, std::uint64_t size) {
    const std::unique_ptr<archive_entry, EntryDeleter> entry(::archive_entry_new());
    if (!entry) throw std::bad_alloc();
    ::archive_entry_set_pathname(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), type);
    ::archive_entry_set_perm(entry.get(), static_cast<mode_t>(mode));
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    ::archive_entry_set_uid(entry.get(), 0);
    ::archive_entry_set_gid(entry.get(), 0);
    check(::archive_write_header(writer_.get(), entry.get()));
  }

  void check(int status) const {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
    if (failure_) std::rethrow_exception(failure_);
    const char* reason = ::archive_error_string(writer_.get());
    throw Error(Failure::kIo, fmt::format("cannot write {}: {}", printable(path_),
                                          printable(reason == nullptr ? "unknown reason" : reason)));
  }

  int fd_;
  std::string path_;
  std::exception_ptr failure_;
  std::unique_ptr<archive, WriterDeleter> writer_;
};

// Where blobs wait that go to standard output: never in TMPDIR, which is often memory.
std::string cache_directory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::string out = cache != nullptr && *cache == '/' ? std::string(cache)
                    : home != nullptr && *home == '/' ? std::string(home) + "/.cache"
                                                      : std::string("/var/tmp");
  out += "/imgslim";
  make_directories(out);
  return out;
}

class ArchiveDestination : public ImageDestination {
 public:
  explicit ArchiveDestination(const ImageName& name) : image_name_(name), name_(name.text()) {
    path_ = name.location;
    struct stat info;
    if (path_ == "-") {
      stream_ = UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
      if (!stream_) throw_io("cannot write standard output", errno);
    } else if (::stat(path_.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) throw_usage(name_ + ": is a directory");
      if (S_ISREG(info.st_mode)) {
        resolve_link();
      } else {
        stream_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
        if (!stream_) throw_io(name_ + ": cannot open", errno);
      }
    }
    const std::string parent = stream_ ? cache_directory() : directory_of(path_);
    const std::string last = stream_ ? "stream" : last_part_of(path_);
    Scratch::remove_leftovers(parent, last);
    scratch_.emplace(Scratch::Kind::kDirectory, parent, last);
  }

  std::string name() const override { return name_; }

  bool has(const Descriptor& descriptor) const override {
    const std::lock_guard guard(mutex_);
    const auto found = staged_.find(descriptor.digest);
    return found != staged_.end() && found->second == descriptor.size;
  }

  BlobPtr open(const Descriptor& descriptor) const override {
    return open_file_blob(staged_path(descriptor.digest));
  }

  std::unique_ptr<BlobWriter> start_blob() override {
    const std::lock_guard guard(mutex_);
    if (!scratch_) throw Error(Failure::kIo, name_ + ": the archive is written already");
    const std::string path = fmt::format("{}/part-{}", scratch_->path(), ++parts_);
    return std::make_unique<PartWriter>(create_new_file(path), path,
                                        [this, path](const Digest& digest, auto size) {
                                          const std::lock_guard inner(mutex_);
                                          rename_file(path, staged_path(digest));
                                          staged_[digest] = size;
                                        });
  }

  void publish(const Descriptor& root) override {
    const std::lock_guard guard(mutex_);
    if (!scratch_) throw Error(Failure::kIo, name_ + ": the archive is written already");
    std::vector<Digest> order;
    std::optional<Manifest> image;
    collect(root, 1, order, image);
    for (const Descriptor& referrer : referrers_) {
      std::optional<Manifest> none;
      collect(referrer, 1, order, none);
    }
    for (const auto& [digest, size] : staged_)
      add_once(order, digest);

    const std::string temporary = scratch_->path() + "/archive.tar";
    UniqueFd file = stream_ ? UniqueFd() : create_new_file(temporary);
    TarFile tar(stream_ ? stream_.get() : file.get(), path_);
    tar.file("oci-layout", *memory_blob(R"({"imageLayoutVersion":"1.0.0"})"));
    tar.file("index.json", *memory_blob(index_text(root)));
    if (is_docker()) {
      if (!image) throw_usage(name_ + ": a docker-archive holds exactly one image");
      tar.file("manifest.json", *memory_blob(docker_manifest_text(*image)));
    }
    std::set<std::string> directories;
    for (const Digest& digest : order) {
      const std::string path = blob_path(digest);
      for (const std::string& directory : {std::string("blobs/"), directory_of(path) + "/"}) {
        if (directories.insert(directory).second) tar.directory(directory);
      }
      tar.file(path, *open_file_blob(staged_path(digest)));
      // So that no more than one blob is on the disk twice.
      ::unlink(staged_path(digest).c_str());
    }
    tar.finish();
    if (!stream_) {
      sync_file(file.get(), path_);
      rename_file(temporary, path_);
      sync_directory(directory_of(path_));
    }
    scratch_.reset();
    staged_.clear();
  }

  bool holds_referrers() const override { return !is_docker(); }

  bool publish_referrer(const Descriptor& manifest) override {
    const std::lock_guard guard(mutex_);
    if (is_docker()) return false;
    if (!scratch_) throw Error(Failure::kIo, name_ + ": the archive is written already");
    const bool known = std::any_of(referrers_.begin(), referrers_.end(), [&](const Descriptor& other) {
      return other.digest == manifest.digest;
    });
    if (!known) referrers_.push_back(manifest);
    return true;
  }

 private:
  class PartWriter : public BlobWriter {
   public:
    PartWriter(UniqueFd fd, std::string path, std::function<void(const Digest&, std::uint64_t)> place)
        : path_(path),
          // The archive is synced, not its parts.
          writer_(std::move(fd), path, false,
                  [this, place](UniqueFd, const Digest& digest, std::uint64_t size) {
                    place(digest, size);
                    placed_ = true;
                  }) {}
    ~PartWriter() override {
      if (!placed_) ::unlink(path_.c_str());
    }
    void write(std::span<const std::byte> bytes) override { writer_.write(bytes); }
    void commit(const Digest& digest, std::uint64_t size) override { writer_.commit(digest, size); }

   private:
    std::string path_;
    bool placed_ = false;
    FileBlobWriter writer_;
  };

  bool is_docker() const { return image_name_.transport == Transport::kDockerArchive; }

  // rename(2) would replace a link instead of what it names.
  void resolve_link() {
    struct stat info;
    if (::lstat(path_.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return;
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path_.c_str(), nullptr), &std::free);
    if (!real) throw_io(name_ + ": cannot resolve the link", errno);
    path_ = real.get();
  }

  std::string staged_path(const Digest& digest) const {
    return fmt::format("{}/{}-{}", scratch_->path(), digest.algorithm(), digest.hex());
  }

  static void add_once(std::vector<Digest>& order, const Digest& digest) {
    if (std::find(order.begin(), order.end(), digest) == order.end()) order.push_back(digest);
  }

  std::string read_staged(const Descriptor& descriptor) const {
    require_staged(descriptor);
    return read_all(*open_file_blob(staged_path(descriptor.digest)), std::uint64_t{4} << 20,
                    descriptor.digest.text());
  }

  void require_staged(const Descriptor& descriptor) const {
    const auto found = staged_.find(descriptor.digest);
    if (found == staged_.end() || found->second != descriptor.size) {
      throw_bad_image(fmt::format("{}: blob {} was not written", name_, descriptor.digest.text()));
    }
  }

  // The blobs of a document in the order in which a reader wants them; `image` becomes the only image, or
  // nothing if there are several.
  void collect(const Descriptor& descriptor, int depth, std::vector<Digest>& order,
               std::optional<Manifest>& image) const {
    const std::string what = fmt::format("{}: {}", name_, descriptor.digest.text());
    if (depth > kMaxIndexDepth) throw_bad_image(what + ": indexes are nested too deeply");
    const std::string text = read_staged(descriptor);
    add_once(order, descriptor.digest);
    const Json document = parse_json(text, what);
    if (classify_document(document, descriptor.media_type, what) == DocumentKind::kIndex) {
      int images = 0;
      for (const Descriptor& entry : Index::parse(text, descriptor.media_type, what).manifests) {
        // An index of BuildKit's cache names blobs.
        if (!is_document_type(entry.media_type)) {
          require_staged(entry);
          add_once(order, entry.digest);
          continue;
        }
        std::optional<Manifest> inner;
        collect(entry, depth + 1, order, inner);
        if (!inner || is_attestation(entry)) continue;
        if (++images == 1) image = std::move(inner);
      }
      if (images != 1) image.reset();
      return;
    }
    Manifest manifest = Manifest::parse(text, descriptor.media_type, what);
    require_staged(manifest.config);
    add_once(order, manifest.config.digest);
    for (const LayerDescriptor& layer : manifest.layers) {
      if (layer.foreign && staged_.count(layer.descriptor.digest) == 0) continue;
      require_staged(layer.descriptor);
      add_once(order, layer.descriptor.digest);
    }
    if (manifest.is_image()) image = std::move(manifest);
  }

  std::string index_text(const Descriptor& root) const {
    Json entry = root.to_json();
    if (is_docker()) {
      if (!image_name_.reference.empty()) {
        const std::string full = full_docker_name(image_name_.reference);
        entry["annotations"][kContainerdName] = full;
        entry["annotations"][kRefName] = full.substr(full.rfind(':') + 1);
      }
    } else {
      entry["annotations"][kRefName] = image_name_.reference.empty() ? "latest" : image_name_.reference;
    }
    Json index = Json::object();
    index["schemaVersion"] = 2;
    index["mediaType"] = media_type::kOciIndex;
    index["manifests"] = Json::array();
    index["manifests"].push_back(std::move(entry));
    for (const Descriptor& referrer : referrers_)
      index["manifests"].push_back(referrer.to_json());
    return dump_json(index);
  }

  std::string docker_manifest_text(const Manifest& image) const {
    Json item = Json::object();
    item["Config"] = blob_path(image.config.digest);
    item["RepoTags"] = Json();
    if (!image_name_.reference.empty()) {
      const ImageName name = parse_destination_name("docker://" + image_name_.reference);
      const std::string tag =
          name.reference.empty() ? image_name_.reference + ":latest" : image_name_.reference;
      item["RepoTags"] = Json::array({tag});
    }
    item["Layers"] = Json::array();
    for (const LayerDescriptor& layer : image.layers) {
      item["Layers"].push_back(blob_path(layer.descriptor.digest));
    }
    return dump_json(Json::array({item}));
  }

  ImageName image_name_;
  std::string name_;
  std::string path_;
  UniqueFd stream_;  // a pipe, terminal or device: written as it comes
  mutable std::mutex mutex_;
  std::optional<Scratch> scratch_;
  std::map<Digest, std::uint64_t> staged_;
  std::vector<Descriptor> referrers_;
  std::uint64_t parts_ = 0;
};

}  // namespace

std::unique_ptr<ImageDestination> open_archive_destination(const ImageName& name,
                                                           const DestinationNeeds& needs) {
  if (name.transport == Transport::kDockerArchive && needs.several_platforms) {
    throw_usage(name.text() +
                ": a docker-archive cannot hold several platforms, choose one or write oci-archive:");
  }
  if (name.transport == Transport::kDockerArchive && needs.zstd) {
    throw_usage(name.text() +
                ": a docker-archive cannot hold zstd layers, choose gzip or write oci-archive:");
  }
  return std::make_unique<ArchiveDestination>(name);
}

}  // namespace imgslim
