// SPDX-License-Identifier: Apache-2.0
// The merged tree of an image: its layers applied in order as the image-spec says (layer.md, "Applying
// Changesets") and, where real appliers differ, as imgslim(1) documents. Nothing is extracted: names,
// attributes and where the content lies are all there is. Hard links are names of one inode, whose
// content lives while any name lives. All operations are linear in entries, whatever the whiteouts.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/layer_table.h"

namespace imgslim {

using NodeId = std::uint32_t;
using InodeId = std::uint32_t;
inline constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// An entry of a layer: index of the layer from the bottom, index into its table.
struct EntryRef {
  std::uint32_t layer = kNone;
  std::uint32_t entry = kNone;
  explicit operator bool() const { return layer != kNone; }
  auto operator<=>(const EntryRef&) const = default;
};

// A file: what all its names share.
struct Inode {
  EntryRef attributes;  // type, mode, owner, time, xattrs; none: a directory no entry describes
                        // (0755, root, time 0)
  // Which inode this one's names showed just before the layer that made it, if they were exactly the
  // names of that inode and it was of the same type: a candidate for "written again". kNone otherwise,
  // also where the layer's own whiteout removed a name first: dropping the entry would then show nothing.
  InodeId replaces = kNone;
  std::uint32_t links = 0;  // names that are alive now
};

// A name in a directory.
struct Node {
  NodeId parent = kNone;
  InodeId inode = kNone;
  EntryRef shown_by;  // the entry that last put this name here, or last set a directory's attributes
  NodeId first_child = kNone;
  NodeId next_sibling = kNone;
  std::string_view name;
};

// Something that was accepted though appliers or readers may see it differently.
struct TreeNotice {
  EntryRef entry;
  std::string text;  // one line, naming the path
};

class Tree {
 public:
  Tree();
  Tree(Tree&&) noexcept;
  Tree& operator=(Tree&&) noexcept;
  ~Tree();

  // Applies the next layer. The table is shared, not copied. Throws Error{kBadImage} for what no applier
  // can do: a hard link to nothing, to a directory, to a later entry.
  void apply(LayerTablePtr layer);

  static constexpr NodeId kRoot = 0;
  const Node& node(NodeId id) const;
  const Inode& inode(InodeId id) const;
  const Inode& inode_of(NodeId id) const { return inode(node(id).inode); }
  // The entry behind a reference. `ref` must not be none.
  const Entry& entry(EntryRef ref) const;
  const LayerTable& layer(std::uint32_t index) const;
  std::uint32_t layer_count() const;
  // Type of a node; a directory no entry describes is a directory.
  EntryType type(NodeId id) const;
  // The entry that describes a node's inode, nullptr for a directory no entry describes.
  const Entry* attributes(NodeId id) const;

  // Path without leading slash, "" for the root.
  std::string path(NodeId id) const;
  // The node at a cleaned path, no link followed anywhere.
  NodeId lookup(std::string_view path) const;
  NodeId child(NodeId directory, std::string_view name) const;
  // As a process rooted in the image sees it: "/" or "" start at the root, ".." stops there, links are
  // followed (at most 40), the last one too if `follow_last`. kNone if it leads nowhere.
  NodeId resolve(std::string_view path, bool follow_last = true) const;
  // Relative to a directory.
  NodeId resolve_at(NodeId directory, std::string_view path, bool follow_last = true) const;

  // All living nodes, each directory before what is in it, names in path_less order.
  void walk(const std::function<void(NodeId)>& visit) const;
  // Children of a directory sorted by name.
  std::vector<NodeId> children(NodeId directory) const;
  std::size_t node_count() const;  // living ones, the root included
  // Upper bound of node ids, dead ones included, for side tables.
  std::size_t node_limit() const;
  std::size_t inode_limit() const;

  // All entries that set the attributes of this directory, from the bottom up.
  std::vector<EntryRef> directory_setters(NodeId id) const;
  // The living node that a source entry still shows: its name was not removed or shown anew since.
  // For directories: any living node the entry set attributes of, even if a later one did too.
  NodeId node_of(EntryRef ref) const;

  const std::vector<TreeNotice>& notices() const;

  struct State;  // tree_state.h

 private:
  std::unique_ptr<State> state_;
};

// One line per living node with all that a container can see (type, path, mode, owner, mtime, xattrs,
// link target, device, size, hard-link group) and `content(entry)` of regular files; for tests and for
// comparing two trees.
std::string dump_tree(const Tree& tree, const std::function<std::string(EntryRef)>& content);

}  // namespace imgslim
