// SPDX-License-Identifier: Apache-2.0
// A file as the loader maps it. Relocations of the kind "load address plus addend" are applied to private
// copies of the segments that have them; all others stay views of the file.
#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <tuple>

#include "src/facts/elf_tables.h"

namespace imgslim {
namespace {

// The relocation types of a machine that this file knows: of an address, shifted or of a symbol.
struct RelocationTypes {
  std::uint16_t machine;
  std::uint32_t relative;
  std::uint32_t absolute;
  std::uint32_t glob_dat;
  std::uint32_t jump_slot;
};

constexpr std::uint32_t kNoType = UINT32_MAX;
constexpr RelocationTypes kTypes[] = {
    {EM_X86_64, R_X86_64_RELATIVE, R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT},
    {EM_AARCH64, R_AARCH64_RELATIVE, R_AARCH64_ABS64, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT},
    {EM_386, R_386_RELATIVE, R_386_32, R_386_GLOB_DAT, R_386_JMP_SLOT},
    {EM_ARM, R_ARM_RELATIVE, R_ARM_ABS32, R_ARM_GLOB_DAT, R_ARM_JUMP_SLOT},
    {EM_RISCV, R_RISCV_RELATIVE, R_RISCV_64, kNoType, R_RISCV_JUMP_SLOT},
    {EM_PPC64, R_PPC64_RELATIVE, R_PPC64_ADDR64, R_PPC64_GLOB_DAT, R_PPC64_JMP_SLOT},
    {EM_S390, R_390_RELATIVE, R_390_64, R_390_GLOB_DAT, R_390_JMP_SLOT},
};

const RelocationTypes* types_of(std::uint16_t machine) {
  for (const RelocationTypes& types : kTypes) {
    if (types.machine == machine) return &types;
  }
  return nullptr;
}

}  // namespace

struct ElfImage::State {
  State(const ElfFacts& elf, std::string_view content) : facts(elf), bytes(content), tables(elf, content) {}

  const ElfFacts& facts;
  std::string_view bytes;
  ElfTables tables;
  std::map<const ElfSegment*, std::string> copies;  // of segments with applied relocations
  std::uint64_t copied = 0;
  std::vector<std::uint64_t> relative;  // addresses of slots that get the load address added
  std::vector<ElfRelocation> symbols;
  const ElfSegment* last = nullptr;  // while building: where the last relocation was

  const ElfSegment* writable_slot(std::uint64_t address) {
    const std::uint64_t size = tables.word_size();
    const auto holds = [&](const ElfSegment* segment) {
      return segment && address >= segment->address && segment->file_size >= size &&
             address - segment->address <= segment->file_size - size;
    };
    if (!holds(last)) last = tables.segment_at(address);
    return holds(last) ? last : nullptr;
  }

  void store(const ElfSegment* segment, std::uint64_t address, std::uint64_t value) {
    auto copy = copies.find(segment);
    if (copy == copies.end()) {
      // Segments may share the file's bytes; copies do not, so their sum is bounded.
      if (segment->file_size > bytes.size() - copied) return;
      copied += segment->file_size;
      copy = copies.emplace(segment, std::string(tables.from(segment->address))).first;
    }
    const std::size_t size = tables.word_size();
    const std::uint64_t at = address - segment->address;
    if (at > copy->second.size() || size > copy->second.size() - at) return;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t byte = facts.byte_order == std::endian::little ? i : size - 1 - i;
      copy->second[at + byte] = static_cast<char>(value >> (8 * i));
    }
  }

  void read_table(std::uint64_t address, std::uint64_t size, bool has_addends) {
    const RelocationTypes* types = types_of(facts.machine);
    if (!types) return;
    const std::string_view table = tables.table(address, size);
    const std::size_t word = tables.word_size();
    const std::size_t entry = word * (has_addends ? 3 : 2);
    for (std::uint64_t at = 0; at + entry <= table.size(); at += entry) {
      ElfRelocation relocation;
      relocation.address = *tables.word(table, at);
      const std::uint64_t info = *tables.word(table, at + word);
      relocation.type = static_cast<std::uint32_t>(facts.is_64 ? ELF64_R_TYPE(info) : ELF32_R_TYPE(info));
      relocation.symbol = static_cast<std::uint32_t>(facts.is_64 ? ELF64_R_SYM(info) : ELF32_R_SYM(info));
      if (has_addends) relocation.addend = static_cast<std::int64_t>(*tables.word(table, at + 2 * word));
      if (relocation.type == types->relative) {
        const ElfSegment* segment = writable_slot(relocation.address);
        if (!segment) continue;
        if (has_addends) store(segment, relocation.address, static_cast<std::uint64_t>(relocation.addend));
        relative.push_back(relocation.address);
      } else if (relocation.symbol != 0 &&
                 (relocation.type == types->absolute || relocation.type == types->glob_dat ||
                  relocation.type == types->jump_slot)) {
        symbols.push_back(relocation);
      }
    }
  }

  // DT_RELR: an even word is the address of a slot; an odd one is a bitmap of those that follow the last.
  // The slots hold their values already.
  void read_relr(std::uint64_t address, std::uint64_t size) {
    const std::string_view table = tables.table(address, size);
    const std::size_t word = tables.word_size();
    const std::size_t most = bytes.size() / word;
    std::uint64_t next = 0;
    const auto add = [&](std::uint64_t slot) {
      if (writable_slot(slot)) relative.push_back(slot);
    };
    for (std::uint64_t at = 0; at + word <= table.size() && relative.size() < most; at += word) {
      std::uint64_t entry = *tables.word(table, at);
      if ((entry & 1) == 0) {
        add(entry);
        next = entry + word;
        continue;
      }
      for (std::uint64_t slot = next; (entry >>= 1) != 0; slot += word) {
        if (entry & 1) add(slot);
      }
      next += (8 * word - 1) * word;
    }
  }

  void read() {
    if (!facts.has_dynamic) return;
    tables.read_dynamic(nullptr);
    const auto table = [&](std::uint64_t tag, std::uint64_t size_tag, auto&& reader) {
      const auto address = tables.tag(tag);
      const auto size = tables.tag(size_tag);
      if (address && size) reader(*address, *size);
    };
    table(DT_RELR, DT_RELRSZ, [&](std::uint64_t address, std::uint64_t size) { read_relr(address, size); });
    table(DT_REL, DT_RELSZ,
          [&](std::uint64_t address, std::uint64_t size) { read_table(address, size, false); });
    table(DT_RELA, DT_RELASZ,
          [&](std::uint64_t address, std::uint64_t size) { read_table(address, size, true); });
    const bool jump_addends = tables.tag(DT_PLTREL).value_or(facts.is_64 ? DT_RELA : DT_REL) == DT_RELA;
    table(DT_JMPREL, DT_PLTRELSZ,
          [&](std::uint64_t address, std::uint64_t size) { read_table(address, size, jump_addends); });

    if (!std::is_sorted(relative.begin(), relative.end())) std::sort(relative.begin(), relative.end());
    relative.erase(std::unique(relative.begin(), relative.end()), relative.end());
    // The tables of jump slots lie inside DT_RELA on some machines.
    const auto key = [](const ElfRelocation& it) {
      return std::tie(it.address, it.type, it.symbol, it.addend);
    };
    std::sort(symbols.begin(), symbols.end(),
              [&](const ElfRelocation& a, const ElfRelocation& b) { return key(a) < key(b); });
    symbols.erase(
        std::unique(symbols.begin(), symbols.end(),
                    [&](const ElfRelocation& a, const ElfRelocation& b) { return key(a) == key(b); }),
        symbols.end());
  }

  std::string_view relocated_from(std::uint64_t address) const {
    const ElfSegment* segment = tables.segment_at(address);
    if (!segment) return {};
    const auto copy = copies.find(segment);
    if (copy == copies.end()) return tables.from(address);
    const std::uint64_t skip = address - segment->address;
    if (skip > copy->second.size()) return {};
    return std::string_view(copy->second).substr(skip);
  }
};

ElfImage::ElfImage(const ElfFacts& facts, std::string_view bytes)
    : facts_(facts), bytes_(bytes), state_(std::make_unique<State>(facts, bytes)) {
  state_->read();
}

ElfImage::~ElfImage() = default;

std::optional<std::string_view> ElfImage::bytes_at(std::uint64_t address, std::uint64_t length) const {
  const std::string_view view = bytes_from(address);
  if (view.empty() || length > view.size()) return std::nullopt;
  return view.substr(0, length);
}

std::string_view ElfImage::bytes_from(std::uint64_t address) const {
  return state_->tables.from(address);
}

std::string_view ElfImage::relocated_from(std::uint64_t address) const {
  return state_->relocated_from(address);
}

std::optional<std::uint64_t> ElfImage::pointer_at(std::uint64_t address) const {
  return state_->tables.word(state_->relocated_from(address), 0);
}

std::optional<std::string_view> ElfImage::c_string_at(std::uint64_t address, std::size_t limit) const {
  return c_string(bytes_from(address), 0, limit);
}

bool ElfImage::is_code(std::uint64_t address) const {
  return std::any_of(facts_.segments.begin(), facts_.segments.end(), [&](const ElfSegment& segment) {
    return segment.type == PT_LOAD && (segment.flags & PF_X) && address >= segment.address &&
           address - segment.address < segment.memory_size;
  });
}

bool ElfImage::is_writable(std::uint64_t address) const {
  return std::any_of(facts_.segments.begin(), facts_.segments.end(), [&](const ElfSegment& segment) {
    return segment.type == PT_LOAD && (segment.flags & PF_W) && address >= segment.address &&
           address - segment.address < segment.memory_size;
  });
}

const std::vector<ElfRelocation>& ElfImage::symbol_relocations() const {
  return state_->symbols;
}

std::optional<std::string_view> ElfImage::symbol_at_slot(std::uint64_t address) const {
  const auto& all = state_->symbols;
  const auto it =
      std::lower_bound(all.begin(), all.end(), address,
                       [](const ElfRelocation& item, std::uint64_t value) { return item.address < value; });
  if (it == all.end() || it->address != address || it->symbol >= facts_.dynamic_symbols.size())
    return std::nullopt;
  return facts_.dynamic_symbols[it->symbol].name;
}

std::vector<std::uint64_t> ElfImage::slots_holding(std::uint64_t value) const {
  std::vector<std::uint64_t> slots;
  if (facts_.type != ET_EXEC) {
    for (const std::uint64_t address : state_->relative) {
      if (pointer_at(address) == value) slots.push_back(address);
    }
    return slots;
  }
  // Linkers without separate code put read-only data into the executable segment: then that is read too.
  const auto holds_data = [](const ElfSegment& segment) {
    return segment.type == PT_LOAD && !(segment.flags & PF_X);
  };
  const bool has_read_only =
      std::any_of(facts_.segments.begin(), facts_.segments.end(),
                  [&](const ElfSegment& segment) { return holds_data(segment) && !(segment.flags & PF_W); });
  const std::size_t word = state_->tables.word_size();
  for (const ElfSegment& segment : facts_.segments) {
    if (segment.type != PT_LOAD || (has_read_only && !holds_data(segment))) continue;
    const std::string_view view = state_->relocated_from(segment.address);
    const std::uint64_t first = (word - segment.address % word) % word;
    for (std::uint64_t at = first; at + word <= view.size(); at += word) {
      // Where segments overlap, an address shows one of them.
      if (state_->tables.word(view, at) == value && pointer_at(segment.address + at) == value) {
        slots.push_back(segment.address + at);
      }
    }
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

}  // namespace imgslim
