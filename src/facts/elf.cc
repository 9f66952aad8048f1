// SPDX-License-Identifier: Apache-2.0
#include "src/facts/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "src/facts/elf_tables.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxPath = 4096;           // PATH_MAX: longer names cannot be opened
constexpr std::size_t kMaxSearchPath = 1 << 20;  // a DT_RUNPATH of many directories
constexpr std::size_t kMaxNames = 4096;          // DT_NEEDED and its relatives
constexpr std::size_t kMaxDynamic = 1 << 16;
constexpr std::size_t kMaxLoads = 128;  // loadable segments: programs have up to a dozen
constexpr std::uint64_t kMinStringBudget = std::uint64_t{16} << 20;

struct HeaderLayout {
  std::size_t size;   // e_ehsize
  std::size_t entry;  // offsets of the fields that follow
  std::size_t phoff;
  std::size_t flags;
  std::size_t phentsize;
  std::size_t phnum;
  std::size_t program_header_size;
};

constexpr HeaderLayout kLayout32{sizeof(Elf32_Ehdr),
                                 offsetof(Elf32_Ehdr, e_entry),
                                 offsetof(Elf32_Ehdr, e_phoff),
                                 offsetof(Elf32_Ehdr, e_flags),
                                 offsetof(Elf32_Ehdr, e_phentsize),
                                 offsetof(Elf32_Ehdr, e_phnum),
                                 sizeof(Elf32_Phdr)};
constexpr HeaderLayout kLayout64{sizeof(Elf64_Ehdr),
                                 offsetof(Elf64_Ehdr, e_entry),
                                 offsetof(Elf64_Ehdr, e_phoff),
                                 offsetof(Elf64_Ehdr, e_flags),
                                 offsetof(Elf64_Ehdr, e_phentsize),
                                 offsetof(Elf64_Ehdr, e_phnum),
                                 sizeof(Elf64_Phdr)};

// One program header; `view` is exactly its bytes.
ElfSegment read_segment(const ElfTables& tables, std::string_view view, bool is_64) {
  ElfSegment segment;
  segment.type = *tables.integer<std::uint32_t>(view, 0);
  segment.flags = *tables.integer<std::uint32_t>(
      view, is_64 ? offsetof(Elf64_Phdr, p_flags) : offsetof(Elf32_Phdr, p_flags));
  const auto field = [&](std::size_t wide, std::size_t narrow) {
    return *tables.word(view, is_64 ? wide : narrow);
  };
  segment.offset = field(offsetof(Elf64_Phdr, p_offset), offsetof(Elf32_Phdr, p_offset));
  segment.address = field(offsetof(Elf64_Phdr, p_vaddr), offsetof(Elf32_Phdr, p_vaddr));
  segment.file_size = field(offsetof(Elf64_Phdr, p_filesz), offsetof(Elf32_Phdr, p_filesz));
  segment.memory_size = field(offsetof(Elf64_Phdr, p_memsz), offsetof(Elf32_Phdr, p_memsz));
  segment.alignment = field(offsetof(Elf64_Phdr, p_align), offsetof(Elf32_Phdr, p_align));
  return segment;
}

void read_segments(const ElfTables& tables, std::string_view bytes, const HeaderLayout& layout,
                   ElfFacts& facts) {
  const std::uint64_t table = *tables.word(bytes, layout.phoff);
  const std::uint16_t size = *tables.integer<std::uint16_t>(bytes, layout.phentsize);
  const std::uint16_t count = *tables.integer<std::uint16_t>(bytes, layout.phnum);
  if (count == 0) return;
  if (size != layout.program_header_size) {
    facts.problems.push_back(fmt::format("program headers of {} bytes", size));
    return;
  }
  std::size_t loads = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto view = table <= bytes.size() ? slice(bytes, table + i * size, size) : std::nullopt;
    if (!view) {
      facts.problems.push_back(fmt::format("program header {} of {} is outside the file", i, count));
      break;
    }
    ElfSegment segment = read_segment(tables, *view, facts.is_64);
    const std::uint64_t there = segment.offset < bytes.size() ? bytes.size() - segment.offset : 0;
    if (segment.file_size > there) {
      if (segment.type != PT_NULL) {
        facts.problems.push_back(fmt::format("segment {} ends outside the file", i));
      }
      segment.file_size = there;
    }
    if (segment.type == PT_LOAD && ++loads > kMaxLoads) {
      facts.problems.push_back(fmt::format("more than {} loadable segments", kMaxLoads));
      break;
    }
    // A segment that wraps around the address space maps nothing.
    if (segment.address + segment.file_size < segment.address) segment.file_size = 0;
    facts.segments.push_back(segment);
  }
}

void read_interpreter(std::string_view bytes, ElfFacts& facts) {
  for (const ElfSegment& segment : facts.segments) {
    if (segment.type != PT_INTERP) continue;
    const auto view = slice(bytes, segment.offset, segment.file_size);
    const auto name = view ? c_string(*view, 0, kMaxPath) : std::nullopt;
    if (name && !name->empty()) {
      facts.interpreter = std::string(*name);
    } else {
      facts.problems.push_back("interpreter (PT_INTERP) is no string inside the file");
    }
    return;  // the kernel takes the first
  }
}

// The strings that dynamic tags name.
void read_names(const ElfTables& tables, ElfStrings& strings, ElfFacts& facts) {
  std::size_t names = 0;
  const auto text = [&](std::string_view what, std::uint64_t offset, std::size_t limit) {
    auto result = strings.at(offset, limit);
    if (!result && facts.problems.size() < kMaxNames) {
      facts.problems.push_back(
          fmt::format("{} names no string in the string table (offset {})", what, offset));
    }
    return result;
  };
  const auto add = [&](std::vector<std::string>& list, std::string_view what, std::uint64_t offset) {
    if (++names > kMaxNames) return;
    if (auto name = text(what, offset, kMaxPath)) list.push_back(std::move(*name));
  };
  for (const auto& [tag, value] : tables.dynamic()) {
    switch (tag) {
      case DT_NEEDED:
        add(facts.needed, "DT_NEEDED", value);
        break;
      case DT_SONAME:
        facts.soname = text("DT_SONAME", value, kMaxPath);
        break;
      case DT_RPATH:
        facts.rpath = text("DT_RPATH", value, kMaxSearchPath);
        break;
      case DT_RUNPATH:
        facts.runpath = text("DT_RUNPATH", value, kMaxSearchPath);
        break;
      case DT_FILTER:
        add(facts.filters, "DT_FILTER", value);
        break;
      case DT_AUXILIARY:
        add(facts.auxiliaries, "DT_AUXILIARY", value);
        break;
      case DT_AUDIT:
      case DT_DEPAUDIT:
        add(facts.audits, "DT_AUDIT", value);
        break;
      case DT_FLAGS_1:
        facts.flags_1 = value;
        break;
      default:
        break;
    }
    if (names > kMaxNames) {
      facts.problems.push_back(fmt::format("more than {} names in the dynamic section", kMaxNames));
      break;
    }
  }
}

bool has_symbol(const ElfFacts& facts, std::string_view name, bool defined) {
  return std::any_of(
      facts.dynamic_symbols.begin(), facts.dynamic_symbols.end(),
      [&](const DynamicSymbol& symbol) { return symbol.defined == defined && symbol.name == name; });
}

}  // namespace

void ElfTables::read_dynamic(std::vector<std::string>* problems) {
  const auto problem = [&](const char* text) {
    if (problems) problems->push_back(text);
  };
  const ElfSegment* segment = nullptr;
  for (const ElfSegment& candidate : facts_.segments) {
    if (candidate.type == PT_DYNAMIC) segment = &candidate;  // of several the loader takes the last
  }
  if (!segment) return;
  // The loader finds it by address; a file whose loadable segments do not hold it is read by offset.
  std::string_view view = table(segment->address, segment->file_size);
  if (view.empty()) view = slice(bytes_, segment->offset, segment->file_size).value_or(std::string_view());
  const std::size_t word_bytes = word_size();
  for (std::uint64_t at = 0;; at += 2 * word_bytes) {
    const auto tag = word(view, at);
    const auto value = word(view, at + word_bytes);
    if (!tag || !value) return problem("dynamic section has no end (DT_NULL)");
    if (*tag == DT_NULL) return;
    if (dynamic_.size() == kMaxDynamic) return problem("dynamic section is too long");
    dynamic_.emplace_back(*tag, *value);
  }
}

std::optional<std::uint64_t> ElfTables::tag(std::uint64_t wanted) const {
  for (auto it = dynamic_.rbegin(); it != dynamic_.rend(); ++it) {
    if (it->first == wanted) return it->second;
  }
  return std::nullopt;
}

const ElfSegment* ElfTables::segment_at(std::uint64_t address) const {
  for (auto it = facts_.segments.rbegin(); it != facts_.segments.rend(); ++it) {
    if (it->type == PT_LOAD && address >= it->address && address - it->address < it->file_size) return &*it;
  }
  return nullptr;
}

std::string_view ElfTables::from(std::uint64_t address) const {
  const ElfSegment* segment = segment_at(address);
  if (!segment) return {};
  const std::uint64_t skip = address - segment->address;
  return slice(bytes_, segment->offset + skip, segment->file_size - skip).value_or(std::string_view());
}

std::optional<std::string> ElfStrings::at(std::uint64_t offset, std::size_t limit) {
  if (offset >= table_.size()) return std::nullopt;
  const std::size_t longest = static_cast<std::size_t>(std::min<std::uint64_t>(limit, budget_));
  const auto text = c_string(table_, offset, longest);
  if (!text) {
    const std::uint64_t looked_at = std::min<std::uint64_t>(longest, table_.size() - offset);
    budget_ -= looked_at;
    if (looked_at < limit && looked_at < table_.size() - offset) exhausted_ = true;
    return std::nullopt;
  }
  budget_ -= text->size() + 1;
  return std::string(*text);
}

bool ElfFacts::imports(std::string_view symbol) const {
  return has_symbol(*this, symbol, false);
}
bool ElfFacts::exports(std::string_view symbol) const {
  return has_symbol(*this, symbol, true);
}

bool is_elf(std::string_view bytes) {
  if (bytes.size() < sizeof(Elf32_Ehdr) || !bytes.starts_with(ELFMAG)) return false;
  return bytes[EI_CLASS] != ELFCLASS64 || bytes.size() >= sizeof(Elf64_Ehdr);
}

std::optional<ElfFacts> read_elf(std::string_view bytes) {
  if (!is_elf(bytes)) return std::nullopt;
  if (bytes[EI_CLASS] != ELFCLASS32 && bytes[EI_CLASS] != ELFCLASS64) return std::nullopt;
  if (bytes[EI_DATA] != ELFDATA2LSB && bytes[EI_DATA] != ELFDATA2MSB) return std::nullopt;

  ElfFacts facts;
  facts.is_64 = bytes[EI_CLASS] == ELFCLASS64;
  facts.byte_order = bytes[EI_DATA] == ELFDATA2LSB ? std::endian::little : std::endian::big;
  facts.os_abi = static_cast<std::uint8_t>(bytes[EI_OSABI]);
  const HeaderLayout& layout = facts.is_64 ? kLayout64 : kLayout32;
  ElfTables tables(facts, bytes);
  facts.type = *tables.integer<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_type));
  facts.machine = *tables.integer<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_machine));
  facts.entry = *tables.word(bytes, layout.entry);
  facts.abi_flags = *tables.integer<std::uint32_t>(bytes, layout.flags);

  read_segments(tables, bytes, layout, facts);
  read_interpreter(bytes, facts);
  facts.has_dynamic = std::any_of(facts.segments.begin(), facts.segments.end(),
                                  [](const ElfSegment& segment) { return segment.type == PT_DYNAMIC; });
  if (facts.has_dynamic) {
    tables.read_dynamic(&facts.problems);
    const auto address = tables.tag(DT_STRTAB);
    const auto size = tables.tag(DT_STRSZ);
    const std::string_view table =
        address ? tables.table(*address, size.value_or(UINT64_MAX)) : std::string_view();
    if (address && size && table.size() < *size)
      facts.problems.push_back("string table ends outside its segment");
    ElfStrings strings(table, std::max(kMinStringBudget, 4 * std::uint64_t{table.size()}));
    read_names(tables, strings, facts);
    read_versions(tables, strings, facts);
    read_symbols(tables, strings, facts);
    if (strings.exhausted()) facts.problems.push_back("names of the dynamic section are too long in sum");
  }
  // Segments may overlap, so the bytes read as notes are bounded by the file's size.
  std::uint64_t left = bytes.size();
  for (const ElfSegment& segment : facts.segments) {
    if (segment.type != PT_NOTE || segment.file_size > left) continue;
    left -= segment.file_size;
    read_notes(slice(bytes, segment.offset, segment.file_size).value_or(std::string_view()),
               segment.alignment, facts);
  }
  return facts;
}

}  // namespace imgslim
