// SPDX-License-Identifier: Apache-2.0
#include "src/decisions/glob.h"

#include <fnmatch.h>

#include "layers/error.h"

namespace imgslim {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

}  // namespace

Glob::Glob(std::string_view pattern) : text_(pattern), parts_(split(pattern)) {
  if (parts_.empty()) throw_usage("an empty pattern matches nothing; name a path such as 'usr/share/doc/**'");
}

// The set of pattern positions reachable after each component: linear in path and pattern.
bool Glob::covers(std::string_view path) const {
  std::vector<bool> at(parts_.size() + 1, false);
  at[0] = true;
  const auto skip_stars = [&] {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (at[i] && parts_[i] == "**") at[i + 1] = true;
    }
  };
  skip_stars();
  for (const std::string& name : split(path)) {
    std::vector<bool> next(parts_.size() + 1, false);
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (!at[i]) continue;
      if (parts_[i] == "**") {
        next[i] = true;
      } else if (fnmatch(parts_[i].c_str(), name.c_str(), 0) == 0) {
        next[i + 1] = true;
      }
    }
    at = std::move(next);
    skip_stars();
    if (at[parts_.size()]) return true;
  }
  return false;
}

}  // namespace imgslim
