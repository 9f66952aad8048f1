// SPDX-License-Identifier: Apache-2.0
// Settings files of any bytes are read or refused, nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "layers/error.h"
#include "src/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    imgslim::parse_settings(text, "imgslim.yaml");
  } catch (const imgslim::Error&) {
  }
  try {
    imgslim::parse_dive_rules(text, ".dive-ci");
  } catch (const imgslim::Error&) {
  }
  return 0;
}
