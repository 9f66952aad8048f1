// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "tests/support/tree_model.h"

using namespace imgslim;
using namespace imgslim::testing;

TEST_CASE("tree: random layers give the tree of a slow model") {
  std::uint64_t state = 42;
  const auto random_byte = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<char>(state >> 56);
  };
  std::size_t applied = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(10 + static_cast<unsigned char>(random_byte()) % 80, '\0');
    for (char& byte : bytes)
      byte = random_byte();
    const std::string difference = compare_with_model(layers_of_bytes(bytes), &applied);
    INFO("round ", round);
    REQUIRE(difference == "");
  }
  // Most layers must be fit to be applied, or this tests little.
  CHECK(applied > 10000);
}
