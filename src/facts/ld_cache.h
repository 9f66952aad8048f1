// SPDX-License-Identifier: Apache-2.0
// /etc/ld.so.cache: reader of both formats, the lookup exactly as glibc does it, and a writer of a minimal
// deterministic one (glibc: sysdeps/generic/dl-cache.h, elf/dl-cache.c, elf/cache.c).
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/elf.h"

namespace imgslim {

struct LdCacheEntry {
  std::string name;         // what is asked for: the DT_SONAME that ldconfig saw
  std::string path;         // where it is
  std::int32_t flags = 0;   // kind of library, ld_cache_flags()
  std::uint64_t hwcap = 0;  // raw; 0 = for every CPU
  std::string hwcaps;       // "x86-64-v3" if `hwcap` names a glibc-hwcaps subdirectory, else empty
};

struct LdCache {
  enum class Format { kOld, kOldWithNew, kNew };
  Format format = Format::kNew;
  std::endian byte_order = std::endian::little;
  std::string generator;              // extension section 0
  std::vector<std::string> hwcaps;    // extension section 1, as stored
  std::vector<LdCacheEntry> entries;  // as stored: the order decides what a lookup finds
  std::vector<std::string> problems;  // one line each
};

// Nothing if glibc would ignore the file: no known magic, more entries than bytes, other byte order than
// `order`. Entries whose strings lie outside the file have an empty name or path, as no lookup finds them.
std::optional<LdCache> read_ld_cache(std::string_view bytes, std::endian order);

// The flags of entries that a program of this kind uses (x86-64 0x0303, aarch64 0x0a03, ..), the preferred
// one first; empty if the machine is unknown.
std::vector<std::int32_t> ld_cache_flags(const ElfFacts& program);

// What the running CPU and loader make of the entries.
struct LdCacheSelector {
  std::vector<std::int32_t> flags;          // ld_cache_flags()
  std::vector<std::string> active_hwcaps;   // names the CPU has, best first
  unsigned isa_level = 0;                   // highest x86 ISA bit the CPU has (0 = baseline, 3 = v4)
  bool legacy = false;                      // glibc up to 2.36: hwcap bits and platforms
  std::uint64_t legacy_hwcap = 0;           // bits the CPU has
  std::optional<unsigned> legacy_platform;  // index into the machine's platforms
};

// The entry a lookup of `name` ends at, by the binary search of the loader, nullptr if none.
const LdCacheEntry* find_in_ld_cache(const LdCache& cache, std::string_view name,
                                     const LdCacheSelector& selector);

// The order of names in a cache: runs of digits compare as numbers. Negative, zero or positive.
int compare_ld_cache_names(std::string_view left, std::string_view right);

// A cache of the new format that holds `entries` (name, path, flags, and `hwcaps` or for an entry of an
// isa level the level in bits 32..41 of `hwcap`), sorted as the loader needs it, equal ones once, its
// generator "imgslim". Same entries in any order: same bytes. Throws Error{kUsage} for a name or path that
// cannot be stored (empty, with NUL).
std::string write_ld_cache(const std::vector<LdCacheEntry>& entries, std::endian order = std::endian::little);

}  // namespace imgslim
