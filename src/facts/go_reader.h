// SPDX-License-Identifier: Apache-2.0
// What the readers of Go facts share. Internal to src/facts/go_*.cc.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/bytes.h"
#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace imgslim {

// The loadable segments of a program with relocations applied, for scans and reads by address.
class GoMemory {
 public:
  struct Area {
    std::uint64_t address = 0;
    std::string_view bytes;
    bool executable = false;
    bool writable = false;
  };

  // `elf` must outlive the memory.
  explicit GoMemory(const ElfImage& elf);

  const ElfImage& elf() const { return elf_; }
  // In the order in which data is worth looking for: read-only, writable, executable.
  const std::vector<Area>& areas() const { return areas_; }
  std::size_t word_size() const { return word_size_; }

  // From an address to the end of its area; empty outside of all.
  std::string_view from(std::uint64_t address) const {
    for (const Area& area : areas_) {
      if (address >= area.address && address - area.address < area.bytes.size()) {
        return area.bytes.substr(address - area.address);
      }
    }
    return {};
  }
  std::optional<std::string_view> at(std::uint64_t address, std::uint64_t length) const {
    if (length == 0) return std::string_view();
    return slice(from(address), 0, length);
  }
  std::optional<std::uint64_t> word(std::uint64_t address) const { return word_in(from(address), 0); }

  // A pointer-sized and a 4-byte value inside a view, in the file's byte order.
  std::optional<std::uint64_t> word_in(std::string_view view, std::uint64_t offset) const {
    if (offset > view.size() || view.size() - offset < word_size_) return std::nullopt;
    return load_word(view.data() + offset);
  }
  std::optional<std::uint32_t> half_in(std::string_view view, std::uint64_t offset) const {
    return read_integer<std::uint32_t>(view, offset, order_);
  }
  // `at` must point to word_size() readable bytes.
  std::uint64_t load_word(const char* at) const {
    if (is_host_word_) {
      std::uint64_t value;
      std::memcpy(&value, at, sizeof(value));
      return value;
    }
    return slow_word(at);
  }

 private:
  std::uint64_t slow_word(const char* at) const;

  const ElfImage& elf_;
  std::vector<Area> areas_;
  std::size_t word_size_;
  std::endian order_;
  bool is_host_word_;
};

// The function table. Layouts by the first release that writes them (cmd/link/internal/ld/pcln.go).
enum class GoTableLayout { k116, k118, k120 };

struct GoTable {
  std::uint64_t address = 0;
  GoTableLayout layout = GoTableLayout::k120;
  bool known_magic = true;  // false: every field is plausible but the magic is none of Go's
  std::uint64_t function_count = 0;
  std::uint64_t text_start = 0;  // of the header; 0 before 1.18 and from 1.26 on
  std::uint64_t names_offset = 0;
  std::uint64_t names_end = 0;  // start of the table behind the names
  std::uint64_t functions_offset = 0;
  std::uint64_t module_data = 0;  // address of the module data that points here, 0 if none is valid
};

// Finds the table and its module data, nothing if there is none.
std::optional<GoTable> find_go_table(const GoMemory& memory);
// Word `index` of the module data.
std::optional<std::uint64_t> module_word(const GoMemory& memory, const GoTable& table, std::uint64_t index);
// text, end_of_text and functions of `facts`.
void read_go_functions(const GoMemory& memory, const GoTable& table, GoFacts& facts);

// Words of the module data that are the same in every release from 1.16 on.
enum GoModuleWord : std::uint64_t {
  kModuleHeader = 0,
  kModuleNames = 1,
  kModuleFunctions = 16,
  kModuleFirstPc = 20,
  kModuleText = 22,
  kModuleTextEnd = 23,
  kModuleNoPointerData = 24,
  kModuleNoPointerDataEnd = 25,
  kModuleData = 26,
  kModuleDataEnd = 27,
};

// Build info in writable data, where Go's linker puts it, or in read-only data.
std::optional<GoBuildInfo> find_go_build_info(const GoMemory& memory, bool writable,
                                              std::vector<std::string>& problems);
// Reads the text behind `go version -m`; lines that are wrong go to `problems`.
void parse_go_module_info(std::string_view text, GoBuildInfo& info, std::vector<std::string>& problems);

// The part of a function name that is its package, as it is written there (escapes not decoded).
std::string_view go_package_prefix(std::string_view function_name);
// packages and cgo_packages of `facts`, out of its functions.
void read_go_packages(GoFacts& facts);
// init_functions of `facts`.
void read_go_inits(const GoMemory& memory, const GoTable& table, GoFacts& facts);
// embeds of `facts`.
void read_go_embeds(const GoMemory& memory, std::string_view bytes, GoFacts& facts);
// linkage and rebuild_without_cgo_is_free of `facts`.
void read_go_linkage(const GoMemory& memory, const GoTable* table, GoFacts& facts);

}  // namespace imgslim
