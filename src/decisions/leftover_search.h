// SPDX-License-Identifier: Apache-2.0
// What the finders of leftover rules work with: looks at the tree, the first bytes of files, claims.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "src/decisions/leftovers.h"

namespace imgslim {

class LeftoverSearch {
 public:
  explicit LeftoverSearch(const LeftoverContext& context) : context_(context) {}

  const LeftoverContext& context() const { return context_; }
  const Tree& tree() const { return context_.tree; }

  bool is_file(NodeId id) const { return id != kNone && tree().type(id) == EntryType::kRegular; }
  bool is_directory(NodeId id) const { return id != kNone && tree().type(id) == EntryType::kDirectory; }
  std::string_view name(NodeId id) const { return tree().node(id).name; }
  NodeId parent(NodeId id) const { return tree().node(id).parent; }
  // Name of the directory a node is in, "" at the root.
  std::string_view parent_name(NodeId id) const;
  NodeId file_in(NodeId directory, std::string_view name) const;       // kNone if there is no such file
  NodeId directory_in(NodeId directory, std::string_view name) const;  // likewise
  std::uint64_t size(NodeId file) const;

  // Whether a file starts with at most 8 known bytes; reads nothing.
  bool has_head(NodeId file, std::string_view bytes) const;
  // The first bytes of a file, read from the layer.
  std::string beginning(NodeId file, std::uint64_t length) const;
  bool begins_with(NodeId file, std::string_view text) const;

  // Regular files directly in a directory, and below it at any depth.
  void each_file(NodeId directory, const std::function<void(NodeId)>& visit) const;
  void each_directory(NodeId directory, const std::function<void(NodeId)>& visit) const;
  // A directory is gone through once for each rule, however its trees overlap.
  void each_file_below(NodeId directory, const std::function<void(NodeId)>& visit);

  // Claims a regular file as part of the tree at `unit`: if a root reaches into that tree, all of it stays.
  void claim(NodeId file, NodeId unit);
  void claim_all_below(NodeId directory, NodeId unit);

  struct Claim {
    NodeId node = kNone;
    NodeId unit = kNone;
    std::uint32_t rule = 0;
  };
  // For the engine.
  void begin_rule(std::uint32_t rule) { rule_ = rule; }
  std::vector<Claim>& claims() { return claims_; }

 private:
  const LeftoverContext& context_;
  std::uint32_t rule_ = 0;
  std::vector<Claim> claims_;
  std::unordered_set<std::uint64_t> gone_through_;  // rule, directory
};

// Text helpers of the finders.
bool is_hex_name(std::string_view name, std::size_t length);  // lower-case hex digits, exactly so many

// The rows, each group in a file of its own.
std::span<const LeftoverRule> system_leftover_rules();     // distribution package managers, logs, caches
std::span<const LeftoverRule> language_leftover_rules();   // build and download caches of languages
std::span<const LeftoverRule> toolchain_leftover_rules();  // distroless only
std::span<const LeftoverRule> source_leftover_rules();     // distroless only

}  // namespace imgslim
