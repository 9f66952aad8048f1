// SPDX-License-Identifier: Apache-2.0
// Programs that read debug information. Whether they read their own is not told from outside in most cases,
// so that whoever can does stay as it is: Rust's standard library and libbacktrace do it for each backtrace,
// and Go programs with debug/dwarf or debug/elf linked in may.
#include <algorithm>

#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kOverlap = 64;  // longer than any word looked for, with what stands around it

struct Found {
  bool debug_sections = false;  // the names of DWARF sections
  bool go_dwarf = false;
  bool go_elf = false;
  bool go_executable = false;
  bool rust = false;
  bool library = false;
  bool symbols = false;
};

// Whether `word` stands `before` bytes in front of `at`.
bool stands(std::string_view bytes, std::size_t at, std::size_t before, std::string_view word) {
  return at >= before && bytes.substr(at - before).starts_with(word);
}

void look_at(std::string_view bytes, std::size_t at, Found& found) {
  const std::string_view here = bytes.substr(at);
  // Function names of Go stand in its function table with a NUL on both sides; names of functions that were
  // only inlined are there too.
  if (here.starts_with("debug")) {
    if (stands(bytes, at, 1, ".debug_info") || stands(bytes, at, 1, ".debug_line") ||
        stands(bytes, at, 2, ".zdebug_")) {
      found.debug_sections = true;
    }
    if (stands(bytes, at, 1, std::string_view("\0debug/dwarf.New\0", 17))) found.go_dwarf = true;
    if (stands(bytes, at, 1, std::string_view("\0debug/elf.NewFile\0", 19))) found.go_elf = true;
  }
  if (stands(bytes, at, 1, std::string_view("\0os.Executable\0", 15))) found.go_executable = true;
  if (here.starts_with("RUST_BACKTRACE")) found.rust = true;
  if (here.starts_with("libdw.so") || here.starts_with("libbacktrace.so") || here.starts_with("libbfd-")) {
    found.library = true;
  }
  if (stands(bytes, at, 1, ".symtab")) found.symbols = true;
}

// Large programs pass through here: blocks in which no word can begin are found by comparing bytes alone,
// which compilers do many at a time.
void look(std::string_view bytes, Found& found) {
  constexpr std::size_t kBlock = 64;
  const char* const p = bytes.data();
  std::size_t at = 0;
  for (; at + kBlock + 4 <= bytes.size(); at += kBlock) {
    unsigned char any = 0;
    for (std::size_t i = at; i < at + kBlock; ++i) {
      const unsigned char debug = (p[i] == 'd') & (p[i + 1] == 'e') & (p[i + 2] == 'b') & (p[i + 3] == 'u');
      const unsigned char rust = (p[i] == 'R') & (p[i + 1] == 'U') & (p[i + 2] == 'S') & (p[i + 3] == 'T');
      const unsigned char library = (p[i] == 'l') & (p[i + 1] == 'i') & (p[i + 2] == 'b');
      const unsigned char executable =
          (p[i] == 'o') & (p[i + 1] == 's') & (p[i + 2] == '.') & (p[i + 3] == 'E');
      const unsigned char symbols = (p[i] == 's') & (p[i + 1] == 'y') & (p[i + 2] == 'm') & (p[i + 3] == 't');
      any |= debug | rust | library | executable | symbols;
    }
    for (std::size_t i = at; any != 0 && i < at + kBlock; ++i)
      look_at(bytes, i, found);
  }
  for (; at < bytes.size(); ++at)
    look_at(bytes, at, found);
}

}  // namespace

std::string own_debug_info_evidence(const Blob& file, const SectionTable& table, bool symbols) {
  // The section names themselves lie in a segment of some linkers' files.
  const SectionHeader& names = table.sections[table.names];
  Found found;
  for (const FileRange& range : loaded_ranges(table)) {
    std::string window;
    for (std::uint64_t at = range.start; at < range.end; at += kChunk) {
      const std::uint64_t start = at - range.start > kOverlap ? at - kOverlap : range.start;
      const std::uint64_t end = std::min<std::uint64_t>(at + kChunk, range.end);
      window = read_range(file, start, end - start);
      const std::uint64_t blank_from = std::max(names.offset, start);
      const std::uint64_t blank_to = std::min(names.end(), end);
      if (blank_from < blank_to) {
        std::fill(window.begin() + static_cast<std::ptrdiff_t>(blank_from - start),
                  window.begin() + static_cast<std::ptrdiff_t>(blank_to - start), '\0');
      }
      look(window, found);
    }
  }
  if (found.go_dwarf) return "Go's debug/dwarf is linked in";
  if (found.go_elf && found.go_executable) return "Go's debug/elf is linked in, and it opens its own file";
  if (found.rust) return "Rust's backtraces read it";
  if (found.library) return "it uses a library that reads debug information";
  if (found.debug_sections) return "it names debug sections";
  if (symbols && (found.symbols || found.go_elf)) return "it reads symbol tables";
  return "";
}

}  // namespace imgslim
