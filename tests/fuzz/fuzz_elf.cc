// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ELF file: facts, and reads through the image.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/facts/elf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto facts = read_elf(bytes);
  if (!facts) return 0;
  const ElfImage image(*facts, bytes);
  for (const ElfSegment& segment : facts->segments) {
    if (segment.file_size > size) std::abort();
    const std::string_view view = image.relocated_from(segment.address);
    if (view.size() > size) std::abort();
    image.pointer_at(segment.address);
    image.c_string_at(segment.address);
    image.bytes_at(segment.address, segment.memory_size);
  }
  for (const ElfRelocation& relocation : image.symbol_relocations()) {
    image.symbol_at_slot(relocation.address);
  }
  for (const std::uint64_t slot : image.slots_holding(facts->entry)) {
    if (image.pointer_at(slot) != facts->entry) std::abort();
  }
  return 0;
}
