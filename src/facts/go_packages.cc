// SPDX-License-Identifier: Apache-2.0
// Packages out of function names (cmd/internal/objabi.PathToPrefix, debug/gosym).
#include <algorithm>
#include <map>
#include <unordered_map>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "gopkg.in/yaml%2ev3" -> "gopkg.in/yaml.v3".
std::string decode(std::string_view prefix) {
  std::string path;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (prefix[i] == '%' && prefix.size() - i > 2 && hex_digit(prefix[i + 1]) >= 0 &&
        hex_digit(prefix[i + 2]) >= 0) {
      path += static_cast<char>(hex_digit(prefix[i + 1]) * 16 + hex_digit(prefix[i + 2]));
      i += 2;
    } else {
      path += prefix[i];
    }
  }
  return path;
}

// What the compiler makes for a type: "type:.eq.net/http.Cookie", "type..hash.net/http.Cookie" before 1.20.
// A plain named type's function belongs to the type's package, that of another type to none.
std::optional<std::string_view> type_name_of(std::string_view name) {
  for (const std::string_view start : {"type:.eq.", "type:.hash.", "type..eq.", "type..hash."}) {
    if (!name.starts_with(start)) continue;
    name.remove_prefix(start.size());
    const bool is_plain =
        !name.empty() && name.find_first_of(" *(){}") == std::string_view::npos && name[0] != '[';
    return is_plain ? name : std::string_view();
  }
  return std::nullopt;
}

// What belongs to the linker or to no named type: "go:buildid", "go.buildid", "go.(*struct {...}).Lock" -
// but not "go.uber.org/zap.New".
bool is_generated(std::string_view name) {
  if (name.starts_with("go:") || name.starts_with("type:") || name.starts_with("type..")) return true;
  if (!name.starts_with("go.")) return false;
  return name.substr(0, name.find_first_of("[({ ")).find('/') == std::string_view::npos;
}

}  // namespace

std::string_view go_package_prefix(std::string_view name) {
  if (const auto type = type_name_of(name)) name = *type;
  if (is_generated(name)) return {};
  // Type arguments, receivers and literal types may hold slashes and dots of other packages.
  const std::string_view head = name.substr(0, name.find_first_of("[({ "));
  const std::size_t slash = head.rfind('/');
  const std::size_t dot = head.find('.', slash == std::string_view::npos ? 0 : slash + 1);
  // No dot: an assembly or C function, or a literal type.
  if (dot == std::string_view::npos) return {};
  return name.substr(0, dot);
}

std::string go_package_of(std::string_view function_name) {
  return decode(go_package_prefix(function_name));
}

void read_go_packages(GoFacts& facts) {
  std::unordered_map<std::string_view, std::uint64_t> sizes;  // by prefix as written
  std::map<std::string, std::uint64_t> packages;
  std::string_view last;
  std::uint64_t* last_size = nullptr;
  for (const GoFunction& function : facts.functions) {
    // Functions of a package are neighbours, mostly.
    const std::string_view prefix = go_package_prefix(function.name);
    if (!last_size || prefix != last) {
      last = prefix;
      last_size = &sizes[prefix];
    }
    *last_size += function.end - function.start;
    for (const std::string_view call : {"._Cfunc_", "._C2func_", "._Cmacro_"}) {
      if (function.name.size() <= prefix.size() || !function.name.substr(prefix.size()).starts_with(call))
        continue;
      facts.cgo_packages.push_back(decode(prefix));
      break;
    }
  }
  for (const auto& [prefix, size] : sizes)
    packages[decode(prefix)] += size;
  for (auto& [path, size] : packages)
    facts.packages.push_back({path, size});
  std::sort(facts.cgo_packages.begin(), facts.cgo_packages.end());
  facts.cgo_packages.erase(std::unique(facts.cgo_packages.begin(), facts.cgo_packages.end()),
                           facts.cgo_packages.end());
}

}  // namespace imgslim
