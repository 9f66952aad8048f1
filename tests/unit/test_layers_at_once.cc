// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers/at_once.h"

namespace imgslim {

TEST_CASE("at once: each number is called once, whatever the threads") {
  for (const unsigned threads : {0u, 1u, 2u, 7u, 100u}) {
    for (const std::size_t count : {0u, 1u, 2u, 50u}) {
      std::vector<std::atomic<int>> calls(count);
      for_each_at_once(threads, count, [&](std::size_t at) { ++calls[at]; });
      for (const auto& number : calls)
        CHECK(number == 1);
    }
  }
}

TEST_CASE("at once: the error of the lowest number is thrown, and no call begins behind one") {
  for (const unsigned threads : {1u, 4u}) {
    std::atomic<std::size_t> called{0};
    const auto work = [&](std::size_t at) {
      ++called;
      if (at >= 5) throw std::runtime_error(std::to_string(at));
    };
    CHECK_THROWS_WITH(for_each_at_once(threads, 1000, work), "5");
    CHECK(called < 1000);
  }
}

}  // namespace imgslim
