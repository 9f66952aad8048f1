// SPDX-License-Identifier: Apache-2.0
// Makes small ELF files for tests: what a loader looks at and nothing else (no sections). They are in the
// order and with the tables that a linker writes, so a loader takes those without code for what they are.
#pragma once

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgslim::testing {

// Where `code` and `data` are mapped; programs of fixed address (ET_EXEC) have both kElfBase higher.
constexpr std::uint64_t kElfCode = 0x1000000;
constexpr std::uint64_t kElfData = 0x2000000;
constexpr std::uint64_t kElfBase = 0x400000;

enum class ElfHash { kSysv, kGnu, kNone };

struct ElfDescription {
  struct Version {
    std::string file;
    std::vector<std::string> names;
  };
  struct Symbol {
    std::string name;
    bool defined = false;
    std::uint64_t value = 0;
    std::uint8_t type = STT_FUNC;
    std::uint8_t binding = STB_GLOBAL;
  };
  struct Note {
    std::string owner;
    std::uint32_t type = 0;
    std::string content;
  };
  struct Relocation {
    std::uint64_t address = 0;
    std::uint32_t type = 0;
    std::uint32_t symbol = 0;  // index in .dynsym: the first of `symbols` is 1
    std::int64_t addend = 0;
  };

  bool is_64 = true;
  std::endian byte_order = std::endian::little;
  std::uint16_t machine = EM_X86_64;
  std::uint16_t type = ET_DYN;
  std::uint64_t entry = 0;

  std::optional<std::string> interpreter;
  bool dynamic = true;  // a PT_DYNAMIC, even if it says nothing
  std::vector<std::string> needed;
  std::optional<std::string> soname;
  std::optional<std::string> rpath;
  std::optional<std::string> runpath;
  std::vector<std::string> filters;
  std::vector<std::string> auxiliaries;
  std::vector<std::string> audits;
  std::uint64_t flags_1 = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> more_dynamic;  // tag and value, in front of DT_NULL

  std::vector<Version> versions_needed;
  std::vector<std::string> versions_defined;
  std::vector<Symbol> symbols;  // those not defined first, as a linker sorts them
  ElfHash hash = ElfHash::kSysv;
  std::vector<Relocation> relocations;  // DT_RELA
  std::vector<std::uint64_t> relr;      // DT_RELR, encoded
  std::vector<Note> notes;
  std::string read_only;  // at kElfData - kElfReadOnlyGap
  std::string code;
  std::string data;
};

constexpr std::uint64_t kElfReadOnlyGap = 0x800000;
constexpr std::uint64_t kElfReadOnly = kElfData - kElfReadOnlyGap;

// Bytes in an order, with words of an address's size.
class ElfWriter {
 public:
  ElfWriter(bool is_64, std::endian order) : is_64_(is_64), order_(order) {}

  void number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t byte = order_ == std::endian::little ? i : size - 1 - i;
      bytes += static_cast<char>(value >> (8 * byte));
    }
  }
  void u8(std::uint64_t value) { number(value, 1); }
  void u16(std::uint64_t value) { number(value, 2); }
  void u32(std::uint64_t value) { number(value, 4); }
  void u64(std::uint64_t value) { number(value, 8); }
  void word(std::uint64_t value) { number(value, is_64_ ? 8 : 4); }
  void raw(std::string_view text) { bytes += text; }
  void pad(std::size_t alignment) {
    while (bytes.size() % alignment != 0)
      bytes += '\0';
  }

  std::string bytes;

 private:
  bool is_64_;
  std::endian order_;
};

class ElfBuilder {
 public:
  explicit ElfBuilder(const ElfDescription& description)
      : d_(description), base_(d_.type == ET_EXEC ? kElfBase : 0), head_(d_.is_64, d_.byte_order) {}

  std::string build() {
    // The head: ELF header and program headers come first, their bytes are written last.
    header_size_ = (d_.is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    program_header_size_ = (d_.is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
    head_.bytes.assign(header_size_ + 8 * program_header_size_, '\0');
    if (d_.interpreter) interpreter_ = put(*d_.interpreter + '\0');
    put_notes();
    if (d_.dynamic) put_tables();

    const std::string dynamic = dynamic_bytes();
    std::string file = head_.bytes;
    segments_.push_back({PT_LOAD, PF_R, 0, base_, file.size(), file.size(), 4096});
    append(file, d_.read_only, kElfReadOnly, PF_R);
    append(file, d_.code, kElfCode, PF_R | PF_X);
    std::string data = d_.data;
    while (data.size() % 8 != 0)
      data += '\0';
    const std::uint64_t dynamic_at = data.size();
    append(file, data + dynamic, kElfData, PF_R | PF_W);
    if (d_.dynamic) {
      const Segment& load = segments_.back();
      segments_.push_back({PT_DYNAMIC, PF_R | PF_W, load.offset + dynamic_at, load.address + dynamic_at,
                           dynamic.size(), dynamic.size(), 8});
    }
    if (interpreter_.second != 0) add_head_segment(PT_INTERP, interpreter_, 1);
    if (notes_.second != 0) add_head_segment(PT_NOTE, notes_, 4);
    const std::string header = header_bytes();
    std::copy(header.begin(), header.end(), file.begin());
    return file;
  }

 private:
  struct Segment {
    std::uint32_t type, flags;
    std::uint64_t offset, address, file_size, memory_size, alignment;
  };
  using Place = std::pair<std::uint64_t, std::uint64_t>;  // offset in the file, size

  Place put(std::string_view bytes) {
    head_.pad(8);
    const std::uint64_t at = head_.bytes.size();
    head_.raw(bytes);
    return {at, bytes.size()};
  }
  ElfWriter writer() const { return ElfWriter(d_.is_64, d_.byte_order); }
  std::uint64_t text(const std::string& value) {
    const std::uint64_t at = strings_.size();
    strings_ += value + '\0';
    return at;
  }
  void tag(std::uint64_t name, std::uint64_t value) { tags_.emplace_back(name, value); }

  void put_notes() {
    if (d_.notes.empty()) return;
    ElfWriter out = writer();
    for (const auto& note : d_.notes) {
      out.u32(note.owner.size() + 1);
      out.u32(note.content.size());
      out.u32(note.type);
      out.raw(note.owner + '\0');
      out.pad(4);
      out.raw(note.content);
      out.pad(4);
    }
    notes_ = put(out.bytes);
  }

  void put_tables() {
    for (const auto& name : d_.needed)
      tag(DT_NEEDED, text(name));
    if (d_.soname) tag(DT_SONAME, text(*d_.soname));
    if (d_.rpath) tag(DT_RPATH, text(*d_.rpath));
    if (d_.runpath) tag(DT_RUNPATH, text(*d_.runpath));
    for (const auto& name : d_.filters)
      tag(DT_FILTER, text(name));
    for (const auto& name : d_.auxiliaries)
      tag(DT_AUXILIARY, text(name));
    for (const auto& name : d_.audits)
      tag(DT_AUDIT, text(name));
    if (d_.flags_1 != 0) tag(DT_FLAGS_1, d_.flags_1);
    put_symbols();
    put_versions();
    put_relocations();
    const Place place = put(strings_);
    tag(DT_STRTAB, base_ + place.first);
    tag(DT_STRSZ, place.second);
    for (const auto& [name, value] : d_.more_dynamic)
      tag(name, value);
  }

  void put_symbols() {
    const std::uint64_t count = d_.symbols.size() + 1;
    ElfWriter hash = writer();
    if (d_.hash == ElfHash::kSysv) {
      // One bucket, of which the chain is all symbols.
      hash.u32(1);
      hash.u32(count);
      hash.u32(count > 1 ? 1 : 0);
      for (std::uint64_t i = 0; i < count; ++i)
        hash.u32(i == 0 || i + 1 == count ? 0 : i + 1);
      tag(DT_HASH, base_ + put(hash.bytes).first);
    } else if (d_.hash == ElfHash::kGnu) {
      const auto defined = [](const auto& symbol) { return symbol.defined; };
      const auto first = std::find_if(d_.symbols.begin(), d_.symbols.end(), defined);
      const std::uint64_t offset = static_cast<std::uint64_t>(first - d_.symbols.begin()) + 1;
      const bool empty = first == d_.symbols.end();
      hash.u32(1);
      hash.u32(empty ? 1 : offset);
      hash.u32(1);
      hash.u32(0);
      hash.word(UINT64_MAX);
      hash.u32(empty ? 0 : offset);
      for (auto it = first; it != d_.symbols.end(); ++it) {
        std::uint32_t value = 5381;
        for (const char c : it->name)
          value = value * 33 + static_cast<unsigned char>(c);
        hash.u32((value & ~1u) | (it + 1 == d_.symbols.end() ? 1 : 0));
      }
      tag(DT_GNU_HASH, base_ + put(hash.bytes).first);
    }
    ElfWriter table = writer();
    table.raw(std::string(d_.is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym), '\0'));
    for (const auto& symbol : d_.symbols) {
      const std::uint64_t name = text(symbol.name);
      const auto info = ELF64_ST_INFO(symbol.binding, symbol.type);
      const std::uint16_t section = symbol.defined ? 1 : SHN_UNDEF;
      table.u32(name);
      if (d_.is_64) {
        table.u8(info);
        table.u8(0);
        table.u16(section);
        table.u64(symbol.value);
        table.u64(0);
      } else {
        table.u32(symbol.value);
        table.u32(0);
        table.u8(info);
        table.u8(0);
        table.u16(section);
      }
    }
    tag(DT_SYMTAB, base_ + put(table.bytes).first);
    tag(DT_SYMENT, d_.is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));
  }

  static std::uint32_t sysv_hash(std::string_view name) {
    std::uint32_t value = 0;
    for (const char c : name) {
      value = (value << 4) + static_cast<unsigned char>(c);
      const std::uint32_t high = value & 0xf0000000;
      value = (value ^ (high >> 24)) & ~high;
    }
    return value;
  }

  void put_versions() {
    if (d_.versions_needed.empty() && d_.versions_defined.empty()) return;
    ElfWriter symbols = writer();
    for (std::size_t i = 0; i <= d_.symbols.size(); ++i)
      symbols.u16(i == 0 ? 0 : 1);
    tag(DT_VERSYM, base_ + put(symbols.bytes).first);
    std::uint16_t index = 2;
    if (!d_.versions_defined.empty()) {
      ElfWriter out = writer();
      const std::size_t count = d_.versions_defined.size() + 1;
      for (std::size_t i = 0; i < count; ++i) {
        const std::string name = i == 0 ? d_.soname.value_or("") : d_.versions_defined[i - 1];
        out.u16(1);
        out.u16(i == 0 ? VER_FLG_BASE : 0);
        out.u16(i == 0 ? 1 : index++);
        out.u16(1);
        out.u32(sysv_hash(name));
        out.u32(sizeof(Elf64_Verdef));
        out.u32(i + 1 == count ? 0 : sizeof(Elf64_Verdef) + sizeof(Elf64_Verdaux));
        out.u32(text(name));
        out.u32(0);
      }
      tag(DT_VERDEF, base_ + put(out.bytes).first);
      tag(DT_VERDEFNUM, count);
    }
    if (!d_.versions_needed.empty()) {
      ElfWriter out = writer();
      for (const auto& need : d_.versions_needed) {
        const bool last = &need == &d_.versions_needed.back();
        out.u16(1);
        out.u16(need.names.size());
        out.u32(text(need.file));
        out.u32(sizeof(Elf64_Verneed));
        out.u32(last ? 0 : sizeof(Elf64_Verneed) + need.names.size() * sizeof(Elf64_Vernaux));
        for (const auto& name : need.names) {
          out.u32(sysv_hash(name));
          out.u16(0);
          out.u16(index++);
          out.u32(text(name));
          out.u32(&name == &need.names.back() ? 0 : sizeof(Elf64_Vernaux));
        }
      }
      tag(DT_VERNEED, base_ + put(out.bytes).first);
      tag(DT_VERNEEDNUM, d_.versions_needed.size());
    }
  }

  void put_relocations() {
    if (!d_.relocations.empty()) {
      ElfWriter out = writer();
      for (const auto& item : d_.relocations) {
        out.word(item.address);
        out.word(d_.is_64 ? ELF64_R_INFO(std::uint64_t{item.symbol}, item.type)
                          : ELF32_R_INFO(item.symbol, item.type));
        out.word(static_cast<std::uint64_t>(item.addend));
      }
      const Place place = put(out.bytes);
      tag(DT_RELA, base_ + place.first);
      tag(DT_RELASZ, place.second);
      tag(DT_RELAENT, d_.is_64 ? sizeof(Elf64_Rela) : sizeof(Elf32_Rela));
    }
    if (!d_.relr.empty()) {
      ElfWriter out = writer();
      for (const std::uint64_t entry : d_.relr)
        out.word(entry);
      const Place place = put(out.bytes);
      tag(DT_RELR, base_ + place.first);
      tag(DT_RELRSZ, place.second);
      tag(DT_RELRENT, d_.is_64 ? 8 : 4);
    }
  }

  std::string dynamic_bytes() const {
    if (!d_.dynamic) return {};
    ElfWriter out = writer();
    for (const auto& [name, value] : tags_) {
      out.word(name);
      out.word(value);
    }
    out.word(DT_NULL);
    out.word(0);
    return out.bytes;
  }

  void append(std::string& file, std::string_view bytes, std::uint64_t address, std::uint32_t flags) {
    if (bytes.empty()) return;
    file.resize((file.size() + 4095) / 4096 * 4096, '\0');
    segments_.push_back({PT_LOAD, flags, file.size(), base_ + address, bytes.size(), bytes.size(), 4096});
    file += bytes;
  }
  void add_head_segment(std::uint32_t type, Place place, std::uint64_t alignment) {
    segments_.push_back(
        {type, PF_R, place.first, base_ + place.first, place.second, place.second, alignment});
  }

  std::string header_bytes() const {
    ElfWriter out = writer();
    out.raw(ELFMAG);
    out.u8(d_.is_64 ? ELFCLASS64 : ELFCLASS32);
    out.u8(d_.byte_order == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB);
    out.u8(EV_CURRENT);
    out.raw(std::string(9, '\0'));
    out.u16(d_.type);
    out.u16(d_.machine);
    out.u32(EV_CURRENT);
    out.word(d_.entry);
    out.word(header_size_);
    out.word(0);
    out.u32(0);
    out.u16(header_size_);
    out.u16(program_header_size_);
    out.u16(segments_.size());
    out.u16(0);
    out.u16(0);
    out.u16(0);
    // The loader wants PT_INTERP before the first PT_LOAD.
    std::vector<Segment> sorted = segments_;
    std::stable_partition(sorted.begin(), sorted.end(),
                          [](const Segment& it) { return it.type == PT_INTERP; });
    for (const Segment& segment : sorted) {
      out.u32(segment.type);
      if (d_.is_64) out.u32(segment.flags);
      out.word(segment.offset);
      out.word(segment.address);
      out.word(segment.address);
      out.word(segment.file_size);
      out.word(segment.memory_size);
      if (!d_.is_64) out.u32(segment.flags);
      out.word(segment.alignment);
    }
    return out.bytes;
  }

  const ElfDescription& d_;
  std::uint64_t base_;
  ElfWriter head_;
  std::size_t header_size_ = 0;
  std::size_t program_header_size_ = 0;
  std::string strings_ = std::string(1, '\0');
  std::vector<std::pair<std::uint64_t, std::uint64_t>> tags_;
  std::vector<Segment> segments_;
  Place interpreter_{0, 0};
  Place notes_{0, 0};
};

inline std::string build_elf(const ElfDescription& description) {
  return ElfBuilder(description).build();
}

// A loader of glibc with the tables of a real one: its trusted directories are /lib and /usr/lib.
inline std::string build_glibc_loader(const std::string& version = "2.38") {
  ElfDescription loader;
  loader.soname = "ld-linux-x86-64.so.2";
  loader.read_only = std::string("\0", 1) + "/lib/" + '\0' + "/usr/lib/" + '\0' +
                     std::string("\5\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0", 16) + "/etc/ld.so.cache" + '\0' +
                     "glibc-ld.so.cache" + '\0' + "x86-64-v4:x86-64-v3:x86-64-v2" + '\0' +
                     "ld.so (GNU libc) stable release version " + version + ".\n" + '\0';
  return build_elf(loader);
}

}  // namespace imgslim::testing
