// SPDX-License-Identifier: Apache-2.0
#include "src/facts/ld_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

#include "layers/bytes.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::string_view kOldMagic = "ld.so-1.7.0";
constexpr std::string_view kNewMagic = "glibc-ld.so.cache1.1";
constexpr std::size_t kOldHeader = 16;
constexpr std::size_t kOldEntry = 12;
constexpr std::size_t kNewHeader = 48;
constexpr std::size_t kNewEntry = 24;
constexpr std::uint32_t kExtensionMagic = 0xeaa42174;
constexpr std::uint32_t kGeneratorTag = 0;
constexpr std::uint32_t kHwcapsTag = 1;
// Names of hwcaps and sections beyond these are not looked at; real files have three and two.
constexpr std::uint32_t kMaxSections = 64;
constexpr std::uint32_t kMaxHwcaps = 1024;

constexpr std::uint64_t kNamedHwcap = std::uint64_t{1} << 62;
constexpr std::uint64_t kIsaLevelMask = 0x3ff;
constexpr std::uint64_t kLegacyPlatforms = std::uint64_t{0xf} << 48;
constexpr std::uint64_t kLegacyTls = std::uint64_t{1} << 63;

bool is_named(std::uint64_t hwcap) {
  return ((hwcap >> 32) & ~kIsaLevelMask) == (kNamedHwcap >> 32);
}

unsigned isa_level_of(std::uint64_t hwcap) {
  return static_cast<unsigned>((hwcap >> 32) & kIsaLevelMask);
}

// Copies strings of the file, at most so many bytes in all: entries may all point to one long string.
class Strings {
 public:
  explicit Strings(std::string_view bytes) : bytes_(bytes), budget_(bytes.size() * 16 + 65536) {}

  std::string at(std::uint64_t offset) {
    const auto text = c_string(bytes_, offset);
    if (!text || text->size() > budget_) return {};
    budget_ -= text->size();
    return std::string(*text);
  }

 private:
  std::string_view bytes_;
  std::uint64_t budget_;
};

class Reader {
 public:
  Reader(std::string_view bytes, std::endian order) : bytes_(bytes), order_(order) {}

  std::optional<LdCache> read() {
    cache_.byte_order = order_;
    if (bytes_.size() > kNewHeader && bytes_.starts_with(kNewMagic)) {
      const std::uint32_t count = u32(20);
      if ((bytes_.size() - kNewHeader) / kNewEntry < count || !order_matches(bytes_)) return std::nullopt;
      cache_.format = LdCache::Format::kNew;
      read_new(bytes_, count);
      return std::move(cache_);
    }
    if (bytes_.size() <= kOldHeader || !bytes_.starts_with(kOldMagic)) return std::nullopt;
    const std::uint32_t count = u32(12);
    if ((bytes_.size() - kOldHeader) / kOldEntry < count) return std::nullopt;
    const std::uint64_t end = kOldHeader + std::uint64_t{count} * kOldEntry;
    // The new header inside is aligned as its 64-bit fields are: to 8, on i386 to 4.
    for (const std::uint64_t alignment : {8u, 4u}) {
      const std::uint64_t start = (end + alignment - 1) / alignment * alignment;
      if (start > bytes_.size() || !bytes_.substr(start).starts_with(kNewMagic)) continue;
      const std::string_view inner = bytes_.substr(start);
      if (inner.size() < kNewHeader) continue;
      if (!order_matches(inner)) return std::nullopt;
      const std::uint32_t inner_count = u32(start + 20);
      if ((inner.size() - kNewHeader) / kNewEntry < inner_count) return std::nullopt;
      cache_.format = LdCache::Format::kOldWithNew;
      read_new(inner, inner_count);
      return std::move(cache_);
    }
    cache_.format = LdCache::Format::kOld;
    Strings strings(bytes_.substr(end));
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t at = kOldHeader + std::uint64_t{i} * kOldEntry;
      LdCacheEntry entry;
      entry.flags = static_cast<std::int32_t>(u32(at));
      entry.name = strings.at(u32(at + 4));
      entry.path = strings.at(u32(at + 8));
      add(std::move(entry));
    }
    return std::move(cache_);
  }

 private:
  // 0: the file does not say, 2: little, 3: big.
  bool order_matches(std::string_view file) const {
    const auto flags = static_cast<unsigned char>(file[28]);
    return flags == 0 || (flags & 3) == (order_ == std::endian::little ? 2 : 3);
  }

  std::uint32_t u32(std::uint64_t offset) const {
    return read_integer<std::uint32_t>(bytes_, offset, order_).value_or(0);
  }

  void add(LdCacheEntry entry) {
    if (entry.name.empty() || entry.path.empty()) {
      if (cache_.problems.size() < 16) {
        cache_.problems.push_back(fmt::format("entry {}: string outside of the file", cache_.entries.size()));
      }
    }
    cache_.entries.push_back(std::move(entry));
  }

  void read_new(std::string_view file, std::uint32_t count) {
    const auto number = [&](std::uint64_t offset) {
      return read_integer<std::uint32_t>(file, offset, order_).value_or(0);
    };
    Strings strings(file);
    read_extensions(file, strings);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t at = kNewHeader + std::uint64_t{i} * kNewEntry;
      LdCacheEntry entry;
      entry.flags = static_cast<std::int32_t>(number(at));
      entry.name = strings.at(number(at + 4));
      entry.path = strings.at(number(at + 8));
      entry.hwcap = read_integer<std::uint64_t>(file, at + 16, order_).value_or(0);
      if (is_named(entry.hwcap)) {
        const auto index = static_cast<std::uint32_t>(entry.hwcap);
        if (index < cache_.hwcaps.size()) entry.hwcaps = cache_.hwcaps[index];
      }
      add(std::move(entry));
    }
  }

  void read_extensions(std::string_view file, Strings& strings) {
    const auto number = [&](std::uint64_t offset) {
      return read_integer<std::uint32_t>(file, offset, order_);
    };
    const std::uint32_t start = number(32).value_or(0);
    if (start == 0) return;
    if (start % 4 != 0 || number(start) != kExtensionMagic) {
      cache_.problems.push_back(fmt::format("offset {}: no extension directory", start));
      return;
    }
    const std::uint32_t count = std::min(number(start + std::uint64_t{4}).value_or(0), kMaxSections);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t at = start + std::uint64_t{8} + std::uint64_t{i} * 16;
      const auto tag = number(at);
      const auto offset = number(at + 8);
      const auto size = number(at + 12);
      if (!tag || !offset || !size) break;
      const auto section = slice(file, *offset, *size);
      if (!section) {
        cache_.problems.push_back(fmt::format("extension {}: outside of the file", *tag));
        continue;
      }
      if (*tag == kGeneratorTag) cache_.generator = section->substr(0, 256);
      if (*tag == kHwcapsTag) {
        for (std::uint32_t k = 0; k < std::min(*size / 4, kMaxHwcaps); ++k) {
          cache_.hwcaps.push_back(strings.at(number(*offset + std::uint64_t{k} * 4).value_or(0)));
        }
      }
    }
  }

  std::string_view bytes_;
  std::endian order_;
  LdCache cache_;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_u32(std::string& out, std::uint32_t value, std::endian order) {
  for (int i = 0; i < 4; ++i) {
    const int shift = order == std::endian::little ? 8 * i : 24 - 8 * i;
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

void append_u64(std::string& out, std::uint64_t value, std::endian order) {
  const auto low = static_cast<std::uint32_t>(value);
  const auto high = static_cast<std::uint32_t>(value >> 32);
  append_u32(out, order == std::endian::little ? low : high, order);
  append_u32(out, order == std::endian::little ? high : low, order);
}

// As ldconfig sorts: names descending, flags descending, entries of a hwcaps subdirectory first.
bool comes_before(const LdCacheEntry& left, const LdCacheEntry& right) {
  if (const int order = compare_ld_cache_names(left.name, right.name); order != 0) return order > 0;
  if (left.flags != right.flags) return left.flags > right.flags;
  if (left.hwcaps.empty() != right.hwcaps.empty()) return !left.hwcaps.empty();
  return std::tie(left.hwcaps, left.name, left.path, left.hwcap) <
         std::tie(right.hwcaps, right.name, right.path, right.hwcap);
}

}  // namespace

std::optional<LdCache> read_ld_cache(std::string_view bytes, std::endian order) {
  return Reader(bytes, order).read();
}

std::vector<std::int32_t> ld_cache_flags(const ElfFacts& program) {
  constexpr std::uint32_t kArmHardFloat = 0x400;
  switch (program.machine) {
    case 62:
      return {program.is_64 ? 0x0303 : 0x0803};
    case 183:
      return {0x0a03};
    case 3:
      return {3, 1};
    case 40:
      return {(program.abi_flags & kArmHardFloat) != 0 ? 0x0903 : 0x0b03, 3};
    case 21:
      return {0x0503};
    case 22:
      return program.is_64 ? std::vector<std::int32_t>{0x0403} : std::vector<std::int32_t>{3, 1};
    case 20:
      return {3, 1};
    case 243:  // EF_RISCV_FLOAT_ABI: 4 = double
      if (!program.is_64) return {};
      return {(program.abi_flags & 6) == 4 ? 0x1003 : 0x0f03};
    case 258:  // EF_LOONGARCH_ABI: 3 = double
      return {(program.abi_flags & 7) == 3 ? 0x1203 : 0x1103};
    case 8:  // MIPS: n64, n32 (EF_MIPS_ABI2), o32; NaN 2008 (EF_MIPS_NAN2008) apart
      if (program.is_64) return {(program.abi_flags & 0x400) != 0 ? 0x0e03 : 0x0703};
      if ((program.abi_flags & 0x20) != 0) return {(program.abi_flags & 0x400) != 0 ? 0x0d03 : 0x0603};
      if ((program.abi_flags & 0x400) != 0) return {0x0c03};
      return {3, 1};
    case 43:
      return {0x0103};
    default:
      return {};
  }
}

const LdCacheEntry* find_in_ld_cache(const LdCache& cache, std::string_view name,
                                     const LdCacheSelector& selector) {
  const auto& entries = cache.entries;
  const auto matches = [&](std::size_t index) {
    return !entries[index].name.empty() && compare_ld_cache_names(name, entries[index].name) == 0;
  };
  std::size_t left = 0;
  std::size_t end = entries.size();
  while (left < end) {
    // As the loader: left + right over two, `right` being the last entry.
    std::size_t middle = (left + end - 1) / 2;
    if (entries[middle].name.empty()) return nullptr;
    const int order = compare_ld_cache_names(name, entries[middle].name);
    if (order < 0) {
      left = middle + 1;
      continue;
    }
    if (order > 0) {
      end = middle;
      continue;
    }
    const std::size_t known = middle;
    while (middle > 0 && matches(middle - 1))
      --middle;
    const LdCacheEntry* best = nullptr;
    std::size_t best_priority = 0;
    for (; middle < end && (middle <= known || matches(middle)); ++middle) {
      const LdCacheEntry& entry = entries[middle];
      const auto flags = std::find(selector.flags.begin(), selector.flags.end(), entry.flags);
      if (flags == selector.flags.end() || entry.path.empty()) continue;
      const bool named = cache.format != LdCache::Format::kOld && is_named(entry.hwcap);
      if (named) {
        if (isa_level_of(entry.hwcap) > selector.isa_level) continue;
        const auto active =
            std::find(selector.active_hwcaps.begin(), selector.active_hwcaps.end(), entry.hwcaps);
        if (entry.hwcaps.empty() || active == selector.active_hwcaps.end()) continue;
        const auto priority = static_cast<std::size_t>(active - selector.active_hwcaps.begin()) + 1;
        if (best != nullptr && priority >= best_priority) continue;
        best_priority = priority;
        best = &entry;
        continue;
      }
      if (best != nullptr && cache.format != LdCache::Format::kOld) break;
      if (entry.hwcap != 0) {
        if (!selector.legacy) continue;
        if ((entry.hwcap & ~(selector.legacy_hwcap | kLegacyPlatforms | kLegacyTls)) != 0) continue;
        const std::uint64_t platform = entry.hwcap & kLegacyPlatforms;
        const std::uint64_t ours =
            selector.legacy_platform ? std::uint64_t{1} << *selector.legacy_platform : 0;
        if (platform != 0 && platform != ours << 48) continue;
      }
      best = &entry;
      if (flags == selector.flags.begin()) break;
    }
    return best;
  }
  return nullptr;
}

int compare_ld_cache_names(std::string_view left, std::string_view right) {
  std::size_t i = 0;
  std::size_t k = 0;
  const auto at = [](std::string_view text, std::size_t index) {
    return index < text.size() ? text[index] : '\0';
  };
  // Numbers wrap as the loader's int does.
  const auto take_number = [&](std::string_view text, std::size_t& index) {
    std::uint32_t value = 0;
    while (is_digit(at(text, index))) {
      value = value * 10 + static_cast<std::uint32_t>(text[index++] - '0');
    }
    return value;
  };
  while (i < left.size()) {
    if (is_digit(left[i])) {
      if (!is_digit(at(right, k))) return 1;
      const std::uint32_t a = take_number(left, i);
      const std::uint32_t b = take_number(right, k);
      if (a != b) return static_cast<std::int32_t>(a - b) < 0 ? -1 : 1;
    } else if (is_digit(at(right, k))) {
      return -1;
    } else if (left[i] != at(right, k)) {
      return left[i] - at(right, k);
    } else {
      ++i;
      ++k;
    }
  }
  return '\0' - at(right, k);
}

std::string write_ld_cache(const std::vector<LdCacheEntry>& entries, std::endian order) {
  std::vector<LdCacheEntry> sorted = entries;
  std::set<std::string> names_of_hwcaps;
  for (const auto& entry : sorted) {
    for (const std::string* text : {&entry.name, &entry.path}) {
      if (text->empty() || text->find('\0') != std::string::npos) {
        throw_usage("ld.so.cache: cannot hold the entry " + printable(entry.name));
      }
    }
    if (!entry.hwcaps.empty()) names_of_hwcaps.insert(entry.hwcaps);
  }
  // Only what is written counts for the order and for what is equal.
  for (LdCacheEntry& entry : sorted) {
    entry.hwcap = entry.hwcaps.empty() ? 0 : std::uint64_t{isa_level_of(entry.hwcap)} << 32;
  }
  // The loader's order is none for runs of more digits than its integers hold: first by bytes, then as it
  // wants it, so that the result does not depend on the order given.
  std::sort(sorted.begin(), sorted.end(), [](const LdCacheEntry& a, const LdCacheEntry& b) {
    return std::tie(a.name, a.path, a.flags, a.hwcaps, a.hwcap) <
           std::tie(b.name, b.path, b.flags, b.hwcaps, b.hwcap);
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [](const LdCacheEntry& a, const LdCacheEntry& b) {
                             return std::tie(a.name, a.path, a.flags, a.hwcaps, a.hwcap) ==
                                    std::tie(b.name, b.path, b.flags, b.hwcaps, b.hwcap);
                           }),
               sorted.end());
  std::stable_sort(sorted.begin(), sorted.end(), comes_before);

  const std::size_t strings_start = kNewHeader + sorted.size() * kNewEntry;
  std::string strings;
  std::map<std::string, std::uint32_t, std::less<>> offsets;
  const auto place = [&](const std::string& text) {
    const auto [found, added] =
        offsets.try_emplace(text, static_cast<std::uint32_t>(strings_start + strings.size()));
    if (added) {
      strings += text;
      strings.push_back('\0');
    }
    return found->second;
  };
  std::map<std::string, std::uint32_t, std::less<>> hwcaps_index;
  std::vector<std::uint32_t> hwcaps_offsets;
  for (const auto& name : names_of_hwcaps) {
    hwcaps_index[name] = static_cast<std::uint32_t>(hwcaps_offsets.size());
    hwcaps_offsets.push_back(place(name));
  }

  std::string table;
  for (const auto& entry : sorted) {
    std::uint64_t hwcap = 0;
    if (!entry.hwcaps.empty()) {
      hwcap = kNamedHwcap | (std::uint64_t{isa_level_of(entry.hwcap)} << 32) | hwcaps_index[entry.hwcaps];
    }
    append_u32(table, static_cast<std::uint32_t>(entry.flags), order);
    append_u32(table, place(entry.name), order);
    append_u32(table, place(entry.path), order);
    append_u32(table, 0, order);
    append_u64(table, hwcap, order);
  }
  while ((strings_start + strings.size()) % 4 != 0)
    strings.push_back('\0');

  constexpr std::string_view kGenerator = "imgslim";
  const auto extension = static_cast<std::uint32_t>(strings_start + strings.size());
  const std::uint32_t sections = hwcaps_offsets.empty() ? 1 : 2;
  const std::uint32_t hwcaps_start = extension + 8 + sections * 16;
  const auto generator_start = static_cast<std::uint32_t>(hwcaps_start + hwcaps_offsets.size() * 4);

  std::string out(kNewMagic);
  append_u32(out, static_cast<std::uint32_t>(sorted.size()), order);
  append_u32(out, static_cast<std::uint32_t>(strings.size()), order);
  out.push_back(order == std::endian::little ? '\2' : '\3');
  out.append(3, '\0');
  append_u32(out, extension, order);
  out.append(12, '\0');
  out += table;
  out += strings;
  append_u32(out, kExtensionMagic, order);
  append_u32(out, sections, order);
  for (const std::uint32_t field :
       {kGeneratorTag, 0u, generator_start, static_cast<std::uint32_t>(kGenerator.size())}) {
    append_u32(out, field, order);
  }
  if (sections == 2) {
    for (const std::uint32_t field :
         {kHwcapsTag, 0u, hwcaps_start, static_cast<std::uint32_t>(hwcaps_offsets.size() * 4)}) {
      append_u32(out, field, order);
    }
    for (const std::uint32_t offset : hwcaps_offsets)
      append_u32(out, offset, order);
  }
  out += kGenerator;
  return out;
}

}  // namespace imgslim
