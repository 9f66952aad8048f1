// SPDX-License-Identifier: Apache-2.0
// What a register or a stack slot may hold at one place of a program, as far as its code says: a small set
// of possibilities. An empty set that is not `unknown` is a place that no path reaches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace imgslim {

// One possibility.
struct CodeValue {
  enum class Kind : std::uint8_t {
    kConstant,    // `value`: a number or an address
    kParameter,   // the function's own integer argument number `value`, as its caller gave it; from
                  // kFirstCaptured on, a word of its Go closure, set where that was made. With a `site`, of
                  // C code, it may point to memory that is followed
    kStack,       // the address `value` bytes from the stack pointer at entry
    kObject,      // the address `value` bytes into what the call at `site` returned, or an argument points to
    kResult,      // word number `value` of what the call at `site` returned
    kRange,       // `value` + k * `stride` in round k of the loop at `site`
    kStackRange,  // the same, an address relative to the stack pointer at entry
    kTable,       // the word stored at `value` + k * `stride`, likewise
    kNumbers,     // `first` + the signed 32-bit number stored at `value` + k * `stride`, likewise
    kGlobal,      // the word stored at `value`, in memory that the program can write
    kPointee,     // the word `stride` bytes into what the pointer stored at `value` points to
    kText,        // in memory: the text that the call at `site` wrote there begins; with a `value`, the call
                  // of a function that got the place as the arguments whose bits are set in it
    kTextPointer,  // the address of memory that the call at `site` made for a text
    kContext,      // the address `value` bytes into the Go closure that the function is
    kFrame,        // an address `value` bytes or more from the stack pointer at entry
  };
  Kind kind = Kind::kConstant;
  std::int64_t value = 0;
  std::int64_t stride = 0;
  std::int64_t first = 0;  // kRange: value before any step in the first round; kNumbers: what is added
  std::uint64_t site = 0;
  std::uint64_t origin = 0;  // equal for possibilities that come about together (pointer and length)
  auto operator<=>(const CodeValue&) const = default;
};

inline constexpr std::size_t kMostCodeValues = 32;
// Memory that argument number i points to has the site kArgumentMemory + i; no call is there.
inline constexpr std::uint64_t kArgumentMemory = 1ull << 63;
constexpr bool is_argument_memory(std::uint64_t site) {
  return site >= kArgumentMemory;
}
// Words of a closure behind its code address.
inline constexpr std::size_t kFirstCaptured = 64;
inline constexpr std::size_t kMostCaptured = 8;

struct CodeValues {
  std::vector<CodeValue> any;  // sorted, at most kMostCodeValues
  bool unknown = false;        // or something else

  static CodeValues nothing_known();
  static CodeValues one(const CodeValue& value);
  static CodeValues constant(std::uint64_t value, std::uint64_t origin = 0);
  bool is_constant() const;
  bool operator==(const CodeValues&) const = default;
  // Adds a possibility; too many make the set unknown and empty.
  void add(const CodeValue& value);
  void add(const CodeValues& other);
};

// Sum and product as far as they can be told.
CodeValues add_constant(const CodeValues& values, std::int64_t amount);
CodeValues add_values(const CodeValues& a, const CodeValues& b);
CodeValues scale_values(const CodeValues& values, std::int64_t factor);
// Whether a value is another one in each round of a loop.
bool is_range(const CodeValue& value);
// Whether a single value is one of the rounds of a range.
bool is_round_of(const CodeValue& value, const CodeValue& range);
// Where two paths meet at the head of a loop: a value that was stepped from one of `before` becomes a range
// of the loop `site`.
CodeValues widen(const CodeValues& before, const CodeValues& stepped, std::uint64_t site);

}  // namespace imgslim
