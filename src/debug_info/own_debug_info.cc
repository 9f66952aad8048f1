// SPDX-License-Identifier: Apache-2.0
// Programs that read debug information. Whether they read their own is not told from outside in most cases,
// so that whoever can does stay as it is: Rust's standard library and libbacktrace do it for each backtrace,
// and Go programs with debug/dwarf or debug/elf linked in may.
#include <elf.h>
#include <string.h>

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

// Calls `at` with the offset of each occurrence of `word`.
template <class At>
void for_each_match(std::string_view bytes, std::string_view word, At&& at) {
  for (std::size_t from = 0; from < bytes.size();) {
    const void* hit = memmem(bytes.data() + from, bytes.size() - from, word.data(), word.size());
    if (hit == nullptr) return;
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(hit) - bytes.data());
    at(offset);
    from = offset + 1;
  }
}

// Whether `word` stands `before` bytes in front of `at`.
bool stands(std::string_view bytes, std::size_t at, std::size_t before, std::string_view word) {
  return at >= before && bytes.substr(at - before).starts_with(word);
}

void look(std::string_view bytes, Found& found) {
  // Function names of Go stand in its function table with a NUL on both sides; names of functions that were
  // only inlined are there too.
  for_each_match(bytes, "debug", [&](std::size_t at) {
    if (stands(bytes, at, 1, ".debug_info") || stands(bytes, at, 1, ".debug_line") ||
        stands(bytes, at, 2, ".zdebug_")) {
      found.debug_sections = true;
    }
    if (stands(bytes, at, 1, std::string_view("\0debug/dwarf.New\0", 17))) found.go_dwarf = true;
    if (stands(bytes, at, 1, std::string_view("\0debug/elf.NewFile\0", 19))) found.go_elf = true;
  });
  const auto holds = [&](std::string_view word) {
    return memmem(bytes.data(), bytes.size(), word.data(), word.size()) != nullptr;
  };
  if (holds(std::string_view("\0os.Executable\0", 15))) found.go_executable = true;
  if (holds("RUST_BACKTRACE")) found.rust = true;
  if (holds("libdw.so") || holds("libbacktrace.so") || holds("libbfd-")) found.library = true;
  if (holds(".symtab")) found.symbols = true;
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
