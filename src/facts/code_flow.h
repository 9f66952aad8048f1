// SPDX-License-Identifier: Apache-2.0
// The flow of values through one function, forward from its entry to the calls of interest: what each
// argument of a call may be. Branches give sets, loops over constant tables give ranges, everything else is
// unknown; memory of the frame is followed as far as no callee got its address.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/facts/code_reader.h"
#include "src/facts/code_values.h"
#include "src/facts/elf.h"

namespace imgslim {

// Where arguments and results of calls are, and which registers a callee keeps.
struct CallingConvention {
  std::vector<int> arguments;  // registers in order; empty: words on the stack
  std::vector<int> results;
  std::uint32_t preserved = 0;  // by bit
  int stack_pointer = 4;
  std::int64_t stack_at_call = 0;   // of argument word 0 from the stack pointer before the call
  std::int64_t stack_at_entry = 8;  // the same from the stack pointer at entry
  bool is_c = false;                // further words of arguments are on the stack
  int context = kNoRegister;        // Go: the closure that is called

  static const CallingConvention& system_v();
  static const CallingConvention& aapcs64();
  static const CallingConvention& go_registers(std::uint16_t machine);  // ABIInternal
  static const CallingConvention& go_stack(std::uint16_t machine);      // ABI0
};

// What a callee of libc does with a text; numbers are those of its arguments.
struct TextEffect {
  enum class Result : std::uint8_t { kOther, kStart, kEnd, kLength, kInside };
  int to = kNoRegister;      // where the text goes; kLength, kInside: where it is
  int size = kNoRegister;    // how many bytes it may have there
  int source = kNoRegister;  // plain bytes that are copied, `size` of them
  bool allocates = false;    // `to` is a pointer that gets the address of new memory
  Result result = Result::kOther;
};

// What is known of a callee.
struct CallEffect {
  bool returns = true;
  bool keeps_memory = false;     // writes nothing that its arguments point to
  bool reads_first = false;      // writes nothing that its first argument points to
  bool keeps_registers = false;  // write barriers and the like
  std::int64_t copies = 0;       // bytes copied, `copy_from` and `copy_to` being registers
  int copy_from = kNoRegister;
  int copy_to = kNoRegister;
  const TextEffect* text = nullptr;
};

// A call that wrote a text: one of libc's that do, or of a function that got the place as any of `arguments`,
// by bit.
struct CodeWriter {
  std::uint64_t call = 0;
  std::uint32_t arguments = 0;
};

// Bytes that memory holds, or the calls one of which wrote a text there.
struct CodePiece {
  std::string bytes;
  std::vector<CodeWriter> writers;
};

// What the memory that an argument points to holds: its pieces, as far as they are known.
struct CodeBuffer {
  std::vector<CodePiece> pieces;
  bool whole = false;  // to the text's end
};

// A Go closure that is handed on: the function and the words behind it, which are what it captured.
struct CodeClosure {
  std::uint64_t function = 0;
  std::uint64_t memory = 0;  // where it was made: 0 in the frame, or by the call at this address
  std::int64_t offset = 0;
  std::vector<CodeValues> captured;
};

inline constexpr std::size_t kPointingArguments = 3;
inline constexpr std::size_t kPointedWords = 2;

struct CodeCall {
  std::uint64_t address = 0;           // of the instruction
  std::vector<std::uint64_t> targets;  // code called, as far as known
  std::vector<std::uint64_t> slots;    // GOT slots it is called through
  bool through_variable = false;       // the target is what a variable holds at start
  bool leaves = false;                 // a jump: the function's own caller gets the result
  std::vector<CodeValues> arguments;   // the first words, up to 12
  std::vector<CodeClosure> closures;   // of Go code: that arguments point to
  std::vector<CodeBuffer> buffers;     // of C code: what each argument points to, in memory that is followed
  // Of C code: the first kPointedWords words behind each of the first kPointingArguments arguments.
  std::vector<CodeValues> pointed;
};

struct CodeStore {
  std::uint64_t address = 0;  // of the instruction
  CodeValue place;            // kConstant: a variable; kObject: memory that a call returned
  CodeValues stored;
  int width = 8;
};

struct CodeReturn {
  std::uint64_t address = 0;        // of the instruction
  std::vector<CodeValues> results;  // the first words, where they are in registers
  std::vector<CodeBuffer> filled;   // of C code: what the function left where each argument points
};

struct FunctionFlow {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  const CallingConvention* convention = nullptr;
  std::vector<CodeCall> calls;                   // by address
  std::vector<CodeStore> stores;                 // by address
  std::vector<CodeReturn> returns;               // by address; a call that leaves returns too
  std::map<std::uint64_t, std::int64_t> rounds;  // of each loop with a known end
  std::vector<std::uint64_t> transfers;          // wanted addresses at which a call or jump really begins
  bool writes_elsewhere = false;                 // of C code: to memory that is not its own frame
  bool complete = true;                          // false: too large or too branched to be followed to the end
  std::size_t visits = 0;                        // of blocks, what it cost

  const CodeCall* call_at(std::uint64_t address) const;
};

struct FlowInput {
  const ElfImage* image = nullptr;
  const CodeReader* reader = nullptr;
  const CallingConvention* convention = nullptr;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::vector<std::uint64_t> wanted;  // only what can lead to one of these addresses is followed
  bool whole = false;                 // or all of it
  std::size_t most_visits = 60000;    // of blocks; then the flow is not complete
  std::function<CallEffect(std::uint64_t target, std::uint64_t slot)> effect_of;
};

// Follows a function; code that is none gives an empty flow.
FunctionFlow follow_function(const FlowInput& input);

// The signed 32-bit number at an address.
std::optional<std::int32_t> number_at(const ElfImage& image, std::uint64_t address);

// Whether the word at an address can change after start-up: writable, and not in PT_GNU_RELRO.
bool may_change(const ElfImage& image, std::uint64_t address);

}  // namespace imgslim
