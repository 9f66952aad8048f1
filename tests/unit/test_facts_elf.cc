// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "src/facts/elf.h"
#include "tests/support/elf_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

ElfDescription library() {
  ElfDescription d;
  d.needed = {"libm.so.6", "libc.so.6"};
  d.soname = "libx.so.1";
  d.runpath = "$ORIGIN/../lib";
  d.flags_1 = DF_1_NODEFLIB;
  d.symbols = {{"dlopen", false}, {"malloc", false, 0, STT_FUNC, STB_WEAK}, {"x_init", true, 0x1000010}};
  d.versions_needed = {{"libm.so.6", {"GLIBC_2.29"}}, {"libc.so.6", {"GLIBC_2.2.5", "GLIBC_2.34"}}};
  d.versions_defined = {"X_1", "X_2"};
  d.notes = {{"GNU", NT_GNU_BUILD_ID, std::string("\x01\xab\x00\xff", 4)}};
  d.code = "code";
  return d;
}

ElfFacts read(const ElfDescription& description) {
  const auto facts = read_elf(build_elf(description));
  REQUIRE(facts);
  return *facts;
}

bool has_problem(const ElfFacts& facts, std::string_view part) {
  return std::any_of(facts.problems.begin(), facts.problems.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

// Replaces the program header of a type.
std::string with_segment(std::string file, std::uint32_t type, std::uint64_t field, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t at = sizeof(Elf64_Ehdr) + i * sizeof(Elf64_Phdr);
    if (static_cast<unsigned char>(file[at]) != (type & 0xff)) continue;
    for (std::size_t k = 0; k < 8; ++k)
      file[at + field + k] = static_cast<char>(value >> (8 * k));
    break;
  }
  return file;
}

}  // namespace

TEST_CASE("elf: a library without sections") {
  const ElfFacts facts = read(library());
  CHECK(facts.problems.empty());
  CHECK(facts.is_64);
  CHECK(facts.machine == EM_X86_64);
  CHECK(facts.needed == std::vector<std::string>{"libm.so.6", "libc.so.6"});
  CHECK(facts.soname == "libx.so.1");
  CHECK(facts.runpath == "$ORIGIN/../lib");
  CHECK(!facts.rpath);
  CHECK(!facts.interpreter);
  CHECK(facts.flags_1 == DF_1_NODEFLIB);
  CHECK(facts.build_id == "01ab00ff");
  CHECK(facts.imports("dlopen"));
  CHECK(!facts.exports("dlopen"));
  CHECK(facts.exports("x_init"));
  CHECK(facts.versions_needed == std::vector<SymbolVersion>{{"libm.so.6", "GLIBC_2.29", false},
                                                            {"libc.so.6", "GLIBC_2.2.5", false},
                                                            {"libc.so.6", "GLIBC_2.34", false}});
  CHECK(facts.versions_defined == std::vector<SymbolVersion>{{"", "X_1", false}, {"", "X_2", false}});
  REQUIRE(facts.dynamic_symbols.size() == 4);
  CHECK(facts.dynamic_symbols[2].binding == STB_WEAK);
  CHECK(facts.dynamic_symbols[3].value == 0x1000010);
}

TEST_CASE("elf: symbols are counted by either hash table and without one") {
  ElfDescription d = library();
  for (const ElfHash hash : {ElfHash::kSysv, ElfHash::kGnu, ElfHash::kNone}) {
    d.hash = hash;
    const ElfFacts facts = read(d);
    REQUIRE(facts.dynamic_symbols.size() == 4);
    CHECK(facts.dynamic_symbols[3].name == "x_init");
  }
}

TEST_CASE("elf: imports alone are in no chain of a GNU hash table and are found") {
  ElfDescription d;
  d.hash = ElfHash::kGnu;
  d.symbols = {{"a", false}, {"b", false}};
  d.needed = {"liba.so"};
  CHECK(read(d).imports("b"));
}

TEST_CASE("elf: 32-bit and big-endian files give the same names") {
  for (const bool is_64 : {false, true}) {
    for (const std::endian order : {std::endian::little, std::endian::big}) {
      ElfDescription d = library();
      d.is_64 = is_64;
      d.byte_order = order;
      d.machine = is_64 ? EM_PPC64 : EM_PPC;
      d.interpreter = "/lib/ld.so.1";
      const ElfFacts facts = read(d);
      CHECK(facts.problems.empty());
      CHECK(facts.is_64 == is_64);
      CHECK(facts.byte_order == order);
      CHECK(facts.interpreter == "/lib/ld.so.1");
      CHECK(facts.needed.size() == 2);
      CHECK(facts.soname == "libx.so.1");
      CHECK(facts.runpath == "$ORIGIN/../lib");
      CHECK(facts.exports("x_init"));
      CHECK(facts.versions_needed.size() == 3);
    }
  }
}

TEST_CASE("elf: dlopen notes are found by owner and type") {
  ElfDescription d;
  const std::string json =
      R"([{"soname":["libidn2.so.0","libidn.so.12"],"feature":"idn","description":"names","priority":"suggested"},)"
      R"({"soname":["libz.so.1"]}])";
  d.notes = {{"FDO", 0xcafe1a7e, "{}"}, {"FDO", 0x407c0c0a, json + '\0'}, {"GNU", 0x407c0c0a, json + '\0'}};
  const ElfFacts facts = read(d);
  CHECK(facts.problems.empty());
  REQUIRE(facts.dlopen_notes.size() == 2);
  CHECK(facts.dlopen_notes[0].sonames == std::vector<std::string>{"libidn2.so.0", "libidn.so.12"});
  CHECK(facts.dlopen_notes[0].feature == "idn");
  CHECK(facts.dlopen_notes[0].description == "names");
  CHECK(facts.dlopen_notes[0].priority == "suggested");
  CHECK(facts.dlopen_notes[1].priority == "recommended");
}

TEST_CASE("elf: a broken dlopen note is a problem, not an error") {
  for (const std::string json :
       {"[{\"soname\":", "{}", "[{\"feature\":\"x\"}]", "[[[[[[[[[[[[]]]]]]]]]]]]"}) {
    ElfDescription d;
    d.needed = {"libc.so.6"};
    d.notes = {{"FDO", 0x407c0c0a, json + '\0'}};
    const ElfFacts facts = read(d);
    CHECK(facts.dlopen_notes.empty());
    CHECK(has_problem(facts, "dlopen note"));
    CHECK(facts.needed.size() == 1);
  }
}

TEST_CASE("bad input 64: an elf file too short or of no known class is accepted as data") {
  CHECK(
      !is_elf("\x7f"
              "ELF"));
  CHECK(
      !read_elf("\x7f"
                "ELF"));
  CHECK(!read_elf(""));
  std::string file = build_elf(library());
  CHECK(!read_elf(file.substr(0, 63)));
  CHECK(read_elf(file.substr(0, 64)));
  file[EI_CLASS] = 3;
  CHECK(!read_elf(file));
  file[EI_CLASS] = ELFCLASS64;
  file[EI_DATA] = 0;
  CHECK(!read_elf(file));
}

TEST_CASE("bad input 63: elf counts and offsets outside the file are accepted with the facts that are there") {
  ElfDescription d = library();
  d.interpreter = "/lib64/ld-linux-x86-64.so.2";
  const std::string file = build_elf(d);

  std::string many = file;
  many[offsetof(Elf64_Ehdr, e_phnum)] = many[offsetof(Elf64_Ehdr, e_phnum) + 1] = '\xff';
  many[offsetof(Elf64_Ehdr, e_shnum)] = many[offsetof(Elf64_Ehdr, e_shnum) + 1] = '\xff';
  many[offsetof(Elf64_Ehdr, e_shoff) + 6] = '\x7f';
  const auto facts = read_elf(many);
  REQUIRE(facts);
  CHECK(facts->interpreter == d.interpreter);
  CHECK(!facts->problems.empty());

  const auto far_interpreter =
      read_elf(with_segment(file, PT_INTERP, offsetof(Elf64_Phdr, p_offset), 1u << 30));
  REQUIRE(far_interpreter);
  CHECK(!far_interpreter->interpreter);
  CHECK(has_problem(*far_interpreter, "PT_INTERP"));
  CHECK(far_interpreter->needed.size() == 2);

  std::string far_dynamic = with_segment(file, PT_DYNAMIC, offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 8);
  far_dynamic = with_segment(far_dynamic, PT_DYNAMIC, offsetof(Elf64_Phdr, p_vaddr), UINT64_MAX - 8);
  const auto no_dynamic = read_elf(far_dynamic);
  REQUIRE(no_dynamic);
  CHECK(no_dynamic->has_dynamic);
  CHECK(no_dynamic->needed.empty());
  CHECK(no_dynamic->interpreter == d.interpreter);
}

TEST_CASE("bad input 63: an elf interpreter without its NUL is accepted as none") {
  ElfDescription d;
  d.interpreter = "/lib/ld.so";
  const auto facts = read_elf(with_segment(build_elf(d), PT_INTERP, offsetof(Elf64_Phdr, p_filesz), 5));
  REQUIRE(facts);
  CHECK(!facts->interpreter);
}

TEST_CASE("bad input 63: elf names outside the string table and a dynamic section without an end are accepted") {
  ElfDescription d = library();
  d.more_dynamic = {{DT_NEEDED, 1u << 20}, {DT_NEEDED, UINT64_MAX}};
  const ElfFacts facts = read(d);
  CHECK(facts.needed.size() == 2);
  CHECK(has_problem(facts, "names no string"));

  d = library();
  std::string file = build_elf(d);
  const ElfFacts whole = *read_elf(file);
  const auto dynamic = std::find_if(whole.segments.begin(), whole.segments.end(),
                                    [](const ElfSegment& it) { return it.type == PT_DYNAMIC; });
  file = with_segment(file, PT_DYNAMIC, offsetof(Elf64_Phdr, p_filesz), dynamic->file_size - 16);
  const auto endless = read_elf(file);
  REQUIRE(endless);
  CHECK(has_problem(*endless, "DT_NULL"));
  CHECK(endless->needed.size() == 2);
}

TEST_CASE("elf: one name given a million times does not fill the memory") {
  ElfDescription d;
  d.needed = {std::string(4000, 'x')};
  for (int i = 0; i < 50000; ++i)
    d.more_dynamic.emplace_back(DT_NEEDED, 1);
  const ElfFacts facts = read(d);
  CHECK(facts.needed.size() <= 4096);
  CHECK(has_problem(facts, "more than"));
}

TEST_CASE("elf: version tables that link to themselves end") {
  ElfDescription d = library();
  d.more_dynamic = {{DT_VERNEEDNUM, UINT64_MAX}, {DT_VERDEFNUM, UINT64_MAX}};
  const ElfFacts facts = read(d);
  CHECK(facts.versions_needed.size() == 3);
}
