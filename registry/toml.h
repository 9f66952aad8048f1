// SPDX-License-Identifier: Apache-2.0
// The part of TOML 1.0 that containerd's hosts.toml is written in: tables, and keys with strings, booleans,
// integers and arrays of them. Anything else is an error that names the line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

struct TomlValue {
  enum class Kind { kString, kBoolean, kInteger, kArray };
  Kind kind = Kind::kString;
  std::string text;  // of a string; "true", "false"; the digits
  std::vector<TomlValue> items;
};

struct TomlEntry {
  std::string key;
  TomlValue value;
};

// A table in the order of the file; the first has an empty path and holds what stands before the others.
struct TomlTable {
  std::vector<std::string> path;
  std::vector<TomlEntry> entries;
  const TomlValue* find(std::string_view key) const;
};

// Throws Error{kIo} "WHAT: line N: ...".
std::vector<TomlTable> parse_toml(std::string_view text, std::string_view what);

}  // namespace imgslim
