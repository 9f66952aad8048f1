// SPDX-License-Identifier: Apache-2.0
// One layer onto the tree, in three passes: first its whiteouts, which see only what the layers below
// left, whatever their place in the layer (image-spec layer.md, "Whiteouts"); then its entries in order;
// then which of its files stand exactly where one file stood before.
#include <fmt/format.h>

#include <utility>

#include "layers/error.h"
#include "layers/tree.h"
#include "layers/tree_state.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxNotices = 1000;
constexpr int kMaxLinks = 40;
constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxImplied = 1000000;
constexpr std::size_t kMaxNodes = std::size_t{1} << 31;
constexpr std::uint32_t kAhead = 8;
constexpr const char* kTwice = "the name is there twice in one layer: the last counts";

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return path.substr(0, slash == std::string_view::npos ? 0 : slash);
}

class Applier {
 public:
  Applier(Tree::State& tree, std::uint32_t layer);
  void apply();

 private:
  using State = Tree::State;

  [[noreturn]] void fail(const std::string& why) const;
  void notice(const std::string& text);
  const Entry& entry() const { return table_.entries[current_.entry]; }

  void hide();
  void hide_through_links();
  void expect(const Entry& coming) const;
  void put();
  void put_root();
  void put_directory(NodeId parent, std::string_view name);
  void put_file(NodeId parent, std::string_view name);
  InodeId link_target(NodeId name);
  void find_replaced();

  NodeId nearest_directory(std::string_view& path) const;
  NodeId directory_of(std::string_view path);
  NodeId replace_link(NodeId link);
  NodeId add_directory(NodeId parent, std::string_view name);
  void set_directory(NodeId id);

  NodeId add_node(NodeId parent, std::string_view name, InodeId inode);
  void remove_node(NodeId id);
  InodeId add_inode(EntryRef attributes);
  void touch(InodeId id);
  void link(InodeId id);
  void unlink(InodeId id);

  State& tree_;
  const std::uint32_t layer_;
  const LayerTable& table_;
  EntryRef current_;
  const InodeId first_inode_;
  std::vector<std::uint32_t> below_links_;  // whiteouts whose path leads through a link
  std::string_view last_directory_path_;    // what directory_of() found last, no link on the way
  NodeId last_directory_ = Tree::kRoot;
  std::vector<NodeId> removing_;  // kept for their memory
  std::vector<std::string_view> walk_;
};

Applier::Applier(Tree::State& tree, std::uint32_t layer)
    : tree_(tree),
      layer_(layer),
      table_(*tree.layers[layer]),
      current_{layer, 0},
      first_inode_(static_cast<InodeId>(tree.inodes.size())) {}

void Applier::fail(const std::string& why) const {
  throw_bad_image(
      fmt::format("entry {} at offset {}: {}", printable(entry().path), entry().header_offset, why));
}

void Applier::notice(const std::string& text) {
  if (tree_.notices.size() < kMaxNotices) {
    tree_.notices.push_back({current_, fmt::format("{}: {}", printable(entry().path), text)});
  }
}

void Applier::apply() {
  const auto count = static_cast<std::uint32_t>(table_.entries.size());
  tree_.entry_nodes[layer_].assign(count, kNone);
  for (current_.entry = 0; current_.entry < count; ++current_.entry) {
    if (current_.entry + kAhead < count) expect(table_.entries[current_.entry + kAhead]);
    hide();
  }
  hide_through_links();
  for (current_.entry = 0; current_.entry < count; ++current_.entry) {
    if (current_.entry + kAhead < count) expect(table_.entries[current_.entry + kAhead]);
    put();
  }
  find_replaced();
}

// A whiteout removes what its path names in the layers below, an opaque marker all that is in the
// directory. Each node is removed once, so markers that repeat cost their own length only.
void Applier::hide() {
  const EntryType type = entry().type;
  if (type != EntryType::kWhiteout && type != EntryType::kOpaqueWhiteout) return;
  std::string_view rest = entry().path;
  NodeId at = nearest_directory(rest);
  for (std::string_view part = take_component(rest); !part.empty(); part = take_component(rest)) {
    if (tree_.type(at) == EntryType::kSymlink) {
      below_links_.push_back(current_.entry);
      return;
    }
    if (rest.empty() && tree_.is_directory(at)) {
      last_directory_ = at;
      last_directory_path_ = parent_of(entry().path);
    }
    at = tree_.child(at, part);
    if (at == kNone) return;
  }
  if (type == EntryType::kWhiteout) {
    if (at != Tree::kRoot) remove_node(at);
    return;
  }
  if (tree_.type(at) == EntryType::kSymlink) {
    below_links_.push_back(current_.entry);
    return;
  }
  while (tree_.nodes[at].first_child != kNone)
    remove_node(tree_.nodes[at].first_child);
}

// Where a marker's own path leads through a link of a layer below, overlayfs shows a real directory in
// its place, as it does for entries; there is then nothing in it to hide.
void Applier::hide_through_links() {
  for (const std::uint32_t index : below_links_) {
    current_.entry = index;
    const bool opaque = entry().type == EntryType::kOpaqueWhiteout;
    NodeId at = Tree::kRoot;
    std::string_view rest = entry().path;
    for (std::string_view part = take_component(rest); !part.empty() && at != kNone;
         part = take_component(rest)) {
      at = tree_.child(at, part);
      const bool passed = !rest.empty() || opaque;
      if (at == kNone || !passed || tree_.type(at) != EntryType::kSymlink) continue;
      replace_link(at);
      break;
    }
  }
}

// Large trees wait for memory: the place of a name is fetched some entries early, on the guess that it is
// in the directory of the entries before it.
void Applier::expect(const Entry& coming) const {
  const std::size_t size = last_directory_path_.size();
  const std::string_view path = coming.path;
  if (path.size() <= size || path[size] != '/' || path.substr(0, size) != last_directory_path_) return;
  tree_.names.prefetch(tree_.names.hash(last_directory_, path.substr(size + 1)));
}

void Applier::put() {
  const Entry& what = entry();
  if (what.type == EntryType::kWhiteout || what.type == EntryType::kOpaqueWhiteout) return;
  if (what.path.empty()) {
    put_root();
    return;
  }
  const std::string_view above = parent_of(what.path);
  const std::string_view name = what.path.substr(above.empty() ? 0 : above.size() + 1);
  const NodeId parent = directory_of(above);
  if (what.type == EntryType::kDirectory) {
    put_directory(parent, name);
  } else {
    put_file(parent, name);
  }
}

void Applier::put_root() {
  if (entry().type != EntryType::kDirectory) fail("the root of the image is not a directory");
  if (tree_.nodes[Tree::kRoot].shown_by.layer == layer_) notice(kTwice);
  set_directory(Tree::kRoot);
}

void Applier::put_directory(NodeId parent, std::string_view name) {
  NodeId id = tree_.child(parent, name);
  if (id != kNone) {
    if (tree_.nodes[id].shown_by.layer == layer_) notice(kTwice);
    if (!tree_.is_directory(id)) {
      remove_node(id);
      id = kNone;
    }
  }
  if (id == kNone) id = add_directory(parent, name);
  set_directory(id);
}

void Applier::put_file(NodeId parent, std::string_view name) {
  NodeId id = tree_.child(parent, name);
  if (id != kNone) {
    if (tree_.nodes[id].shown_by.layer == layer_) notice(kTwice);
    if (tree_.is_directory(id)) {
      remove_node(id);
      id = kNone;
    }
  }
  const InodeId inode = entry().type == EntryType::kHardLink ? link_target(id) : add_inode(current_);
  link(inode);
  if (id == kNone) {
    id = add_node(parent, name, inode);
  } else {
    State::NodeExtra& extra = tree_.node_extras[id];
    if (extra.layer != layer_) {
      extra.layer = layer_;
      extra.before = tree_.nodes[id].inode;
    }
    unlink(tree_.nodes[id].inode);
    tree_.nodes[id].inode = inode;
  }
  tree_.nodes[id].shown_by = current_;
  tree_.entry_nodes[layer_][current_.entry] = id;
}

// `name` is the node that stands where the link goes, if any.
InodeId Applier::link_target(NodeId name) {
  const std::string shown = printable(entry().link);
  // A link as the last component is linked itself, not what it leads to.
  const NodeId target = tree_.resolve(Tree::kRoot, entry().link, false);
  if (target == kNone) {
    fail(fmt::format("a hard link to {}, which is not there before it", shown.empty() ? "/" : shown));
  }
  if (target == name) fail("a hard link to itself");
  if (tree_.is_directory(target)) fail(fmt::format("a hard link to the directory {}", shown));
  if (tree_.node_extras[target].layer != layer_) {
    notice(fmt::format("a hard link to {}, which a layer below put there", shown));
  }
  const InodeId inode = tree_.nodes[target].inode;
  const Entry& file = tree_.entry(tree_.inodes[inode].attributes);
  if (file.type != EntryType::kSymlink && file.mode != entry().mode) {
    notice(
        fmt::format("a hard link with mode {:04o} to {}, which has {:04o}", entry().mode, shown, file.mode));
  }
  return inode;
}

// The deepest directory that `path` shares with the path found last, which is taken off it: entries of one
// directory mostly come one after the other.
NodeId Applier::nearest_directory(std::string_view& path) const {
  const std::string_view last = last_directory_path_;
  if (!tree_.alive(last_directory_)) return Tree::kRoot;
  std::size_t shared = 0;  // bytes of whole components
  for (std::size_t i = 0;; ++i) {
    const bool ends = i == path.size() || path[i] == '/';
    if (ends && (i == last.size() || last[i] == '/')) shared = i;
    if (i == path.size() || i == last.size() || path[i] != last[i]) break;
  }
  NodeId at = last_directory_;
  for (std::size_t size = last.size(); size > shared; at = tree_.nodes[at].parent) {
    const std::size_t slash = last.rfind('/', size - 1);
    size = slash == std::string_view::npos ? 0 : slash;
  }
  path.remove_prefix(shared);
  return at;
}

// The directory at a path of this layer, made if it is missing.
NodeId Applier::directory_of(std::string_view path) {
  if (path == last_directory_path_ && tree_.alive(last_directory_)) return last_directory_;
  std::string_view ahead = path;
  NodeId at = nearest_directory(ahead);
  int links = 0;
  walk_.assign(1, ahead);  // what is still to walk, the next piece last
  while (!walk_.empty()) {
    const std::string_view part = take_component(walk_.back());
    if (part.empty()) {
      walk_.pop_back();
      continue;
    }
    if (part == ".") continue;
    if (part == "..") {
      if (at != Tree::kRoot) at = tree_.nodes[at].parent;
      continue;
    }
    const NodeId next = tree_.child(at, part);
    if (next == kNone) {
      if (++tree_.implied > kMaxImplied) {
        fail(fmt::format("more than {} directories of the image have no entry", kMaxImplied));
      }
      at = add_directory(at, part);
      continue;
    }
    switch (tree_.type(next)) {
      case EntryType::kDirectory:
        at = next;
        break;
      case EntryType::kSymlink: {
        if (tree_.node_extras[next].layer != layer_) {
          at = replace_link(next);
          break;
        }
        if (++links > kMaxLinks) fail("its path leads through too many symbolic links");
        const std::string_view target = tree_.entry(tree_.inodes[tree_.nodes[next].inode].attributes).link;
        if (target[0] == '/') at = Tree::kRoot;
        walk_.push_back(target);
        break;
      }
      default:
        fail(fmt::format("{} is not a directory", printable(tree_.path(next))));
    }
  }
  if (links != 0) {
    // Only links can lead deeper than the entry's own path, which is checked.
    if (tree_.path(at).size() + entry().path.size() - path.size() > kMaxPath)
      fail("its resolved path is too long");
  } else {
    last_directory_path_ = path;
    last_directory_ = at;
  }
  return at;
}

// Puts a real directory where a layer below has a link, as overlayfs shows it.
NodeId Applier::replace_link(NodeId link) {
  const Node old = tree_.nodes[link];
  notice(fmt::format("its path leads through {}, a symbolic link of a layer below, which becomes a directory",
                     printable(tree_.path(link))));
  remove_node(link);
  return add_directory(old.parent, old.name);
}

NodeId Applier::add_directory(NodeId parent, std::string_view name) {
  const InodeId inode = add_inode({});
  link(inode);
  return add_node(parent, name, inode);
}

NodeId Applier::add_node(NodeId parent, std::string_view name, InodeId inode) {
  if (tree_.nodes.size() >= kMaxNodes) fail("the image has too many names");
  const auto id = static_cast<NodeId>(tree_.nodes.size());
  Node node;
  node.parent = parent;
  node.inode = inode;
  node.next_sibling = tree_.nodes[parent].first_child;
  node.name = name;
  State::NodeExtra extra;
  extra.hash = tree_.names.hash(parent, name);
  extra.layer = layer_;
  if (node.next_sibling != kNone) tree_.node_extras[node.next_sibling].previous_sibling = id;
  tree_.nodes[parent].first_child = id;
  tree_.nodes.push_back(node);
  tree_.node_extras.push_back(extra);
  tree_.names.insert(id, extra.hash);
  ++tree_.living;
  return id;
}

// Removes a name and all that is below it.
void Applier::remove_node(NodeId id) {
  const NodeId next = tree_.nodes[id].next_sibling;
  const NodeId previous = tree_.node_extras[id].previous_sibling;
  if (next != kNone) tree_.node_extras[next].previous_sibling = previous;
  (previous != kNone ? tree_.nodes[previous].next_sibling : tree_.nodes[tree_.nodes[id].parent].first_child) =
      next;
  removing_.assign(1, id);
  while (!removing_.empty()) {
    const NodeId gone = removing_.back();
    removing_.pop_back();
    Node& node = tree_.nodes[gone];
    for (NodeId at = node.first_child; at != kNone; at = tree_.nodes[at].next_sibling)
      removing_.push_back(at);
    tree_.names.erase(gone, tree_.node_extras[gone].hash);
    unlink(node.inode);
    node.inode = kNone;
    node.first_child = kNone;
    --tree_.living;
  }
}

InodeId Applier::add_inode(EntryRef attributes) {
  const auto id = static_cast<InodeId>(tree_.inodes.size());
  Inode inode;
  inode.attributes = attributes;
  tree_.inodes.push_back(inode);
  tree_.inode_extras.emplace_back();
  return id;
}

// Notes how many names the inode had when the layer began.
void Applier::touch(InodeId id) {
  State::InodeExtra& extra = tree_.inode_extras[id];
  if (extra.touched == layer_) return;
  extra.touched = layer_;
  extra.links = tree_.inodes[id].links;
}

void Applier::link(InodeId id) {
  touch(id);
  ++tree_.inodes[id].links;
}

void Applier::unlink(InodeId id) {
  touch(id);
  --tree_.inodes[id].links;
}

void Applier::set_directory(NodeId id) {
  State::NodeExtra& extra = tree_.node_extras[id];
  tree_.setters.push_back({current_, extra.setter});
  extra.setter = static_cast<std::uint32_t>(tree_.setters.size() - 1);
  tree_.inodes[tree_.nodes[id].inode].attributes = current_;
  tree_.nodes[id].shown_by = current_;
  tree_.entry_nodes[layer_][current_.entry] = id;
}

// Sets `replaces` of the inodes that this layer made, as the header says.
void Applier::find_replaced() {
  struct Found {
    InodeId before = kNone;
    std::uint32_t names = 0;
    bool mixed = false;
  };
  std::vector<Found> found(tree_.inodes.size() - first_inode_);
  for (current_.entry = 0; current_.entry < table_.entries.size(); ++current_.entry) {
    const NodeId id = tree_.entry_nodes[layer_][current_.entry];
    if (id == kNone || !tree_.alive(id) || tree_.is_directory(id)) continue;
    const Node& node = tree_.nodes[id];
    if (node.inode < first_inode_ || node.shown_by != current_) continue;
    Found& at = found[node.inode - first_inode_];
    const InodeId before = tree_.node_extras[id].before;
    if (before == kNone || (at.names != 0 && at.before != before)) at.mixed = true;
    at.before = before;
    ++at.names;
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Found& at = found[i];
    if (at.names == 0 || at.mixed) continue;
    Inode& made = tree_.inodes[first_inode_ + i];
    const EntryRef old = tree_.inodes[at.before].attributes;
    if (tree_.entry(old).type != tree_.entry(made.attributes).type) continue;
    // Written over in this layer, so it was touched.
    if (tree_.inode_extras[at.before].links == at.names && made.links == at.names) made.replaces = at.before;
  }
}

}  // namespace

void Tree::apply(LayerTablePtr layer) {
  const auto index = static_cast<std::uint32_t>(state_->layers.size());
  state_->layers.push_back(std::move(layer));
  state_->entry_nodes.emplace_back();
  state_->walk_order.clear();
  Applier(*state_, index).apply();
}

}  // namespace imgslim
