// SPDX-License-Identifier: Apache-2.0
// What grew from one image to another, and whose bytes they are: base, dependency or own code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/json.h"
#include "src/audit/footprint.h"

namespace imgslim {

struct Change {
  std::string name;
  std::string detail;  // "1.2 -> 1.3" for packages and modules, the step for layers, the package for files
  Owner owner = Owner::kOwn;
  std::uint64_t before = 0;  // unpacked bytes; 0 with `after` > 0: new
  std::uint64_t after = 0;
  std::int64_t compressed = 0;  // difference, where it is known
  std::int64_t delta() const { return static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before); }
};

struct LayerChangeRow {
  std::uint32_t number = 0;  // in the new image, from 1; in the old one for layers that went
  std::string digest;
  std::string step;
  enum class Kind : std::uint8_t { kSame, kNew, kGone } kind = Kind::kSame;
  std::uint64_t compressed = 0;
  std::uint64_t unpacked = 0;
};

struct ImageDiff {
  std::string platform;
  std::string name_before, name_after;
  std::string digest_before, digest_after;
  std::uint64_t compressed_before = 0, compressed_after = 0;
  std::uint64_t unpacked_before = 0, unpacked_after = 0;
  std::int64_t by_owner[3] = {0, 0, 0};  // unpacked difference of file entries, by Owner
  std::int64_t rest = 0;                 // of directories, links, and the ends of archives
  // Blob bytes of layers that the old image does not have, whatever their order.
  std::uint64_t pull = 0;
  // The same where a layer is only reused above equal layers (Docker's graph driver).
  std::uint64_t pull_by_chain = 0;
  std::vector<LayerChangeRow> layers;
  std::vector<Change> packages;  // largest difference first; those that did not change are left out
  std::vector<Change> modules;   // code of Go modules; name is "PROGRAM MODULE"
  std::vector<Change> go_packages;
  std::vector<Change> files;
};

ImageDiff compare_images(const Footprint& before, const Footprint& after);

Json to_json(const std::vector<ImageDiff>& diffs);
std::string to_text(const std::vector<ImageDiff>& diffs, int width, bool verbose);
std::string to_markdown(const std::vector<ImageDiff>& diffs);

}  // namespace imgslim
