// SPDX-License-Identifier: Apache-2.0
// Values as compact bytes and back, for caches: numbers as LEB128, texts behind their length. A struct names
// its members once, in a function `members(io, value)` beside it, for both ways.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "layers/error.h"

namespace imgslim {

class Packer {
 public:
  template <class... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }
  // An enumeration whose last value is `last`.
  template <class Enum>
  void choice(const Enum& value, Enum) {
    number(static_cast<std::uint64_t>(value));
  }
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  template <class Value>
  void put(const Value& value) {
    if constexpr (std::is_same_v<Value, bool> || std::is_unsigned_v<Value>) {
      number(value);
    } else if constexpr (std::is_signed_v<Value>) {
      const auto wide = static_cast<std::int64_t>(value);
      number((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
    } else {
      // `members` is one function for both ways, and writes only when it reads bytes.
      members(*this, const_cast<Value&>(value));
    }
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(std::string_view text) {
    number(text.size());
    bytes_ += text;
  }
  template <class Value>
  void put(const std::vector<Value>& values) {
    number(values.size());
    for (const Value& value : values)
      put(value);
  }
  template <class Value, std::size_t N>
  void put(const std::array<Value, N>& values) {
    for (const Value& value : values)
      put(value);
  }
  template <class Value>
  void put(const std::optional<Value>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class First, class Second>
  void put(const std::pair<First, Second>& value) {
    put(value.first);
    put(value.second);
  }
  template <class Key, class Value>
  void put(const std::map<Key, Value>& values) {
    number(values.size());
    for (const auto& [key, value] : values) {
      put(key);
      put(value);
    }
  }

  std::string bytes_;
};

// Takes what a Packer made; anything else is an Error{kIo}, whatever the bytes.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}

  template <class... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
  template <class Enum>
  void choice(Enum& value, Enum last) {
    const std::uint64_t number_read = number();
    if (number_read > static_cast<std::uint64_t>(last)) fail();
    value = static_cast<Enum>(number_read);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) fail();
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      if (shift == 63 && byte > 1) fail();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view text() {
    const std::uint64_t length = number();
    if (length > bytes_.size()) fail();
    const std::string_view found = bytes_.substr(0, static_cast<std::size_t>(length));
    bytes_.remove_prefix(found.size());
    return found;
  }
  bool at_end() const { return bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }
  [[noreturn]] static void fail() { throw Error(Failure::kIo, "a cache entry is damaged"); }

 private:
  template <class Value>
  void get(Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      const std::uint64_t found = number();
      if (found > 1) fail();
      value = found != 0;
    } else if constexpr (std::is_unsigned_v<Value>) {
      const std::uint64_t found = number();
      value = static_cast<Value>(found);
      if (value != found) fail();
    } else if constexpr (std::is_signed_v<Value>) {
      const std::uint64_t found = number();
      const auto wide = static_cast<std::int64_t>((found >> 1) ^ (~(found & 1) + 1));
      value = static_cast<Value>(wide);
      if (value != wide) fail();
    } else {
      members(*this, value);
    }
  }
  void get(std::string& value) { value = text(); }
  template <class Value>
  void get(std::vector<Value>& values) {
    const std::uint64_t count = number();
    // Each takes a byte or more.
    if (count > bytes_.size()) fail();
    values.clear();
    for (std::uint64_t i = 0; i < count; ++i)
      get(values.emplace_back());
  }
  template <class Value, std::size_t N>
  void get(std::array<Value, N>& values) {
    for (Value& value : values)
      get(value);
  }
  template <class Value>
  void get(std::optional<Value>& value) {
    bool is_there = false;
    get(is_there);
    value.reset();
    if (is_there) get(value.emplace());
  }
  template <class First, class Second>
  void get(std::pair<First, Second>& value) {
    get(value.first);
    get(value.second);
  }
  template <class Key, class Value>
  void get(std::map<Key, Value>& values) {
    const std::uint64_t count = number();
    if (count > bytes_.size()) fail();
    values.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
      Key key{};
      get(key);
      get(values[std::move(key)]);
    }
  }

  std::string_view bytes_;
};

template <class Value>
std::string packed(const Value& value) {
  Packer packer;
  packer(value);
  return packer.take();
}

// Nothing if the bytes are no such value, or more than that.
template <class Value>
std::optional<Value> unpacked(std::string_view bytes) {
  try {
    Unpacker unpacker(bytes);
    Value value{};
    unpacker(value);
    if (!unpacker.at_end()) return std::nullopt;
    return value;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace imgslim
