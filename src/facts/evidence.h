// SPDX-License-Identifier: Apache-2.0
// How well a fact about what a program loads or starts is founded (imgslim-optimize(1), EVIDENCE).
#pragma once

#include <cstdint>
#include <string_view>

namespace imgslim {

// From the strongest to the weakest; a chain is as strong as its weakest step, std::max of them.
enum class Evidence : std::uint8_t { kExact, kKnown, kBounded, kCandidate, kUnknown };

constexpr std::string_view name_of(Evidence evidence) {
  switch (evidence) {
    case Evidence::kExact:
      return "exact";
    case Evidence::kKnown:
      return "known";
    case Evidence::kBounded:
      return "bounded";
    case Evidence::kCandidate:
      return "candidate";
    case Evidence::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace imgslim
