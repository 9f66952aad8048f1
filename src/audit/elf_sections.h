// SPDX-License-Identifier: Apache-2.0
// Sections of an ELF file by what they are for: only for counting bytes, as sections decide nothing when a
// program is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/layer_table.h"

namespace imgslim {

enum class SectionUse : std::uint8_t { kCode, kFunctionTable, kDebug, kSymbols, kReadOnly, kData, kOther };
std::string_view name_of(SectionUse use);  // "code", "function table (pclntab)", ..

struct ElfSection {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // bytes in the file
  SectionUse use = SectionUse::kOther;
};

// Part of a file: bytes from an offset on.
struct FileWindow {
  std::uint64_t offset = 0;
  std::string_view bytes;
};

// Sections with bytes in the file, by offset, none overlapping another. `windows` must hold the ELF header,
// the section headers and their names; nothing if they do not or are malformed.
std::vector<ElfSection> read_elf_sections(const std::vector<FileWindow>& windows, std::uint64_t file_size);

// What an observer keeps of an ELF file while its layer streams past.
struct ElfBytes {
  bool go = false;            // it holds a mark of Go's build info
  std::uint64_t debug = 0;    // debug information
  std::uint64_t symbols = 0;  // symbol table that no loader reads
};
inline constexpr std::string_view kElfBytesKind = "elf-bytes";
std::unique_ptr<EntryObserver> make_elf_bytes_observer();
ElfBytes parse_elf_bytes(const Observation& observation);

}  // namespace imgslim
