// SPDX-License-Identifier: Apache-2.0
// The parser is our own: nlohmann's refuses numbers beyond a double, forgets the text of "-0", and its
// ordered objects look for each new key through all the others.
#include "layers/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "layers/error.h"
#include "layers/json_number.h"
#include "layers/utf8.h"

namespace imgslim {
namespace {

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 8259, by recursive descent no deeper than the limit.
class Parser {
 public:
  Parser(std::string_view text, std::string_view what, const JsonLimits& limits)
      : text_(text), what_(what), limits_(limits) {}

  Json document() {
    if (text_.size() > limits_.max_bytes) {
      throw_bad_image(fmt::format("{}: larger than {} bytes", what_, limits_.max_bytes));
    }
    Json result = value(1);
    skip_space();
    if (at_ != text_.size()) fail("unexpected byte after the value");
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const { fail(reason, at_); }
  [[noreturn]] void fail(std::string_view reason, std::size_t offset) const {
    throw_bad_image(fmt::format("{}: {} at byte {}", what_, reason, offset));
  }

  // The next byte, 0 at the end (a NUL is valid nowhere either).
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')
      ++at_;
  }

  [[noreturn]] void fail_unexpected(std::string_view wanted) const {
    if (at_ >= text_.size()) fail("unexpected end");
    fail(fmt::format("expected {}", wanted));
  }

  Json value(int depth) {
    skip_space();
    if (++values_ > limits_.max_values) fail(fmt::format("more than {} values", limits_.max_values));
    switch (peek()) {
      case '{':
        check_depth(depth);
        return object(depth);
      case '[':
        check_depth(depth);
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true", true);
      case 'f':
        return word("false", false);
      case 'n':
        return word("null", nullptr);
      default:
        if (peek() == '-' || is_digit(peek())) return number();
        fail_unexpected("a value");
    }
  }

  void check_depth(int depth) const {
    if (depth > limits_.max_depth) fail(fmt::format("nested deeper than {}", limits_.max_depth));
  }

  Json word(std::string_view spelling, Json meaning) {
    if (text_.substr(at_, spelling.size()) != spelling) fail("unknown word");
    at_ += spelling.size();
    return meaning;
  }

  Json array(int depth) {
    Json result = Json::array();
    auto& items = result.get_ref<Json::array_t&>();
    ++at_;
    skip_space();
    if (peek() == ']') return ++at_, result;
    while (true) {
      items.push_back(value(depth + 1));
      skip_space();
      if (peek() == ']') return ++at_, result;
      if (peek() != ',') fail_unexpected("',' or ']'");
      ++at_;
    }
  }

  Json object(int depth) {
    Json result = Json::object();
    auto& members = result.get_ref<Json::object_t&>();
    std::vector<std::size_t> offsets;
    ++at_;
    skip_space();
    if (peek() == '}') return ++at_, result;
    while (true) {
      skip_space();
      if (peek() != '"') fail_unexpected("a key");
      offsets.push_back(at_);
      std::string key = string();
      skip_space();
      if (peek() != ':') fail_unexpected("':'");
      ++at_;
      Json item = value(depth + 1);
      // Not the map's own emplace, which compares with all keys before.
      members.Json::object_t::Container::emplace_back(std::move(key), std::move(item));
      skip_space();
      if (peek() == '}') break;
      if (peek() != ',') fail_unexpected("',' or '}'");
      ++at_;
    }
    ++at_;
    check_keys(members, offsets);
    return result;
  }

  void check_keys(const Json::object_t& members, const std::vector<std::size_t>& offsets) const {
    std::vector<std::pair<std::string_view, std::size_t>> keys;
    keys.reserve(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      keys.emplace_back(members.Json::object_t::Container::operator[](i).first, offsets[i]);
    }
    std::sort(keys.begin(), keys.end());
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    const auto twice = std::adjacent_find(keys.begin(), keys.end(), same);
    if (twice == keys.end()) return;
    fail(fmt::format("key \"{}\" appears twice", printable(twice->first, 80)), std::next(twice)->second);
  }

  std::string string() {
    const std::size_t start = at_++;
    std::string out;
    while (true) {
      if (at_ >= text_.size()) fail("string without end", start);
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') return ++at_, out;
      if (byte < 0x20) fail("control byte in a string");
      if (byte == '\\') {
        escape(out);
        continue;
      }
      const std::size_t length = utf8_length(text_.substr(at_));
      if (length == 0) fail("invalid UTF-8");
      out += text_.substr(at_, length);
      at_ += length;
    }
  }

  void escape(std::string& out) {
    const std::size_t start = at_++;
    const char kind = peek();
    ++at_;
    switch (kind) {
      case '"':
      case '\\':
      case '/':
        out += kind;
        return;
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'n':
        out += '\n';
        return;
      case 'r':
        out += '\r';
        return;
      case 't':
        out += '\t';
        return;
      case 'u':
        break;
      default:
        fail("invalid escape", start);
    }
    std::uint32_t point = four_hex_digits(start);
    if (point >= 0xdc00 && point <= 0xdfff) fail("half of a surrogate pair", start);
    if (point >= 0xd800 && point <= 0xdbff) {
      if (text_.substr(at_, 2) != "\\u") fail("half of a surrogate pair", start);
      at_ += 2;
      const std::uint32_t low = four_hex_digits(start);
      if (low < 0xdc00 || low > 0xdfff) fail("half of a surrogate pair", start);
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, point);
  }

  std::uint32_t four_hex_digits(std::size_t start) {
    std::uint32_t point = 0;
    const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
    if (digits.size() != 4 || parsed.ptr != digits.data() + 4) fail("invalid escape", start);
    at_ += 4;
    return point;
  }

  void digits() {
    if (!is_digit(peek())) fail("invalid number");
    while (is_digit(peek()))
      ++at_;
  }

  Json number() {
    const std::size_t start = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
      if (is_digit(peek())) fail("invalid number", start);
    } else {
      digits();
    }
    if (peek() == '.') {
      ++at_;
      digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      digits();
    }
    return number_from_text(text_.substr(start, at_ - start));
  }

  std::string_view text_;
  std::string what_;
  JsonLimits limits_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};

template <class Integer>
std::optional<Integer> integer_from(std::string_view text) {
  Integer value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Json number_from_text(std::string_view text) {
  if (text != "-0") {
    if (const auto value = integer_from<std::uint64_t>(text)) return *value;
    if (const auto value = integer_from<std::int64_t>(text)) return *value;
  }
  return Json::binary(Json::binary_t::container_type(text.begin(), text.end()), kNumberSubtype);
}

std::optional<std::string> number_text(const Json& value) {
  if (is_number_kept_as_text(value)) {
    const auto& bytes = value.get_ref<const Json::binary_t&>();
    return std::string(bytes.begin(), bytes.end());
  }
  if (value.is_number()) return value.dump();
  return std::nullopt;
}

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  return Parser(text, what, limits).document();
}

}  // namespace imgslim
