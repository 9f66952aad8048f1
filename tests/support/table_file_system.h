// SPDX-License-Identifier: Apache-2.0
// A FileSystem from a table, for tests. Parent directories come by themselves.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/facts/file_system.h"

namespace imgslim::testing {

class TableFileSystem : public FileSystem {
 public:
  TableFileSystem() { entries_["/"] = Entry{}; }

  void file(const std::string& path, std::string content, std::uint32_t mode = 0755) {
    put(path, Entry{FileKind::kRegular, mode, ++last_inode_, std::make_shared<Bytes>(std::move(content))});
  }
  void link(const std::string& path, std::string target) {
    put(path, Entry{FileKind::kSymlink, 0777, ++last_inode_, std::make_shared<Bytes>(std::move(target))});
  }
  void directory(const std::string& path) { put(path, Entry{FileKind::kDirectory, 0755, ++last_inode_, {}}); }
  // Another name of a file that is there.
  void hard_link(const std::string& path, const std::string& existing) { put(path, entries_.at(existing)); }
  void remove(const std::string& path) { entries_.erase(path); }

  std::optional<FileStatus> status(std::string_view path) const override {
    const auto found = entries_.find(path);
    if (found == entries_.end()) return std::nullopt;
    const Entry& entry = found->second;
    return FileStatus{entry.kind, entry.content ? entry.content->bytes().size() : 0, entry.mode, entry.inode};
  }
  std::optional<std::string> read_link(std::string_view path) const override {
    const auto found = entries_.find(path);
    if (found == entries_.end() || found->second.kind != FileKind::kSymlink) return std::nullopt;
    return std::string(found->second.content->bytes());
  }
  std::vector<std::string> list(std::string_view path) const override {
    std::string start(path);
    if (start != "/") start += '/';
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) {
      if (name.size() <= start.size() || !name.starts_with(start)) continue;
      if (name.find('/', start.size()) == std::string::npos) names.push_back(name.substr(start.size()));
    }
    return names;
  }
  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override {
    const auto found = entries_.find(path);
    if (found == entries_.end() || found->second.kind != FileKind::kRegular) return nullptr;
    if (found->second.content->bytes().size() > limit) return nullptr;
    return found->second.content;
  }

 private:
  class Bytes : public FileBytes {
   public:
    explicit Bytes(std::string text) : text_(std::move(text)) {}
    std::string_view bytes() const override { return text_; }

   private:
    std::string text_;
  };
  struct Entry {
    FileKind kind = FileKind::kDirectory;
    std::uint32_t mode = 0755;
    std::uint64_t inode = 1;
    std::shared_ptr<const Bytes> content;
  };

  void put(const std::string& path, Entry entry) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const auto [parent, added] = entries_.try_emplace(path.substr(0, slash));
      if (added) parent->second.inode = ++last_inode_;
    }
    entries_[path] = std::move(entry);
  }

  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t last_inode_ = 1;
};

}  // namespace imgslim::testing
