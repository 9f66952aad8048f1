// SPDX-License-Identifier: Apache-2.0
#include "layers/layer_builder.h"

#include <algorithm>
#include <map>
#include <set>

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

bool is_overlay_xattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

std::vector<std::string> overlay_xattrs_in(const LayerTable& table) {
  std::set<std::string> names;
  for (const Xattrs& set : table.xattr_sets) {
    for (const auto& [name, value] : set) {
      if (is_overlay_xattr(name)) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

Xattrs without_overlay_xattrs(const Xattrs& xattrs) {
  Xattrs left;
  for (const auto& item : xattrs) {
    if (!is_overlay_xattr(item.first)) left.push_back(item);
  }
  return left;
}

PlannedLayer build_layer(std::vector<PlannedEntry> entries, bool drop_overlay_xattrs) {
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
      const Xattrs& source = item.origin->xattr_sets[entry.xattrs];
      const Xattrs set = drop_overlay_xattrs ? without_overlay_xattrs(source) : source;
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
