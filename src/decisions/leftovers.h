// SPDX-License-Identifier: Apache-2.0
// What builds leave behind: files that no program of the image reads, claimed by named rules. Each rule is a
// row: what its producer signs its files with, why they can go, the weakest form in which they do. A path
// alone never claims a file. Regular files only; directories and links stay.
//
// Whatever a row claims, these stay: what lies in a VOLUME, in a directory that a command names, or in a tree
// of which a root reaches a file; files with several names of which one is not claimed; all that a row claims
// whose users a root reaches. In tidy also: ELF files, executable scripts, files that a package owns.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layers/manifest.h"
#include "layers/tree.h"
#include "src/decisions/form.h"
#include "src/facts/go_programs.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"
#include "src/facts/tree_file_system.h"

namespace imgslim {

class LeftoverSearch;

struct LeftoverRule {
  std::string_view id;         // "apt-lists": in reports, in --drop and imgslim.yaml, never renamed
  std::string_view signature;  // in words: what anchors it
  std::string_view reason;     // in words: why nothing that runs reads it
  Form weakest = Form::kTidy;  // the weakest form it applies in
  std::vector<std::string_view>
      anchors;                          // names of nodes it looks at; "*" in front or at the end matches any
  std::vector<std::string_view> users;  // programs that read it: if a root reaches one, nothing is claimed
  bool takes_elf = false;               // ELF files that are not executable too (core dumps)
  void (*find)(LeftoverSearch& search, NodeId anchor) = nullptr;  // called for each node of such a name
};

// All rules in the order of reports. Where several claim a file, the first does.
std::span<const LeftoverRule> leftover_rules();

// What the finders may look at. All must outlive the search.
struct LeftoverContext {
  const Tree& tree;
  const FileSystem& files;  // over `tree`
  const ContentReader& content;
  const PackageDatabase& packages;
  const Roots& roots;
  const ImageConfig& config;
  // That the roots reach; asked for late, as they may still be read meanwhile. None outside the form
  // distroless.
  std::function<const std::vector<GoProgram>&()> programs = nullptr;
};

struct Leftover {
  NodeId node = kNone;
  std::uint32_t rule = 0;  // index into leftover_rules(), or the rules given
};

struct Leftovers {
  std::vector<Leftover> claimed;  // by node id
  // Rules that found their signature and then claimed nothing or less, with the reason, one line each.
  std::vector<std::string> spared;
  // The rule that claims a node, nullptr if none; binary search.
  const Leftover* find(NodeId node) const;
};

// Everything the rules of `form` and of weaker ones claim. Linear in the tree: one walk finds the anchors.
Leftovers find_leftovers(const LeftoverContext& context, Form form);
Leftovers find_leftovers(const LeftoverContext& context, Form form, std::span<const LeftoverRule> rules);

}  // namespace imgslim
