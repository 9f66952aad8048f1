// SPDX-License-Identifier: Apache-2.0
// Makes small ELF files with sections, as a linker lays them out: the segments first, then what is not
// loaded, then the section headers.
#pragma once

#include <elf.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/elf_builder.h"

namespace imgslim::testing {

struct SectionDescription {
  std::string name;
  std::uint32_t type = SHT_PROGBITS;
  std::uint64_t flags = 0;
  std::string content;
  std::uint64_t alignment = 1;
  std::string link;  // name of a section
  std::uint32_t info = 0;
  std::uint64_t entry_size = 0;
  std::uint64_t memory_size = 0;  // of SHT_NOBITS
};

struct SectionedElf {
  bool is_64 = true;
  std::endian byte_order = std::endian::little;
  std::uint16_t type = ET_EXEC;
  std::vector<SectionDescription> sections;  // .shstrtab is added at the end
  std::string behind;                        // appended behind the file

  std::size_t number_of(std::string_view name) const {
    for (std::size_t i = 0; i < sections.size(); ++i) {
      if (sections[i].name == name) return i + 1;
    }
    return name == ".shstrtab" ? sections.size() + 1 : 0;
  }

  // Symbols of the given sections (0: undefined), the null symbol in front.
  std::string symbols(const std::vector<std::size_t>& section_numbers) const {
    ElfWriter out(is_64, byte_order);
    const auto add = [&](std::uint64_t value, std::size_t section, std::uint8_t info) {
      out.u32(0);
      if (is_64) {
        out.u8(info);
        out.u8(0);
        out.u16(section);
        out.word(value);
        out.word(0);
      } else {
        out.word(value);
        out.word(0);
        out.u8(info);
        out.u8(0);
        out.u16(section);
      }
    };
    add(0, 0, 0);
    for (std::size_t i = 0; i < section_numbers.size(); ++i)
      add(0x1000 + i, section_numbers[i], 0);
    return out.bytes;
  }

  std::string note(std::string_view owner, std::uint32_t type, std::string_view content) const {
    ElfWriter out(is_64, byte_order);
    out.u32(owner.size() + 1);
    out.u32(content.size());
    out.u32(type);
    out.raw(owner);
    out.u8(0);
    out.pad(4);
    out.raw(content);
    out.pad(4);
    return out.bytes;
  }

  std::string build() const {
    std::vector<SectionDescription> all = sections;
    std::string names(1, '\0');
    std::vector<std::size_t> name_offsets{0};
    for (const SectionDescription& section : all) {
      name_offsets.push_back(names.size());
      names += section.name + '\0';
    }
    name_offsets.push_back(names.size());
    names += std::string(".shstrtab") + '\0';
    SectionDescription table;
    table.type = SHT_STRTAB;
    table.content = names;
    all.push_back(table);

    constexpr std::size_t kSegments = 2;  // PT_LOAD over all that is allocated, PT_NOTE over the first note
    const std::size_t head = is_64 ? 64 : 52;
    ElfWriter body(is_64, byte_order);
    body.bytes.assign(head + kSegments * (is_64 ? 56 : 32), '\0');
    std::vector<std::uint64_t> offsets;
    std::uint64_t loaded = 0;
    std::uint64_t note_offset = 0;
    std::uint64_t note_size = 0;
    for (const SectionDescription& section : all) {
      body.pad(section.alignment);
      offsets.push_back(body.bytes.size());
      if (section.type == SHT_NOTE && (section.flags & SHF_ALLOC) != 0) {
        note_offset = body.bytes.size();
        note_size = section.content.size();
      }
      if (section.type != SHT_NOBITS) body.raw(section.content);
      if ((section.flags & SHF_ALLOC) != 0) loaded = body.bytes.size();
    }
    body.pad(8);
    const std::uint64_t headers = body.bytes.size();
    const auto header = [&](std::uint32_t name, const SectionDescription& section, std::uint64_t offset) {
      body.u32(name);
      body.u32(section.type);
      body.word(section.flags);
      body.word((section.flags & SHF_ALLOC) != 0 ? kElfBase + offset : 0);
      body.word(offset);
      body.word(section.type == SHT_NOBITS ? section.memory_size : section.content.size());
      body.u32(section.link.empty() ? 0 : number_of(section.link));
      body.u32(section.info);
      body.word(section.alignment);
      body.word(section.entry_size);
    };
    SectionDescription none;
    none.type = SHT_NULL;
    none.alignment = 0;
    header(0, none, 0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      header(static_cast<std::uint32_t>(name_offsets[i + 1]), all[i], offsets[i]);
    }

    ElfWriter front(is_64, byte_order);
    front.raw(std::string_view(ELFMAG, SELFMAG));
    front.u8(is_64 ? ELFCLASS64 : ELFCLASS32);
    front.u8(byte_order == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB);
    front.u8(EV_CURRENT);
    front.pad(16);
    front.u16(type);
    front.u16(EM_X86_64);
    front.u32(EV_CURRENT);
    front.word(kElfBase + head);
    front.word(head);
    front.word(headers);
    front.u32(0);
    front.u16(head);
    front.u16(is_64 ? 56 : 32);
    front.u16(kSegments);
    front.u16(is_64 ? 64 : 40);
    front.u16(all.size() + 1);
    front.u16(all.size());
    segment(front, PT_LOAD, 0, loaded, 0x1000);
    segment(front, PT_NOTE, note_offset, note_size, 4);
    body.bytes.replace(0, front.bytes.size(), front.bytes);
    return body.bytes + behind;
  }

 private:
  void segment(ElfWriter& out, std::uint32_t type, std::uint64_t offset, std::uint64_t size,
               std::uint64_t alignment) const {
    out.u32(type);
    if (is_64) out.u32(PF_R | PF_X);
    out.word(offset);
    out.word(kElfBase + offset);
    out.word(kElfBase + offset);
    out.word(size);
    out.word(size);
    if (!is_64) out.u32(PF_R | PF_X);
    out.word(alignment);
  }
};

// A program with debug information, a symbol table that also names debug sections, and a build id.
inline SectionedElf debug_program(bool is_64 = true, std::endian order = std::endian::little) {
  SectionedElf elf;
  elf.is_64 = is_64;
  elf.byte_order = order;
  elf.sections = {
      {".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, "", 4, "", 0, 0, 0},
      {".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, std::string(100, '\x90'), 16, "", 0, 0, 0},
      {".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, "", 8, "", 0, 0, 64},
      {".debug_info", SHT_PROGBITS, 0, std::string(5000, 'i'), 1, "", 0, 0, 0},
      {".debug_line", SHT_PROGBITS, SHF_COMPRESSED, std::string(300, 'l'), 1, "", 0, 0, 0},
      {".comment", SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, std::string("a compiler\0", 11), 1, "", 0, 1, 0},
      {".symtab", SHT_SYMTAB, 0, "", 8, ".strtab", 3, 0, 0},
      {".strtab", SHT_STRTAB, 0, std::string("\0name\0", 6), 1, "", 0, 0, 0},
  };
  elf.sections[0].content = elf.note("GNU", NT_GNU_BUILD_ID, "\x01\x23\x45\x67");
  elf.sections[6].entry_size = is_64 ? 24 : 16;
  elf.sections[6].content =
      elf.symbols({elf.number_of(".debug_info"), elf.number_of(".text"), elf.number_of(".comment")});
  return elf;
}

}  // namespace imgslim::testing
