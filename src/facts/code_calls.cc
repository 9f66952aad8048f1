// SPDX-License-Identifier: Apache-2.0
// Calls, jumps to other functions and returns: what is handed on, and what a callee leaves.
#include <algorithm>

#include "src/facts/code_numbers.h"
#include "src/facts/code_state.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Operation = CodeOperation;
using OperandKind = CodeOperand::Kind;

constexpr std::size_t kArgumentWords = 12;
constexpr std::size_t kReturnedWords = 4;

}  // namespace

void CodeStep::resolve(const CodeOperand& target, CodeCall& call) {
  if (target.kind == OperandKind::kImmediate) {
    call.targets.push_back(static_cast<std::uint64_t>(target.offset));
    return;
  }
  const ElfImage& image = *input_.image;
  const auto through = [&](std::uint64_t slot) {
    if (image.symbol_at_slot(slot)) {
      call.slots.push_back(slot);
    } else if (const auto code = image.pointer_at(slot); code && image.is_code(*code)) {
      call.targets.push_back(*code);
      call.through_variable = true;
    }
  };
  for (const CodeValue& value : read(target, 8).any) {
    const auto address = static_cast<std::uint64_t>(value.value);
    if (value.kind == Kind::kConstant && image.is_code(address)) {
      call.targets.push_back(address);
    } else if (value.kind == Kind::kGlobal) {
      through(address);
    } else if (value.kind == Kind::kPointee) {
      const auto pointee = image.pointer_at(address);
      if (pointee) through(*pointee + static_cast<std::uint64_t>(value.stride));
    }
  }
}

void CodeStep::add_arguments(CodeCall& call) {
  const CallingConvention& convention = *input_.convention;
  for (std::size_t i = 0; i < kArgumentWords; ++i) {
    if (i < convention.arguments.size()) {
      call.arguments.push_back(state_.registers[static_cast<std::size_t>(convention.arguments[i])]);
    } else if (convention.arguments.empty()) {
      const CodeOperand word{.kind = OperandKind::kMemory,
                             .base = convention.stack_pointer,
                             .offset = convention.stack_at_call + 8 * static_cast<std::int64_t>(i)};
      call.arguments.push_back(read(word, 8));
    } else if (convention.is_c) {
      const CodeOperand word{.kind = OperandKind::kMemory,
                             .base = convention.stack_pointer,
                             .offset = 8 * static_cast<std::int64_t>(i - convention.arguments.size())};
      const CodeValues values = read(word, 8);
      call.arguments.push_back(values.unknown ? read(word, 4) : values);
    }
  }
}

void CodeStep::add_closures(const CodeValues& pointer, std::vector<CodeClosure>& closures) {
  for (const CodeValue& value : pointer.any) {
    const auto place = value.kind == Kind::kFrame ? std::nullopt : place_of(value);
    const auto first = place ? state_.memory.find(*place) : state_.memory.end();
    if (first == state_.memory.end() || first->second.width != 8) continue;
    for (const CodeValue& code : first->second.values.any) {
      const auto function = static_cast<std::uint64_t>(code.value);
      if (code.kind != Kind::kConstant || !input_.image->is_code(function)) continue;
      CodeClosure closure{function, place->first, place->second, {}};
      for (std::size_t i = 1; i <= kMostCaptured; ++i) {
        const auto word =
            state_.memory.find({place->first, sum(place->second, static_cast<std::int64_t>(8 * i))});
        closure.captured.push_back(word != state_.memory.end() ? word->second.load(8)
                                                               : CodeValues::nothing_known());
      }
      closures.push_back(std::move(closure));
    }
  }
}

void CodeStep::forget_captured(const CodeValues& pointer) {
  constexpr std::int64_t kLongestVariable = 24;  // a slice
  std::vector<CodeClosure> closures;
  add_closures(pointer, closures);
  for (const CodeClosure& closure : closures) {
    for (const CodeValues& word : closure.captured) {
      for (const CodeValue& value : word.any) {
        if (value.kind == Kind::kStack) forget_from({0, value.value}, kLongestVariable);
      }
    }
  }
}

void CodeStep::leave(const CodeInstruction& instruction) {
  const bool jumps = instruction.operation != Operation::kCall;
  CodeCall call;
  call.address = instruction.address;
  call.leaves = jumps;
  resolve(instruction.first, call);
  if (jumps) {
    std::erase_if(call.targets,
                  [&](std::uint64_t target) { return target >= input_.start && target < input_.end; });
    if (call.targets.empty() && call.slots.empty()) return;
  }
  if (record_ != nullptr) {
    add_arguments(call);
    if (input_.convention->is_c) {
      for (const CodeValues& argument : call.arguments)
        call.buffers.push_back(buffer_at(argument));
      for (std::size_t i = 0; i < kPointingArguments && i < call.arguments.size(); ++i) {
        for (std::size_t word = 0; word < kPointedWords; ++word)
          call.pointed.push_back(
              load(add_constant(call.arguments[i], static_cast<std::int64_t>(8 * word)), 8));
      }
    } else {
      for (const CodeValues& argument : call.arguments)
        add_closures(argument, call.closures);
      if (input_.convention->context != kNoRegister) {
        add_closures(state_.registers[static_cast<std::size_t>(input_.convention->context)], call.closures);
      }
    }
    record_->calls.push_back(call);
  }
  if (!jumps) after_call(instruction, call);
}

void CodeStep::after_call(const CodeInstruction& instruction, const CodeCall& call) {
  const CallingConvention& convention = *input_.convention;
  CallEffect effect;
  if (input_.effect_of && call.targets.size() + call.slots.size() == 1) {
    effect = input_.effect_of(call.targets.empty() ? 0 : call.targets.front(),
                              call.slots.empty() ? 0 : call.slots.front());
  }
  if (effect.copies > 0) {
    copy(state_.registers[static_cast<std::size_t>(effect.copy_to)],
         state_.registers[static_cast<std::size_t>(effect.copy_from)], effect.copies);
    state_.registers[static_cast<std::size_t>(effect.copy_to)] = CodeValues::nothing_known();
    state_.registers[static_cast<std::size_t>(effect.copy_from)] = CodeValues::nothing_known();
    return;
  }
  if (effect.keeps_registers) return;
  CodeCall seen;
  seen.address = call.address;
  if (!effect.keeps_memory || effect.text != nullptr) add_arguments(seen);
  std::optional<CodeValues> returned;
  if (effect.text != nullptr) {
    returned = write_text(*effect.text, seen);
  } else if (!effect.keeps_memory) {
    forget_arguments();
    if (!convention.is_c) {
      for (const CodeValues& argument : seen.arguments)
        forget_captured(argument);
      if (convention.context != kNoRegister) {
        forget_captured(state_.registers[static_cast<std::size_t>(convention.context)]);
      }
    }
    const std::size_t most = convention.arguments.empty() ? 9 : convention.arguments.size();
    const std::size_t count = std::min<std::size_t>({seen.arguments.size(), most, 9});
    for (std::size_t i = 0; i < count; ++i) {
      if (effect.reads_first && i == 0) continue;
      // A Go slice, pointer with equal length and capacity, ends where it says: elements of 16 bytes at most
      // are what variadic calls pass.
      std::int64_t length = kEscapedBytes;
      if (i + 2 < seen.arguments.size() && seen.arguments[i + 1].is_constant() &&
          seen.arguments[i + 2].is_constant()) {
        const std::int64_t elements = seen.arguments[i + 1].any.front().value;
        const bool is_slice =
            elements == seen.arguments[i + 2].any.front().value && elements > 0 && elements <= 16;
        if (is_slice && convention.results.size() != 2) length = 16 * elements;
      }
      for (const CodeValue& value : seen.arguments[i].any) {
        if (value.kind == Kind::kStack || value.kind == Kind::kStackRange) {
          forget_from({0, value.value}, length);
        } else if (const auto object = place_of(value); object && convention.is_c) {
          forget_text(*object);
        }
      }
    }
    mark_filled(call, seen.arguments, effect.reads_first ? 1 : 0);
  }
  for (int i = 0; i < kRegisters; ++i) {
    const bool kept = i == convention.stack_pointer || (i < 32 && (convention.preserved >> i & 1) != 0);
    if (!kept) state_.registers[static_cast<std::size_t>(i)] = CodeValues::nothing_known();
  }
  for (std::size_t i = 0; i < convention.results.size(); ++i) {
    state_.registers[static_cast<std::size_t>(convention.results[i])] = CodeValues::one(
        {.kind = Kind::kResult, .value = static_cast<std::int64_t>(i), .site = instruction.address});
  }
  if (returned) state_.registers[static_cast<std::size_t>(convention.results[0])] = std::move(*returned);
  if (convention.arguments.empty()) {
    for (std::size_t i = 0; i < kArgumentWords; ++i) {
      const CodeOperand word{.kind = OperandKind::kMemory,
                             .base = convention.stack_pointer,
                             .offset = convention.stack_at_call + 8 * static_cast<std::int64_t>(i)};
      write(word,
            CodeValues::one(
                {.kind = Kind::kResult, .value = static_cast<std::int64_t>(i), .site = instruction.address}),
            8);
    }
  }
}

void CodeStep::record_return(const CodeInstruction& instruction) {
  if (record_ == nullptr) return;
  CodeReturn result;
  result.address = instruction.address;
  for (const int number : input_.convention->results) {
    if (result.results.size() == kReturnedWords) break;
    result.results.push_back(state_.registers[static_cast<std::size_t>(number)]);
  }
  if (input_.convention->is_c) {
    for (std::size_t i = 0; i < input_.convention->arguments.size(); ++i) {
      result.filled.push_back(buffer_at(CodeValues::one(
          {.kind = Kind::kParameter, .value = static_cast<std::int64_t>(i), .site = kArgumentMemory + i})));
    }
  }
  record_->returns.push_back(std::move(result));
}

}  // namespace imgslim
