// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text behind `go version -m`, and as what follows the magic of build info.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "src/facts/go_reader.h"
#include "tests/support/elf_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  GoBuildInfo info;
  std::vector<std::string> problems;
  parse_go_module_info(bytes, info, problems);
  for (const auto& [key, value] : info.settings) {
    if (!info.setting(key)) std::abort();
  }
  testing::ElfDescription description;
  description.data = "\xff Go buildinf:" + bytes;
  const std::string file = testing::build_elf(description);
  const auto elf = read_elf(file);
  if (!elf) std::abort();
  const ElfImage image(*elf, file);
  const auto facts = read_go(image, file);
  if (facts && facts->build && facts->build->go_version.empty()) std::abort();
  return 0;
}
