// SPDX-License-Identifier: Apache-2.0
// Symbols name their section by number: a table that stays while sections go is written anew.
#include <elf.h>
#include <fmt/format.h>

#include "layers/bytes.h"
#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;  // of a table that is written anew

constexpr std::uint64_t kMaxRelocations = std::uint64_t{64} << 10;  // bytes

}  // namespace

bool names_no_symbols(const Blob& file, const SectionTable& table, const SectionHeader& section) {
  if (!section.is_allocated() || (section.type != SHT_REL && section.type != SHT_RELA)) return false;
  const std::size_t word = table.is_64 ? 8 : 4;
  const std::size_t entry = section.type == SHT_RELA ? 3 * word : 2 * word;
  if (section.entry_size != entry || section.size % entry != 0 || section.size > kMaxRelocations)
    return false;
  const std::string bytes = read_range(file, section.offset, section.size);
  for (std::size_t i = 0; i < bytes.size(); i += entry) {
    const std::uint64_t symbol = table.is_64
                                     ? *read_integer<std::uint64_t>(bytes, i + word, table.byte_order) >> 32
                                     : *read_integer<std::uint32_t>(bytes, i + word, table.byte_order) >> 8;
    if (symbol != 0) return false;
  }
  return true;
}

SymbolsResult renumber_symbols(const Blob& file, const SectionTable& table, std::size_t symbols,
                               const std::vector<std::uint32_t>& new_number) {
  SymbolsResult result;
  const SectionHeader& section = table.sections[symbols];
  const std::size_t entry_size = table.symbol_entry_size();
  if (section.entry_size != entry_size || section.size % entry_size != 0 ||
      (section.flags & SHF_COMPRESSED) != 0) {
    result.problem = "a symbol table with entries of an unknown size";
    return result;
  }
  const std::size_t at = table.is_64 ? offsetof(Elf64_Sym, st_shndx) : offsetof(Elf32_Sym, st_shndx);
  // The number under which a symbol's section is found afterwards; nothing: it is gone.
  const auto number_after = [&](std::uint16_t number) -> std::optional<std::uint16_t> {
    if (number == SHN_UNDEF || number >= SHN_LORESERVE) return number;
    if (new_number[number] == 0) return std::nullopt;
    return static_cast<std::uint16_t>(new_number[number]);
  };

  // First whether anything changes: nearly always nothing does.
  const std::size_t chunk = (std::size_t{1} << 20) / entry_size * entry_size;
  for (std::uint64_t offset = 0; offset < section.size && !result.changed; offset += chunk) {
    const std::uint64_t length = std::min<std::uint64_t>(chunk, section.size - offset);
    const std::string bytes = read_range(file, section.offset + offset, length);
    for (std::size_t i = 0; i < bytes.size(); i += entry_size) {
      const auto number = *read_integer<std::uint16_t>(bytes, i + at, table.byte_order);
      if (number == SHN_XINDEX || (number < SHN_LORESERVE && number >= table.sections.size())) {
        result.problem =
            fmt::format("symbol {} names a section that is not there", (offset + i) / entry_size);
        return result;
      }
      result.changed = result.changed || number_after(number) != number;
    }
  }
  if (!result.changed) return result;
  if (section.size > kMaxBytes) {
    result.problem = "its symbol table is too large to be written anew";
    return result;
  }
  const std::string bytes = read_range(file, section.offset, section.size);
  result.symbols.first_global = section.info;
  result.symbols.bytes.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); i += entry_size) {
    const auto number = *read_integer<std::uint16_t>(bytes, i + at, table.byte_order);
    if (number == SHN_XINDEX || (number < SHN_LORESERVE && number >= table.sections.size())) {
      result.problem = fmt::format("symbol {} names a section that is not there", i / entry_size);
      return result;
    }
    const auto after = number_after(number);
    if (!after) {
      ++result.symbols.dropped;
      if (i / entry_size < section.info) --result.symbols.first_global;
      continue;
    }
    std::string entry = bytes.substr(i, entry_size);
    const bool little = table.byte_order == std::endian::little;
    entry[at + (little ? 0 : 1)] = static_cast<char>(*after & 0xff);
    entry[at + (little ? 1 : 0)] = static_cast<char>(*after >> 8);
    result.symbols.bytes += entry;
  }
  return result;
}

}  // namespace imgslim
