// SPDX-License-Identifier: Apache-2.0
// Dynamic symbols and symbol versions (gABI "Symbol Table", "Hash Table"; LSB "Symbol Versioning").
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "src/facts/elf_tables.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxSymbolName = 1 << 16;  // mangled C++ names are long
constexpr std::size_t kMaxVersions = 1 << 16;
constexpr std::size_t kMaxVersionName = 4096;

// Tags whose value is the address of a table: the first of them behind .dynsym ends it.
constexpr std::uint64_t kTableTags[] = {DT_STRTAB, DT_HASH, DT_GNU_HASH, DT_VERSYM,    DT_VERNEED,
                                        DT_VERDEF, DT_RELA, DT_REL,      DT_RELR,      DT_JMPREL,
                                        DT_INIT,   DT_FINI, DT_PLTGOT,   DT_INIT_ARRAY};

// Number of symbols by DT_GNU_HASH, which knows the defined ones alone: the end of the last chain.
// Nothing if no chain says it.
std::optional<std::uint64_t> count_by_gnu_hash(const ElfTables& tables, std::uint64_t address) {
  const std::string_view view = tables.from(address);
  const auto bucket_count = tables.integer<std::uint32_t>(view, 0);
  const auto first_hashed = tables.integer<std::uint32_t>(view, 4);
  const auto bloom_words = tables.integer<std::uint32_t>(view, 8);
  if (!bucket_count || !first_hashed || !bloom_words) return std::nullopt;
  const std::uint64_t buckets = 16 + std::uint64_t{*bloom_words} * tables.word_size();
  const std::uint64_t chains = buckets + std::uint64_t{*bucket_count} * 4;
  if (chains > view.size()) return std::nullopt;
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < *bucket_count; ++i) {
    last = std::max<std::uint64_t>(last, *tables.integer<std::uint32_t>(view, buckets + i * 4));
  }
  if (last < *first_hashed) return std::nullopt;
  for (;; ++last) {
    const auto hash = tables.integer<std::uint32_t>(view, chains + (last - *first_hashed) * 4);
    if (!hash) return std::nullopt;
    if (*hash & 1) return last + 1;
  }
}

// Bytes between .dynsym and the next table that the dynamic section names.
std::uint64_t bytes_to_next_table(const ElfTables& tables, std::uint64_t symbols) {
  std::uint64_t end = UINT64_MAX;
  for (const auto& [tag, value] : tables.dynamic()) {
    const bool is_table =
        std::find(std::begin(kTableTags), std::end(kTableTags), tag) != std::end(kTableTags);
    if (is_table && value > symbols) end = std::min(end, value);
  }
  return end - symbols;
}

}  // namespace

void read_symbols(const ElfTables& tables, ElfStrings& strings, ElfFacts& facts) {
  const auto address = tables.tag(DT_SYMTAB);
  if (!address) return;
  const std::uint64_t entry_size = facts.is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
  const std::string_view table = tables.from(*address);
  const std::uint64_t room = table.size() / entry_size;

  std::optional<std::uint64_t> count;
  if (const auto hash = tables.tag(DT_HASH)) {
    // 64-bit Alpha and s390 have words of 8 bytes here; their nchain reads as something too large or 0.
    const auto chains = tables.integer<std::uint32_t>(tables.from(*hash), 4);
    if (chains && *chains > 0 && *chains <= room) count = *chains;
  }
  if (!count) {
    if (const auto hash = tables.tag(DT_GNU_HASH)) count = count_by_gnu_hash(tables, *hash);
  }
  const bool is_known = count.has_value();
  if (!is_known) count = bytes_to_next_table(tables, *address) / entry_size;
  if (is_known && *count > room) facts.problems.push_back("symbol table ends outside its segment");
  count = std::min(*count, room);

  facts.dynamic_symbols.reserve(*count);
  for (std::uint64_t i = 0; i < *count; ++i) {
    const std::uint64_t at = i * entry_size;
    const auto name = *tables.integer<std::uint32_t>(table, at);
    if (!is_known && name >= strings.size()) break;
    DynamicSymbol symbol;
    std::uint8_t info = 0;
    std::uint16_t section = 0;
    if (facts.is_64) {
      info = *tables.integer<std::uint8_t>(table, at + offsetof(Elf64_Sym, st_info));
      section = *tables.integer<std::uint16_t>(table, at + offsetof(Elf64_Sym, st_shndx));
      symbol.value = *tables.integer<std::uint64_t>(table, at + offsetof(Elf64_Sym, st_value));
    } else {
      info = *tables.integer<std::uint8_t>(table, at + offsetof(Elf32_Sym, st_info));
      section = *tables.integer<std::uint16_t>(table, at + offsetof(Elf32_Sym, st_shndx));
      symbol.value = *tables.integer<std::uint32_t>(table, at + offsetof(Elf32_Sym, st_value));
    }
    symbol.type = ELF64_ST_TYPE(info);
    symbol.binding = ELF64_ST_BIND(info);
    symbol.defined = section != SHN_UNDEF;
    if (name != 0) symbol.name = strings.at(name, kMaxSymbolName).value_or("");
    facts.dynamic_symbols.push_back(std::move(symbol));
    if (strings.exhausted()) break;
  }
}

void read_versions(const ElfTables& tables, ElfStrings& strings, ElfFacts& facts) {
  std::size_t seen = 0;
  const auto name_at = [&](std::optional<std::uint32_t> offset) {
    return offset ? strings.at(*offset, kMaxVersionName) : std::nullopt;
  };
  // Both tables are lists of lists linked by offsets; every record counts against one limit, as a link
  // may lead back into the same bytes (never before them: offsets are unsigned).
  if (const auto address = tables.tag(DT_VERNEED)) {
    const std::string_view view = tables.from(*address);
    const std::uint64_t count = tables.tag(DT_VERNEEDNUM).value_or(0);
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count && ++seen <= kMaxVersions; ++i) {
      const auto aux_count = tables.integer<std::uint16_t>(view, at + offsetof(Elf64_Verneed, vn_cnt));
      const auto file = name_at(tables.integer<std::uint32_t>(view, at + offsetof(Elf64_Verneed, vn_file)));
      const auto aux = tables.integer<std::uint32_t>(view, at + offsetof(Elf64_Verneed, vn_aux));
      const auto next = tables.integer<std::uint32_t>(view, at + offsetof(Elf64_Verneed, vn_next));
      if (!aux_count || !file || !aux || !next) {
        facts.problems.push_back(fmt::format("version need {} cannot be read", i));
        break;
      }
      std::uint64_t aux_at = at + *aux;
      for (std::uint32_t k = 0; k < *aux_count && ++seen <= kMaxVersions; ++k) {
        const auto flags = tables.integer<std::uint16_t>(view, aux_at + offsetof(Elf64_Vernaux, vna_flags));
        const auto name =
            name_at(tables.integer<std::uint32_t>(view, aux_at + offsetof(Elf64_Vernaux, vna_name)));
        const auto step = tables.integer<std::uint32_t>(view, aux_at + offsetof(Elf64_Vernaux, vna_next));
        if (!flags || !name || !step) {
          facts.problems.push_back(fmt::format("version need {} has a version that cannot be read", i));
          break;
        }
        facts.versions_needed.push_back({*file, *name, (*flags & VER_FLG_WEAK) != 0});
        if (*step == 0) break;
        aux_at += *step;
      }
      if (*next == 0) break;
      at += *next;
    }
  }
  if (const auto address = tables.tag(DT_VERDEF)) {
    const std::string_view view = tables.from(*address);
    const std::uint64_t count = tables.tag(DT_VERDEFNUM).value_or(0);
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count && ++seen <= kMaxVersions; ++i) {
      const auto flags = tables.integer<std::uint16_t>(view, at + offsetof(Elf64_Verdef, vd_flags));
      const auto aux = tables.integer<std::uint32_t>(view, at + offsetof(Elf64_Verdef, vd_aux));
      const auto next = tables.integer<std::uint32_t>(view, at + offsetof(Elf64_Verdef, vd_next));
      if (!flags || !aux || !next) {
        facts.problems.push_back(fmt::format("version definition {} cannot be read", i));
        break;
      }
      // The first name is the version's own, the others those that it inherits from.
      const auto name =
          name_at(tables.integer<std::uint32_t>(view, at + *aux + offsetof(Elf64_Verdaux, vda_name)));
      if (!name) {
        facts.problems.push_back(fmt::format("version definition {} has no name", i));
        break;
      }
      // The base definition names the library itself.
      if (!(*flags & VER_FLG_BASE))
        facts.versions_defined.push_back({"", *name, (*flags & VER_FLG_WEAK) != 0});
      if (*next == 0) break;
      at += *next;
    }
  }
  if (seen > kMaxVersions)
    facts.problems.push_back(fmt::format("more than {} symbol versions", kMaxVersions));
}

}  // namespace imgslim
