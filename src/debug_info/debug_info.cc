// SPDX-License-Identifier: Apache-2.0
#include "src/debug_info/debug_info.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

bool is_debug_name(std::string_view name) {
  return name.starts_with(".debug_") || name.starts_with(".zdebug_") || name == ".gdb_index";
}

bool is_relocation(const SectionHeader& section) {
  return section.type == SHT_REL || section.type == SHT_RELA;
}

// Which sections go, by index. An allocated section is part of the program whatever its name is
// (.debug_gdb_scripts of some compilers).
std::vector<Fate> choose_debug_sections(const SectionTable& table) {
  std::vector<Fate> fates(table.sections.size(), Fate::kStays);
  for (std::size_t i = 1; i < table.sections.size(); ++i) {
    const SectionHeader& section = table.sections[i];
    if (section.type != SHT_NULL && i != table.names && !section.is_allocated() &&
        is_debug_name(section.name))
      fates[i] = Fate::kGoes;
  }
  // Relocations of debug sections, which `ld --emit-relocs` leaves, go with them.
  for (std::size_t i = 1; i < table.sections.size(); ++i) {
    const SectionHeader& section = table.sections[i];
    if (is_relocation(section) && !section.is_allocated() && section.info < fates.size() &&
        fates[section.info] == Fate::kGoes) {
      fates[i] = Fate::kGoes;
    }
  }
  return fates;
}

// The symbol table and its strings. They are emptied where relocations refer to the table and to no symbol in
// it, and stay where something else refers to them.
void choose_symbols(const Blob& file, const SectionTable& table, std::vector<Fate>& fates) {
  std::vector<std::size_t> named(table.sections.size(), 0);  // by how many sections that stay
  std::vector<bool> related(table.sections.size(), false);   // by relocations without symbols
  std::size_t relocations = 0;
  for (std::size_t i = 1; i < table.sections.size(); ++i) {
    const SectionHeader& section = table.sections[i];
    if (fates[i] != Fate::kStays || section.link == 0) continue;
    constexpr std::size_t kMaxRelocations = 8;  // tables; a program has one or two
    const bool relocates = is_relocation(section) && table.sections[section.link].type == SHT_SYMTAB;
    if (relocates && ++relocations <= kMaxRelocations && names_no_symbols(file, table, section)) {
      related[section.link] = true;
    } else {
      ++named[section.link];
    }
  }
  for (std::size_t i = 1; i < table.sections.size(); ++i) {
    const SectionHeader& symbols = table.sections[i];
    if (symbols.type != SHT_SYMTAB || symbols.is_allocated() || named[i] > 0 || i == table.names) continue;
    if (related[i] && symbols.size <= table.symbol_entry_size()) continue;
    fates[i] = related[i] ? Fate::kEmptied : Fate::kGoes;
    const SectionHeader& strings = table.sections[symbols.link];
    const bool alone =
        named[symbols.link] == 1 && symbols.link != table.names && fates[symbols.link] == Fate::kStays;
    if (alone && strings.type == SHT_STRTAB && !strings.is_allocated()) fates[symbols.link] = fates[i];
  }
}

// Why a file that is well formed is nothing that a loader maps; empty if it is.
std::string why_not_loaded(const SectionTable& table) {
  if (table.type != ET_EXEC && table.type != ET_DYN) return "neither a program nor a library";
  if (loaded_ranges(table).empty()) return "no segment of it is loaded";
  for (const SectionHeader& section : table.sections) {
    const bool code = section.is_allocated() && (section.flags & SHF_EXECINSTR) != 0;
    if (code && section.type == SHT_NOBITS && section.size > 0)
      return "a companion that holds debug information alone";
  }
  return "";
}

DebugInfoPlan left_alone(LeftAlone reason, std::string detail = "") {
  DebugInfoPlan plan;
  plan.left_alone = reason;
  plan.detail = std::move(detail);
  return plan;
}

}  // namespace

std::string_view name_of(DebugInfoMode mode) {
  switch (mode) {
    case DebugInfoMode::kKeep:
      return "keep";
    case DebugInfoMode::kSplit:
      return "split";
    case DebugInfoMode::kDrop:
      return "drop";
  }
  return "";
}

std::string_view name_of(LeftAlone reason) {
  switch (reason) {
    case LeftAlone::kNotElf:
      return "not-elf";
    case LeftAlone::kNothingToTake:
      return "nothing-to-take";
    case LeftAlone::kNotLoaded:
      return "not-loaded";
    case LeftAlone::kDamaged:
      return "damaged";
    case LeftAlone::kAppended:
      return "appended-bytes";
    case LeftAlone::kInsideSegment:
      return "inside-segment";
    case LeftAlone::kReadsItself:
      return "reads-itself";
    case LeftAlone::kNoBuildId:
      return "no-build-id";
    case LeftAlone::kPackageChecksum:
      return "package-checksum";
    case LeftAlone::kIntegrityXattr:
      return "integrity-xattr";
    case LeftAlone::kIntegrityFile:
      return "integrity-file";
    case LeftAlone::kCopiedLayer:
      return "copied-layer";
    case LeftAlone::kOtherCompanion:
      return "other-companion";
  }
  return "";
}

std::string DebugInfoPlan::companion_path() const {
  return ".build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
}

bool is_companion_path(std::string_view path) {
  constexpr std::string_view kFront = ".build-id/";
  constexpr std::string_view kBack = ".debug";
  constexpr std::size_t kLongest = 160;
  if (!path.starts_with(kFront) || !path.ends_with(kBack) || path.size() > kLongest) return false;
  path.remove_prefix(kFront.size());
  if (path.size() < kBack.size() + 4) return false;
  path.remove_suffix(kBack.size());
  const auto is_hex = [](std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  };
  return path[2] == '/' && is_hex(path.substr(0, 2)) && is_hex(path.substr(3));
}

DebugInfoPlan take_out_debug_info(const Blob& file, const DebugInfoRequest& request) {
  SectionTableResult read = read_section_table(file);
  if (!read.is_elf) return left_alone(LeftAlone::kNotElf);
  if (!read.table) return left_alone(LeftAlone::kDamaged, std::move(read.problem));
  const SectionTable& table = *read.table;
  if (table.sections.empty()) return left_alone(LeftAlone::kNothingToTake);
  std::vector<Fate> fates = choose_debug_sections(table);
  if (request.symbols) choose_symbols(file, table, fates);
  const bool nothing =
      std::all_of(fates.begin(), fates.end(), [](Fate fate) { return fate == Fate::kStays; });
  if (nothing) return left_alone(LeftAlone::kNothingToTake);

  if (std::string why = why_not_loaded(table); !why.empty())
    return left_alone(LeftAlone::kNotLoaded, std::move(why));
  std::vector<FileRange> segments;
  for (const SegmentHeader& segment : table.segments)
    segments.push_back({segment.offset, segment.end()});
  segments = merge_ranges(std::move(segments));
  DebugInfoPlan plan;
  plan.file_size = table.file_size;
  for (std::size_t i = 0; i < fates.size(); ++i) {
    if (fates[i] == Fate::kStays) continue;
    const SectionHeader& section = table.sections[i];
    if (section.has_bytes() && overlaps_ranges(segments, section.offset, section.end())) {
      return left_alone(LeftAlone::kInsideSegment, section.name);
    }
    std::uint64_t left = 0;
    if (fates[i] == Fate::kEmptied) left = section.type == SHT_STRTAB ? 1 : table.symbol_entry_size();
    plan.sections.push_back(
        {section.name, section.has_bytes() ? section.size - std::min(section.size, left) : 0});
  }
  plan.build_id = find_build_id(file, table);
  if (request.companion && plan.build_id.empty()) return left_alone(LeftAlone::kNoBuildId);
  SlimResult slim = make_slim(file, table, fates);
  if (slim.left_alone) return left_alone(*slim.left_alone, std::move(slim.detail));
  if (std::string why = own_debug_info_evidence(file, table, request.symbols); !why.empty()) {
    return left_alone(LeftAlone::kReadsItself, std::move(why));
  }
  plan.loaded = loaded_digest(file);
  if (!plan.loaded)
    return left_alone(LeftAlone::kDamaged, "its segments name the same bytes again and again");
  plan.slim = std::move(slim.pieces);
  if (!plan.build_id.empty()) plan.companion = make_companion(table);
  return plan;
}

DebugInfoSize debug_info_size(const SectionTable& table) {
  DebugInfoSize size;
  const std::vector<Fate> fates = choose_debug_sections(table);
  for (std::size_t i = 0; i < fates.size(); ++i) {
    const SectionHeader& section = table.sections[i];
    if (fates[i] == Fate::kStays || !section.has_bytes()) continue;
    size.bytes += section.size;
    if ((section.flags & SHF_COMPRESSED) != 0 || section.name.starts_with(".zdebug_"))
      size.compressed += section.size;
  }
  return size;
}

}  // namespace imgslim
