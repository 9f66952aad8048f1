// SPDX-License-Identifier: Apache-2.0
#include "src/text_page.h"

#include <algorithm>

namespace imgslim {
namespace {

constexpr int kNarrowest = 40;
constexpr int kWidest = 160;

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

TextPage::TextPage(int width) : width_(static_cast<std::size_t>(std::clamp(width, kNarrowest, kWidest))) {}

void TextPage::line(std::string_view text) {
  item(0, "", 0, text);
}

void TextPage::heading(std::string_view title) {
  if (!text_.empty()) text_ += '\n';
  line(title);
}

void TextPage::item(std::size_t indent, std::string_view lead, std::size_t column, std::string_view text) {
  std::string current(indent, ' ');
  current += lead;
  std::size_t used = lead.empty() ? indent : indent + columns_of(lead);
  bool fresh = true;  // no word of `text` on this line yet
  const auto end_line = [&] {
    while (current.ends_with(' '))
      current.pop_back();
    text_ += current + '\n';
    current.clear();
    used = 0;
    fresh = true;
  };
  if (!lead.empty() && !text.empty() && used + 1 > column) end_line();
  while (!text.empty()) {
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    const std::size_t length = columns_of(word);
    if (!fresh && used + 1 + length > width_) end_line();
    if (fresh) {
      if (used < column) current.append(column - used, ' ');
      used = std::max(used, column);
    } else {
      current += ' ';
      ++used;
    }
    current += word;
    used += length;
    fresh = false;
  }
  end_line();
}

}  // namespace imgslim
