// SPDX-License-Identifier: Apache-2.0
// A FileSystem from a table of paths, for tests.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/file_system.h"

namespace imgslim {

class TableFiles : public FileSystem {
 public:
  // Parents come into being as directories.
  TableFiles& directory(const std::string& path) { return put(path, {FileKind::kDirectory, 0755, ""}); }
  TableFiles& file(const std::string& path, std::string content, std::uint32_t mode = 0644) {
    return put(path, {FileKind::kRegular, mode, std::move(content)});
  }
  TableFiles& program(const std::string& path, std::string content = "\177ELF program") {
    return file(path, std::move(content), 0755);
  }
  TableFiles& link(const std::string& path, std::string target) {
    return put(path, {FileKind::kSymlink, 0777, std::move(target)});
  }

  std::optional<FileStatus> status(std::string_view path) const override {
    const Item* item = find(path);
    if (item == nullptr) return std::nullopt;
    FileStatus status;
    status.kind = item->kind;
    status.mode = item->mode;
    status.size = item->text.size();
    return status;
  }
  std::optional<std::string> read_link(std::string_view path) const override {
    const Item* item = find(path);
    if (item == nullptr || item->kind != FileKind::kSymlink) return std::nullopt;
    return item->text;
  }
  std::vector<std::string> list(std::string_view path) const override {
    std::vector<std::string> names;
    const std::string prefix = path == "/" ? "/" : std::string(path) + "/";
    for (auto item = items_.lower_bound(prefix); item != items_.end() && item->first.starts_with(prefix);
         ++item) {
      const std::string name = item->first.substr(prefix.size());
      if (!name.empty() && name.find('/') == std::string::npos) names.push_back(name);
    }
    return names;
  }
  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override {
    const Item* item = find(path);
    if (item == nullptr || item->kind != FileKind::kRegular || item->text.size() > limit) return nullptr;
    return std::make_shared<Bytes>(item->text);
  }

 private:
  struct Item {
    FileKind kind;
    std::uint32_t mode;
    std::string text;
  };
  class Bytes : public FileBytes {
   public:
    explicit Bytes(std::string text) : text_(std::move(text)) {}
    std::string_view bytes() const override { return text_; }

   private:
    std::string text_;
  };
  TableFiles& put(const std::string& path, Item item) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      items_.try_emplace(path.substr(0, slash), Item{FileKind::kDirectory, 0755, ""});
    }
    items_[path] = std::move(item);
    return *this;
  }
  const Item* find(std::string_view path) const {
    static const Item root{FileKind::kDirectory, 0755, ""};
    if (path.empty() || path == "/") return &root;
    const auto item = items_.find(path);
    return item == items_.end() ? nullptr : &item->second;
  }
  std::map<std::string, Item, std::less<>> items_;
};

}  // namespace imgslim
