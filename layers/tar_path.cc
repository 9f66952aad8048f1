// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "layers/tar.h"

namespace imgslim {

std::optional<std::string> clean_path(std::string_view text, std::string* reason, const TarLimits& limits) {
  const auto refuse = [&](const char* why) -> std::optional<std::string> {
    if (reason != nullptr) *reason = why;
    return std::nullopt;
  };
  if (text.empty()) return refuse("the name is empty");
  if (text.find('\0') != std::string_view::npos) return refuse("the name holds a NUL byte");
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t slash = text.find('/');
    const std::string_view part = text.substr(0, slash);
    text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (out.empty()) return refuse("the name climbs out of the image");
      const std::size_t last = out.rfind('/');
      out.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (part.size() > limits.max_component) return refuse("a component of the name is too long");
    if (!out.empty()) out += '/';
    out += part;
  }
  if (out.size() > limits.max_path) return refuse("the name is too long");
  return out;
}

bool path_less(std::string_view a, std::string_view b) {
  const auto difference = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (difference.second == b.end()) return false;
  if (difference.first == a.end()) return true;
  // A slash ends a component, and a component comes before all that it is the beginning of.
  if (*difference.first == '/') return true;
  if (*difference.second == '/') return false;
  return static_cast<unsigned char>(*difference.first) < static_cast<unsigned char>(*difference.second);
}

}  // namespace imgslim
