// SPDX-License-Identifier: Apache-2.0
// Merged trees for tests, from layers written as lines (tar_builder.h).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "layers/tree.h"
#include "tests/support/tar_builder.h"

namespace imgslim::testing {

inline Tree tree_of(std::initializer_list<std::string_view> layers) {
  Tree tree;
  for (const std::string_view lines : layers)
    tree.apply(layer_of_lines(lines));
  return tree;
}

// The paths of a tree, one a line and in order, as "d usr", "f usr/x CRC", "l lib -> usr/lib"; names of one
// file end with "= FIRST-NAME". Short enough to be written down in a test.
inline std::string list_tree(const Tree& tree) {
  std::string out;
  std::vector<std::string> first(tree.inode_limit());
  tree.walk([&](NodeId id) {
    if (id == Tree::kRoot) return;
    const std::string path = tree.path(id);
    const Entry* entry = tree.attributes(id);
    switch (tree.type(id)) {
      case EntryType::kDirectory:
        out += "d " + path;
        break;
      case EntryType::kSymlink:
        out += "l " + path + " -> " + std::string(entry->link);
        break;
      case EntryType::kRegular: {
        // The content itself, for files of at most eight bytes.
        out += "f " + path + " : ";
        for (std::size_t i = 0; i < entry->size && i < 8; ++i)
          out += static_cast<char>(entry->head >> (8 * i));
        break;
      }
      default:
        out += "x " + path;
    }
    std::string& name = first[tree.node(id).inode];
    if (!name.empty()) out += " = " + name;
    if (name.empty()) name = path;
    out += "\n";
  });
  return out;
}

}  // namespace imgslim::testing
