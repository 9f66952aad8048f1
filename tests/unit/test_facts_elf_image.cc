// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "src/facts/elf.h"
#include "tests/support/elf_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

struct Loaded {
  explicit Loaded(const ElfDescription& d)
      : bytes(build_elf(d)), facts(*read_elf(bytes)), image(facts, bytes) {}
  std::string bytes;
  ElfFacts facts;
  ElfImage image;
};

}  // namespace

TEST_CASE("elf image: reads by address stay inside one segment") {
  ElfDescription d;
  d.code = "0123456789";
  d.data = std::string("text\0more", 9);
  const Loaded file(d);
  CHECK(file.image.bytes_at(kElfCode + 2, 3) == "234");
  CHECK(!file.image.bytes_at(kElfCode + 2, 9));
  CHECK(!file.image.bytes_at(kElfCode + 10, 1));
  CHECK(!file.image.bytes_at(UINT64_MAX, 2));
  CHECK(file.image.bytes_from(kElfCode + 8) == "89");
  CHECK(file.image.bytes_from(0x7fffffff).empty());
  CHECK(file.image.c_string_at(kElfData) == "text");
  CHECK(!file.image.c_string_at(kElfData, 3));
  CHECK(file.image.is_code(kElfCode));
  CHECK(!file.image.is_code(kElfData));
  CHECK(file.image.is_writable(kElfData));
  CHECK(!file.image.is_writable(kElfCode));
}

TEST_CASE("elf image: RELATIVE relocations are applied to a copy") {
  for (const auto& [machine, relative] :
       {std::pair<std::uint16_t, std::uint32_t>{EM_X86_64, R_X86_64_RELATIVE},
        {EM_AARCH64, R_AARCH64_RELATIVE}}) {
    ElfDescription d;
    d.machine = machine;
    d.data = std::string(32, '\0');
    d.relocations = {
        {kElfData + 8, relative, 0, 0x1234}, {kElfData, relative, 0, 0x1234}, {1, relative, 0, 5}};
    const Loaded file(d);
    CHECK(file.image.pointer_at(kElfData) == 0x1234);
    CHECK(file.image.pointer_at(kElfData + 8) == 0x1234);
    CHECK(file.image.pointer_at(kElfData + 16) == 0);
    CHECK(file.image.relocated_from(kElfData).substr(0, 2) == "\x34\x12");
    CHECK(file.image.bytes_at(kElfData, 2) == std::string(2, '\0'));
    CHECK(file.image.slots_holding(0x1234) == std::vector<std::uint64_t>{kElfData, kElfData + 8});
  }
}

TEST_CASE("elf image: RELR entries name slots one by one and by bitmap") {
  ElfDescription d;
  ElfWriter words(true, std::endian::little);
  for (int i = 0; i < 70; ++i)
    words.u64(0x5000);
  d.data = words.bytes;
  // The first slot, then the 1st and 3rd of the 63 behind it, then the 1st of the next 63.
  d.relr = {kElfData, 1 | 1u << 1 | 1u << 3, 1 | 1u << 1};
  const Loaded file(d);
  CHECK(file.image.slots_holding(0x5000) ==
        std::vector<std::uint64_t>{kElfData, kElfData + 8, kElfData + 24, kElfData + 64 * 8});
}

TEST_CASE("elf image: slots of a fixed program are found by their values") {
  ElfDescription d;
  d.type = ET_EXEC;
  ElfWriter words(true, std::endian::little);
  words.u64(1);
  words.u64(0x777000);
  d.data = words.bytes;
  d.read_only = words.bytes;
  const Loaded file(d);
  CHECK(file.image.slots_holding(0x777000) ==
        std::vector<std::uint64_t>{kElfBase + kElfReadOnly + 8, kElfBase + kElfData + 8});
}

TEST_CASE("elf image: slots of symbols have their names") {
  ElfDescription d;
  d.symbols = {{"dlopen", false}, {"dlsym", false}};
  d.data = std::string(32, '\0');
  d.relocations = {{kElfData + 8, R_X86_64_JUMP_SLOT, 2, 0},
                   {kElfData, R_X86_64_GLOB_DAT, 1, 0},
                   {kElfData + 16, R_X86_64_64, 99, 0}};
  const Loaded file(d);
  CHECK(file.image.symbol_at_slot(kElfData) == "dlopen");
  CHECK(file.image.symbol_at_slot(kElfData + 8) == "dlsym");
  CHECK(!file.image.symbol_at_slot(kElfData + 16));
  CHECK(!file.image.symbol_at_slot(kElfData + 24));
  CHECK(file.image.symbol_relocations().size() == 3);
}

TEST_CASE("elf image: a RELR bitmap bomb names each slot that is there once") {
  ElfDescription d;
  ElfWriter words(true, std::endian::little);
  for (int i = 0; i < 8; ++i)
    words.u64(0x5000);
  d.data = words.bytes;
  d.relr = {kElfData};
  for (int i = 0; i < 20000; ++i) {
    d.relr.push_back(UINT64_MAX);
    if (i % 2 == 0) d.relr.push_back(kElfData);
  }
  const Loaded file(d);
  CHECK(file.image.slots_holding(0x5000).size() == 8);
}
