// SPDX-License-Identifier: Apache-2.0
// Where machine code refers to given addresses, and where its functions begin: one pass over the executable
// segments for call and jump displacements (x86-64: E8, E9, 0F 8x; aarch64: B, BL) and for addresses formed
// in place (RIP-relative, ADRP with ADD or LDR). Nothing is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace imgslim {

struct CodeReference {
  std::uint64_t place = 0;   // inside the instruction that refers
  std::uint64_t target = 0;  // what it refers to
  bool is_call = false;      // a call or jump; else the address is taken or loaded from
  auto operator<=>(const CodeReference&) const = default;
};

// References to any of `targets`, sorted by place. `is_call` ones are only looked for in code targets.
std::vector<CodeReference> find_references(const ElfImage& image, std::vector<std::uint64_t> targets);

// Words of data, after relocation, that hold any of `targets`: (address, target), sorted. The function table
// of Go, which holds every function, is left out; `go` may be null.
std::vector<std::pair<std::uint64_t, std::uint64_t>> find_pointers(const ElfImage& image, const GoFacts* go,
                                                                   std::vector<std::uint64_t> targets);

// Addresses of code that does nothing but jump to what a slot of the GOT holds: the procedure linkage
// table, of whatever form. Pairs of (address, slot), sorted; only for the `slots` given (sorted).
std::vector<std::pair<std::uint64_t, std::uint64_t>> find_linkage_stubs(
    const ElfImage& image, const std::vector<std::uint64_t>& slots);

// Bounds of functions: Go's function table, .eh_frame_hdr, the symbols of .dynsym; where there are none, a
// window around the address.
class FunctionBounds {
 public:
  // `go` may be null; both must outlive this.
  FunctionBounds(const ElfImage& image, const GoFacts* go);
  // [start, end) of the function that an address lies in.
  std::pair<std::uint64_t, std::uint64_t> bounds_of(std::uint64_t address) const;
  // Whether the start is known, not guessed.
  bool is_start(std::uint64_t address) const;

 private:
  void read_eh_frame_header();
  void add_called_starts();
  void add_dynamic_starts();
  const ElfImage& image_;
  const GoFacts* go_;
  std::vector<std::uint64_t> starts_;  // sorted
};

}  // namespace imgslim
