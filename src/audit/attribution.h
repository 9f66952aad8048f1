// SPDX-License-Identifier: Apache-2.0
// Every byte of an image's layers, put down to a tar entry, and for every entry whether a container sees it
// in the end and, if not, which layer hid it. Reads no contents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/layer_table.h"
#include "layers/tree.h"

namespace imgslim {

enum class Visibility : std::uint8_t {
  kVisible,   // content: some name of the file is in the merged tree; else the name is
  kReplaced,  // a later entry shows something else there
  kDeleted,   // a whiteout took it away
  kOpaque,    // an opaque marker took it away
  kMarker,    // a whiteout or opaque marker itself
};
std::string_view name_of(Visibility visibility);

// What differs between a file and the equal content that a later entry wrote over it.
struct WrittenAgain {
  bool is = false;  // the content is the same
  bool mode = false;
  bool owner = false;
  bool time = false;
  bool xattrs = false;
  // "chmod", "chown", "chmod and chown", "touch", "attributes", "nothing changed"; "" if it is none.
  std::string_view text() const;
};

// What becomes of one entry. Rows stand in the order of the layer's table.
struct AuditRow {
  std::uint64_t compressed = 0;  // share of the blob
  std::uint32_t package = kNone;
  std::uint32_t rule = kNone;       // index into leftover_rules()
  std::uint32_t hidden_by = kNone;  // layer, if it is not visible
  Visibility visibility = Visibility::kVisible;
  WrittenAgain again;  // of a file that was replaced
};

// Unpacked bytes of one layer by what they are for. They add up to the plain bytes of the layer.
struct LayerBytes {
  std::uint64_t content = 0;
  std::uint64_t headers = 0;  // tar headers, PAX records included
  std::uint64_t padding = 0;
  std::uint64_t end = 0;      // behind the last entry: the end of the archive
  std::uint64_t unknown = 0;  // between entries, in none of them
  std::uint64_t sum() const { return content + headers + padding + end + unknown; }
};

struct LayerAttribution {
  std::vector<AuditRow> rows;  // one for each entry
  LayerBytes unpacked;
  std::uint64_t end_compressed = 0;  // share of the blob of what is in no entry
  std::uint64_t hidden_content = 0;  // content bytes that are not visible
};

std::uint64_t padding_of(const Entry& entry);
std::uint64_t headers_of(const Entry& entry);

// Layers from the bottom up, as `tree` has them. Packages and rules are left for the caller.
std::vector<LayerAttribution> attribute(const Tree& tree);

// What dive 0.13 says of the same layers (dive/filetree/efficiency.go): so that people who come from there
// find their figures.
struct DiveFigures {
  double efficiency = 1;
  std::uint64_t wasted_bytes = 0;
  std::uint64_t user_bytes = 0;  // of all layers but the first
  // Nothing for an image of one layer, where dive divides by zero and its rule passes.
  bool has_percent = false;
  double wasted_percent = 0;  // 0 to 100
};
DiveFigures dive_figures(const Tree& tree, const std::vector<LayerAttribution>& layers);

}  // namespace imgslim
