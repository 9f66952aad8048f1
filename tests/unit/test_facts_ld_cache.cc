// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/ld_cache.h"

namespace imgslim {
namespace {

LdCacheEntry entry(std::string name, std::string path, std::string hwcaps = {}) {
  LdCacheEntry result;
  result.name = std::move(name);
  result.path = std::move(path);
  result.flags = 0x0303;
  result.hwcaps = std::move(hwcaps);
  return result;
}

std::string found(const LdCache& cache, const std::string& name, std::vector<std::string> hwcaps = {}) {
  LdCacheSelector selector;
  selector.flags = {0x0303};
  selector.active_hwcaps = std::move(hwcaps);
  const LdCacheEntry* const hit = find_in_ld_cache(cache, name, selector);
  return hit == nullptr ? "" : hit->path;
}

void put_u32(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i)
    out.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

TEST_CASE("ld.so.cache: runs of digits compare as numbers") {
  CHECK(compare_ld_cache_names("libc.so.6", "libc.so.10") < 0);
  CHECK(compare_ld_cache_names("libc.so.6", "libc.so.6") == 0);
  CHECK(compare_ld_cache_names("libc.so.06", "libc.so.6") == 0);
  CHECK(compare_ld_cache_names("liba.so", "lib1.so") < 0);
  CHECK(compare_ld_cache_names("lib1.so", "liba.so") > 0);
  CHECK(compare_ld_cache_names("lib", "liba") < 0);
}

TEST_CASE("ld.so.cache: what is written is read and found again") {
  std::vector<LdCacheEntry> entries;
  for (int i = 0; i < 50; ++i) {
    entries.push_back(entry("lib" + std::to_string(i) + ".so", "/lib/" + std::to_string(i)));
  }
  entries.push_back(entry("libh.so.1", "/lib/h"));
  entries.push_back(entry("libh.so.1", "/lib/glibc-hwcaps/x86-64-v2/h", "x86-64-v2"));
  entries.push_back(entry("libh.so.1", "/lib/glibc-hwcaps/x86-64-v3/h", "x86-64-v3"));
  for (const std::endian order : {std::endian::little, std::endian::big}) {
    const std::string bytes = write_ld_cache(entries, order);
    std::vector<LdCacheEntry> reversed(entries.rbegin(), entries.rend());
    reversed.push_back(entries.front());
    CHECK(write_ld_cache(reversed, order) == bytes);
    const auto cache = read_ld_cache(bytes, order);
    REQUIRE(cache);
    CHECK(cache->generator == "imgslim");
    CHECK(cache->problems.empty());
    CHECK(cache->entries.size() == entries.size());
    for (int i = 0; i < 50; ++i) {
      CHECK(found(*cache, "lib" + std::to_string(i) + ".so") == "/lib/" + std::to_string(i));
    }
    CHECK(found(*cache, "absent.so") == "");
    CHECK(found(*cache, "libh.so.1") == "/lib/h");
    CHECK(found(*cache, "libh.so.1", {"x86-64-v2"}) == "/lib/glibc-hwcaps/x86-64-v2/h");
    CHECK(found(*cache, "libh.so.1", {"x86-64-v3", "x86-64-v2"}) == "/lib/glibc-hwcaps/x86-64-v3/h");
    CHECK_FALSE(read_ld_cache(bytes, order == std::endian::little ? std::endian::big : std::endian::little));
  }
}

TEST_CASE("ld.so.cache: another kind of library is passed over") {
  auto other = entry("libz.so.1", "/lib32/libz.so.1");
  other.flags = 3;
  const auto cache =
      read_ld_cache(write_ld_cache({other, entry("libz.so.1", "/lib/libz.so.1")}), std::endian::little);
  REQUIRE(cache);
  CHECK(found(*cache, "libz.so.1") == "/lib/libz.so.1");
}

TEST_CASE("ld.so.cache: the old format, alone and with the new inside") {
  std::string strings("libb.so\0/lib/b\0liba.so\0/lib/a\0", 30);
  std::string old("ld.so-1.7.0\0", 12);
  put_u32(old, 2);
  for (const std::uint32_t start : {0u, 15u}) {
    put_u32(old, 0x0303);
    put_u32(old, start);
    put_u32(old, start + 8);
  }
  const auto alone = read_ld_cache(old + strings, std::endian::little);
  REQUIRE(alone);
  CHECK(alone->format == LdCache::Format::kOld);
  CHECK(found(*alone, "liba.so") == "/lib/a");
  CHECK(found(*alone, "libb.so") == "/lib/b");

  const auto both = read_ld_cache(old + write_ld_cache({entry("libn.so", "/new/n")}), std::endian::little);
  REQUIRE(both);
  CHECK(both->format == LdCache::Format::kOldWithNew);
  CHECK(found(*both, "libn.so") == "/new/n");
  CHECK(found(*both, "liba.so") == "");
}

TEST_CASE("ld.so.cache: more entries than bytes is no cache") {
  std::string bytes = write_ld_cache({entry("liba.so", "/lib/a")});
  bytes[23] = '\x7f';
  CHECK_FALSE(read_ld_cache(bytes, std::endian::little));
  CHECK_FALSE(read_ld_cache("glibc-ld.so.cache1.1", std::endian::little));
  CHECK_FALSE(read_ld_cache("", std::endian::little));
  CHECK_THROWS_AS(write_ld_cache({entry("", "/lib/a")}), Error);
}

}  // namespace imgslim
