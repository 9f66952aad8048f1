// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/bytes.h"
#include "src/debug_info/debug_info.h"
#include "src/debug_info/section_table.h"
#include "tests/support/section_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

DebugInfoPlan plan_of(const std::string& bytes, bool symbols = false, bool companion = true) {
  return take_out_debug_info(*memory_blob(bytes), {symbols, companion});
}

std::string slim_of(const std::string& bytes, bool symbols = false) {
  const DebugInfoPlan plan = plan_of(bytes, symbols);
  REQUIRE_FALSE(plan.left_alone);
  return plan.slim.read(*memory_blob(bytes));
}

SectionTable table_of(const std::string& bytes) {
  const SectionTableResult read = read_section_table(*memory_blob(bytes));
  REQUIRE_MESSAGE(read.table, read.problem);
  return *read.table;
}

std::vector<std::string> names_of(const SectionTable& table) {
  std::vector<std::string> names;
  for (const SectionHeader& section : table.sections)
    names.push_back(section.name);
  return names;
}

const SectionHeader& section_named(const SectionTable& table, std::string_view name) {
  for (const SectionHeader& section : table.sections) {
    if (section.name == name) return section;
  }
  FAIL("no section " << name);
  return table.sections.front();
}

std::string content_of(const std::string& bytes, const SectionHeader& section) {
  return std::string(slice(bytes, section.offset, section.size).value());
}

std::optional<LeftAlone> reason_for(const SectionedElf& elf, bool symbols = false) {
  return plan_of(elf.build(), symbols).left_alone;
}

}  // namespace

TEST_CASE("debug info: goes from files of both classes and byte orders, and what is loaded stays") {
  for (const bool is_64 : {true, false}) {
    for (const std::endian order : {std::endian::little, std::endian::big}) {
      const std::string bytes = debug_program(is_64, order).build();
      const DebugInfoPlan plan = plan_of(bytes);
      REQUIRE_FALSE(plan.left_alone);
      CHECK(plan.sections == std::vector<TakenSection>{{".debug_info", 5000}, {".debug_line", 300}});
      CHECK(plan.build_id == "01234567");
      CHECK(plan.companion_path() == ".build-id/01/234567.debug");
      const std::string slim = slim_of(bytes);
      CHECK(slim.size() < bytes.size() - 5000);
      CHECK(loaded_digest(*memory_blob(slim)) == loaded_digest(*memory_blob(bytes)));
      const SectionTable before = table_of(bytes);
      const SectionTable after = table_of(slim);
      CHECK(names_of(after) == std::vector<std::string>{"", ".note.gnu.build-id", ".text", ".bss", ".comment",
                                                        ".symtab", ".strtab", ".shstrtab"});
      for (const std::string_view name : {".note.gnu.build-id", ".text", ".bss"}) {
        CHECK(section_named(after, name).offset == section_named(before, name).offset);
        CHECK(section_named(after, name).size == section_named(before, name).size);
      }
      for (const std::string_view name : {".comment", ".strtab"}) {
        CHECK(content_of(slim, section_named(after, name)) == content_of(bytes, section_named(before, name)));
      }
      CHECK(plan_of(slim).left_alone == LeftAlone::kNothingToTake);
      CHECK(slim_of(bytes) == slim);
    }
  }
}

TEST_CASE("debug info: symbols that stay name their sections by the new numbers") {
  for (const bool is_64 : {true, false}) {
    for (const std::endian order : {std::endian::little, std::endian::big}) {
      const SectionedElf elf = debug_program(is_64, order);
      const std::string slim = slim_of(elf.build());
      const SectionTable table = table_of(slim);
      const SectionHeader& symbols = section_named(table, ".symtab");
      // The null symbol, .text, .comment; the one of .debug_info was the second of three local ones.
      CHECK(content_of(slim, symbols).size() == 3 * table.symbol_entry_size());
      CHECK(symbols.info == 2);
      CHECK(table.sections[symbols.link].name == ".strtab");
      const std::size_t at = is_64 ? 6 : 14;
      const std::string bytes = content_of(slim, symbols);
      CHECK(read_integer<std::uint16_t>(bytes, table.symbol_entry_size() + at, order) == 2);
      CHECK(read_integer<std::uint16_t>(bytes, 2 * table.symbol_entry_size() + at, order) == 4);
    }
  }
}

TEST_CASE("debug info: with symbols the symbol table and its strings go too") {
  const std::string bytes = debug_program().build();
  const DebugInfoPlan plan = plan_of(bytes, true);
  REQUIRE_FALSE(plan.left_alone);
  CHECK(plan.sections == std::vector<TakenSection>{
                             {".debug_info", 5000}, {".debug_line", 300}, {".symtab", 96}, {".strtab", 6}});
  const std::string slim = slim_of(bytes, true);
  CHECK(names_of(table_of(slim)) ==
        std::vector<std::string>{"", ".note.gnu.build-id", ".text", ".bss", ".comment", ".shstrtab"});
  CHECK(loaded_digest(*memory_blob(slim)) == loaded_digest(*memory_blob(bytes)));
}

TEST_CASE("debug info: relocations without symbols keep an empty symbol table, others the whole one") {
  SectionedElf elf = debug_program();
  SectionDescription relocations{".rela.plt", SHT_RELA, SHF_ALLOC, std::string(24, '\0'), 8, ".symtab",
                                 0,           24,       0};
  elf.sections.insert(elf.sections.begin() + 1, relocations);
  elf.sections[7].content = elf.symbols({elf.number_of(".text")});
  const std::string slim = slim_of(elf.build(), true);
  const SectionTable table = table_of(slim);
  CHECK(section_named(table, ".symtab").size == 24);
  CHECK(section_named(table, ".strtab").size == 1);
  CHECK(table.sections[section_named(table, ".rela.plt").link].name == ".symtab");
  CHECK(plan_of(slim, true).left_alone == LeftAlone::kNothingToTake);

  elf.sections[1].content[12] = 1;  // the symbol of the only relocation
  const std::string kept = slim_of(elf.build(), true);
  CHECK(section_named(table_of(kept), ".symtab").size == 48);
  CHECK(section_named(table_of(kept), ".strtab").size == 6);
}

TEST_CASE("debug info: the companion has all sections and the notes, and no code") {
  for (const bool is_64 : {true, false}) {
    const std::string bytes = debug_program(is_64).build();
    const DebugInfoPlan plan = plan_of(bytes);
    const std::string companion = plan.companion.read(*memory_blob(bytes));
    const SectionTable before = table_of(bytes);
    const SectionTable after = table_of(companion);
    CHECK(names_of(after) == names_of(before));
    CHECK(section_named(after, ".text").type == SHT_NOBITS);
    CHECK(section_named(after, ".text").address == section_named(before, ".text").address);
    for (const std::string_view name :
         {".note.gnu.build-id", ".debug_info", ".debug_line", ".symtab", ".strtab"}) {
      CHECK(content_of(companion, section_named(after, name)) ==
            content_of(bytes, section_named(before, name)));
    }
    REQUIRE(after.segments.size() == before.segments.size());
    CHECK(after.segments[1].offset == section_named(after, ".note.gnu.build-id").offset);
    CHECK(after.segments[1].file_size == before.segments[1].file_size);
    CHECK(plan_of(companion).left_alone == LeftAlone::kNotLoaded);
  }
}

TEST_CASE("debug info: files are left alone for a reason") {
  CHECK(plan_of("#!/bin/sh\necho no program\n").left_alone == LeftAlone::kNotElf);
  CHECK(plan_of("").left_alone == LeftAlone::kNotElf);
  SectionedElf elf = debug_program();
  elf.behind = "an archive";
  CHECK(reason_for(elf) == LeftAlone::kAppended);
  elf.behind = std::string(5000, '\0');
  CHECK(reason_for(elf) == LeftAlone::kAppended);
  elf.behind = std::string(8, '\0');
  CHECK_FALSE(reason_for(elf));

  elf = debug_program();
  elf.type = ET_REL;
  CHECK(reason_for(elf) == LeftAlone::kNotLoaded);
  elf = debug_program();
  elf.sections[0].content = elf.note("GNU", 4, "gold 1");
  CHECK(reason_for(elf) == LeftAlone::kNoBuildId);
  CHECK_FALSE(plan_of(elf.build(), false, false).left_alone);
  elf = debug_program();
  elf.sections.erase(elf.sections.begin() + 3, elf.sections.begin() + 5);
  elf.sections[4].content = elf.symbols({2});
  CHECK(reason_for(elf) == LeftAlone::kNothingToTake);
  CHECK_FALSE(reason_for(elf, true));
}

TEST_CASE("debug info: an allocated section with such a name is part of the program") {
  SectionedElf elf = debug_program();
  elf.sections[1].name = ".debug_gdb_scripts";
  elf.sections[1].flags = SHF_ALLOC;
  const std::string slim = slim_of(elf.build());
  CHECK(section_named(table_of(slim), ".debug_gdb_scripts").size == 100);
  CHECK(plan_of(slim).left_alone == LeftAlone::kNothingToTake);
  // Not allocated, but between sections that are: the segment holds its bytes.
  elf = debug_program();
  elf.sections.insert(elf.sections.begin() + 1, {".debug_str", SHT_PROGBITS, 0, "strings", 1, "", 0, 0, 0});
  elf.sections.erase(elf.sections.begin() + 7);
  elf.sections.erase(elf.sections.begin() + 7);
  CHECK(reason_for(elf) == LeftAlone::kInsideSegment);
}

TEST_CASE("debug info: programs that read debug information are left alone") {
  const auto with_text = [](std::string_view text) {
    SectionedElf elf = debug_program();
    elf.sections[1].content += text;
    return elf;
  };
  CHECK(reason_for(with_text("see .debug_info of")) == LeftAlone::kReadsItself);
  CHECK(reason_for(with_text(std::string_view("\0debug/dwarf.New\0", 17))) == LeftAlone::kReadsItself);
  CHECK(reason_for(with_text("RUST_BACKTRACE")) == LeftAlone::kReadsItself);
  CHECK(reason_for(with_text("libdw.so.1")) == LeftAlone::kReadsItself);
  const std::string elf_alone("\0debug/elf.NewFile\0", 19);
  const std::string itself("\0os.Executable\0", 15);
  CHECK_FALSE(reason_for(with_text(elf_alone)));
  CHECK_FALSE(reason_for(with_text(itself)));
  CHECK(reason_for(with_text(elf_alone + itself)) == LeftAlone::kReadsItself);
  CHECK(reason_for(with_text(elf_alone), true) == LeftAlone::kReadsItself);
  CHECK_FALSE(reason_for(with_text("runtime/debug.Stack")));
  // A word that two pieces of a large file share.
  SectionedElf large = debug_program();
  large.sections[1].content = std::string((1 << 20) - 185, '\x90') + ".debug_line";
  CHECK(reason_for(large) == LeftAlone::kReadsItself);
}

TEST_CASE("debug info: a damaged section table leaves the file alone") {
  const std::string good = debug_program().build();
  const SectionTable table = table_of(good);
  const auto damaged = [&](std::size_t section, std::size_t field, char value) {
    std::string bytes = good;
    bytes[table.section_headers_offset + section * 64 + field] = value;
    return plan_of(bytes).left_alone;
  };
  CHECK(damaged(4, 28, '\x7f') == LeftAlone::kDamaged);  // offset far outside
  CHECK(damaged(4, 40, 99) == LeftAlone::kDamaged);      // linked to nothing
  CHECK(damaged(6, 48, 3) == LeftAlone::kDamaged);       // alignment
  CHECK(damaged(0, 4, 1) == LeftAlone::kDamaged);        // no empty section
  CHECK(damaged(9, 0, '\x7f') == LeftAlone::kDamaged);   // name outside the names
  // Two sections of the same bytes.
  std::string bytes = good;
  const std::size_t at = table.section_headers_offset + 4 * 64 + 24;
  const std::size_t other = table.section_headers_offset + 6 * 64 + 24;
  bytes.replace(other, 8, bytes.substr(at, 8));
  CHECK(plan_of(bytes).left_alone == LeftAlone::kDamaged);
  // Cut anywhere, nothing is taken that is not there.
  for (std::size_t length = 0; length < good.size(); length += 37) {
    const DebugInfoPlan plan = plan_of(good.substr(0, length));
    CHECK(plan.left_alone);
  }
}

TEST_CASE("debug info: what could go is counted from section headers") {
  const DebugInfoSize size = debug_info_size(table_of(debug_program().build()));
  CHECK(size.bytes == 5300);
  CHECK(size.compressed == 300);
}

TEST_CASE("loaded digest: changes with each loaded byte and with nothing else") {
  const std::string bytes = debug_program().build();
  const auto digest = loaded_digest(*memory_blob(bytes));
  REQUIRE(digest);
  const SectionTable table = table_of(bytes);
  const std::uint64_t end = table.segments[0].end();
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const bool section_fields = (i >= 40 && i < 48) || (i >= 60 && i < 64);
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto now = loaded_digest(*memory_blob(changed));
    if (i < end && !section_fields) {
      CHECK(now != digest);
    } else if (now) {
      CHECK(now == digest);
    }
  }
  CHECK_FALSE(loaded_digest(*memory_blob("text")));
}
