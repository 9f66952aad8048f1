// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest, an index or a config: what is accepted reads the same again when it is written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "layers/manifest.h"

using namespace imgslim;

namespace {

template <class Parse>
void check(std::string_view text, Parse parse) {
  std::string written;
  try {
    written = dump_json(parse(text).json);
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) std::abort();
    return;
  }
  // An error now would be a bug, and so is other text.
  if (dump_json(parse(written).json) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, [](std::string_view in) { return Manifest::parse(in, "", "input"); });
  check(text, [](std::string_view in) { return Index::parse(in, "", "input"); });
  for (const std::size_t layers : {0, 1, 2}) {
    check(text, [layers](std::string_view in) { return ImageConfig::parse(in, layers, "input"); });
  }
  return 0;
}
