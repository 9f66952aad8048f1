// SPDX-License-Identifier: Apache-2.0
// A YAML document as plain values with line numbers, for settings files: one document of maps, lists and
// scalars. Anchors, aliases and tags are refused: no settings need them, and they let a few bytes stand for
// many.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

struct YamlValue {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::size_t line = 0;  // from 1
  std::string text;      // of a scalar
  // Of a map: keys[i] belongs to items[i], in the order of the file, no key twice.
  std::vector<YamlValue> keys;
  std::vector<YamlValue> items;

  const YamlValue* find(std::string_view key) const;
};

struct YamlLimits {
  std::size_t max_bytes = std::size_t{256} << 10;
  std::size_t max_depth = 16;
  std::size_t max_values = 20000;
};

// Throws Error{kUsage} "WHAT:LINE: ...". An empty document is kNull.
YamlValue parse_yaml(std::string_view text, std::string_view what, const YamlLimits& limits = {});

// Throws Error{kUsage} "WHAT:LINE: PROBLEM".
[[noreturn]] void throw_yaml(std::string_view what, const YamlValue& at, std::string_view problem);

}  // namespace imgslim
