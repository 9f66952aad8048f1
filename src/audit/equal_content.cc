// SPDX-License-Identifier: Apache-2.0
// Visible files of equal content, by size, CRC-64 and first bytes: good enough to name them, not to replace
// one by the other (optimize compares contents).
#include <algorithm>
#include <set>
#include <unordered_map>

#include "src/audit/audit.h"

namespace imgslim {
namespace {

struct ContentKey {
  std::uint64_t size = 0;
  std::uint64_t crc = 0;
  std::uint64_t head = 0;
  bool operator==(const ContentKey&) const = default;
};
struct ContentHash {
  std::size_t operator()(const ContentKey& key) const {
    return static_cast<std::size_t>(key.crc ^ (key.size * 0x9e3779b97f4a7c15u));
  }
};

}  // namespace

std::vector<EqualFiles> find_equal_content(const std::vector<ImageAudit>& images) {
  std::unordered_map<ContentKey, std::vector<EqualFiles::Place>, ContentHash> places;
  std::set<std::string> seen;  // layers: what several images share is stored once
  for (std::uint32_t image = 0; image < images.size(); ++image) {
    const ImageAudit& audit = images[image];
    for (std::uint32_t layer = 0; layer < audit.tables.size(); ++layer) {
      if (!seen.insert(audit.layer_digests[layer]).second) continue;
      for (std::uint32_t i = 0; i < audit.tables[layer]->entries.size(); ++i) {
        const Entry& entry = audit.tables[layer]->entries[i];
        if (entry.type != EntryType::kRegular || entry.size == 0) continue;
        if (audit.layers[layer].rows[i].visibility != Visibility::kVisible) continue;
        places[{entry.size, entry.crc, entry.head}].push_back({image, {layer, i}});
      }
    }
  }
  std::vector<EqualFiles> groups;
  for (auto& [key, group] : places) {
    if (group.size() < 2) continue;
    EqualFiles equal;
    equal.size = key.size;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const std::uint64_t stored = images[group[i].image].entry(group[i].file).stored_size;
      if (i > 0) equal.saving += stored;
      equal.across_images = equal.across_images || group[i].image != group[0].image;
    }
    equal.places = std::move(group);
    groups.push_back(std::move(equal));
  }
  std::sort(groups.begin(), groups.end(), [](const EqualFiles& a, const EqualFiles& b) {
    if (a.saving != b.saving) return a.saving > b.saving;
    const auto& x = a.places.front();
    const auto& y = b.places.front();
    return x.image != y.image ? x.image < y.image : x.file < y.file;
  });
  return groups;
}

}  // namespace imgslim
