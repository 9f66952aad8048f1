// SPDX-License-Identifier: Apache-2.0
// What registers and followed memory may hold at one place, and what one instruction does to it. For
// code_flow.cc alone.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "src/facts/code_flow.h"

namespace imgslim {

struct CodeState {
  // Words in memory: (0, offset from the stack pointer at entry), (call that returned it, offset) or
  // (kArgumentMemory + number of the argument that points to it, offset).
  using Place = std::pair<std::uint64_t, std::int64_t>;
  struct Word {
    CodeValues values;
    int width = 8;     // bytes, of a text the first
    bool cut = false;  // its end was written over
    // What a load of some bytes from its start gives.
    CodeValues load(int bytes) const {
      const bool other_width = width < bytes || (bytes < 4 && width != bytes);
      return cut || other_width ? CodeValues::nothing_known() : values;
    }
    bool operator==(const Word&) const = default;
  };
  std::array<CodeValues, kRegisters> registers;
  std::map<Place, Word> memory;

  static CodeState at_entry(const CallingConvention& convention);
  // Joins the state of another path; `loop` is the head of the loop it comes around, or 0. With
  // `forget`, what differs becomes unknown. Whether anything changed.
  bool meet(const CodeState& other, std::uint64_t loop, bool forget);
};

inline constexpr std::int64_t kEscapedBytes = 256;  // a callee may write this far behind an address it got
inline constexpr std::int64_t kLongestCopy = 16384;
inline constexpr std::size_t kMostPlaces = 1024;

CodeValues with_origin(CodeValues values, std::uint64_t origin);

class CodeStep {
 public:
  // Loops whose end is seen are noted in `rounds`; calls and stores in `record`, if not null.
  CodeStep(const FlowInput& input, CodeState& state, std::map<std::uint64_t, std::int64_t>& rounds,
           FunctionFlow* record, std::uint64_t block)
      : input_(input), state_(state), rounds_(rounds), record_(record), block_(block) {}

  void run(const CodeInstruction& instruction);

 private:
  struct Comparison {
    std::uint64_t address = 0;
    std::uint64_t loop = 0;  // 0: none that ends a loop
    std::int64_t rounds = 0;
    bool unstepped = false;  // before the step of the round
  };

  // code_memory.cc
  CodeValues read(const CodeOperand& operand, int width);
  CodeValues read_word(const CodeOperand& memory, int word, int width);
  CodeValues address_of(const CodeOperand& memory);
  CodeValues load(const CodeValues& place, int width);
  CodeValues load_one(const CodeValue& place, int width);
  CodeValues load_rounds(const CodeValue& range);
  CodeValues constant_at(std::uint64_t address, int width);
  void write(const CodeOperand& operand, const CodeValues& values, int width);
  void write_word(const CodeOperand& memory, int word, const CodeValues& values, int width);
  void store(const CodeValues& place, const CodeValues& values, int width);
  void store_at(const CodeState::Place& place, const CodeValues& values, int width, bool surely);
  void forget_from(const CodeState::Place& place, std::int64_t length);
  void copy(const CodeValues& to, const CodeValues& from, std::int64_t bytes);

  // Texts: code_buffers.cc.
  static std::optional<CodeState::Place> place_of(const CodeValue& address);
  static std::optional<CodeState::Place> only_place_of(const CodeValues& address);
  // The call that wrote the text at a place, or 0.
  std::uint64_t writer_at(const CodeState::Place& place) const;
  // Where a text begins that `writer` wrote, at `place` or little before.
  std::optional<CodeState::Place> start_of_text(const CodeState::Place& place, std::uint64_t writer) const;
  CodeValues sum_of(const CodeValues& a, const CodeValues& b) const;
  void forget_text(const CodeState::Place& place);
  bool copy_constant(const CodeState::Place& to, const CodeValues& from, std::int64_t bytes);
  // What the callee returns, if that is known.
  std::optional<CodeValues> write_text(const TextEffect& text, const CodeCall& call);
  CodeBuffer buffer_at(const CodeValues& address) const;
  // What a function puts where its arguments point, as long as nothing else can write there: a write
  // through another pointer, which may be the same one, forgets it.
  void forget_arguments(const CodeValues& written, bool is_text);
  void forget_arguments();
  // The texts that a function of the program's own may leave where an argument of this call points.
  void mark_filled(const CodeCall& call, const std::vector<CodeValues>& arguments, std::size_t first);
  void forget_filled_before(const CodeState::Place& place);  // a character of one is set

  CodeValues difference_or_sum(const CodeInstruction& instruction);
  void move(const CodeInstruction& instruction);
  void select(const CodeInstruction& instruction);
  void compare(const CodeInstruction& instruction);
  void push_pop(const CodeInstruction& instruction);

  // code_calls.cc
  void leave(const CodeInstruction& instruction);
  void resolve(const CodeOperand& target, CodeCall& call);
  void add_arguments(CodeCall& call);
  void after_call(const CodeInstruction& instruction, const CodeCall& call);
  void record_return(const CodeInstruction& instruction);
  // Variables of the frame that Go closures behind a pointer can write.
  void forget_captured(const CodeValues& pointer);
  // The Go closures that a pointer may lead to.
  void add_closures(const CodeValues& pointer, std::vector<CodeClosure>& closures);

  const FlowInput& input_;
  CodeState& state_;
  std::map<std::uint64_t, std::int64_t>& rounds_;
  FunctionFlow* record_;
  std::uint64_t block_;
  std::uint64_t address_ = 0;
  Comparison comparison_;
};

}  // namespace imgslim
