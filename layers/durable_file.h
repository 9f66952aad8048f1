// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all: written under a temporary name, synced, renamed, and the
// directory synced. What a killed run leaves behind is found by its name and by a lock that died with it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/digest.h"
#include "layers/stream.h"

namespace imgslim {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// All of these throw Error{kIo} naming the path.
void write_fully(int fd, std::span<const std::byte> bytes, const std::string& path);
void sync_file(int fd, const std::string& path);
void sync_directory(const std::string& path);
void rename_file(const std::string& from, const std::string& to);
// The same for a directory; false if there is something at `to` already (an empty directory is replaced).
bool rename_directory(const std::string& from, const std::string& to);
// mkdir, also for missing parents; an existing directory is fine.
void make_directories(const std::string& path);
// The directory of a path ("." if it names none) and its last part.
std::string directory_of(const std::string& path);
std::string last_part_of(const std::string& path);
UniqueFd create_new_file(const std::string& path);
// Writes a new file with `bytes` and syncs it.
void write_new_file(const std::string& path, std::string_view bytes);

// A file without a name in `directory`, open for reading and writing; the kernel frees it when it is
// closed, however the process ends.
UniqueFd open_unlinked_file(const std::string& directory);
// A blob over `fd`, which must be a regular file that does not change any more.
BlobPtr fd_blob(UniqueFd fd, const std::string& name);

// Holds flock(2) on a directory or file for as long as it lives. Where the file system has no locks it
// holds nothing.
class FileLock {
 public:
  explicit FileLock(const std::string& path);

 private:
  UniqueFd fd_;
};

// A directory of ours, or a file, named ".NAME.imgslim-XXXXXXXX" in `parent`, locked while we live and
// removed with all that is in it unless keep() was called.
class Scratch {
 public:
  enum class Kind { kDirectory, kFile };
  Scratch(Kind kind, const std::string& parent, const std::string& name);
  Scratch(Scratch&&) = delete;
  ~Scratch();
  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  // It was renamed to its final name: nothing to remove.
  void keep() { kept_ = true; }
  // Removes scratch of the same name that runs left behind which are no longer alive.
  static void remove_leftovers(const std::string& parent, const std::string& name);

 private:
  std::string path_;
  UniqueFd fd_;
  bool kept_ = false;
};

// For tests: called with the name of each step that changes the disk ("create", "write", "sync",
// "rename", ...) before it is done. May throw or end the process.
void set_disk_step_hook(std::function<void(std::string_view step)> hook);

}  // namespace imgslim
