// SPDX-License-Identifier: Apache-2.0
#include "src/facts/tree_file_system.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace imgslim {
namespace {

class OwnedBytes : public FileBytes {
 public:
  explicit OwnedBytes(std::string text) : text_(std::move(text)) {}
  std::string_view bytes() const override { return text_; }

 private:
  std::string text_;
};

FileKind kind_of(EntryType type) {
  switch (type) {
    case EntryType::kRegular:
    case EntryType::kHardLink:  // a name of a regular file
      return FileKind::kRegular;
    case EntryType::kDirectory:
      return FileKind::kDirectory;
    case EntryType::kSymlink:
      return FileKind::kSymlink;
    default:
      return FileKind::kOther;
  }
}

std::string_view without_slashes(std::string_view path) {
  while (!path.empty() && path.front() == '/')
    path.remove_prefix(1);
  while (!path.empty() && path.back() == '/')
    path.remove_suffix(1);
  return path;
}

}  // namespace

// Nothing is cached but contents that someone still holds: two readers of one file share its bytes.
struct TreeFileSystem::State {
  std::mutex mutex;
  std::unordered_map<InodeId, std::weak_ptr<const FileBytes>> held;
};

TreeFileSystem::TreeFileSystem(const Tree& tree, ContentReader reader, const FileFacts* facts)
    : tree_(tree), reader_(std::move(reader)), facts_(facts), state_(std::make_unique<State>()) {}
TreeFileSystem::~TreeFileSystem() = default;

NodeId TreeFileSystem::node(std::string_view path) const {
  path = without_slashes(path);
  return path.empty() ? Tree::kRoot : tree_.lookup(path);
}

std::optional<FileStatus> TreeFileSystem::status(std::string_view path) const {
  const NodeId id = node(path);
  if (id == kNone) return std::nullopt;
  FileStatus status;
  status.kind = kind_of(tree_.type(id));
  status.inode = tree_.node(id).inode;
  const Entry* entry = tree_.attributes(id);
  status.mode = entry == nullptr ? 0755 : entry->mode;
  if (entry != nullptr && status.kind == FileKind::kRegular) status.size = entry->size;
  if (entry != nullptr && status.kind == FileKind::kSymlink) status.size = entry->link.size();
  return status;
}

std::optional<std::string> TreeFileSystem::read_link(std::string_view path) const {
  const NodeId id = node(path);
  if (id == kNone || tree_.type(id) != EntryType::kSymlink) return std::nullopt;
  const Entry* entry = tree_.attributes(id);
  if (entry == nullptr) return std::nullopt;
  return std::string(entry->link);
}

std::vector<std::string> TreeFileSystem::list(std::string_view path) const {
  std::vector<std::string> names;
  const NodeId id = node(path);
  if (id == kNone || tree_.type(id) != EntryType::kDirectory) return names;
  for (const NodeId child : tree_.children(id))
    names.emplace_back(tree_.node(child).name);
  return names;
}

std::shared_ptr<const FileBytes> TreeFileSystem::read(std::string_view path, std::uint64_t limit) const {
  const NodeId id = node(path);
  if (id == kNone || kind_of(tree_.type(id)) != FileKind::kRegular) return nullptr;
  const Entry* entry = tree_.attributes(id);
  if (entry == nullptr || entry->size > limit) return nullptr;
  const InodeId inode = tree_.node(id).inode;
  {
    const std::scoped_lock lock(state_->mutex);
    const auto found = state_->held.find(inode);
    if (found != state_->held.end()) {
      if (auto bytes = found->second.lock()) return bytes;
      state_->held.erase(found);
    }
  }
  auto bytes = std::make_shared<const OwnedBytes>(reader_(tree_.inode(inode).attributes, entry->size));
  const std::scoped_lock lock(state_->mutex);
  state_->held[inode] = bytes;
  return bytes;
}

std::string TreeFileSystem::head(std::string_view path) const {
  const NodeId id = node(path);
  if (id == kNone || kind_of(tree_.type(id)) != FileKind::kRegular) return {};
  const Entry* entry = tree_.attributes(id);
  if (entry == nullptr) return {};
  std::string result;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(entry->size, 8); ++i) {
    result += static_cast<char>(entry->head >> (8 * i) & 0xff);
  }
  return result;
}

// The entry with the content of the regular file of that name.
EntryRef TreeFileSystem::file(std::string_view path) const {
  const NodeId id = node(path);
  if (id == kNone || kind_of(tree_.type(id)) != FileKind::kRegular) return {};
  return tree_.inode_of(id).attributes;
}

std::optional<std::string> TreeFileSystem::recall(std::string_view path, std::string_view fact) const {
  const EntryRef entry = facts_ == nullptr ? EntryRef() : file(path);
  return entry ? facts_->recall(entry, fact) : std::nullopt;
}

void TreeFileSystem::remember(std::string_view path, std::string_view fact, std::string_view data) const {
  const EntryRef entry = facts_ == nullptr ? EntryRef() : file(path);
  if (entry) facts_->remember(entry, fact, data);
}

}  // namespace imgslim
