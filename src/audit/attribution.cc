// SPDX-License-Identifier: Apache-2.0
#include "src/audit/attribution.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "layers/dedupe.h"

namespace imgslim {
namespace {

// Where a plain offset lies in the blob, by the checkpoints: between two of them as between equal bytes.
class BlobPosition {
 public:
  explicit BlobPosition(const LayerTable& table) : table_(table) {}

  // Offsets must not go down from call to call.
  std::uint64_t at(std::uint64_t plain) {
    while (next_ < table_.checkpoints.size() && table_.checkpoints[next_].plain_offset <= plain) {
      const Checkpoint& checkpoint = table_.checkpoints[next_++];
      if (checkpoint.blob_offset < blob_low_ || checkpoint.blob_offset > table_.blob_size) continue;
      plain_low_ = checkpoint.plain_offset;
      blob_low_ = checkpoint.blob_offset;
    }
    const bool last = next_ >= table_.checkpoints.size();
    const std::uint64_t plain_high = last ? table_.plain_size : table_.checkpoints[next_].plain_offset;
    const std::uint64_t blob_high = std::clamp(
        last ? table_.blob_size : table_.checkpoints[next_].blob_offset, blob_low_, table_.blob_size);
    if (plain_high <= plain_low_ || plain >= plain_high) return blob_high;
    const double part =
        static_cast<double>(plain - plain_low_) / static_cast<double>(plain_high - plain_low_);
    return blob_low_ + static_cast<std::uint64_t>(part * static_cast<double>(blob_high - blob_low_));
  }

 private:
  const LayerTable& table_;
  std::size_t next_ = 0;
  std::uint64_t plain_low_ = 0;
  std::uint64_t blob_low_ = 0;
};

void measure(const LayerTable& table, LayerAttribution& out) {
  std::vector<std::uint32_t> order(table.entries.size());
  std::iota(order.begin(), order.end(), 0u);
  if (!std::is_sorted(table.entries.begin(), table.entries.end(),
                      [](const Entry& a, const Entry& b) { return a.header_offset < b.header_offset; })) {
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return table.entries[a].header_offset < table.entries[b].header_offset;
    });
  }
  BlobPosition position(table);
  std::uint64_t last_end = 0;
  std::uint64_t given = 0;  // blob bytes put down to entries
  for (const std::uint32_t i : order) {
    const Entry& entry = table.entries[i];
    out.unpacked.content += entry.stored_size;
    out.unpacked.padding += padding_of(entry);
    out.unpacked.headers += headers_of(entry);
    if (entry.header_offset > last_end) out.unpacked.unknown += entry.header_offset - last_end;
    last_end = std::max(last_end, entry.header_offset + entry.tar_bytes);
    const std::uint64_t from = position.at(entry.header_offset);
    const std::uint64_t to = position.at(entry.header_offset + entry.tar_bytes);
    out.rows[i].compressed = to > from ? to - from : 0;
    given += out.rows[i].compressed;
  }
  out.unpacked.end = table.plain_size > last_end ? table.plain_size - last_end : 0;
  out.end_compressed = table.blob_size > given ? table.blob_size - given : 0;
}

// What takes names away: by path, layer by layer.
struct Event {
  EntryRef entry;
  Visibility kind = Visibility::kReplaced;
};

// A file's path and each directory above it.
template <class Visit>
void each_prefix(std::string_view path, Visit&& visit) {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
    visit(path.substr(0, slash));
  visit(path);
}

class Hiders {
 public:
  Hiders(const Tree& tree, const std::vector<LayerAttribution>& layers) : tree_(tree) {
    std::unordered_set<std::string_view> wanted;
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
      const LayerTable& table = tree.layer(layer);
      for (std::size_t i = 0; i < table.entries.size(); ++i) {
        if (layers[layer].rows[i].visibility != Visibility::kReplaced) continue;
        each_prefix(table.entries[i].path, [&](std::string_view prefix) { wanted.insert(prefix); });
      }
    }
    if (wanted.empty()) return;
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
      const LayerTable& table = tree.layer(layer);
      for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
        const Entry& entry = table.entries[i];
        if (!wanted.contains(entry.path) && !(entry.path.empty() && entry.type == EntryType::kOpaqueWhiteout))
          continue;
        const Visibility kind = entry.type == EntryType::kWhiteout         ? Visibility::kDeleted
                                : entry.type == EntryType::kOpaqueWhiteout ? Visibility::kOpaque
                                                                           : Visibility::kReplaced;
        events_[entry.path].push_back({{layer, i}, kind});
      }
    }
  }

  // What hid the name of a entry first.
  Event find(EntryRef hidden) const {
    const Entry& entry = tree_.entry(hidden);
    Event best;
    const auto look = [&](std::string_view path) {
      const auto found = events_.find(path);
      if (found == events_.end()) return;
      const bool self = path.size() == entry.path.size();
      for (const Event& event : found->second) {
        if (!hides(event, hidden, self)) continue;
        if (!best.entry || event.entry < best.entry) best = event;
        break;
      }
    };
    look("");
    each_prefix(entry.path, look);
    return best;
  }

 private:
  bool hides(const Event& event, EntryRef hidden, bool self) const {
    // A layer's whiteouts act on the layers below, wherever they stand in it.
    if (event.kind == Visibility::kDeleted) return event.entry.layer > hidden.layer;
    if (event.kind == Visibility::kOpaque) return event.entry.layer > hidden.layer && !self;
    if (event.entry <= hidden) return false;
    // A directory leaves what is in one below; where it stands for a file it takes the file's place.
    const bool directory = tree_.entry(event.entry).type == EntryType::kDirectory;
    if (!self) return !directory;
    return !directory || tree_.entry(hidden).type != EntryType::kDirectory;
  }

  const Tree& tree_;
  std::unordered_map<std::string_view, std::vector<Event>> events_;
};

WrittenAgain compare(const Tree& tree, EntryRef before, EntryRef after) {
  const Entry& a = tree.entry(before);
  const Entry& b = tree.entry(after);
  WrittenAgain again;
  if (a.type != EntryType::kRegular || b.type != EntryType::kRegular || a.size != b.size || a.crc != b.crc ||
      a.head != b.head) {
    return again;
  }
  again.is = true;
  again.mode = a.mode != b.mode;
  again.owner = a.uid != b.uid || a.gid != b.gid;
  again.time = a.mtime != b.mtime || a.mtime_nanoseconds != b.mtime_nanoseconds;
  again.xattrs =
      tree.layer(before.layer).xattr_sets[a.xattrs] != tree.layer(after.layer).xattr_sets[b.xattrs];
  return again;
}

// Marks what is visible; the rest is kReplaced until its hider is known.
void find_visible(const Tree& tree, std::vector<LayerAttribution>& layers) {
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    const LayerTable& table = tree.layer(layer);
    for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
      const EntryType type = table.entries[i].type;
      AuditRow& row = layers[layer].rows[i];
      if (type == EntryType::kWhiteout || type == EntryType::kOpaqueWhiteout) {
        row.visibility = Visibility::kMarker;
      } else if (type == EntryType::kRegular || tree.node_of({layer, i}) == kNone) {
        row.visibility = Visibility::kReplaced;
      }
    }
  }
  // A file's content lives while any of its names does.
  for (InodeId id = 0; id < tree.inode_limit(); ++id) {
    const Inode& inode = tree.inode(id);
    if (inode.links == 0 || !inode.attributes) continue;
    AuditRow& row = layers[inode.attributes.layer].rows[inode.attributes.entry];
    if (row.visibility == Visibility::kReplaced) row.visibility = Visibility::kVisible;
  }
}

}  // namespace

std::string_view name_of(Visibility visibility) {
  switch (visibility) {
    case Visibility::kVisible:
      return "visible";
    case Visibility::kReplaced:
      return "replaced";
    case Visibility::kDeleted:
      return "deleted";
    case Visibility::kOpaque:
      return "opaque";
    case Visibility::kMarker:
      return "marker";
  }
  return "";
}

std::string_view WrittenAgain::text() const {
  if (!is) return "";
  if (xattrs) return "attributes";
  if (mode && owner) return "chmod and chown";
  if (mode) return "chmod";
  if (owner) return "chown";
  return time ? "touch" : "nothing changed";
}

std::uint64_t padding_of(const Entry& entry) {
  return (512 - entry.stored_size % 512) % 512;
}

std::uint64_t headers_of(const Entry& entry) {
  const std::uint64_t rest = entry.stored_size + padding_of(entry);
  return entry.tar_bytes > rest ? entry.tar_bytes - rest : 0;
}

std::vector<LayerAttribution> attribute(const Tree& tree) {
  std::vector<LayerAttribution> layers(tree.layer_count());
  for (std::uint32_t i = 0; i < layers.size(); ++i) {
    layers[i].rows.resize(tree.layer(i).entries.size());
    measure(tree.layer(i), layers[i]);
  }
  find_visible(tree, layers);
  const Hiders hiders(tree, layers);
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    for (std::uint32_t i = 0; i < layers[layer].rows.size(); ++i) {
      AuditRow& row = layers[layer].rows[i];
      if (row.visibility != Visibility::kReplaced) continue;
      const EntryRef ref{layer, i};
      const Event hider = hiders.find(ref);
      if (hider.entry) {
        row.hidden_by = hider.entry.layer;
        row.visibility = hider.kind;
        if (hider.kind == Visibility::kReplaced && tree.entry(hider.entry).path == tree.entry(ref).path)
          row.again = compare(tree, ref, hider.entry);
      } else {
        row.hidden_by = layer;
      }
      layers[layer].hidden_content += tree.entry(ref).stored_size;
    }
  }
  return layers;
}

DiveFigures dive_figures(const Tree& tree, const std::vector<LayerAttribution>& layers) {
  struct Path {
    std::uint64_t all = 0;
    std::uint64_t least = 0;
    std::uint32_t count = 0;
  };
  // A whiteout of a directory counts what dive finds below it: what the layers before show there.
  std::unordered_map<std::string_view, std::vector<EntryRef>> whiteouts;
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    const LayerTable& table = tree.layer(layer);
    for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
      if (table.entries[i].type == EntryType::kWhiteout)
        whiteouts[table.entries[i].path].push_back({layer, i});
    }
  }
  std::unordered_map<std::uint64_t, std::uint64_t> below;  // by whiteout
  const auto key = [](EntryRef ref) { return (std::uint64_t{ref.layer} << 32) | ref.entry; };
  std::unordered_map<std::string_view, Path> paths;
  DiveFigures figures;
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    const LayerTable& table = tree.layer(layer);
    for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
      const Entry& entry = table.entries[i];
      if (entry.type != EntryType::kRegular) continue;
      if (layer > 0) figures.user_bytes += entry.size;
      if (layers[layer].rows[i].visibility != Visibility::kDeleted) continue;
      each_prefix(entry.path, [&](std::string_view prefix) {
        if (prefix.size() == entry.path.size()) return;
        const auto found = whiteouts.find(prefix);
        if (found == whiteouts.end()) return;
        for (const EntryRef whiteout : found->second) {
          if (whiteout.layer == layers[layer].rows[i].hidden_by) below[key(whiteout)] += entry.size;
        }
      });
    }
  }
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    const LayerTable& table = tree.layer(layer);
    for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
      const Entry& entry = table.entries[i];
      if (entry.type == EntryType::kDirectory || entry.type == EntryType::kOpaqueWhiteout) continue;
      std::uint64_t size = entry.type == EntryType::kRegular ? entry.size : 0;
      if (entry.type == EntryType::kWhiteout) {
        const auto found = below.find(key({layer, i}));
        if (found != below.end()) size = found->second;
      }
      Path& path = paths[entry.path];
      path.all += size;
      path.least = path.count == 0 ? size : std::min(path.least, size);
      ++path.count;
    }
  }
  std::uint64_t all = 0;
  std::uint64_t least = 0;
  for (const auto& [name, path] : paths) {
    all += path.all;
    least += path.least;
    if (path.count > 1) figures.wasted_bytes += path.all;
  }
  if (all > 0) figures.efficiency = static_cast<double>(least) / static_cast<double>(all);
  figures.has_percent = figures.user_bytes > 0;
  if (figures.has_percent) {
    figures.wasted_percent =
        100 * static_cast<double>(figures.wasted_bytes) / static_cast<double>(figures.user_bytes);
  }
  return figures;
}

}  // namespace imgslim
