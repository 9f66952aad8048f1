// SPDX-License-Identifier: Apache-2.0
#include "layers/durable_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <system_error>

#include "layers/error.h"

namespace imgslim {
namespace {

std::function<void(std::string_view)>& step_hook() {
  static std::function<void(std::string_view)> hook;
  return hook;
}

void before(std::string_view step) {
  if (step_hook()) step_hook()(step);
}

std::string scratch_prefix(const std::string& name) {
  return "." + name + ".imgslim-";
}

std::string random_suffix() {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += kLetters[random() % 36];
  return out;
}

bool same_file(int fd, const std::string& path) {
  struct stat open_info;
  struct stat path_info;
  return ::fstat(fd, &open_info) == 0 && ::lstat(path.c_str(), &path_info) == 0 &&
         open_info.st_ino == path_info.st_ino && open_info.st_dev == path_info.st_dev;
}

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

class FdBlob : public Blob {
 public:
  FdBlob(UniqueFd fd, std::string name, std::uint64_t size)
      : fd_(std::move(fd)), name_(std::move(name)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    while (!into.empty()) {
      const ssize_t got = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_io("cannot read " + name_, errno);
      if (got == 0) throw Error(Failure::kIo, name_ + " ends at offset " + std::to_string(offset));
      into = into.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

 private:
  UniqueFd fd_;
  std::string name_;
  std::uint64_t size_;
};

}  // namespace

void set_disk_step_hook(std::function<void(std::string_view)> hook) {
  step_hook() = std::move(hook);
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

void write_fully(int fd, std::span<const std::byte> bytes, const std::string& path) {
  before("write");
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_io("cannot write " + printable(path), errno);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void sync_file(int fd, const std::string& path) {
  before("sync");
  if (::fsync(fd) != 0) throw_io("cannot sync " + printable(path), errno);
}

void sync_directory(const std::string& path) {
  before("sync directory");
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw_io("cannot open " + printable(path), errno);
  // EINVAL: a file system that has no sync for directories.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) throw_io("cannot sync " + printable(path), errno);
}

void rename_file(const std::string& from, const std::string& to) {
  before("rename");
  if (::rename(from.c_str(), to.c_str()) != 0) throw_io("cannot rename to " + printable(to), errno);
}

bool rename_directory(const std::string& from, const std::string& to) {
  before("rename");
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return false;
  throw_io("cannot rename to " + printable(to), errno);
}

void make_directories(const std::string& path) {
  before("create directory");
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw_io("cannot create directory " + printable(path), error.value());
}

std::string directory_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  const std::size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string last_part_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  const std::size_t slash = path.rfind('/', end);
  const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(start, end + 1 - start);
}

UniqueFd create_new_file(const std::string& path) {
  before("create");
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) throw_io("cannot create " + printable(path), errno);
  return fd;
}

void write_new_file(const std::string& path, std::string_view bytes) {
  const UniqueFd fd = create_new_file(path);
  write_fully(fd.get(), as_bytes(bytes), path);
  sync_file(fd.get(), path);
}

UniqueFd open_unlinked_file(const std::string& directory) {
  before("create");
#ifdef O_TMPFILE
  UniqueFd unnamed(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (unnamed) return unnamed;
#endif
  std::string name = directory + "/.imgslim-XXXXXX";
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) throw_io("cannot create a file in " + printable(directory), errno);
  ::unlink(name.c_str());
  return fd;
}

BlobPtr fd_blob(UniqueFd fd, const std::string& name) {
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) throw_io("cannot read " + name, errno);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  return std::make_shared<FdBlob>(std::move(fd), name, size);
}

FileLock::FileLock(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!fd_) throw_io("cannot open " + printable(path), errno);
  while (::flock(fd_.get(), LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    if (errno == EOPNOTSUPP || errno == ENOLCK || errno == EINVAL) return;
    throw_io("cannot lock " + printable(path), errno);
  }
}

Scratch::Scratch(Kind kind, const std::string& parent, const std::string& name) {
  for (int tries = 0; tries < 100; ++tries) {
    before("create");
    path_ = parent + "/" + scratch_prefix(name) + random_suffix();
    if (kind == Kind::kDirectory) {
      if (::mkdir(path_.c_str(), 0777) != 0) {
        if (errno == EEXIST) continue;
        throw_io("cannot write in " + printable(parent), errno);
      }
      fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    } else {
      fd_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
      if (!fd_ && errno == EEXIST) continue;
      if (!fd_) throw_io("cannot write in " + printable(parent), errno);
    }
    // Another run may have taken it for a leftover before the lock: then it is gone, and we try again.
    if (fd_) ::flock(fd_.get(), LOCK_EX);
    if (fd_ && same_file(fd_.get(), path_)) return;
  }
  throw Error(Failure::kIo, "cannot create a temporary name in " + printable(parent));
}

Scratch::~Scratch() {
  if (!kept_ && !path_.empty()) remove_quietly(path_);
}

void Scratch::remove_leftovers(const std::string& parent, const std::string& name) {
  const std::string prefix = scratch_prefix(name);
  std::error_code error;
  std::vector<std::string> found;
  for (std::filesystem::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (file.size() == prefix.size() + 8 && file.starts_with(prefix)) found.push_back(it->path().string());
  }
  for (const std::string& path : found) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) remove_quietly(path);
  }
}

}  // namespace imgslim
