// SPDX-License-Identifier: Apache-2.0
// What extended headers (PAX "x", GNU long names) say of the entry after them, and the maps of sparse
// files. For the codec in tar.h only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/tar.h"
#include "layers/tar_header.h"

namespace imgslim {

// The GNU.sparse.* records (GNU tar manual, "Storing Sparse Files").
struct SparseRecords {
  bool present = false;
  std::optional<std::uint64_t> major;
  std::optional<std::uint64_t> minor;
  std::optional<std::uint64_t> real_size;
  std::optional<std::uint64_t> region_count;
  std::optional<std::string> name;
  std::vector<std::uint64_t> numbers;  // offset, length, offset, ...
  // Version 1.0: the map stands in front of the content.
  bool map_in_content() const { return major == 1u; }
};

struct TarExtensions {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> uid;
  std::optional<std::uint64_t> gid;
  std::optional<TarTime> mtime;
  std::optional<std::string> long_name;  // GNU "L"
  std::optional<std::string> long_link;  // GNU "K"
  Xattrs xattrs;                         // sorted by name
  SparseRecords sparse;
  std::vector<std::string> oddities;  // accepted; each becomes a warning
};

// Reads the records of one extended header. Throws Error{kBadImage}.
void parse_extensions(std::string_view records, const TarLimits& limits, TarExtensions* into);

// Makes a map from offsets and lengths: in order, not overlapping, inside `size`; empty regions are left
// out. Throws Error{kBadImage}, also if the lengths do not add up to `stored_size`.
SparseMap make_sparse_map(const std::vector<std::uint64_t>& numbers, std::uint64_t size,
                          std::uint64_t stored_size);

// Takes offset and length pairs of an old GNU sparse header ("S") or of one of its extension blocks.
// Returns whether another extension block follows.
bool parse_old_sparse(std::string_view block, bool extension, const TarLimits& limits,
                      std::vector<std::uint64_t>* numbers);

// Reads the map in front of a version 1.0 sparse file: decimal numbers, one a line, the first their count.
class SparseMapReader {
 public:
  // Takes a block; returns whether the map is complete.
  bool take(std::string_view block, const TarLimits& limits);
  std::vector<std::uint64_t> numbers;

 private:
  std::optional<std::uint64_t> count_;
  std::string digits_;
};

}  // namespace imgslim
