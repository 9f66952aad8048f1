// SPDX-License-Identifier: Apache-2.0
// The tables of an ELF file by address: what read_elf() and ElfImage share. Internal to src/facts/elf*.cc.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/bytes.h"
#include "src/facts/elf.h"

namespace imgslim {

// Addresses, words and dynamic tags of a file of which the header and segments are known already.
// `facts` and `bytes` must outlive it.
class ElfTables {
 public:
  ElfTables(const ElfFacts& facts, std::string_view bytes) : facts_(facts), bytes_(bytes) {}

  // Reads PT_DYNAMIC, up to DT_NULL; what is wrong with it goes to `problems` if that is given.
  void read_dynamic(std::vector<std::string>* problems);

  const std::vector<std::pair<std::uint64_t, std::uint64_t>>& dynamic() const { return dynamic_; }
  // Value of the last entry with a tag, as the loader takes it.
  std::optional<std::uint64_t> tag(std::uint64_t tag) const;

  // The loadable segment whose file bytes hold an address, nullptr if none; of overlapping ones the last,
  // which the loader maps over the others.
  const ElfSegment* segment_at(std::uint64_t address) const;
  // From an address to the end of its segment's file bytes; empty if it has none.
  std::string_view from(std::uint64_t address) const;
  // A table at an address of at most `size` bytes, cut at the end of its segment.
  std::string_view table(std::uint64_t address, std::uint64_t size) const {
    return from(address).substr(0, size);
  }

  std::size_t word_size() const { return facts_.is_64 ? 8 : 4; }
  template <class T>
  std::optional<T> integer(std::string_view view, std::uint64_t offset) const {
    return read_integer<T>(view, offset, facts_.byte_order);
  }
  // An address-sized value.
  std::optional<std::uint64_t> word(std::string_view view, std::uint64_t offset) const {
    if (facts_.is_64) return integer<std::uint64_t>(view, offset);
    return integer<std::uint32_t>(view, offset);
  }

 private:
  const ElfFacts& facts_;
  std::string_view bytes_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> dynamic_;
};

// Strings copied out of a table, with a bound on their sum: one string may be named many times.
class ElfStrings {
 public:
  ElfStrings(std::string_view table, std::uint64_t budget) : table_(table), budget_(budget) {}
  // The string at an offset; nothing if it is outside, has no end, is longer than `limit`, or the bound is
  // met.
  std::optional<std::string> at(std::uint64_t offset, std::size_t limit);
  bool exhausted() const { return exhausted_; }
  std::size_t size() const { return table_.size(); }

 private:
  std::string_view table_;
  std::uint64_t budget_;
  bool exhausted_ = false;
};

// .dynsym and symbol versions, out of the dynamic section into `facts`.
void read_symbols(const ElfTables& tables, ElfStrings& strings, ElfFacts& facts);
void read_versions(const ElfTables& tables, ElfStrings& strings, ElfFacts& facts);
// Build id and dlopen notes out of one PT_NOTE.
void read_notes(std::string_view notes, std::uint64_t alignment, ElfFacts& facts);
// One dlopen note's JSON (UAPI.12) into `facts`.
void read_dlopen_note(std::string_view json, ElfFacts& facts);

}  // namespace imgslim
