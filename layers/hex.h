// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace imgslim {

// Bytes as lower-case hexadecimal digits, two each.
inline std::string hex_of(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace imgslim
