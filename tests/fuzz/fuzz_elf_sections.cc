// SPDX-License-Identifier: Apache-2.0
// Sections of any bytes lie in the file and do not overlap; the observer that counts them while a layer
// streams says the same as one look at the whole file where the headers are near its ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/audit/elf_sections.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::uint64_t end = 0;
  std::uint64_t debug = 0;
  for (const ElfSection& section : read_elf_sections({{0, bytes}}, size)) {
    if (section.offset < end || section.size > size - section.offset) std::abort();
    end = section.offset + section.size;
    if (section.use == SectionUse::kDebug) debug += section.size;
  }
  const auto observer = make_elf_bytes_observer();
  Entry entry;
  entry.size = size;
  if (!observer->wants(entry)) return 0;
  // In pieces of a size that the input chooses.
  const std::size_t piece = 1 + data[size - 1];
  for (std::size_t at = 0; at < size; at += piece)
    observer->data(as_bytes(bytes.substr(at, piece)));
  const auto found = observer->end(entry);
  if (!found) return 0;
  const ElfBytes counted = parse_elf_bytes({0, std::string(kElfBytesKind), *found});
  if (size <= (32u << 10) && counted.debug != debug) std::abort();
  return 0;
}
