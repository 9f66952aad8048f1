// SPDX-License-Identifier: Apache-2.0
// The header, program headers and section headers of an ELF file (System V gABI, chapters 4 and 5), of either
// class and byte order, read with every bound checked. What a loader ignores must be right here: a file of
// which one field is doubtful is not read at all, so that nobody rewrites it.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/stream.h"

namespace imgslim {

struct SegmentHeader {
  std::uint32_t type = 0;  // PT_*
  std::uint32_t flags = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t physical_address = 0;
  std::uint64_t file_size = 0;
  std::uint64_t memory_size = 0;
  std::uint64_t alignment = 0;
  std::uint64_t end() const { return offset + file_size; }
};

struct SectionHeader {
  std::string name;
  std::uint32_t name_offset = 0;
  std::uint32_t type = 0;  // SHT_*
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t link = 0;
  std::uint32_t info = 0;
  std::uint64_t alignment = 0;
  std::uint64_t entry_size = 0;

  bool is_allocated() const;
  bool has_bytes() const;  // in the file
  // Where its bytes end in the file; its offset if it has none there.
  std::uint64_t end() const { return has_bytes() ? offset + size : offset; }
};

struct SectionTable {
  bool is_64 = true;
  std::endian byte_order = std::endian::little;
  std::string header;  // the file header's bytes
  std::uint16_t type = 0;
  std::uint64_t program_headers_offset = 0;
  std::uint64_t section_headers_offset = 0;
  std::uint32_t names = 0;  // index of the section that holds the names
  std::uint64_t file_size = 0;
  std::vector<SegmentHeader> segments;
  std::vector<SectionHeader> sections;  // the first one is the empty one; none at all: stripped of the table

  std::size_t header_size() const { return is_64 ? 64 : 52; }
  std::size_t segment_entry_size() const { return is_64 ? 56 : 32; }
  std::size_t section_entry_size() const { return is_64 ? 64 : 40; }
  std::size_t symbol_entry_size() const { return is_64 ? 24 : 16; }
  std::uint64_t program_headers_end() const {
    return program_headers_offset + segments.size() * segment_entry_size();
  }
  // The file header with another section header table; `offset` 0 with `count` 0 has none.
  std::string header_with(std::uint64_t offset, std::size_t count, std::uint32_t names_index) const;
  std::string encode(const std::vector<SegmentHeader>& headers) const;
  std::string encode(const std::vector<SectionHeader>& headers) const;
};

// What reading gave: a table, or why there is none.
struct SectionTableResult {
  std::optional<SectionTable> table;
  bool is_elf = false;
  std::string problem;  // one line
};
SectionTableResult read_section_table(const Blob& file);

// `length` bytes of a file as text. The caller has checked the range, unless it is empty, and bounded the
// length.
std::string read_range(const Blob& file, std::uint64_t offset, std::uint64_t length);

}  // namespace imgslim
