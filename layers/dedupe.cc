// SPDX-License-Identifier: Apache-2.0
#include "layers/dedupe.h"

#include <map>
#include <tuple>

#include "layers/layer_builder.h"

namespace imgslim {

bool same_attributes(const Entry& a, const LayerTable& a_table, const Entry& b, const LayerTable& b_table,
                     bool but_overlay_xattrs) {
  if (a.type != b.type || a.mode != b.mode || a.uid != b.uid || a.gid != b.gid || a.mtime != b.mtime ||
      a.mtime_nanoseconds != b.mtime_nanoseconds) {
    return false;
  }
  const Xattrs& a_xattrs = a_table.xattr_sets[a.xattrs];
  const Xattrs& b_xattrs = b_table.xattr_sets[b.xattrs];
  if (a_xattrs != b_xattrs &&
      (!but_overlay_xattrs || without_overlay_xattrs(a_xattrs) != without_overlay_xattrs(b_xattrs))) {
    return false;
  }
  switch (a.type) {
    case EntryType::kRegular:
      return a.size == b.size;
    case EntryType::kSymlink:
      return a.link == b.link;
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      return a.device_major == b.device_major && a.device_minor == b.device_minor;
    default:
      return true;
  }
}

std::vector<bool> find_repeats(const Tree& tree, const Contents& contents) {
  std::vector<bool> repeats(tree.inode_limit(), false);
  std::vector<InodeId> to_confirm;
  std::vector<EntryRef> files;
  for (InodeId id = 0; id < tree.inode_limit(); ++id) {
    const Inode& inode = tree.inode(id);
    if (inode.replaces == kNone || !inode.attributes) continue;
    const EntryRef before = tree.inode(inode.replaces).attributes;
    if (!before) continue;
    const Entry& now_entry = tree.entry(inode.attributes);
    const Entry& old_entry = tree.entry(before);
    if (!same_attributes(now_entry, tree.layer(inode.attributes.layer), old_entry,
                         tree.layer(before.layer))) {
      continue;
    }
    if (now_entry.type != EntryType::kRegular || now_entry.size == 0) {
      repeats[id] = true;
    } else if (now_entry.crc == old_entry.crc && (now_entry.sparse == 0) == (old_entry.sparse == 0)) {
      to_confirm.push_back(id);
      files.push_back(inode.attributes);
      files.push_back(before);
    }
  }
  const std::vector<Digest> digests = contents.hash(files);
  for (std::size_t i = 0; i < to_confirm.size(); ++i) {
    repeats[to_confirm[i]] = digests[2 * i] == digests[2 * i + 1];
  }
  return repeats;
}

std::vector<InodeId> find_equal_files(const Tree& tree, const Contents& contents,
                                      const std::function<std::optional<std::uint32_t>(NodeId)>& layer_of) {
  std::vector<InodeId> same(tree.inode_limit());
  for (InodeId id = 0; id < same.size(); ++id)
    same[id] = id;

  // Inodes in tree order, less those with a name that is left alone or with names in several layers.
  constexpr std::int64_t kNew = -1;
  constexpr std::int64_t kAlone = -2;
  std::vector<InodeId> order;
  std::vector<std::int64_t> layers(tree.inode_limit(), kNew);
  tree.walk([&](NodeId node) {
    const InodeId id = tree.node(node).inode;
    const Inode& inode = tree.inode(id);
    if (tree.type(node) != EntryType::kRegular || !inode.attributes || layers[id] == kAlone) return;
    const auto layer = tree.entry(inode.attributes).size == 0 ? std::nullopt : layer_of(node);
    if (!layer || (layers[id] != kNew && layers[id] != *layer)) {
      layers[id] = kAlone;
    } else if (layers[id] == kNew) {
      layers[id] = *layer;
      order.push_back(id);
    }
  });

  // What must be equal besides the content; xattrs point into the layer's table.
  using Key = std::tuple<std::int64_t, std::uint64_t, std::uint64_t, std::uint32_t, std::uint32_t,
                         std::uint32_t, std::int64_t, std::uint32_t, Xattrs>;
  std::map<Key, std::vector<InodeId>> candidates;
  for (const InodeId id : order) {
    if (layers[id] == kAlone) continue;
    const EntryRef ref = tree.inode(id).attributes;
    const Entry& e = tree.entry(ref);
    if (e.sparse != 0) continue;
    candidates[{layers[id], e.size, e.crc, e.mode, e.uid, e.gid, e.mtime, e.mtime_nanoseconds,
                tree.layer(ref.layer).xattr_sets[e.xattrs]}]
        .push_back(id);
  }

  std::vector<EntryRef> files;
  for (const auto& [key, ids] : candidates) {
    if (ids.size() < 2) continue;
    for (const InodeId id : ids)
      files.push_back(tree.inode(id).attributes);
  }
  const std::vector<Digest> digests = contents.hash(files);
  std::size_t next = 0;
  for (const auto& [key, ids] : candidates) {
    if (ids.size() < 2) continue;
    std::map<Digest, InodeId> first_with;
    for (const InodeId id : ids)
      same[id] = first_with.emplace(digests[next++], id).first->second;
  }
  return same;
}

std::optional<std::uint32_t> layer_it_came_from(const Tree& tree, NodeId node) {
  const std::uint32_t layer = tree.inode_of(node).attributes.layer;
  if (tree.node(node).shown_by.layer != layer) return std::nullopt;
  return layer;
}

}  // namespace imgslim
