// SPDX-License-Identifier: Apache-2.0
// ld.so.cache: reading, looking up, and writing again what was read.
#include <cstdint>
#include <cstdlib>

#include "src/facts/ld_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::endian order : {std::endian::little, std::endian::big}) {
    const auto cache = imgslim::read_ld_cache(bytes, order);
    if (!cache) continue;
    imgslim::LdCacheSelector selector;
    selector.flags = {0x0303, 3};
    selector.active_hwcaps = cache->hwcaps;
    selector.isa_level = 3;
    selector.legacy = (size & 1) != 0;
    std::vector<imgslim::LdCacheEntry> entries;
    for (const auto& entry : cache->entries) {
      if (entries.size() < 64) imgslim::find_in_ld_cache(*cache, entry.name, selector);
      if (!entry.name.empty() && !entry.path.empty()) entries.push_back(entry);
    }
    const std::string written = imgslim::write_ld_cache(entries, order);
    const auto again = imgslim::read_ld_cache(written, order);
    if (!entries.empty() && (!again || imgslim::write_ld_cache(again->entries, order) != written))
      std::abort();
  }
  return 0;
}
