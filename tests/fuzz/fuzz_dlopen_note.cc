// SPDX-License-Identifier: Apache-2.0
// Any bytes as the content of a dlopen note.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/facts/elf_tables.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  ElfFacts facts;
  read_dlopen_note(std::string_view(reinterpret_cast<const char*>(data), size), facts);
  for (const DlopenNote& note : facts.dlopen_notes) {
    if (note.sonames.empty() || note.priority.empty()) std::abort();
  }
  return 0;
}
