// SPDX-License-Identifier: Apache-2.0
#include "src/facts/search_path.h"

#include <algorithm>
#include <unordered_set>

namespace imgslim {
namespace {

// What one list may grow to by its tokens; longer paths do not open.
constexpr std::size_t kMaxPath = 4096;

bool is_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Length of token `name` at the start of what follows a '$', braces included; 0 if it is another.
std::size_t token_length(std::string_view text, std::string_view name) {
  const bool braces = text.starts_with('{');
  if (braces) text.remove_prefix(1);
  if (!text.starts_with(name)) return 0;
  const char next = name.size() < text.size() ? text[name.size()] : '\0';
  if (braces) return next == '}' ? name.size() + 2 : 0;
  return is_name_char(next) ? 0 : name.size();
}

// "/a/./b//../c" -> "/a/c/", as text.
std::string normalize(std::string_view path) {
  std::string result;
  while (!path.empty()) {
    if (path.front() == '/') {
      const auto is_end = [&](std::size_t at) { return at >= path.size() || path[at] == '/'; };
      if (path.starts_with("/..") && is_end(3)) {
        while (!result.empty()) {
          const char last = result.back();
          result.pop_back();
          if (last == '/') break;
        }
        path.remove_prefix(3);
        continue;
      }
      if (path.starts_with("/.") && is_end(2)) {
        path.remove_prefix(2);
        continue;
      }
      if (!result.empty() && result.back() == '/') {
        path.remove_prefix(1);
        continue;
      }
    }
    result.push_back(path.front());
    path.remove_prefix(1);
  }
  if (result.empty() || result.back() != '/') result.push_back('/');
  return result;
}

bool is_trusted(std::string_view path, const std::vector<std::string>* trusted) {
  if (trusted == nullptr || path.empty()) return false;
  const std::string normal = normalize(path);
  return std::any_of(trusted->begin(), trusted->end(),
                     [&](const std::string& directory) { return normal.starts_with(directory); });
}

}  // namespace

bool has_dynamic_tokens(std::string_view text) {
  for (std::size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    for (const std::string_view name : {"ORIGIN", "PLATFORM", "LIB"}) {
      if (token_length(rest, name) != 0) return true;
    }
  }
  return false;
}

std::optional<std::string> expand_dynamic_tokens(std::string_view text, const DynamicTokens& tokens) {
  std::string result;
  bool check_trusted = false;
  for (std::size_t at = 0; at < text.size();) {
    if (result.size() > 2 * kMaxPath) return std::nullopt;
    if (text[at] != '$') {
      result.push_back(text[at++]);
      continue;
    }
    const std::string_view rest = text.substr(at + 1);
    if (const std::size_t length = token_length(rest, "ORIGIN"); length != 0) {
      const bool alone = at == 0 && (length == rest.size() || rest[length] == '/');
      if (tokens.origin.empty() || (tokens.secure && !alone)) return std::nullopt;
      check_trusted = tokens.secure && tokens.is_program;
      result += tokens.origin;
      at += 1 + length;
    } else if (const std::size_t platform = token_length(rest, "PLATFORM"); platform != 0) {
      if (tokens.platform.empty()) return std::nullopt;
      result += tokens.platform;
      at += 1 + platform;
    } else if (const std::size_t lib = token_length(rest, "LIB"); lib != 0) {
      result += tokens.lib;
      at += 1 + lib;
    } else {
      result.push_back(text[at++]);
    }
  }
  if (check_trusted && !is_trusted(result, tokens.trusted)) return std::nullopt;
  return result;
}

std::vector<std::string> split_search_path(std::string_view list, std::string_view separators,
                                           const DynamicTokens& tokens) {
  std::vector<std::string> result;
  std::unordered_set<std::string> known;
  while (true) {
    const std::size_t end = std::min(list.find_first_of(separators), list.size());
    const std::string_view element = list.substr(0, end);
    std::string directory = expand_dynamic_tokens(element, tokens).value_or("");
    while (directory.size() > 1 && directory.back() == '/')
      directory.pop_back();
    if (!directory.empty() && directory.back() != '/') directory.push_back('/');
    // Empty as written is the working directory, empty by expansion is left out.
    if (element.empty() == directory.empty() && known.insert(directory).second) result.push_back(directory);
    if (end == list.size()) return result;
    list.remove_prefix(end + 1);
  }
}

}  // namespace imgslim
