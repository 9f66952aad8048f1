// SPDX-License-Identifier: Apache-2.0
// Any layers give the tree of the slow model, or both refuse them.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/support/tree_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim::testing;
  if (size > 4096) return 0;
  const std::string difference =
      compare_with_model(layers_of_bytes({reinterpret_cast<const char*>(data), size}));
  if (!difference.empty()) {
    std::fputs(difference.c_str(), stderr);
    std::abort();
  }
  return 0;
}
