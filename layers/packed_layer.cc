// SPDX-License-Identifier: Apache-2.0
#include "layers/packed_layer.h"

#include <algorithm>
#include <utility>

#include "layers/tar.h"

namespace imgslim {

static void members(auto& io, Checkpoint& checkpoint) {
  io(checkpoint.blob_offset, checkpoint.plain_offset, checkpoint.state);
}

static void members(auto& io, Observation& observation) {
  io(observation.entry, observation.kind, observation.data);
}

namespace {

constexpr std::string_view kFormat = "layer 1";

// All of an entry but its texts; offsets by their distance to what comes before, which keeps them short.
void numbers(auto& io, Entry& entry, std::uint64_t& gap, std::uint64_t& header, std::int64_t& age) {
  io.choice(entry.type, EntryType::kOpaqueWhiteout);
  io(gap, header, entry.stored_size, entry.size, entry.tar_bytes, entry.crc, entry.head, age,
     entry.mtime_nanoseconds, entry.mode, entry.uid, entry.gid, entry.device_major, entry.device_minor,
     entry.xattrs, entry.sparse);
}

std::size_t shared_front(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

bool is_clean(std::string_view path) {
  return path.empty() || clean_path(path) == path;
}

bool is_sound(const SparseMap& map, const Entry& entry) {
  std::uint64_t at = 0;
  std::uint64_t stored = 0;
  for (const auto& [offset, length] : map) {
    if (offset < at || offset > entry.size || length > entry.size - offset) return false;
    at = offset + length;
    stored += length;
  }
  return stored == entry.stored_size;
}

// What TarIndexer and the decoders see to.
bool is_sound(const LayerTable& table, const Entry& entry) {
  const TarLimits limits;
  if (!is_clean(entry.path) ||
      (entry.path.empty() && entry.type != EntryType::kDirectory && entry.type != EntryType::kOpaqueWhiteout))
    return false;
  if (entry.type == EntryType::kHardLink && (entry.link.empty() || !is_clean(entry.link))) return false;
  if (entry.link.size() > limits.max_path || entry.link.find('\0') != std::string_view::npos) return false;
  if (entry.mode > 07777 || entry.mtime_nanoseconds > 999999999) return false;
  if (entry.xattrs >= table.xattr_sets.size() || entry.sparse >= table.sparse_maps.size()) return false;
  if (entry.type != EntryType::kRegular && (entry.size != 0 || entry.stored_size != 0 || entry.sparse != 0))
    return false;
  if (entry.header_offset > entry.data_offset || entry.data_offset > table.plain_size ||
      entry.stored_size > table.plain_size - entry.data_offset || entry.tar_bytes > table.plain_size) {
    return false;
  }
  if (entry.sparse == 0) return entry.size == entry.stored_size;
  return entry.size <= limits.max_sparse_bytes && is_sound(table.sparse_maps[entry.sparse], entry);
}

bool is_sound(const std::vector<Checkpoint>& checkpoints, const LayerTable& table) {
  const Checkpoint* last = nullptr;
  for (const Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.blob_offset > table.blob_size || checkpoint.plain_offset > table.plain_size) return false;
    if (last != nullptr && checkpoint.plain_offset <= last->plain_offset) return false;
    last = &checkpoint;
  }
  return true;
}

bool is_sound(const Xattrs& set) {
  const TarLimits limits;
  std::string_view last;
  for (const auto& [name, value] : set) {
    if (name.empty() || name <= last || name.size() > limits.max_xattr_name ||
        name.find_first_of(std::string_view("\0=", 2)) != std::string::npos ||
        value.size() > limits.max_xattr_value)
      return false;
    last = name;
  }
  return true;
}

}  // namespace

void pack_layer(const LayerTable& table, const std::function<void(std::string_view)>& write) {
  Packer io;
  io(kFormat, table.digest->text(), table.diff_id->text(), table.blob_size, table.plain_size);
  io.choice(table.compression, Compression::kZstd);
  io(table.xattr_sets, table.sparse_maps, table.warnings, table.hash_states);
  io(table.entries.size());
  std::string_view path;
  std::uint64_t offset = 0;
  std::int64_t time = 0;
  for (const Entry& entry : table.entries) {
    const std::size_t front = shared_front(path, entry.path);
    path = entry.path;
    io(front, entry.path.substr(front), entry.link);
    Entry copy = entry;
    std::uint64_t gap = entry.header_offset - offset;
    std::uint64_t header = entry.data_offset - entry.header_offset;
    std::int64_t age =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(entry.mtime) - static_cast<std::uint64_t>(time));
    numbers(io, copy, gap, header, age);
    offset = entry.header_offset;
    time = entry.mtime;
  }
  io(table.observations, table.checkpoints.size());
  write(io.take());
  for (const Checkpoint& checkpoint : table.checkpoints)
    write(packed(checkpoint));
}

std::string pack_layer(const LayerTable& table) {
  std::string bytes;
  pack_layer(table, [&](std::string_view part) { bytes += part; });
  return bytes;
}

std::unique_ptr<LayerTable> unpack_layer(std::string_view bytes) {
  Unpacker io(bytes);
  auto table = unpack_layer(io);
  if (!io.at_end()) Unpacker::fail();
  return table;
}

std::unique_ptr<LayerTable> unpack_layer(Unpacker& io) {
  auto table = std::make_unique<LayerTable>();
  std::string format;
  std::string digest;
  std::string diff_id;
  io(format, digest, diff_id, table->blob_size, table->plain_size);
  table->digest = Digest::parse(digest);
  table->diff_id = Digest::parse(diff_id);
  if (format != kFormat || !table->digest || !table->diff_id) Unpacker::fail();
  io.choice(table->compression, Compression::kZstd);
  io(table->xattr_sets, table->sparse_maps, table->warnings, table->hash_states);
  const auto plain = [](const Xattrs& set) { return is_sound(set); };
  if (table->xattr_sets.empty() || table->sparse_maps.empty() ||
      !std::all_of(table->xattr_sets.begin(), table->xattr_sets.end(), plain))
    Unpacker::fail();
  const bool has_states = table->digest->algorithm() == "sha256";
  if (table->hash_states.size() != (has_states ? hash_states_of(table->blob_size) : 0)) Unpacker::fail();
  std::uint64_t count = io.number();
  if (count > io.left() || count > TarLimits().max_entries) Unpacker::fail();
  table->entries.reserve(static_cast<std::size_t>(count));
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t time = 0;
  for (; count > 0; --count) {
    Entry entry;
    const std::uint64_t front = io.number();
    if (front > path.size()) Unpacker::fail();
    path.resize(static_cast<std::size_t>(front));
    path += io.text();
    entry.path = table->keep(path);
    entry.link = table->keep(io.text());
    std::uint64_t gap = 0;
    std::uint64_t header = 0;
    std::int64_t age = 0;
    numbers(io, entry, gap, header, age);
    if (gap > table->plain_size - offset || header > table->plain_size) Unpacker::fail();
    offset += gap;
    entry.header_offset = offset;
    entry.data_offset = offset + header;
    time += static_cast<std::uint64_t>(age);
    entry.mtime = static_cast<std::int64_t>(time);
    if (!is_sound(*table, entry)) Unpacker::fail();
    table->entries.push_back(entry);
  }
  io(table->observations, table->checkpoints);
  const auto exists = [&](const Observation& o) { return o.entry < table->entries.size(); };
  if (!std::all_of(table->observations.begin(), table->observations.end(), exists) ||
      !is_sound(table->checkpoints, *table))
    Unpacker::fail();
  return table;
}

}  // namespace imgslim
