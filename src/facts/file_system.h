// SPDX-License-Identifier: Apache-2.0
// The files of an image as the analysis sees them: by path inside the image, links resolved inside it.
// Behind it stands the merged tree; in tests a table, or a directory of this machine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

enum class FileKind : std::uint8_t { kRegular, kDirectory, kSymlink, kOther };

struct FileStatus {
  FileKind kind = FileKind::kOther;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;   // 07777
  std::uint64_t inode = 0;  // equal for hard links of one file
};

// Content of a file; the view lives as long as the object.
class FileBytes {
 public:
  virtual ~FileBytes() = default;
  virtual std::string_view bytes() const = 0;
};

// Paths are absolute ("/usr/bin/git") and their directories contain no link once resolved; the raw calls
// follow none. Thread safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // lstat(2): no link followed in any component; nothing if there is no such name.
  virtual std::optional<FileStatus> status(std::string_view path) const = 0;
  // Text of a symbolic link, nothing if it is none.
  virtual std::optional<std::string> read_link(std::string_view path) const = 0;
  // Names in a directory, sorted as bytes, empty if it is none.
  virtual std::vector<std::string> list(std::string_view path) const = 0;
  // Whole content of a regular file, nullptr if it is none or larger than `limit`.
  virtual std::shared_ptr<const FileBytes> read(std::string_view path,
                                                std::uint64_t limit = 1u << 30) const = 0;
  // The first bytes of a regular file, at most 8, "" if it is none: enough to tell an ELF file from a script.
  // Over a merged tree it reads nothing.
  virtual std::string head(std::string_view path) const {
    const auto content = read(path);
    return content ? std::string(content->bytes().substr(0, 8)) : std::string();
  }
  // What remember() was told of this file's content, in this run or an earlier one, under that name for the
  // fact; nothing if that is not known.
  virtual std::optional<std::string> recall(std::string_view path, std::string_view fact) const;
  virtual void remember(std::string_view path, std::string_view fact, std::string_view data) const;
};

// What a path leads to for a process rooted in the image: every link resolved inside it, ".." stops at
// the root, at most 40 links. `links` gets the links passed on the way, in order, as resolved paths.
// Nothing if it leads nowhere. With `follow_last` false the last component is not followed.
std::optional<std::string> resolve_path(const FileSystem& files, std::string_view path,
                                        bool follow_last = true, std::vector<std::string>* links = nullptr);

// "/a/b" and "../c" -> "/a/b/../c" (as text, for resolve_path); an absolute `path` stays.
std::string join_path(std::string_view directory, std::string_view path);

// The files below a directory of this machine, for tests and for `inspect FILE`; "" or "/" is the machine
// itself.
std::unique_ptr<FileSystem> host_file_system(const std::string& root);

}  // namespace imgslim
