// SPDX-License-Identifier: Apache-2.0
// The merged tree's data, for tree.cc and tree_apply.cc only.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "layers/tree.h"

namespace imgslim {

// Finds a directory's child by name: open addressing over node ids. The hash is keyed with a random
// number, as names come from outside; nothing that is put out depends on its order.
class NameTable {
 public:
  NameTable();
  std::uint32_t hash(NodeId parent, std::string_view name) const;

  template <class Matches>  // bool(NodeId)
  NodeId find(std::uint32_t hash, Matches&& matches) const {
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.id == kEmpty) return kNone;
      if (slot.hash == hash && slot.id != kRemoved && matches(slot.id)) return slot.id;
    }
  }
  void insert(NodeId id, std::uint32_t hash);
  // Has memory fetched that find() or insert() will need soon.
  void prefetch(std::uint32_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  void erase(NodeId id, std::uint32_t hash);

 private:
  static constexpr std::uint32_t kEmpty = kNone;
  static constexpr std::uint32_t kRemoved = kNone - 1;
  struct Slot {
    NodeId id = kEmpty;
    std::uint32_t hash = 0;  // here as well, so that a search seldom touches other nodes
  };
  void place(Slot slot);
  void grow();

  std::uint64_t key_;
  std::vector<Slot> slots_;  // a power of two of them
  std::size_t used_ = 0;     // not empty
  std::size_t alive_ = 0;
};

struct Tree::State {
  // What goes with each Node.
  struct NodeExtra {
    NodeId previous_sibling = kNone;
    std::uint32_t hash = 0;
    // The layer that made the name, or last put something else there.
    std::uint32_t layer = kNone;
    // The inode that the name showed just before `layer`, if the layer wrote over it.
    InodeId before = kNone;
    // Directories: the newest of the entries that set attributes, index into `setters`.
    std::uint32_t setter = kNone;
  };
  // What goes with each Inode: how many names it had when layer `touched` began.
  struct InodeExtra {
    std::uint32_t touched = kNone;
    std::uint32_t links = 0;
  };
  struct Setter {
    EntryRef entry;
    std::uint32_t older = kNone;
  };

  State();

  std::vector<LayerTablePtr> layers;
  std::vector<Node> nodes;
  std::vector<NodeExtra> node_extras;
  std::vector<Inode> inodes;
  std::vector<InodeExtra> inode_extras;
  std::vector<Setter> setters;
  std::vector<std::vector<NodeId>> entry_nodes;  // by layer and entry: where the entry was put
  std::vector<TreeNotice> notices;
  std::size_t living = 1;
  std::size_t implied = 0;  // directories made because an entry's parent was missing
  NameTable names;
  mutable std::mutex walk_mutex;
  mutable std::vector<NodeId> walk_order;  // empty until a walk asks for it, and when a layer is applied

  const std::vector<NodeId>& order() const;
  bool alive(NodeId id) const { return nodes[id].inode != kNone; }
  const Entry& entry(EntryRef ref) const { return layers[ref.layer]->entries[ref.entry]; }
  EntryType type(NodeId id) const;
  bool is_directory(NodeId id) const { return type(id) == EntryType::kDirectory; }
  NodeId child(NodeId directory, std::string_view name) const;
  std::string path(NodeId id) const;
  std::vector<NodeId> children(NodeId directory) const;
  NodeId resolve(NodeId start, std::string_view path, bool follow_last) const;
};

// Takes the first component off `path`, slashes around it included; empty if there is none.
std::string_view take_component(std::string_view& path);

}  // namespace imgslim
