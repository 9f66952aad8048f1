// SPDX-License-Identifier: Apache-2.0
#include "layers/json_fields.h"

#include <fmt/format.h>

#include <limits>

#include "layers/error.h"

namespace imgslim {
namespace {

[[noreturn]] void throw_type(std::string_view what, std::string_view key, std::string_view expected) {
  throw_bad_image(fmt::format("{}: \"{}\" is not {}", what, key, expected));
}

}  // namespace

bool equal_but_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  return &*found;
}

void require_object(const Json& value, std::string_view what) {
  if (!value.is_object()) throw_bad_image(fmt::format("{}: not a JSON object", what));
}

void refuse_other_case(const Json& object, std::initializer_list<std::string_view> keys,
                       std::string_view what) {
  for (const auto& item : object.items()) {
    for (const std::string_view key : keys) {
      if (item.key() != key && equal_but_case(item.key(), key)) {
        throw_bad_image(fmt::format("{}: \"{}\" can be mistaken for \"{}\"", what, item.key(), key));
      }
    }
  }
}

std::string string_member(const Json& object, std::string_view key, std::string_view what) {
  const Json* value = find_member(object, key);
  if (value == nullptr) return {};
  if (!value->is_string()) throw_type(what, key, "a string");
  return value->get<std::string>();
}

std::vector<std::string> strings_member(const Json& object, std::string_view key, std::string_view what) {
  const Json* value = find_member(object, key);
  if (value == nullptr) return {};
  // Docker's own decoder takes a lone string for a list of one.
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) throw_type(what, key, "a list of strings");
  std::vector<std::string> out;
  for (const Json& item : *value) {
    if (!item.is_string()) throw_type(what, key, "a list of strings");
    out.push_back(item.get<std::string>());
  }
  return out;
}

bool bool_member(const Json& object, std::string_view key, std::string_view what) {
  const Json* value = find_member(object, key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) throw_type(what, key, "true or false");
  return value->get<bool>();
}

std::optional<std::uint64_t> size_member(const Json& object, std::string_view key, std::string_view what) {
  const Json* value = find_member(object, key);
  if (value == nullptr) return std::nullopt;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (value->is_number_unsigned() && value->get<std::uint64_t>() <= kMost) return value->get<std::uint64_t>();
  if (value->is_number_integer() && !value->is_number_unsigned() && value->get<std::int64_t>() >= 0) {
    return static_cast<std::uint64_t>(value->get<std::int64_t>());
  }
  throw_type(what, key, "an integer from 0 to 2^63-1");
}

}  // namespace imgslim
