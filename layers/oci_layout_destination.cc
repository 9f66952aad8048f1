// SPDX-License-Identifier: Apache-2.0
// Writing into an OCI layout. Blobs are collected in a scratch directory inside the layout and moved into
// place by publish(), under a lock on the layout, right before index.json is replaced by rename(2). So a
// run that fails or is killed leaves the images as they were, and no run can remove a blob that another
// counts on. A new layout is built beside its name and renamed as a whole.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <vector>

#include "layers/blob_file.h"
#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/oci_layout.h"

namespace imgslim {
namespace {

constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

bool exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

Json empty_index() {
  Json index = Json::object();
  index["schemaVersion"] = 2;
  index["mediaType"] = media_type::kOciIndex;
  index["manifests"] = Json::array();
  return index;
}

// A small file of the layout; nothing if it is not there.
std::optional<std::string> read_small(const std::string& path) {
  if (!exists(path)) return std::nullopt;
  return read_all(*open_file_blob(path), kMaxIndexBytes, path);
}

class LayoutDestination : public ImageDestination {
 public:
  explicit LayoutDestination(const ImageName& name)
      : name_(name.text()),
        directory_(name.location),
        reference_(name.reference.empty() ? "latest" : name.reference) {
    while (directory_.size() > 1 && directory_.back() == '/')
      directory_.pop_back();
    parent_ = directory_of(directory_);
    struct stat info;
    if (::stat(directory_.c_str(), &info) != 0) {
      if (errno != ENOENT) throw_io(name_ + ": cannot open", errno);
      Scratch::remove_leftovers(parent_, last_part_of(directory_));
      scratch_.emplace(Scratch::Kind::kDirectory, parent_, last_part_of(directory_));
      new_ = true;
      return;
    }
    if (!S_ISDIR(info.st_mode)) throw_usage(name_ + ": exists and is no directory");
    check_existing();
    Scratch::remove_leftovers(directory_, "");
    scratch_.emplace(Scratch::Kind::kDirectory, directory_, "");
  }

  std::string name() const override { return name_; }

  bool has(const Descriptor& descriptor) const override {
    {
      const std::lock_guard guard(mutex_);
      if (staged_.count(descriptor.digest) != 0) return true;
      const auto seen = present_.find(descriptor.digest);
      if (seen != present_.end()) return seen->second == descriptor.size;
    }
    const std::string path = directory_ + "/" + blob_path(descriptor.digest);
    struct stat info;
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (static_cast<std::uint64_t>(info.st_size) != descriptor.size) return false;
    // A damaged blob must not become part of a new image: it is written again instead.
    if (hash_blob(*open_file_blob(path), descriptor.digest) != descriptor.digest) return false;
    const std::lock_guard guard(mutex_);
    present_.emplace(descriptor.digest, descriptor.size);
    return true;
  }

  BlobPtr open(const Descriptor& descriptor) const override {
    const std::lock_guard guard(mutex_);
    const std::string& root = staged_.count(descriptor.digest) != 0 ? scratch_->path() : directory_;
    return open_file_blob(root + "/" + blob_path(descriptor.digest));
  }

  std::unique_ptr<BlobWriter> start_blob() override {
    const std::lock_guard guard(mutex_);
    // After publish() more blobs may come, for a referrer.
    if (!scratch_) scratch_.emplace(Scratch::Kind::kDirectory, directory_, "");
    const std::string path = fmt::format("{}/part-{}", scratch_->path(), ++parts_);
    UniqueFd fd = create_new_file(path);
    return std::make_unique<PartWriter>(std::move(fd), path, [this, path](const Digest& digest) {
      const std::lock_guard inner(mutex_);
      const std::string place = scratch_->path() + "/" + blob_path(digest);
      make_directories(directory_of(place));
      rename_file(path, place);
      staged_.insert(digest);
    });
  }

  void publish(const Descriptor& root) override {
    const std::lock_guard guard(mutex_);
    Json entry = root.to_json();
    entry["annotations"][kRefName] = reference_;
    const std::string name = reference_;
    std::vector<Placement> placements;
    placements.push_back({std::move(entry), [name](const Json& other) {
                            const Json* annotations = find_member(other, "annotations");
                            return annotations != nullptr &&
                                   string_member(*annotations, kRefName, "index.json") == name;
                          }});
    for (const Descriptor& manifest : std::exchange(referrers_, {}))
      placements.push_back(placement_of(manifest));
    add_entries(placements);
    published_ = true;
  }

  bool holds_referrers() const override { return true; }

  bool publish_referrer(const Descriptor& manifest) override {
    const std::lock_guard guard(mutex_);
    if (published_) {
      add_entries({placement_of(manifest)});
    } else {
      referrers_.push_back(manifest);
    }
    return true;
  }

 private:
  // Removes its file unless it was committed.
  class PartWriter : public BlobWriter {
   public:
    PartWriter(UniqueFd fd, std::string path, std::function<void(const Digest&)> place)
        : path_(path),
          writer_(std::move(fd), path, true, [this, place](UniqueFd, const Digest& digest, std::uint64_t) {
            place(digest);
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

  // An existing directory must be a layout, or empty, or what a killed run made of an empty one.
  void check_existing() const {
    if (const auto text = read_small(directory_ + "/oci-layout")) {
      const Json document = parse_json(*text, name_ + ": oci-layout");
      if (!string_member(document, "imageLayoutVersion", name_ + ": oci-layout").starts_with("1.")) {
        throw_bad_image(name_ + ": the oci-layout file is not of version 1.x");
      }
      read_index();
      return;
    }
    std::error_code error;
    std::filesystem::directory_iterator it(directory_, error);
    if (error) throw_io(name_ + ": cannot read the directory", error.value());
    for (const auto& item : it) {
      if (item.path().filename().string().starts_with("..imgslim-")) continue;
      throw_usage(name_ + ": the directory is not empty and no OCI layout");
    }
  }

  Json read_index() const {
    const std::string what = name_ + ": index.json";
    const auto text = read_small(directory_ + "/index.json");
    if (!text) return empty_index();
    return Index::parse(*text, "", what).json;
  }

  // An entry of index.json, and those in whose place it comes.
  struct Placement {
    Json entry;
    std::function<bool(const Json&)> replaces;
  };

  static Placement placement_of(const Descriptor& referrer) {
    const std::string digest = referrer.digest.text();
    return {referrer.to_json(), [digest](const Json& other) {
              const Json* annotations = find_member(other, "annotations");
              if (annotations != nullptr && find_member(*annotations, kRefName) != nullptr) return false;
              const Json* found = find_member(other, "digest");
              return found != nullptr && *found == digest;
            }};
  }

  static void place(Json& entries, const Placement& placement) {
    std::vector<Json> kept;
    bool placed = false;
    for (Json& other : entries) {
      if (!placement.replaces(other)) {
        kept.push_back(std::move(other));
      } else if (!placed) {
        kept.push_back(placement.entry);
        placed = true;
      }
    }
    if (!placed) kept.push_back(placement.entry);
    entries = Json(std::move(kept));
  }

  // Moves the staged blobs into place and replaces index.json by one with the new entries.
  void add_entries(const std::vector<Placement>& placements) {
    // If somebody else made the layout in the meantime, theirs stays and ours goes into it.
    if (std::exchange(new_, false) && publish_new(placements)) return;
    const FileLock lock(directory_);
    if (!scratch_) scratch_.emplace(Scratch::Kind::kDirectory, directory_, "");
    check_present();
    Json index = read_index();
    for (const Placement& placement : placements)
      place(index["manifests"], placement);

    const std::string temporary = scratch_->path() + "/index.json";
    ::unlink(temporary.c_str());
    write_new_file(temporary, dump_json(index));
    const bool had_blobs = exists(directory_ + "/blobs");
    std::vector<std::string> added;
    try {
      if (!exists(directory_ + "/oci-layout")) {
        const std::string layout = scratch_->path() + "/oci-layout";
        if (!exists(layout)) write_new_file(layout, kLayoutFile);
        rename_file(layout, directory_ + "/oci-layout");
        added.push_back(directory_ + "/oci-layout");
      }
      move_blobs(added);
      rename_file(temporary, directory_ + "/index.json");
    } catch (...) {
      // The lock is still held: nothing can refer to them yet.
      for (const std::string& path : added)
        ::unlink(path.c_str());
      if (!had_blobs) {
        for (const char* path : {"/blobs/sha256", "/blobs/sha512", "/blobs"})
          ::rmdir((directory_ + path).c_str());
      }
      throw;
    }
    sync_directory(directory_);
    settle();
  }

  // What was staged is now in the layout.
  void settle() {
    for (const Digest& digest : staged_)
      present_.emplace(digest, size_of(digest));
    staged_.clear();
    scratch_.reset();
  }

  // Whether the whole new directory could take its name.
  bool publish_new(const std::vector<Placement>& placements) {
    const std::string root = scratch_->path();
    Json index = empty_index();
    for (const Placement& placement : placements)
      place(index["manifests"], placement);
    make_directories(root + "/blobs/sha256");
    write_new_file(root + "/oci-layout", kLayoutFile);
    write_new_file(root + "/index.json", dump_json(index));
    for (const std::string& path : staged_directories(root))
      sync_directory(path);
    sync_directory(root);
    if (exists(directory_) || !rename_directory(root, directory_)) return false;
    scratch_->keep();
    sync_directory(parent_);
    settle();
    return true;
  }

  static std::vector<std::string> staged_directories(const std::string& root) {
    std::vector<std::string> out;
    for (const char* name : {"/blobs/sha256", "/blobs/sha512", "/blobs"}) {
      if (exists(root + name)) out.push_back(root + name);
    }
    return out;
  }

  void move_blobs(std::vector<std::string>& added) {
    for (const Digest& digest : staged_) {
      const std::string to = directory_ + "/" + blob_path(digest);
      make_directories(directory_of(to));
      const bool replaced = exists(to);
      rename_file(scratch_->path() + "/" + blob_path(digest), to);
      if (!replaced) added.push_back(to);
    }
    for (const std::string& path : staged_directories(directory_))
      sync_directory(path);
  }

  // What has() answered must still hold.
  void check_present() const {
    for (const auto& [digest, size] : present_) {
      struct stat info;
      const std::string path = directory_ + "/" + blob_path(digest);
      if (::lstat(path.c_str(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) != size) {
        throw Error(Failure::kIo, fmt::format("{}: blob {} was removed meanwhile", name_, digest.text()));
      }
    }
  }

  std::uint64_t size_of(const Digest& digest) const {
    struct stat info;
    const std::string path = directory_ + "/" + blob_path(digest);
    if (::lstat(path.c_str(), &info) != 0) throw_io(name_ + ": cannot read " + digest.text(), errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  std::string name_;
  std::string directory_;
  std::string parent_;
  std::string reference_;
  mutable std::mutex mutex_;
  bool new_ = false;  // the layout does not exist yet: `scratch_` becomes it
  std::optional<Scratch> scratch_;
  std::set<Digest> staged_;
  mutable std::map<Digest, std::uint64_t> present_;  // what has() found in the layout
  std::vector<Descriptor> referrers_;
  bool published_ = false;
  std::uint64_t parts_ = 0;
};

}  // namespace

std::unique_ptr<ImageDestination> open_layout_destination(const ImageName& name) {
  return std::make_unique<LayoutDestination>(name);
}

}  // namespace imgslim
