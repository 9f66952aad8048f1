// SPDX-License-Identifier: Apache-2.0
// Words of shell text as plain text, and command lines that need no shell.
#include <algorithm>

#include "layers/error.h"
#include "src/facts/shell_characters.h"
#include "src/facts/shell_words.h"

namespace imgslim {

std::optional<std::string> ShellWord::literal() const {
  std::string result;
  for (const ShellPart& part : parts) {
    if (part.kind != ShellPart::Kind::kText) return std::nullopt;
    result += part.text;
  }
  return result;
}

std::optional<std::string> expand(const ShellWord& word, const ShellVariables& variables) {
  std::string result;
  for (const ShellPart& part : word.parts) {
    if (part.kind == ShellPart::Kind::kOpaque) return std::nullopt;
    if (part.kind == ShellPart::Kind::kText) {
      result += part.text;
      continue;
    }
    const auto found = variables.find(part.text);
    if (found != variables.end()) {
      if (!found->second) return std::nullopt;
      if (!found->second->empty() || !part.fallback) {
        result += *found->second;
        continue;
      }
    }
    if (!part.fallback) return std::nullopt;
    result += *part.fallback;
  }
  return result;
}

std::optional<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  bool plain = true;
  bool in_word = false;
  std::string word;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (is_blank(c)) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    if (c == '\'') {
      const std::size_t end = line.find('\'', i + 1);
      if (end == std::string_view::npos) throw_usage("a single quote is not closed");
      word += line.substr(i + 1, end - i - 1);
      i = end;
    } else if (c == '"') {
      for (++i; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] == '$' || line[i] == '`') plain = false;
        if (line[i] == '\\' && i + 1 < line.size() &&
            std::string_view("$`\"\\").find(line[i + 1]) != std::string_view::npos) {
          ++i;
        }
        word += line[i];
      }
      if (i >= line.size()) throw_usage("a double quote is not closed");
    } else if (c == '\\') {
      if (i + 1 >= line.size()) throw_usage("a backslash at the end escapes nothing");
      word += line[++i];
    } else {
      if (is_meta(c) || c == '$' || c == '`' || c == '*' || c == '?' ||
          (!in_word && (c == '~' || c == '#'))) {
        plain = false;
      }
      // NAME=value in front is the shell's.
      if (c == '=' && words.empty() && !word.empty() && std::all_of(word.begin(), word.end(), is_name))
        plain = false;
      word += c;
    }
    in_word = true;
  }
  if (in_word) words.push_back(std::move(word));
  if (!plain) return std::nullopt;
  return words;
}

}  // namespace imgslim
