// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ELF file through the scans for what it loads and starts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/facts/dlopen_scan.h"
#include "src/facts/exec_scan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto facts = imgslim::read_elf(bytes);
  if (!facts) return 0;
  const imgslim::ElfImage image(*facts, bytes);
  const auto go = imgslim::read_go(image, bytes);
  imgslim::find_dlopens(image, bytes, go ? &*go : nullptr, "fuzz");
  imgslim::find_execs(image, go ? &*go : nullptr, "fuzz");
  return 0;
}
