// SPDX-License-Identifier: Apache-2.0
// Any bytes as a Go program: function table, module data, init tasks, embedded files.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/facts/go_binary.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto elf = read_elf(bytes);
  if (!elf) return 0;
  const ElfImage image(*elf, bytes);
  const auto facts = read_go(image, bytes);
  if (!facts) return 0;
  for (std::size_t i = 0; i < facts->functions.size(); ++i) {
    const GoFunction& function = facts->functions[i];
    if (function.end < function.start) std::abort();
    if (i != 0 && function.start != facts->functions[i - 1].end) std::abort();
    go_package_of(function.name);
    facts->function_at(function.start);
  }
  if (facts->functions.size() > size || facts->init_functions.size() > size) std::abort();
  for (const GoEmbedTree& tree : facts->embeds) {
    for (const GoEmbeddedFile& file : tree.files) {
      if (file.size > size) std::abort();
    }
  }
  return 0;
}
