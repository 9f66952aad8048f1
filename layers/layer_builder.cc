// SPDX-License-Identifier: Apache-2.0
#include "layers/layer_builder.h"

#include <algorithm>
#include <map>

#include "layers/tar.h"

namespace imgslim {
namespace {

// Whiteouts of a directory come before its other entries (image-spec layer.md, "Whiteouts").
bool comes_before(const PlannedEntry& a, const PlannedEntry& b) {
  const auto is_whiteout = [](const PlannedEntry& e) {
    return e.entry.type == EntryType::kWhiteout || e.entry.type == EntryType::kOpaqueWhiteout;
  };
  const auto parent = [](const PlannedEntry& e) -> std::string_view {
    if (e.entry.type == EntryType::kOpaqueWhiteout) return e.path;
    const std::size_t slash = e.path.rfind('/');
    return std::string_view(e.path).substr(0, slash == std::string::npos ? 0 : slash);
  };
  const bool a_out = is_whiteout(a);
  const bool b_out = is_whiteout(b);
  if (a_out && b_out) {
    if (parent(a) != parent(b)) return path_less(parent(a), parent(b));
    return a.path < b.path;
  }
  // A whiteout sorts directly behind its directory, before everything else in it.
  if (a_out) return path_less(parent(a), b.path) && parent(a) != b.path;
  if (b_out) return path_less(a.path, parent(b)) || a.path == parent(b);
  return path_less(a.path, b.path);
}

}  // namespace

Entry plain_directory() {
  Entry entry;
  entry.type = EntryType::kDirectory;
  entry.mode = 0755;
  return entry;
}

PlannedLayer build_layer(std::vector<PlannedEntry> entries) {
  std::sort(entries.begin(), entries.end(), comes_before);
  PlannedLayer layer;
  layer.rewritten = true;
  auto table = std::make_shared<LayerTable>();
  std::map<Xattrs, std::uint32_t> xattr_sets{{Xattrs{}, 0}};
  std::uint64_t offset = 0;
  for (PlannedEntry& item : entries) {
    Entry entry = item.entry;
    entry.path = table->keep(item.path);
    entry.link = table->keep(entry.type == EntryType::kHardLink ? std::string_view(item.link) : entry.link);
    if (item.origin != nullptr && entry.xattrs != 0) {
      const Xattrs& set = item.origin->xattr_sets[entry.xattrs];
      const auto [known, is_new] =
          xattr_sets.emplace(set, static_cast<std::uint32_t>(table->xattr_sets.size()));
      if (is_new) table->xattr_sets.push_back(set);
      entry.xattrs = known->second;
    } else {
      entry.xattrs = 0;
    }
    entry.sparse = 0;
    if (entry.type != EntryType::kRegular) entry.size = 0;
    entry.stored_size = entry.size;
    entry.header_offset = offset;
    entry.tar_bytes = TarWriter::bytes_of(entry, *table);
    offset += entry.tar_bytes;
    entry.data_offset = offset - (entry.size + 511) / 512 * 512;
    table->entries.push_back(entry);
    layer.contents.push_back(item.content);
  }
  table->plain_size = offset + 1024;
  layer.table = std::move(table);
  return layer;
}

}  // namespace imgslim
