// SPDX-License-Identifier: Apache-2.0
// Bounds-checked reads from untrusted bytes: nothing here can look past the view it is given.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace imgslim {

// The `length` bytes at `offset`, or nothing if they are not all inside `bytes`.
inline std::optional<std::string_view> slice(std::string_view bytes, std::uint64_t offset,
                                             std::uint64_t length) {
  if (offset > bytes.size() || length > bytes.size() - offset) return std::nullopt;
  return bytes.substr(offset, length);
}

// An unsigned integer of either byte order at `offset`, or nothing if it does not fit.
template <std::unsigned_integral T>
std::optional<T> read_integer(std::string_view bytes, std::uint64_t offset,
                              std::endian order = std::endian::little) {
  const auto field = slice(bytes, offset, sizeof(T));
  if (!field) return std::nullopt;
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    const std::size_t at = order == std::endian::little ? sizeof(T) - 1 - i : i;
    value =
        static_cast<T>((static_cast<std::uint64_t>(value) << 8) | static_cast<unsigned char>((*field)[at]));
  }
  return value;
}

// The bytes from `offset` to the next NUL, which must come before the end and within `limit`.
inline std::optional<std::string_view> c_string(std::string_view bytes, std::uint64_t offset,
                                                std::size_t limit = 4096) {
  if (offset >= bytes.size()) return std::nullopt;
  const std::string_view rest = bytes.substr(offset, limit);
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

}  // namespace imgslim
