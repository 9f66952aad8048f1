// SPDX-License-Identifier: Apache-2.0
// How a number that no 64-bit integer holds is kept inside a Json: its text, as a binary value that JSON
// itself does not have.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string_view>

#include "layers/json.h"

namespace imgslim {

inline constexpr std::uint64_t kNumberSubtype = 0x6e756d;  // "num"

inline bool is_number_kept_as_text(const Json& value) {
  if (!value.is_binary()) return false;
  const auto& bytes = value.get_ref<const Json::binary_t&>();
  return bytes.has_subtype() && bytes.subtype() == kNumberSubtype;
}

// `text` must be a number by the grammar of JSON.
Json number_from_text(std::string_view text);

}  // namespace imgslim
