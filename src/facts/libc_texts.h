// SPDX-License-Identifier: Apache-2.0
// Functions of libc (and glib) that put texts together in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/facts/code_flow.h"

namespace imgslim {

struct TextFunction {
  enum class Kind : std::uint8_t { kFormat, kCopy, kAppend, kLook };
  std::string_view name;
  Kind kind = Kind::kFormat;
  std::size_t source = 0;  // argument: the format, which its own arguments follow, or the text
  TextEffect effect;
};

// Nothing for other functions.
const TextFunction* text_function(std::string_view name);

}  // namespace imgslim
