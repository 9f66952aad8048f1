// SPDX-License-Identifier: Apache-2.0
// Internal to src/debug_info: the steps of take_out_debug_info().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/debug_info/debug_info.h"
#include "src/debug_info/section_table.h"

namespace imgslim {

// Ranges of a file, sorted and without overlaps.
struct FileRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};
std::vector<FileRange> merge_ranges(std::vector<FileRange> ranges);
bool inside_ranges(const std::vector<FileRange>& merged, std::uint64_t start, std::uint64_t end);
bool overlaps_ranges(const std::vector<FileRange>& merged, std::uint64_t start, std::uint64_t end);
// The file bytes of PT_LOAD segments.
std::vector<FileRange> loaded_ranges(const SectionTable& table);

// What becomes of a section.
enum class Fate : std::uint8_t {
  kStays,
  kGoes,
  kEmptied,  // a symbol table, or its strings, that something refers to: the null symbol (the empty string)
             // is left
};

// A symbol table whose sections got other numbers.
struct RenumberedSymbols {
  std::string bytes;
  std::uint32_t first_global = 0;  // sh_info
  std::size_t dropped = 0;         // symbols of sections that are gone
};
struct SymbolsResult {
  bool changed = false;  // false: the table may stay as it is
  RenumberedSymbols symbols;
  std::string problem;
};
// `new_number`: by old section index, 0 for those that go.
SymbolsResult renumber_symbols(const Blob& file, const SectionTable& table, std::size_t symbols,
                               const std::vector<std::uint32_t>& new_number);

// Whether a section is a small allocated table of relocations of which none names a symbol, though it is
// linked to a symbol table (.rela.plt of static programs).
bool names_no_symbols(const Blob& file, const SectionTable& table, const SectionHeader& section);

struct SlimResult {
  std::optional<LeftAlone> left_alone;
  std::string detail;
  FilePieces pieces;
};
// `fates`: by section index. Sections that do not stay have been checked to lie outside of all segments.
SlimResult make_slim(const Blob& file, const SectionTable& table, const std::vector<Fate>& fates);

// As objcopy --only-keep-debug: all section headers, allocated ones without bytes (notes excepted), the rest
// with.
FilePieces make_companion(const SectionTable& table);

// NT_GNU_BUILD_ID in hex, empty if there is none.
std::string find_build_id(const Blob& file, const SectionTable& table);

// What shows that the program may read its own debug information (or symbols), one line; empty if nothing
// does.
std::string own_debug_info_evidence(const Blob& file, const SectionTable& table, bool symbols);

}  // namespace imgslim
