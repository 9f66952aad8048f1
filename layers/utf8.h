// SPDX-License-Identifier: Apache-2.0
// Well-formedness of UTF-8 (RFC 3629 section 4).
#pragma once

#include <cstddef>
#include <string_view>

namespace imgslim {

// Length of the well-formed UTF-8 sequence at the start of `bytes`, which must not be empty; 0 if there
// is none. Surrogates and overlong forms are not well formed.
std::size_t utf8_length(std::string_view bytes);

}  // namespace imgslim
