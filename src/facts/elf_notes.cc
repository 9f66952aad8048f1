// SPDX-License-Identifier: Apache-2.0
// Notes, found by owner and type, never by section name (gABI "Note Section"; UAPI.12 ELF dlopen metadata).
#include <elf.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "layers/error.h"
#include "layers/hex.h"
#include "layers/json.h"
#include "src/facts/elf_tables.h"

namespace imgslim {
namespace {

constexpr std::uint32_t kDlopenNote = 0x407c0c0a;
constexpr std::size_t kMaxBuildId = 64;
constexpr std::size_t kMaxDlopenNotes = 4096;
constexpr JsonLimits kNoteLimits{std::size_t{1} << 20, 8, 100000};

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::string text_of(const Json& object, const char* key) {
  const auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

}  // namespace

void read_dlopen_note(std::string_view json, ElfFacts& facts) {
  // The descriptor is a string with its NUL; padding may follow.
  json = json.substr(0, json.find('\0'));
  const auto problem = [&](std::string_view text) {
    facts.problems.push_back(fmt::format("dlopen note: {}", text));
  };
  try {
    const Json notes = parse_json(json, "dlopen note", kNoteLimits);
    if (!notes.is_array()) return problem("not an array");
    bool nameless = false;
    for (const Json& item : notes) {
      if (facts.dlopen_notes.size() == kMaxDlopenNotes) return problem("too many entries");
      DlopenNote note;
      if (item.is_object()) {
        const auto sonames = item.find("soname");
        if (sonames != item.end() && sonames->is_array()) {
          for (const Json& soname : *sonames) {
            if (soname.is_string()) note.sonames.push_back(soname.get<std::string>());
          }
        }
        note.feature = text_of(item, "feature");
        note.description = text_of(item, "description");
        note.priority = text_of(item, "priority");
      }
      if (note.sonames.empty()) {
        if (!nameless) problem("an entry without soname");
        nameless = true;
        continue;
      }
      if (note.priority != "required" && note.priority != "suggested") note.priority = "recommended";
      facts.dlopen_notes.push_back(std::move(note));
    }
  } catch (const Error& error) {
    facts.problems.push_back(printable(error.what()));
  }
}

void read_notes(std::string_view notes, std::uint64_t alignment, ElfFacts& facts) {
  // 4 everywhere but for segments that say 8 (.note.gnu.property).
  const std::uint64_t align = alignment == 8 ? 8 : 4;
  const ElfTables tables(facts, notes);
  std::uint64_t at = 0;
  while (at < notes.size()) {
    const auto name_size = tables.integer<std::uint32_t>(notes, at);
    const auto size = tables.integer<std::uint32_t>(notes, at + 4);
    const auto type = tables.integer<std::uint32_t>(notes, at + 8);
    if (!name_size || !size || !type) return;  // padding behind the last note
    const std::uint64_t name_at = at + sizeof(Elf64_Nhdr);
    const std::uint64_t content_at = at + round_up(sizeof(Elf64_Nhdr) + *name_size, align);
    const auto name = slice(notes, name_at, *name_size);
    const auto content = slice(notes, content_at, *size);
    if (!name || !content) {
      facts.problems.push_back(fmt::format("note at {} of its segment ends outside it", at));
      return;
    }
    const std::string_view owner = name->substr(0, name->find('\0'));
    if (owner == "GNU" && *type == NT_GNU_BUILD_ID && facts.build_id.empty() && *size <= kMaxBuildId) {
      facts.build_id = hex_of({reinterpret_cast<const unsigned char*>(content->data()), content->size()});
    } else if (owner == "FDO" && *type == kDlopenNote) {
      read_dlopen_note(*content, facts);
    }
    at = content_at + round_up(*size, align);
  }
}

}  // namespace imgslim
