// SPDX-License-Identifier: Apache-2.0
// What writing and reading certificates share. Internal to src/proof_*.cc.
#pragma once

#include <string>

#include "src/proof.h"

namespace imgslim {

inline constexpr std::uint64_t kProofVersion = 1;

// "f 0755 0 0"
std::string attributes_text(const ProofAttributes& attributes);

}  // namespace imgslim
