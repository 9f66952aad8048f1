// SPDX-License-Identifier: Apache-2.0
#include "layers/tree.h"

#include <algorithm>
#include <random>

#include "layers/tree_state.h"

namespace imgslim {
namespace {

constexpr int kMaxLinks = 40;  // as Linux (path_resolution(7))

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t random_key() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

NameTable::NameTable() : key_(random_key()), slots_(64) {}

std::uint32_t NameTable::hash(NodeId parent, std::string_view name) const {
  std::uint64_t state = mix(key_ ^ 0x9e3779b97f4a7c15u, (std::uint64_t{parent} << 32 | name.size()) ^ key_);
  while (!name.empty()) {
    std::uint64_t word = 0;
    const std::size_t count = std::min<std::size_t>(name.size(), 8);
    for (std::size_t i = 0; i < count; ++i)
      word = word << 8 | static_cast<unsigned char>(name[i]);
    state = mix(state ^ word, key_ | 1) + 0xd6e8feb86659fd93u;
    name.remove_prefix(count);
  }
  const std::uint64_t last = mix(state, 0xa0761d6478bd642fu ^ key_);
  return static_cast<std::uint32_t>(last ^ last >> 32);
}

void NameTable::place(Slot slot) {
  std::size_t at = slot.hash & (slots_.size() - 1);
  while (slots_[at].id < kRemoved)
    at = (at + 1) & (slots_.size() - 1);
  if (slots_[at].id == kEmpty) ++used_;
  slots_[at] = slot;
}

void NameTable::insert(NodeId id, std::uint32_t hash) {
  if ((used_ + 1) * 4 > slots_.size() * 3) grow();
  place({id, hash});
  ++alive_;
}

// Makes room, also by leaving out what was removed.
void NameTable::grow() {
  std::size_t size = slots_.size();
  while ((alive_ + 1) * 2 > size)
    size *= 2;
  std::vector<Slot> old(size);
  old.swap(slots_);
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.id < kRemoved) place(slot);
  }
}

void NameTable::erase(NodeId id, std::uint32_t hash) {
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at].id != kEmpty;
       at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].id != id) continue;
    slots_[at].id = kRemoved;
    --alive_;
    return;
  }
}

std::string_view take_component(std::string_view& path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view part = path.substr(0, end);
  path.remove_prefix(end);
  return part;
}

Tree::State::State() : nodes(1), node_extras(1), inodes(1), inode_extras(1) {
  nodes[kRoot].inode = 0;
  inodes[0].links = 1;
}

EntryType Tree::State::type(NodeId id) const {
  const Inode& file = inodes[nodes[id].inode];
  return file.attributes ? entry(file.attributes).type : EntryType::kDirectory;
}

NodeId Tree::State::child(NodeId directory, std::string_view name) const {
  const std::uint32_t hash = names.hash(directory, name);
  return names.find(hash, [&](NodeId id) { return nodes[id].parent == directory && nodes[id].name == name; });
}

std::string Tree::State::path(NodeId id) const {
  std::size_t size = 0;
  for (NodeId at = id; at != kRoot; at = nodes[at].parent)
    size += nodes[at].name.size() + 1;
  if (size == 0) return {};
  std::string out(--size, '/');
  for (NodeId at = id; at != kRoot; at = nodes[at].parent) {
    const std::string_view name = nodes[at].name;
    size -= name.size();
    out.replace(size, name.size(), name);
    if (size != 0) --size;
  }
  return out;
}

NodeId Tree::State::resolve(NodeId start, std::string_view path, bool follow_last) const {
  std::vector<std::string_view> ahead{path};  // what is still to walk, the next piece last
  NodeId at = !path.empty() && path[0] == '/' ? kRoot : start;
  int links = 0;
  while (!ahead.empty()) {
    std::string_view& rest = ahead.back();
    const bool slashed = !rest.empty() && rest[0] == '/';
    const std::string_view part = take_component(rest);
    const bool slash_follows = !rest.empty();
    if (part.empty()) {
      // A slash at the end asks for a directory.
      if (slashed && !is_directory(at)) return kNone;
      ahead.pop_back();
      continue;
    }
    if (!is_directory(at)) return kNone;
    if (part == ".") continue;
    if (part == "..") {
      if (at != kRoot) at = nodes[at].parent;
      continue;
    }
    const NodeId next = child(at, part);
    if (next == kNone) return kNone;
    const bool last = ahead.size() == 1 && !slash_follows;
    if (type(next) != EntryType::kSymlink || (last && !follow_last)) {
      at = next;
      continue;
    }
    if (++links > kMaxLinks) return kNone;
    const std::string_view target = entry(inodes[nodes[next].inode].attributes).link;
    if (!slash_follows) ahead.pop_back();
    if (!target.empty() && target[0] == '/') at = kRoot;
    ahead.push_back(target);
  }
  return at;
}

Tree::Tree() : state_(std::make_unique<State>()) {}
Tree::Tree(Tree&&) noexcept = default;
Tree& Tree::operator=(Tree&&) noexcept = default;
Tree::~Tree() = default;

const Node& Tree::node(NodeId id) const {
  return state_->nodes[id];
}
const Inode& Tree::inode(InodeId id) const {
  return state_->inodes[id];
}
const Entry& Tree::entry(EntryRef ref) const {
  return state_->entry(ref);
}
const LayerTable& Tree::layer(std::uint32_t index) const {
  return *state_->layers[index];
}
std::uint32_t Tree::layer_count() const {
  return static_cast<std::uint32_t>(state_->layers.size());
}
EntryType Tree::type(NodeId id) const {
  return state_->type(id);
}

const Entry* Tree::attributes(NodeId id) const {
  const EntryRef ref = inode_of(id).attributes;
  return ref ? &state_->entry(ref) : nullptr;
}

std::string Tree::path(NodeId id) const {
  return state_->path(id);
}

NodeId Tree::lookup(std::string_view path) const {
  NodeId at = kRoot;
  while (at != kNone) {
    const std::string_view part = take_component(path);
    if (part.empty()) return at;
    at = state_->child(at, part);
  }
  return kNone;
}

std::vector<NodeId> Tree::State::children(NodeId directory) const {
  std::vector<NodeId> out;
  for (NodeId id = nodes[directory].first_child; id != kNone; id = nodes[id].next_sibling)
    out.push_back(id);
  std::sort(out.begin(), out.end(), [&](NodeId a, NodeId b) { return nodes[a].name < nodes[b].name; });
  return out;
}

// Sorting takes longer than most visits, and a run walks a dozen times.
const std::vector<NodeId>& Tree::State::order() const {
  const std::lock_guard lock(walk_mutex);
  if (!walk_order.empty()) return walk_order;
  walk_order.reserve(living);
  std::vector<NodeId> ahead{kRoot};
  while (!ahead.empty()) {
    const NodeId id = ahead.back();
    ahead.pop_back();
    walk_order.push_back(id);
    if (nodes[id].first_child == kNone) continue;
    const std::vector<NodeId> inside = children(id);
    ahead.insert(ahead.end(), inside.rbegin(), inside.rend());
  }
  return walk_order;
}

NodeId Tree::child(NodeId directory, std::string_view name) const {
  return state_->child(directory, name);
}

NodeId Tree::resolve(std::string_view path, bool follow_last) const {
  return state_->resolve(kRoot, path, follow_last);
}

NodeId Tree::resolve_at(NodeId directory, std::string_view path, bool follow_last) const {
  return state_->resolve(directory, path, follow_last);
}

void Tree::walk(const std::function<void(NodeId)>& visit) const {
  for (const NodeId id : state_->order())
    visit(id);
}

std::vector<NodeId> Tree::children(NodeId directory) const {
  return state_->children(directory);
}

std::size_t Tree::node_count() const {
  return state_->living;
}
std::size_t Tree::node_limit() const {
  return state_->nodes.size();
}
std::size_t Tree::inode_limit() const {
  return state_->inodes.size();
}

std::vector<EntryRef> Tree::directory_setters(NodeId id) const {
  std::vector<EntryRef> out;
  for (std::uint32_t at = state_->node_extras[id].setter; at != kNone; at = state_->setters[at].older) {
    out.push_back(state_->setters[at].entry);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

NodeId Tree::node_of(EntryRef ref) const {
  const NodeId id = state_->entry_nodes[ref.layer][ref.entry];
  if (id == kNone || !state_->alive(id)) return kNone;
  // A directory's node never becomes anything else, so the entry still counts.
  if (state_->entry(ref).type == EntryType::kDirectory) return id;
  return state_->nodes[id].shown_by == ref ? id : kNone;
}

const std::vector<TreeNotice>& Tree::notices() const {
  return state_->notices;
}

}  // namespace imgslim
