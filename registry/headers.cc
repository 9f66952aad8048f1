// SPDX-License-Identifier: Apache-2.0
#include "registry/headers.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace imgslim {
namespace {

constexpr std::size_t kMaxField = 16384;
constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 32;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

// RFC 9110, section 5.6.2.
bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Reads a field from the left.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text.substr(0, kMaxField)) {}

  bool at_end() const { return rest_.empty(); }
  void skip_blanks() {
    while (!rest_.empty() && is_blank(rest_.front()))
      rest_.remove_prefix(1);
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    std::size_t end = 0;
    while (end < rest_.size() && is_token_char(rest_[end]))
      ++end;
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }
  // token68 of credentials ("Negotiate YII..="): skipped, we know no scheme that needs it.
  void skip_token68() {
    while (!rest_.empty() && (is_token_char(rest_.front()) || rest_.front() == '/' || rest_.front() == '='))
      rest_.remove_prefix(1);
  }
  std::optional<std::string> quoted() {
    if (!take('"')) return std::nullopt;
    std::string out;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        out += rest_.front();
        rest_.remove_prefix(1);
      } else {
        out += c;
      }
    }
    return std::nullopt;
  }
  std::optional<std::string> until(char end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    std::string out(rest_.substr(0, at));
    rest_.remove_prefix(at + 1);
    return out;
  }
  // Whether NAME = VALUE follows, rather than the next scheme.
  bool parameter_follows() const {
    Reader ahead = *this;
    if (ahead.token().empty()) return false;
    ahead.skip_blanks();
    return ahead.take('=') && !ahead.at_end() && ahead.rest_.front() != '=';
  }
  std::optional<std::pair<std::string, std::string>> parameter() {
    const std::string name = lowered(token());
    skip_blanks();
    if (name.empty() || !take('=')) return std::nullopt;
    skip_blanks();
    if (!rest_.empty() && rest_.front() == '"') {
      auto value = quoted();
      if (!value) return std::nullopt;
      return std::pair{name, std::move(*value)};
    }
    return std::pair{name, std::string(token())};
  }

 private:
  std::string_view rest_;
};

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

void HeaderFields::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(lowered(trimmed(name)), std::string(trimmed(value)));
}

std::optional<std::string_view> HeaderFields::find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> HeaderFields::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [key, value] : fields_) {
    if (key == name) out.push_back(value);
  }
  return out;
}

std::string Challenge::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return "";
}

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> out;
  Reader reader(field);
  while (out.size() < kMaxChallenges) {
    reader.skip_blanks();
    if (reader.take(',')) continue;
    Challenge challenge;
    challenge.scheme = lowered(reader.token());
    if (challenge.scheme.empty()) return out;
    reader.skip_blanks();
    if (!reader.parameter_follows()) reader.skip_token68();
    while (reader.parameter_follows() && challenge.parameters.size() < kMaxParameters) {
      auto parameter = reader.parameter();
      if (!parameter) return out;
      challenge.parameters.push_back(std::move(*parameter));
      reader.skip_blanks();
      while (reader.take(','))
        reader.skip_blanks();
    }
    out.push_back(std::move(challenge));
  }
  return out;
}

std::optional<std::string> parse_next_link(std::string_view field) {
  Reader reader(field);
  while (true) {
    reader.skip_blanks();
    while (reader.take(','))
      reader.skip_blanks();
    if (!reader.take('<')) return std::nullopt;
    auto target = reader.until('>');
    if (!target) return std::nullopt;
    bool next = false;
    reader.skip_blanks();
    while (reader.take(';')) {
      reader.skip_blanks();
      if (reader.at_end()) break;
      if (!reader.parameter_follows()) {
        // A parameter without a value.
        if (reader.token().empty()) return std::nullopt;
      } else {
        const auto parameter = reader.parameter();
        if (!parameter) return std::nullopt;
        if (parameter->first == "rel") {
          const std::string relations = " " + lowered(parameter->second) + " ";
          next = next || relations.find(" next ") != std::string::npos;
        }
      }
      reader.skip_blanks();
    }
    if (next) return target;
  }
}

std::optional<std::uint64_t> parse_retry_after(std::string_view field, std::time_t now) {
  const std::string_view text = trimmed(field);
  if (const auto seconds = number_in(text)) return seconds;
  if (text.size() > 64 || text.empty()) return std::nullopt;
  const std::time_t date = ::curl_getdate(std::string(text).c_str(), nullptr);
  if (date == -1) return std::nullopt;
  return date <= now ? 0 : static_cast<std::uint64_t>(date - now);
}

std::optional<ContentRange> parse_content_range(std::string_view field) {
  std::string_view text = trimmed(field);
  if (lowered(text.substr(0, 6)) != "bytes ") return std::nullopt;
  text = trimmed(text.substr(6));
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = number_in(text.substr(0, dash));
  const auto last = number_in(text.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first) return std::nullopt;
  ContentRange out{*first, *last, std::nullopt};
  if (text.substr(slash + 1) != "*") {
    out.total = number_in(text.substr(slash + 1));
    if (!out.total || *out.total <= *last) return std::nullopt;
  }
  return out;
}

std::optional<std::uint64_t> parse_upload_range(std::string_view field) {
  std::string_view text = trimmed(field);
  if (text.starts_with("bytes=")) text.remove_prefix(6);
  if (!text.starts_with("0-")) return std::nullopt;
  const auto last = number_in(text.substr(2));
  if (!last || *last == UINT64_MAX) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

std::optional<std::uint64_t> parse_number(std::string_view field) {
  return number_in(trimmed(field));
}

}  // namespace imgslim
