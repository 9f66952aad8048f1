// SPDX-License-Identifier: Apache-2.0
// deb822(5): paragraphs of fields, as dpkg's status files have them.
#include <algorithm>

#include "src/facts/package_owner.h"

namespace imgslim {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
}

}  // namespace

std::optional<std::string_view> find_field(const Deb822Paragraph& paragraph, std::string_view name) {
  for (const Deb822Field& field : paragraph) {
    if (std::equal(field.name.begin(), field.name.end(), name.begin(), name.end(),
                   [](char a, char b) { return lower(a) == lower(b); })) {
      return field.value;
    }
  }
  return std::nullopt;
}

std::vector<Deb822Paragraph> parse_deb822(std::string_view text) {
  std::vector<Deb822Paragraph> paragraphs;
  bool open = false;       // a paragraph is
  bool continued = false;  // the last line belongs to a field
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trimmed(line).empty()) {
      open = continued = false;
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') {
      if (continued) paragraphs.back().back().value.append("\n").append(trimmed(line));
      continue;
    }
    const std::size_t colon = line.find(':');
    continued = colon != std::string_view::npos && colon > 0 && line.front() != '#';
    if (!continued) continue;
    if (!open) paragraphs.emplace_back();
    open = true;
    paragraphs.back().push_back({line.substr(0, colon), std::string(trimmed(line.substr(colon + 1)))});
  }
  return paragraphs;
}

}  // namespace imgslim
