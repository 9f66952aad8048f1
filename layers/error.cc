// SPDX-License-Identifier: Apache-2.0
#include "layers/error.h"

#include <cstring>

#include "layers/utf8.h"

namespace imgslim {

void throw_bad_image(const std::string& message) {
  throw Error(Failure::kBadImage, message);
}

void throw_io(const std::string& message, int error_number) {
  std::string reason = std::strerror(error_number);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] += 'a' - 'A';
  throw Error(Failure::kIo, message + ": " + reason);
}

void throw_usage(const std::string& message) {
  throw Error(Failure::kUsage, message);
}

std::string printable(std::string_view bytes, std::size_t limit) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!bytes.empty()) {
    if (out.size() >= limit) return out + "...";
    const std::size_t length = utf8_length(bytes);
    const auto byte = static_cast<unsigned char>(bytes[0]);
    // C1 controls are two-byte sequences that a terminal may obey.
    const bool c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(bytes[1]) < 0xa0;
    if (length == 0 || c1 || byte < 0x20 || byte == 0x7f || byte == '\\') {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
      bytes.remove_prefix(1);
    } else {
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace imgslim
