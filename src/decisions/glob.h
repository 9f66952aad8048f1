// SPDX-License-Identifier: Apache-2.0
// Patterns over paths of an image, as --keep and --drop take them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

// '*' and '?' match within a component, '[..]' one byte of a set, '**' any number of components. A leading
// slash is allowed and means nothing: patterns are anchored at the root.
class Glob {
 public:
  // Throws Error{kUsage} for an empty pattern.
  explicit Glob(std::string_view pattern);
  // Whether the pattern names `path` (with or without leading slash) or a directory above it.
  bool covers(std::string_view path) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> parts_;
};

}  // namespace imgslim
