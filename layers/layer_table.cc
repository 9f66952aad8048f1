// SPDX-License-Identifier: Apache-2.0
#include "layers/layer_table.h"

#include <algorithm>

namespace imgslim {

std::string_view LayerTable::keep(std::string_view text) {
  constexpr std::size_t kBlockBytes = std::size_t{64} << 10;
  if (text.empty()) return {};
  if (arena_.empty() || arena_.back().capacity() - arena_.back().size() < text.size()) {
    arena_.emplace_back();
    // Never grown afterwards, so that views into it stay valid.
    arena_.back().reserve(std::max(kBlockBytes, text.size()));
  }
  std::string& block = arena_.back();
  const std::size_t at = block.size();
  block.append(text);
  return std::string_view(block).substr(at);
}

std::uint64_t LayerTable::text_bytes() const {
  std::uint64_t sum = 0;
  for (const std::string& block : arena_)
    sum += block.capacity();
  for (const Xattrs& set : xattr_sets) {
    for (const auto& [name, value] : set)
      sum += name.size() + value.size();
  }
  return sum;
}

}  // namespace imgslim
