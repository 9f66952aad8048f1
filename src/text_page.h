// SPDX-License-Identifier: Apache-2.0
// Lines of text for people, no wider than their terminal. Words are not broken: a path that is longer than a
// line can still be copied.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace imgslim {

class TextPage {
 public:
  explicit TextPage(int width);

  std::size_t width() const { return width_; }
  // A line on its own, wrapped, at the left.
  void line(std::string_view text);
  // A blank line, then a section's title.
  void heading(std::string_view title);
  // `lead` at `indent`, then `text` from `column` on, wrapped there; on the next line if `lead` reaches
  // beyond.
  void item(std::size_t indent, std::string_view lead, std::size_t column, std::string_view text);

  const std::string& text() const { return text_; }

 private:
  std::size_t width_;
  std::string text_;
};

// Columns of UTF-8 text, each character as one.
std::size_t columns_of(std::string_view text);

}  // namespace imgslim
