// SPDX-License-Identifier: Apache-2.0
#include <elf.h>

#include <algorithm>

#include "layers/bytes.h"
#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

constexpr std::string_view kVersion("imgslim loaded bytes 1\0", 23);
// Segments of a real file overlap by a page at most; a hostile one could name the same bytes many times.
constexpr std::uint64_t kMaxRepeats = 4;

// The three fields of the file header that say where the section headers are.
std::vector<FileRange> section_fields(const SectionTable& table) {
  const std::uint64_t shoff = table.is_64 ? offsetof(Elf64_Ehdr, e_shoff) : offsetof(Elf32_Ehdr, e_shoff);
  const std::uint64_t shnum = table.is_64 ? offsetof(Elf64_Ehdr, e_shnum) : offsetof(Elf32_Ehdr, e_shnum);
  return {{shoff, shoff + (table.is_64 ? 8 : 4)}, {shnum, shnum + 4}};
}

void hash_range(const Blob& file, const SectionTable& table, std::uint64_t offset, std::uint64_t length,
                Hasher& hasher) {
  const std::uint64_t head = std::min<std::uint64_t>(offset + length, table.header_size());
  if (offset < head) {
    std::string bytes =
        table.header.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(head - offset));
    for (const FileRange& field : section_fields(table)) {
      for (std::uint64_t at = std::max(field.start, offset); at < std::min(field.end, head); ++at) {
        bytes[static_cast<std::size_t>(at - offset)] = '\0';
      }
    }
    hasher.update(bytes);
    length -= head - offset;
    offset = head;
  }
  for_each_chunk(file, offset, length, [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
}

}  // namespace

std::vector<FileRange> merge_ranges(std::vector<FileRange> ranges) {
  std::erase_if(ranges, [](const FileRange& range) { return range.start >= range.end; });
  std::sort(ranges.begin(), ranges.end(),
            [](const FileRange& a, const FileRange& b) { return a.start < b.start; });
  std::vector<FileRange> merged;
  for (const FileRange& range : ranges) {
    if (!merged.empty() && range.start <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, range.end);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

bool inside_ranges(const std::vector<FileRange>& merged, std::uint64_t start, std::uint64_t end) {
  const auto after =
      std::upper_bound(merged.begin(), merged.end(), start,
                       [](std::uint64_t at, const FileRange& range) { return at < range.start; });
  return after != merged.begin() && std::prev(after)->end >= end;
}

bool overlaps_ranges(const std::vector<FileRange>& merged, std::uint64_t start, std::uint64_t end) {
  if (start >= end) return false;
  const auto after =
      std::lower_bound(merged.begin(), merged.end(), end,
                       [](const FileRange& range, std::uint64_t at) { return range.start < at; });
  return after != merged.begin() && std::prev(after)->end > start;
}

std::vector<FileRange> loaded_ranges(const SectionTable& table) {
  std::vector<FileRange> ranges;
  for (const SegmentHeader& segment : table.segments) {
    if (segment.type == PT_LOAD) ranges.push_back({segment.offset, segment.end()});
  }
  return merge_ranges(std::move(ranges));
}

std::optional<Digest> loaded_digest(const Blob& file) {
  const SectionTableResult read = read_section_table(file);
  if (!read.table) return std::nullopt;
  const SectionTable& table = *read.table;
  const std::vector<FileRange> loaded = loaded_ranges(table);
  if (loaded.empty()) return std::nullopt;
  std::uint64_t budget = table.file_size * kMaxRepeats;
  std::vector<FileRange> ranges;
  for (const bool load : {true, false}) {
    for (const SegmentHeader& segment : table.segments) {
      if ((segment.type == PT_LOAD) != load || segment.file_size == 0) continue;
      if (!load && inside_ranges(loaded, segment.offset, segment.end())) continue;
      if (segment.file_size > budget) return std::nullopt;
      budget -= segment.file_size;
      ranges.push_back({segment.offset, segment.end()});
    }
  }
  Hasher hasher;
  hasher.update(kVersion);
  hash_range(file, table, 0, table.header_size(), hasher);
  hash_range(file, table, table.program_headers_offset, table.segments.size() * table.segment_entry_size(),
             hasher);
  for (const FileRange& range : ranges)
    hash_range(file, table, range.start, range.end - range.start, hasher);
  return hasher.finish();
}

}  // namespace imgslim
