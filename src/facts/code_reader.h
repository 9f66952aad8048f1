// SPDX-License-Identifier: Apache-2.0
// Machine code of x86-64 and aarch64 as the few operations that matter to the flow of values. What is not
// modelled is `kOther`, with the registers it may change.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace imgslim {

// Registers: 0..31 the machine's integer registers by number (aarch64: 31 is the stack pointer), then 32
// vector registers, each as two words (low, high).
inline constexpr int kNoRegister = -1;
inline constexpr int kFirstVectorRegister = 32;
inline constexpr int kRegisters = 32 + 64;

struct CodeOperand {
  enum class Kind : std::uint8_t { kNone, kRegister, kImmediate, kMemory };
  Kind kind = Kind::kNone;
  int base = kNoRegister;  // kRegister: the register; kMemory: base, none for an absolute address
  int index = kNoRegister;
  int scale = 1;
  std::int64_t offset = 0;  // kImmediate: the number; kMemory: displacement or address
};

enum class CodeOperation : std::uint8_t {
  kOther,
  kMove,       // first = second, of `width` bytes; 16 bytes move two words
  kMoveHigh,   // high word of vector register first = second
  kAddressOf,  // first = address of memory operand second
  kAdd,        // first = second + third
  kSubtract,   // first = second - third
  kShiftLeft,  // first = second << third
  kInsert,     // first = first with 16 bits at third replaced by second (movk)
  kSelect,     // first = either second or third, by `condition`
  kCompare,    // second with third; first, if any, = second - third
  kLoadPair,   // first, fourth = the words at second
  kStorePair,  // the words at first = second, third
  kPush,       // second
  kPop,        // first
  kCopyWords,  // rep movsq
  kCall,       // first: immediate address, register or memory that holds it
  kJump,       // likewise
  kBranch,     // conditional, to immediate first
  kReturn,
  kStop,  // never goes on
};

// What a conditional says of the comparison before it.
enum class CodeCondition : std::uint8_t { kAlways, kInclusive /* <=, > */, kExclusive /* <, >=, ==, != */ };

struct CodeInstruction {
  std::uint64_t address = 0;
  std::uint8_t length = 0;
  std::uint8_t width = 8;
  CodeOperation operation = CodeOperation::kOther;
  CodeCondition condition = CodeCondition::kAlways;
  bool negated = false;  // kSelect: of a condition and its opposite, one
  CodeOperand first, second, third, fourth;
  // Register that the address of a memory operand is kept in, moved by `step` before (`before`) or after.
  int stepped = kNoRegister;
  std::int64_t step = 0;
  bool step_before = false;
  std::uint32_t changed = 0;  // kOther: integer registers that may change, by bit
  std::uint32_t changed_vectors = 0;
};

// Decodes code of one machine. Not thread safe.
class CodeReader {
 public:
  // `machine`: an ElfMachine that is_supported() knows; throws Error{kIo} if Capstone does not start.
  explicit CodeReader(std::uint16_t machine);
  ~CodeReader();
  CodeReader(const CodeReader&) = delete;
  CodeReader& operator=(const CodeReader&) = delete;

  static bool is_supported(std::uint16_t machine);
  // Every instruction of `code`, which lies at `address`; bytes that are none are skipped.
  std::vector<CodeInstruction> read(std::string_view code, std::uint64_t address) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imgslim
