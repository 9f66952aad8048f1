// SPDX-License-Identifier: Apache-2.0
#include "src/decisions/leftover_search.h"

#include <algorithm>

namespace imgslim {

std::string_view LeftoverSearch::parent_name(NodeId id) const {
  const NodeId up = parent(id);
  return up == kNone ? std::string_view() : name(up);
}

NodeId LeftoverSearch::file_in(NodeId directory, std::string_view child_name) const {
  if (!is_directory(directory)) return kNone;
  const NodeId id = tree().child(directory, child_name);
  return is_file(id) ? id : kNone;
}

NodeId LeftoverSearch::directory_in(NodeId directory, std::string_view child_name) const {
  if (!is_directory(directory)) return kNone;
  const NodeId id = tree().child(directory, child_name);
  return is_directory(id) ? id : kNone;
}

std::uint64_t LeftoverSearch::size(NodeId file) const {
  const Entry* entry = tree().attributes(file);
  return entry == nullptr ? 0 : entry->size;
}

bool LeftoverSearch::has_head(NodeId file, std::string_view bytes) const {
  const Entry* entry = is_file(file) ? tree().attributes(file) : nullptr;
  if (entry == nullptr || entry->size < bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) {
    if ((entry->head >> (8 * i) & 0xff) != static_cast<unsigned char>(bytes[i])) return false;
  }
  return true;
}

std::string LeftoverSearch::beginning(NodeId file, std::uint64_t length) const {
  const Entry* entry = is_file(file) ? tree().attributes(file) : nullptr;
  if (entry == nullptr || entry->size == 0) return {};
  return context_.content(tree().inode_of(file).attributes, std::min(length, entry->size));
}

bool LeftoverSearch::begins_with(NodeId file, std::string_view text) const {
  return has_head(file, text.substr(0, 8)) && beginning(file, text.size()) == text;
}

void LeftoverSearch::each_file(NodeId directory, const std::function<void(NodeId)>& visit) const {
  if (!is_directory(directory)) return;
  for (NodeId id = tree().node(directory).first_child; id != kNone; id = tree().node(id).next_sibling) {
    if (is_file(id)) visit(id);
  }
}

void LeftoverSearch::each_directory(NodeId directory, const std::function<void(NodeId)>& visit) const {
  if (!is_directory(directory)) return;
  for (NodeId id = tree().node(directory).first_child; id != kNone; id = tree().node(id).next_sibling) {
    if (is_directory(id)) visit(id);
  }
}

void LeftoverSearch::each_file_below(NodeId directory, const std::function<void(NodeId)>& visit) {
  std::vector<NodeId> open{directory};
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    if (!gone_through_.insert(std::uint64_t{rule_} << 32 | at).second) continue;
    each_file(at, visit);
    each_directory(at, [&](NodeId id) { open.push_back(id); });
  }
}

void LeftoverSearch::claim(NodeId file, NodeId unit) {
  if (is_file(file)) claims_.push_back({file, unit, rule_});
}

void LeftoverSearch::claim_all_below(NodeId directory, NodeId unit) {
  each_file_below(directory, [&](NodeId file) { claim(file, unit); });
}

bool is_hex_name(std::string_view name, std::size_t length) {
  return name.size() == length && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace imgslim
