// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iterator>
#include <limits>
#include <unordered_map>

#include "layers/error.h"
#include "layers/tree.h"

namespace imgslim {
namespace {

std::string escaped(std::string_view text) {
  return printable(text, std::numeric_limits<std::size_t>::max());
}

char letter_of(EntryType type) {
  switch (type) {
    case EntryType::kDirectory:
      return 'd';
    case EntryType::kSymlink:
      return 'l';
    case EntryType::kCharacterDevice:
      return 'c';
    case EntryType::kBlockDevice:
      return 'b';
    case EntryType::kFifo:
      return 'p';
    default:
      return 'f';
  }
}

}  // namespace

std::string dump_tree(const Tree& tree, const std::function<std::string(EntryRef)>& content) {
  std::string out;
  std::unordered_map<InodeId, std::size_t> groups;  // numbered as the walk meets them
  tree.walk([&](NodeId id) {
    const Entry none{};
    const Inode& inode = tree.inode_of(id);
    const EntryType type = tree.type(id);
    const Entry* found = tree.attributes(id);
    const Entry& entry = found != nullptr ? *found : none;
    const auto to = std::back_inserter(out);
    fmt::format_to(to, "{} /{} {:04o} {}:{} {}.{:09}", letter_of(type), escaped(tree.path(id)),
                   found != nullptr ? entry.mode : 0755u, entry.uid, entry.gid, entry.mtime,
                   entry.mtime_nanoseconds);
    if (found != nullptr) {
      for (const auto& [name, value] : tree.layer(inode.attributes.layer).xattr_sets.at(entry.xattrs)) {
        fmt::format_to(to, " xattr {}={}", escaped(name), escaped(value));
      }
    }
    if (type == EntryType::kSymlink) fmt::format_to(to, " -> {}", escaped(entry.link));
    if (type == EntryType::kCharacterDevice || type == EntryType::kBlockDevice) {
      fmt::format_to(to, " device {},{}", entry.device_major, entry.device_minor);
    }
    if (type == EntryType::kRegular) {
      fmt::format_to(to, " size {} content {}", entry.size, content ? content(inode.attributes) : "");
    }
    if (inode.links > 1) {
      const auto group = groups.try_emplace(tree.node(id).inode, groups.size() + 1).first->second;
      fmt::format_to(to, " group {}", group);
    }
    out += '\n';
  });
  return out;
}

}  // namespace imgslim
