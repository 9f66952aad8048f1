// SPDX-License-Identifier: Apache-2.0
// Build info (debug/buildinfo): a magic on a 16-byte boundary, then the version and the module text, inline
// from Go 1.18 on, before that through pointers to Go strings.
#include <fmt/format.h>

#include "layers/error.h"
#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

constexpr std::string_view kMagic = "\xff Go buildinf:";
constexpr std::size_t kAlignment = 16;
constexpr std::size_t kHeaderSize = 32;
constexpr std::size_t kFrame = 16;  // bytes around the module text
constexpr unsigned kInline = 2;
constexpr std::size_t kMaxProblems = 16;

// A string with its length before it, as encoding/binary writes lengths; `offset` moves behind it.
std::optional<std::string_view> counted_string(std::string_view view, std::uint64_t& offset) {
  std::uint64_t length = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    const auto byte = read_integer<std::uint8_t>(view, offset++);
    if (!byte) return std::nullopt;
    length |= std::uint64_t{*byte & 0x7fu} << shift;
    if (*byte & 0x80) continue;
    const auto text = slice(view, offset, length);
    if (text) offset += length;
    return text;
  }
  return std::nullopt;
}

std::optional<std::string_view> go_string(const GoMemory& memory, std::uint64_t header) {
  const auto data = memory.word(header);
  const auto length = memory.word(header + memory.word_size());
  if (!data || !length) return std::nullopt;
  return memory.at(*data, *length);
}

std::string_view unframed(std::string_view text) {
  if (text.size() < 2 * kFrame + 1 || text[text.size() - kFrame - 1] != '\n') return {};
  return text.substr(kFrame, text.size() - 2 * kFrame);
}

// The text of a Go string literal, `quoted` with its quotes; nothing if it is none.
std::optional<std::string> unquote(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return std::nullopt;
  const std::string_view body = quoted.substr(1, quoted.size() - 2);
  if (quoted.front() == '`') return std::string(body);
  std::string text;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      text += body[i];
      continue;
    }
    if (++i == body.size()) return std::nullopt;
    constexpr std::string_view kNames = "abfnrtv\\\"'";
    constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\\"'";
    if (const auto name = kNames.find(body[i]); name != std::string_view::npos) {
      text += kValues[name];
      continue;
    }
    const std::size_t digits = body[i] == 'x' ? 2 : body[i] == 'u' ? 4 : body[i] == 'U' ? 8 : 0;
    if (digits == 0 || body.size() - i - 1 < digits) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < digits; ++k) {
      const char digit = body[++i];
      const int number = digit >= '0' && digit <= '9'   ? digit - '0'
                         : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                         : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                        : -1;
      if (number < 0) return std::nullopt;
      value = value << 4 | static_cast<std::uint32_t>(number);
    }
    if (digits == 2 || value < 0x80) {
      text += static_cast<char>(value);
    } else if (value < 0x800) {
      text += {static_cast<char>(0xc0 | value >> 6), static_cast<char>(0x80 | (value & 0x3f))};
    } else if (value < 0x10000) {
      text += {static_cast<char>(0xe0 | value >> 12), static_cast<char>(0x80 | (value >> 6 & 0x3f)),
               static_cast<char>(0x80 | (value & 0x3f))};
    } else {
      text += {static_cast<char>(0xf0 | (value >> 18 & 7)), static_cast<char>(0x80 | (value >> 12 & 0x3f)),
               static_cast<char>(0x80 | (value >> 6 & 0x3f)), static_cast<char>(0x80 | (value & 0x3f))};
    }
  }
  return text;
}

bool is_quote(char c) {
  return c == '"' || c == '`';
}

// Length of the quoted string at the start of `text`, 0 if it has no end.
std::size_t quoted_length(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\' && text[0] == '"') {
      ++i;
    } else if (text[i] == text[0]) {
      return i + 1;
    }
  }
  return 0;
}

// "key=value", either of them quoted or not.
std::optional<std::pair<std::string, std::string>> parse_setting(std::string_view line) {
  if (line.empty() || line[0] == '=') return std::nullopt;
  std::size_t key_end = line.find('=');
  if (is_quote(line[0])) key_end = quoted_length(line);
  if (key_end == std::string_view::npos || key_end >= line.size() || line[key_end] != '=')
    return std::nullopt;
  std::optional<std::string> key = std::string(line.substr(0, key_end));
  if (is_quote(line[0])) key = unquote(*key);
  const std::string_view raw = line.substr(key_end + 1);
  std::optional<std::string> value = std::string(raw);
  if (!raw.empty() && is_quote(raw[0])) value = unquote(raw);
  if (!key || !value) return std::nullopt;
  return std::pair(std::move(*key), std::move(*value));
}

// "path\tversion" or "path\tversion\tsum".
std::optional<GoModule> parse_module(std::string_view line) {
  GoModule module;
  const std::size_t first = line.find('\t');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = line.find('\t', first + 1);
  module.path = line.substr(0, first);
  module.version = line.substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
  if (second != std::string_view::npos) {
    module.sum = line.substr(second + 1);
    if (module.sum.find('\t') != std::string::npos) return std::nullopt;
  }
  return module;
}

std::optional<GoBuildInfo> read_at(const GoMemory& memory, std::uint64_t address, std::string_view view,
                                   std::vector<std::string>& problems) {
  const auto pointer_size = read_integer<std::uint8_t>(view, kMagic.size());
  const auto flags = read_integer<std::uint8_t>(view, kMagic.size() + 1);
  if (!pointer_size || !flags) return std::nullopt;
  std::optional<std::string_view> version;
  std::optional<std::string_view> modules;
  if (*flags & kInline) {
    std::uint64_t offset = kHeaderSize;
    version = counted_string(view, offset);
    if (version) modules = counted_string(view, offset);
  } else if (*pointer_size == memory.word_size()) {
    // The fields themselves are relocated in a position independent program.
    const auto version_header = memory.word(address + kHeaderSize / 2);
    const auto modules_header = memory.word(address + kHeaderSize / 2 + memory.word_size());
    if (version_header) version = go_string(memory, *version_header);
    if (modules_header)
      modules = *modules_header == 0 ? std::string_view() : go_string(memory, *modules_header);
  }
  if (!version || version->empty() || !modules) return std::nullopt;
  GoBuildInfo info;
  info.go_version = std::string(*version);
  parse_go_module_info(unframed(*modules), info, problems);
  return info;
}

}  // namespace

std::optional<std::string_view> GoBuildInfo::setting(std::string_view key) const {
  for (const auto& [name, value] : settings) {
    if (name == key) return value;
  }
  return std::nullopt;
}

void parse_go_module_info(std::string_view text, GoBuildInfo& info, std::vector<std::string>& problems) {
  GoModule* last = nullptr;
  std::size_t bad_lines = 0;
  for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;  // Go does not read a line without its end
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t tab = line.find('\t');
    const std::string_view word = line.substr(0, tab);
    const std::string_view rest = tab == std::string_view::npos ? std::string_view() : line.substr(tab + 1);
    bool good = true;
    if (word == "path") {
      info.main_path = rest;
    } else if (word == "mod") {
      info.main_module = parse_module(rest);
      last = info.main_module ? &*info.main_module : nullptr;
      good = last != nullptr;
    } else if (word == "dep") {
      last = nullptr;
      if (auto module = parse_module(rest)) {
        info.dependencies.push_back(std::move(*module));
        last = &info.dependencies.back();
      } else {
        good = false;
      }
    } else if (word == "=>") {
      auto module = parse_module(rest);
      good = module && last;
      if (good) {
        last->replaced_by.emplace(std::move(module->path), std::move(module->version));
        last->sum = std::move(module->sum);
      }
      last = nullptr;
    } else if (word == "build") {
      auto setting = parse_setting(rest);
      good = setting.has_value();
      if (good) info.settings.push_back(std::move(*setting));
    }
    if (!good && ++bad_lines <= kMaxProblems) {
      problems.push_back(fmt::format("build info: line {} is malformed: {}", number, printable(line)));
    }
  }
}

std::optional<GoBuildInfo> find_go_build_info(const GoMemory& memory, bool writable,
                                              std::vector<std::string>& problems) {
  for (const GoMemory::Area& area : memory.areas()) {
    if (area.executable || area.writable != writable) continue;
    const std::uint64_t first = (kAlignment - area.address % kAlignment) % kAlignment;
    for (std::uint64_t at = first; at + kHeaderSize <= area.bytes.size(); at += kAlignment) {
      if (area.bytes[at] != kMagic[0] || !area.bytes.substr(at).starts_with(kMagic)) continue;
      if (auto info = read_at(memory, area.address + at, area.bytes.substr(at), problems)) return info;
      if (problems.size() < kMaxProblems) {
        problems.push_back(
            fmt::format("build info at {:#x} points outside the file or is cut", area.address + at));
      }
    }
  }
  return std::nullopt;
}

}  // namespace imgslim
