// SPDX-License-Identifier: Apache-2.0
#include "registry/toml.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"

namespace imgslim {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxItems = 10000;

class Parser {
 public:
  Parser(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  std::vector<TomlTable> parse() {
    std::vector<TomlTable> tables(1);
    while (true) {
      skip_empty();
      if (at_end()) return tables;
      if (++items_ > kMaxItems) fail("too many entries");
      if (take('[')) {
        if (peek() == '[') fail("arrays of tables are not understood");
        TomlTable table;
        table.path = key_path();
        skip_blanks();
        if (!take(']')) fail("a table's name does not end");
        tables.push_back(std::move(table));
      } else {
        TomlEntry entry;
        const std::vector<std::string> path = key_path();
        entry.key = path.front();
        for (std::size_t i = 1; i < path.size(); ++i)
          entry.key += "." + path[i];
        skip_blanks();
        if (!take('=')) fail("a key without a value");
        skip_blanks();
        entry.value = value(0);
        if (tables.back().find(entry.key) != nullptr) fail("a key stands twice");
        tables.back().entries.push_back(std::move(entry));
      }
      end_of_line();
    }
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    throw Error(Failure::kIo, fmt::format("{}: line {}: {}", what_, line, why));
  }

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_blanks() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t'))
      ++at_;
  }
  void skip_comment() {
    if (peek() != '#') return;
    while (!at_end() && text_[at_] != '\n')
      ++at_;
  }
  // Blanks, comments and line ends.
  void skip_empty() {
    while (true) {
      skip_blanks();
      skip_comment();
      if (!take('\n') && !take('\r')) return;
    }
  }
  void end_of_line() {
    skip_blanks();
    skip_comment();
    take('\r');
    if (!at_end() && !take('\n')) fail("something follows the value");
  }

  std::vector<std::string> key_path() {
    std::vector<std::string> path;
    do {
      skip_blanks();
      if (peek() == '"' || peek() == '\'') {
        path.push_back(string());
      } else {
        std::string word;
        while (!at_end() && is_bare(text_[at_]))
          word += text_[at_++];
        if (word.empty()) fail("a key is expected");
        path.push_back(std::move(word));
      }
      skip_blanks();
    } while (take('.') && path.size() < kMaxDepth);
    return path;
  }

  static bool is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  }

  std::string string() {
    const char quote = text_[at_++];
    std::string out;
    while (true) {
      if (at_end() || text_[at_] == '\n') fail("a text does not end");
      const char c = text_[at_++];
      if (c == quote) break;
      if (c == '\\' && quote == '"') {
        const char escaped = peek();
        ++at_;
        switch (escaped) {
          case '"':
          case '\\':
            out += escaped;
            break;
          case 't':
            out += '\t';
            break;
          case 'n':
            out += '\n';
            break;
          default:
            fail("an escape that is not understood");
        }
      } else {
        out += c;
      }
    }
    if (out.empty() && peek() == quote) fail("texts over several lines are not understood");
    return out;
  }

  TomlValue value(int depth) {
    if (depth > kMaxDepth) fail("arrays are nested too deep");
    TomlValue out;
    if (peek() == '"' || peek() == '\'') {
      out.text = string();
      return out;
    }
    if (take('[')) {
      out.kind = TomlValue::Kind::kArray;
      while (true) {
        skip_empty();
        if (take(']')) return out;
        if (++items_ > kMaxItems) fail("too many entries");
        out.items.push_back(value(depth + 1));
        skip_empty();
        if (!take(',') && peek() != ']') fail("an array does not end");
      }
    }
    while (!at_end() && (is_bare(text_[at_]) || text_[at_] == '+'))
      out.text += text_[at_++];
    if (out.text == "true" || out.text == "false") {
      out.kind = TomlValue::Kind::kBoolean;
    } else if (!out.text.empty() && out.text.find_first_not_of("0123456789_+-") == std::string::npos) {
      out.kind = TomlValue::Kind::kInteger;
    } else {
      fail("a value that is not understood");
    }
    return out;
  }

  std::string_view text_;
  std::string_view what_;
  std::size_t at_ = 0;
  std::size_t items_ = 0;
};

}  // namespace

const TomlValue* TomlTable::find(std::string_view key) const {
  for (const TomlEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::vector<TomlTable> parse_toml(std::string_view text, std::string_view what) {
  return Parser(text, what).parse();
}

}  // namespace imgslim
