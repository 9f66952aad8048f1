// SPDX-License-Identifier: Apache-2.0
// Makes the table of a new layer from entries in any order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layers/layer_table.h"
#include "layers/tree.h"

namespace imgslim {

// An entry to write. `entry` has the attributes; its path and link texts are replaced by those here.
struct PlannedEntry {
  std::string path;
  Entry entry;
  std::string link;                    // path of a hard link's first name
  const LayerTable* origin = nullptr;  // owner of the entry's xattrs, nullptr: it has none
  EntryRef content;                    // where a regular file's bytes come from
};

// A layer of the result.
struct PlannedLayer {
  bool rewritten = false;  // false: the source's blob, unchanged
  LayerTablePtr table;     // the source's, or the planned entries in canonical order
  // For each entry of a rewritten layer's table: where a regular file's content comes from.
  std::vector<EntryRef> contents;
  // Nothing is left: the layer is not in the result.
  bool empty() const { return rewritten && table->entries.empty(); }
};

// A directory with mode 0755 of root, time 0.
Entry plain_directory();

// Whether overlayfs takes the attribute for its own (trusted.overlay.*, user.overlay.*): in a layer it may
// hide files or lead to others on some hosts, and is refused or ignored on the rest.
bool is_overlay_xattr(std::string_view name);
// The names of such attributes in a layer, sorted, each once.
std::vector<std::string> overlay_xattrs_in(const LayerTable& table);
Xattrs without_overlay_xattrs(const Xattrs& xattrs);

// Sorts the entries (a directory before what is in it, whiteouts before their siblings) and lays them out as
// TarWriter will write them. With `drop_overlay_xattrs` the attributes that are overlayfs' own are left out.
PlannedLayer build_layer(std::vector<PlannedEntry> entries, bool drop_overlay_xattrs = true);

}  // namespace imgslim
