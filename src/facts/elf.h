// SPDX-License-Identifier: Apache-2.0
// Facts of one ELF file, from its program headers and dynamic section alone (System V gABI, "Program
// Loading and Dynamic Linking"), as the loader sees it: stripped and section-less files work. Hostile
// bytes give fewer facts, never a crash or a large allocation; what is wrong is in `problems`.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgslim {

enum class ElfMachine : std::uint16_t { kX86 = 3, kArm = 40, kX86_64 = 62, kAarch64 = 183, kRiscV = 243 };

struct ElfSegment {
  std::uint32_t type = 0;   // PT_*
  std::uint32_t flags = 0;  // PF_*
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_size = 0;  // clamped to the file
  std::uint64_t memory_size = 0;
  std::uint64_t alignment = 0;
};

// A version of a library's interface: .gnu.version_r (file set) or .gnu.version_d (file empty).
struct SymbolVersion {
  std::string file;   // DT_NEEDED name it is needed from
  std::string name;   // "GLIBC_2.34"
  bool weak = false;  // VER_FLG_WEAK: missing is no error
  auto operator<=>(const SymbolVersion&) const = default;
};

struct DynamicSymbol {
  std::string name;
  std::uint64_t value = 0;
  std::uint8_t type = 0;     // STT_*
  std::uint8_t binding = 0;  // STB_*
  bool defined = false;
};

// A relocation that stores an address: where, and of which dynamic symbol (or what, if none).
struct ElfRelocation {
  std::uint64_t address = 0;
  std::uint32_t type = 0;
  std::uint32_t symbol = 0;  // index into dynamic_symbols; 0 = none
  std::int64_t addend = 0;
};

// One entry of a .note.dlopen (UAPI.12 ELF dlopen metadata).
struct DlopenNote {
  std::vector<std::string> sonames;  // in order of preference
  std::string feature;
  std::string description;
  std::string priority;  // "required", "recommended", "suggested"
};

struct ElfFacts {
  bool is_64 = true;
  std::endian byte_order = std::endian::little;
  std::uint16_t machine = 0;
  std::uint16_t type = 0;       // ET_*
  std::uint32_t abi_flags = 0;  // e_flags
  std::uint8_t os_abi = 0;
  std::uint64_t entry = 0;
  std::vector<ElfSegment> segments;

  std::optional<std::string> interpreter;  // PT_INTERP
  bool has_dynamic = false;                // PT_DYNAMIC
  std::vector<std::string> needed;         // DT_NEEDED, in order
  std::optional<std::string> soname;
  std::optional<std::string> rpath;      // DT_RPATH, also if RUNPATH is there
  std::optional<std::string> runpath;    // DT_RUNPATH
  std::vector<std::string> filters;      // DT_FILTER: required
  std::vector<std::string> auxiliaries;  // DT_AUXILIARY: optional
  std::vector<std::string> audits;       // DT_AUDIT, DT_DEPAUDIT
  std::uint64_t flags_1 = 0;             // DT_FLAGS_1 (DF_1_NODEFLIB, DF_1_PIE, ..)
  std::vector<SymbolVersion> versions_needed;
  std::vector<SymbolVersion> versions_defined;
  std::vector<DynamicSymbol> dynamic_symbols;  // .dynsym, index 0 included
  std::string build_id;                        // hex of NT_GNU_BUILD_ID
  std::vector<DlopenNote> dlopen_notes;
  std::vector<std::string> problems;  // one line each: what could not be read

  bool imports(std::string_view symbol) const;  // undefined in .dynsym
  bool exports(std::string_view symbol) const;  // defined in .dynsym
};

// Whether the bytes start like an ELF file that is long enough to have a header.
bool is_elf(std::string_view bytes);

// Facts of an ELF file, nothing if it is none (too short, unknown class or byte order).
std::optional<ElfFacts> read_elf(std::string_view bytes);

// The file as the loader maps it: reads by address, with relocations that only shift by the load address
// (R_*_RELATIVE, DT_RELR) already applied for a load address of 0. Views into `bytes` stay the caller's.
class ElfImage {
 public:
  // `facts` and `bytes` must outlive the image.
  ElfImage(const ElfFacts& facts, std::string_view bytes);
  ~ElfImage();
  ElfImage(const ElfImage&) = delete;
  ElfImage& operator=(const ElfImage&) = delete;

  const ElfFacts& facts() const { return facts_; }
  // The file's bytes at an address, as far as `length` and inside one segment's file bytes; relocations
  // are not in them.
  std::optional<std::string_view> bytes_at(std::uint64_t address, std::uint64_t length) const;
  // From an address to the end of its segment's file bytes.
  std::string_view bytes_from(std::uint64_t address) const;
  // The same with relocations that only shift by the load address applied; as long-lived as the image.
  std::string_view relocated_from(std::uint64_t address) const;
  // A pointer-sized value as it is after relocation.
  std::optional<std::uint64_t> pointer_at(std::uint64_t address) const;
  std::optional<std::string_view> c_string_at(std::uint64_t address, std::size_t limit = 4096) const;
  // Whether an address lies in a segment that can be executed, written.
  bool is_code(std::uint64_t address) const;
  bool is_writable(std::uint64_t address) const;
  // Relocations against dynamic symbols (GLOB_DAT, JUMP_SLOT, ABS64), sorted by address.
  const std::vector<ElfRelocation>& symbol_relocations() const;
  // Name of the symbol whose address the GOT slot or pointer at `address` gets, if any.
  std::optional<std::string_view> symbol_at_slot(std::uint64_t address) const;
  // Addresses of slots whose relocated pointer value is `value`, sorted (from RELATIVE and RELR relocations
  // only, plus a scan of data segments of files that are not position independent). Each call reads them all.
  std::vector<std::uint64_t> slots_holding(std::uint64_t value) const;

 private:
  const ElfFacts& facts_;
  std::string_view bytes_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imgslim
