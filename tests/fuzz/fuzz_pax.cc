// SPDX-License-Identifier: Apache-2.0
// Records of extended headers and times from any bytes: refused, or read back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "layers/tar_extensions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto time = parse_pax_time(text)) {
    if (time->nanoseconds >= 1000000000 || parse_pax_time(format_pax_time(*time)) != time) std::abort();
  }
  try {
    TarExtensions extensions;
    parse_extensions(text, TarLimits{}, &extensions);
    for (std::size_t i = 1; i < extensions.xattrs.size(); ++i) {
      if (extensions.xattrs[i - 1].first >= extensions.xattrs[i].first) std::abort();
    }
    if (extensions.path && extensions.path->find('\0') != std::string::npos) std::abort();
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) std::abort();
  }
  return 0;
}
