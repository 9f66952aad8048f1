// SPDX-License-Identifier: Apache-2.0
#include "src/facts/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace imgslim {
namespace {

constexpr int kMaxLinks = 40;  // as Linux: MAXSYMLINKS

class StringBytes : public FileBytes {
 public:
  explicit StringBytes(std::string text) : text_(std::move(text)) {}
  std::string_view bytes() const override { return text_; }

 private:
  std::string text_;
};

class HostFileSystem : public FileSystem {
 public:
  explicit HostFileSystem(std::string root) : root_(std::move(root)) {
    while (!root_.empty() && root_.back() == '/')
      root_.pop_back();
  }

  std::optional<FileStatus> status(std::string_view path) const override {
    struct stat info {};
    if (lstat(on_host(path).c_str(), &info) != 0) return std::nullopt;
    FileStatus result;
    result.kind = S_ISREG(info.st_mode)   ? FileKind::kRegular
                  : S_ISDIR(info.st_mode) ? FileKind::kDirectory
                  : S_ISLNK(info.st_mode) ? FileKind::kSymlink
                                          : FileKind::kOther;
    result.size = static_cast<std::uint64_t>(info.st_size);
    result.mode = info.st_mode & 07777;
    result.inode = info.st_ino;
    return result;
  }

  std::optional<std::string> read_link(std::string_view path) const override {
    std::string text(4096, '\0');
    const ssize_t length = readlink(on_host(path).c_str(), text.data(), text.size());
    if (length < 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(length));
    return text;
  }

  std::vector<std::string> list(std::string_view path) const override {
    std::vector<std::string> names;
    DIR* directory = opendir(on_host(path).c_str());
    if (directory == nullptr) return names;
    while (const dirent* item = readdir(directory)) {
      const std::string name = item->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override {
    const auto found = status(path);
    if (!found || found->kind != FileKind::kRegular || found->size > limit) return nullptr;
    const int file = open(on_host(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return nullptr;
    std::string text(found->size, '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
      const ssize_t got = ::read(file, text.data() + filled, text.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      filled += static_cast<std::size_t>(got);
    }
    close(file);
    if (filled != text.size()) return nullptr;
    return std::make_shared<StringBytes>(std::move(text));
  }

 private:
  std::string on_host(std::string_view path) const {
    std::string result = root_ + std::string(path);
    return result.empty() ? "/" : result;
  }
  std::string root_;
};

}  // namespace

std::optional<std::string> FileSystem::recall(std::string_view, std::string_view) const {
  return std::nullopt;
}

void FileSystem::remember(std::string_view, std::string_view, std::string_view) const {}

std::optional<std::string> resolve_path(const FileSystem& files, std::string_view path, bool follow_last,
                                        std::vector<std::string>* links) {
  std::string resolved;  // "" is the root
  std::string rest(path);
  int hops = 0;
  while (true) {
    const std::size_t start = rest.find_first_not_of('/');
    if (start == std::string::npos) break;
    std::size_t end = rest.find('/', start);
    if (end == std::string::npos) end = rest.size();
    const std::string name = rest.substr(start, end - start);
    rest.erase(0, end);
    const bool last = rest.find_first_not_of('/') == std::string::npos;
    // A trailing slash asks for a directory, so the link before it is followed.
    const bool follow = !last || follow_last || !rest.empty();
    if (name == ".") continue;
    if (name == "..") {
      const std::size_t slash = resolved.rfind('/');
      resolved.erase(slash == std::string::npos ? 0 : slash);
      continue;
    }
    const std::string next = resolved + "/" + name;
    const auto status = files.status(next);
    if (!status) return std::nullopt;
    if (status->kind == FileKind::kSymlink && follow) {
      if (++hops > kMaxLinks) return std::nullopt;
      const auto target = files.read_link(next);
      if (!target || target->empty()) return std::nullopt;
      if (links != nullptr) links->push_back(next);
      if (target->front() == '/') resolved.clear();
      rest = *target + rest;
      continue;
    }
    if (!last && status->kind != FileKind::kDirectory) return std::nullopt;
    resolved = next;
  }
  return resolved.empty() ? "/" : resolved;
}

std::string join_path(std::string_view directory, std::string_view path) {
  if (!path.empty() && path.front() == '/') return std::string(path);
  std::string result(directory);
  if (result.empty() || result.back() != '/') result += '/';
  return result.append(path);
}

std::unique_ptr<FileSystem> host_file_system(const std::string& root) {
  return std::make_unique<HostFileSystem>(root);
}

}  // namespace imgslim
