// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace imgslim {

// Hex digest of the sources of this build: what a cache holds counts for the same sources alone.
std::string_view code_id();

}  // namespace imgslim
