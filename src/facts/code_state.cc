// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_state.h"

#include <algorithm>

#include "src/facts/code_numbers.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Operation = CodeOperation;
using OperandKind = CodeOperand::Kind;

constexpr std::int64_t kMostRounds = 512;
constexpr std::uint64_t kSelectOrigin = 1ull << 62;

// Whether `into` changed.
bool meet_values(CodeValues& into, const CodeValues& from, std::uint64_t loop, bool forget) {
  if (into == from) return false;
  CodeValues joined;
  if (loop != 0) {
    joined = widen(into, from, loop);
  } else {
    const bool has_ranges = std::any_of(into.any.begin(), into.any.end(), is_range) ||
                            std::any_of(from.any.begin(), from.any.end(), is_range);
    // The usual case where ways meet again and again: nothing new came.
    if (!has_ranges && (into.unknown || !from.unknown) &&
        std::includes(into.any.begin(), into.any.end(), from.any.begin(), from.any.end())) {
      return false;
    }
    joined = into;
    joined.add(from);
    // What was round 0 alone before its loop was seen is a part of the range now.
    if (has_ranges) {
      const std::vector<CodeValue> all = joined.any;
      std::erase_if(joined.any, [&](const CodeValue& value) {
        return std::any_of(all.begin(), all.end(),
                           [&](const CodeValue& range) { return is_round_of(value, range); });
      });
    }
  }
  if (joined == into) return false;
  if (forget) {
    joined = CodeValues::nothing_known();
    // Forgotten before: what comes now changes nothing, or two blocks would go on telling each other.
    if (joined == into) return false;
  }
  into = std::move(joined);
  return true;
}

}  // namespace

CodeValues with_origin(CodeValues values, std::uint64_t origin) {
  CodeValues result;
  result.unknown = values.unknown;
  for (CodeValue value : values.any) {
    value.origin = origin;
    result.add(value);
  }
  return result;
}

CodeState CodeState::at_entry(const CallingConvention& convention) {
  CodeState state;
  for (CodeValues& values : state.registers)
    values = CodeValues::nothing_known();
  for (std::size_t i = 0; i < convention.arguments.size(); ++i) {
    state.registers[static_cast<std::size_t>(convention.arguments[i])] =
        CodeValues::one({.kind = Kind::kParameter,
                         .value = static_cast<std::int64_t>(i),
                         .site = convention.is_c ? kArgumentMemory + i : 0});
  }
  state.registers[static_cast<std::size_t>(convention.stack_pointer)] =
      CodeValues::one({.kind = Kind::kStack});
  if (convention.context != kNoRegister) {
    state.registers[static_cast<std::size_t>(convention.context)] = CodeValues::one({.kind = Kind::kContext});
  }
  return state;
}

bool CodeState::meet(const CodeState& other, std::uint64_t loop, bool forget) {
  bool changed = false;
  for (std::size_t i = 0; i < registers.size(); ++i) {
    changed = meet_values(registers[i], other.registers[i], loop, forget) || changed;
  }
  auto there = other.memory.begin();
  for (auto it = memory.begin(); it != memory.end();) {
    while (there != other.memory.end() && there->first < it->first)
      ++there;
    if (there != other.memory.end() && there->first == it->first) {
      changed = meet_values(it->second.values, there->second.values, loop, forget) || changed;
      const int width = std::min(it->second.width, there->second.width);
      const bool cut = it->second.cut || there->second.cut || it->second.width != there->second.width;
      changed = changed || width != it->second.width || cut != it->second.cut;
      it->second.width = width;
      it->second.cut = cut;
    } else if (it->first.first == 0 || is_argument_memory(it->first.first)) {
      it = memory.erase(it);
      changed = true;
      continue;
    }
    ++it;
  }
  for (const auto& [place, word] : other.memory) {
    // What a call returned exists on the paths through the call alone.
    if (place.first == 0 || is_argument_memory(place.first) || memory.size() >= kMostPlaces) continue;
    changed = memory.try_emplace(place, word).second || changed;
  }
  return changed;
}

void CodeStep::run(const CodeInstruction& instruction) {
  address_ = instruction.address;
  if (instruction.stepped != kNoRegister && instruction.step_before) {
    CodeValues& base = state_.registers[static_cast<std::size_t>(instruction.stepped)];
    base = add_constant(base, instruction.step);
  }
  const int width = instruction.width;
  switch (instruction.operation) {
    case Operation::kOther:
      for (int i = 0; i < 32; ++i) {
        if ((instruction.changed >> i & 1) != 0 && i != input_.convention->stack_pointer) {
          state_.registers[static_cast<std::size_t>(i)] = CodeValues::nothing_known();
        }
        if ((instruction.changed_vectors >> i & 1) != 0) {
          const auto low = static_cast<std::size_t>(kFirstVectorRegister + 2 * i);
          state_.registers[low] = state_.registers[low + 1] = CodeValues::nothing_known();
        }
      }
      if (instruction.first.kind == OperandKind::kMemory) {
        store(address_of(instruction.first), CodeValues::nothing_known(), 8);
      }
      break;
    case Operation::kMove:
      move(instruction);
      break;
    case Operation::kMoveHigh:
      state_.registers[static_cast<std::size_t>(instruction.first.base) + 1] = read(instruction.second, 8);
      break;
    case Operation::kAddressOf:
      write(instruction.first, address_of(instruction.second), width);
      break;
    case Operation::kAdd:
    case Operation::kSubtract:
      write(instruction.first, difference_or_sum(instruction), width);
      break;
    case Operation::kShiftLeft: {
      const CodeValues amount = read(instruction.third, 8);
      const bool known =
          amount.is_constant() && amount.any.front().value >= 0 && amount.any.front().value < 32;
      write(instruction.first,
            known ? scale_values(read(instruction.second, width), std::int64_t{1} << amount.any.front().value)
                  : CodeValues::nothing_known(),
            width);
      break;
    }
    case Operation::kInsert: {
      const CodeValues old = read(instruction.first, 8);
      CodeValues result = CodeValues::nothing_known();
      if (old.is_constant() && instruction.third.offset >= 0 && instruction.third.offset <= 48) {
        const auto shift = static_cast<unsigned>(instruction.third.offset);
        const std::uint64_t kept = static_cast<std::uint64_t>(old.any.front().value) & ~(0xffffull << shift);
        result = CodeValues::constant(
            kept | (static_cast<std::uint64_t>(instruction.second.offset) & 0xffff) << shift, block_);
      }
      write(instruction.first, result, width);
      break;
    }
    case Operation::kSelect:
      select(instruction);
      break;
    case Operation::kCompare:
      compare(instruction);
      if (instruction.first.kind == OperandKind::kRegister) {
        write(instruction.first, difference_or_sum(instruction), width);
      }
      break;
    case Operation::kLoadPair: {
      const CodeValues low = read_word(instruction.second, 0, width);
      const CodeValues high = read_word(instruction.second, 1, width);
      if (width <= 8) {
        write(instruction.first, low, width);
        write(instruction.fourth, high, width);
      } else {
        for (const CodeOperand* to : {&instruction.first, &instruction.fourth}) {
          if (to->kind != OperandKind::kRegister) continue;
          const int word = to == &instruction.first ? 0 : 2;
          state_.registers[static_cast<std::size_t>(to->base)] = read_word(instruction.second, word, 8);
          state_.registers[static_cast<std::size_t>(to->base) + 1] =
              read_word(instruction.second, word + 1, 8);
        }
      }
      break;
    }
    case Operation::kStorePair:
      if (width <= 8) {
        const CodeValues high = read(instruction.third, width);
        write_word(instruction.first, 0, read(instruction.second, width), width);
        write_word(instruction.first, 1, high, width);
      } else {
        for (const CodeOperand* from : {&instruction.second, &instruction.third}) {
          if (from->kind != OperandKind::kRegister) continue;
          const int word = from == &instruction.second ? 0 : 2;
          write_word(instruction.first, word, state_.registers[static_cast<std::size_t>(from->base)], 8);
          write_word(instruction.first, word + 1, state_.registers[static_cast<std::size_t>(from->base) + 1],
                     8);
        }
      }
      break;
    case Operation::kPush:
    case Operation::kPop:
      push_pop(instruction);
      break;
    case Operation::kCopyWords: {
      const CodeValues count = state_.registers[1];
      const bool known =
          count.is_constant() && count.any.front().value >= 0 && count.any.front().value <= kLongestCopy / 8;
      copy(state_.registers[7], state_.registers[6], known ? count.any.front().value * 8 : -1);
      for (const std::size_t changed : {1u, 6u, 7u})
        state_.registers[changed] = CodeValues::nothing_known();
      break;
    }
    case Operation::kCall:
    case Operation::kJump:
      leave(instruction);
      break;
    case Operation::kBranch:
      leave(instruction);  // clang makes conditional tail calls
      if (comparison_.loop != 0 && instruction.condition != CodeCondition::kAlways) {
        // What is compared is this round's value, and the branch goes on to the next round.
        const bool late = comparison_.unstepped && instruction.first.kind == OperandKind::kImmediate &&
                          static_cast<std::uint64_t>(instruction.first.offset) == comparison_.loop;
        const std::int64_t count = comparison_.rounds +
                                   (instruction.condition == CodeCondition::kInclusive ? 1 : 0) +
                                   (late ? 1 : 0);
        if (count > 0 && count <= kMostRounds) {
          const auto [known, is_new] = rounds_.emplace(comparison_.loop, count);
          if (!is_new) known->second = std::min(known->second, count);
        }
      }
      break;
    case Operation::kReturn:
      record_return(instruction);
      break;
    case Operation::kStop:
      break;
  }
  if (instruction.stepped != kNoRegister && !instruction.step_before) {
    CodeValues& base = state_.registers[static_cast<std::size_t>(instruction.stepped)];
    base = add_constant(base, instruction.step);
  }
}

CodeValues CodeStep::difference_or_sum(const CodeInstruction& instruction) {
  const int width = instruction.width;
  const CodeValues left = read(instruction.second, width);
  const CodeValues right = read(instruction.third, width);
  const bool adds = instruction.operation == Operation::kAdd;
  if (!right.is_constant()) return adds ? sum_of(left, right) : CodeValues::nothing_known();
  const std::int64_t amount =
      width >= 8 ? right.any.front().value : static_cast<std::int32_t>(right.any.front().value);
  return add_constant(left, adds ? amount : sum(~amount, 1));
}

void CodeStep::move(const CodeInstruction& instruction) {
  const CodeOperand& to = instruction.first;
  const CodeOperand& from = instruction.second;
  const bool to_vector = to.kind == OperandKind::kRegister && to.base >= kFirstVectorRegister;
  if (instruction.width != 16) {
    const int width = instruction.width;
    CodeValues values = read(from, width);
    if (width < 4) {
      // Of narrow values, only what they are in full is known.
      const std::uint64_t mask = (std::uint64_t{1} << (8 * width)) - 1;
      values = values.is_constant()
                   ? CodeValues::constant(static_cast<std::uint64_t>(values.any.front().value) & mask, block_)
                   : CodeValues::nothing_known();
    }
    write(to, values, width);
    if (to_vector) {
      state_.registers[static_cast<std::size_t>(to.base) + 1] = CodeValues::constant(0, block_);
    }
    return;
  }
  CodeValues low;
  CodeValues high;
  if (from.kind == OperandKind::kMemory) {
    low = read_word(from, 0, 8);
    high = read_word(from, 1, 8);
  } else if (from.kind == OperandKind::kRegister && from.base >= kFirstVectorRegister) {
    low = state_.registers[static_cast<std::size_t>(from.base)];
    high = state_.registers[static_cast<std::size_t>(from.base) + 1];
  } else if (from.kind == OperandKind::kImmediate) {
    low = high = CodeValues::constant(0, block_);
  } else {
    low = high = CodeValues::nothing_known();
  }
  if (to_vector) {
    state_.registers[static_cast<std::size_t>(to.base)] = low;
    state_.registers[static_cast<std::size_t>(to.base) + 1] = high;
  } else if (to.kind == OperandKind::kMemory) {
    write_word(to, 0, low, 8);
    write_word(to, 1, high, 8);
  }
}

void CodeStep::select(const CodeInstruction& instruction) {
  const int width = instruction.width;
  const std::uint64_t origin = kSelectOrigin | comparison_.address << 1;
  const std::uint64_t second = instruction.negated ? 1 : 0;
  CodeValues values = with_origin(read(instruction.second, width), origin | second);
  values.add(with_origin(read(instruction.third, width), origin | (1 - second)));
  write(instruction.first, values, width);
}

void CodeStep::compare(const CodeInstruction& instruction) {
  comparison_ = {};
  comparison_.address = instruction.address;
  const auto read_whole = [&](const CodeOperand& operand) {
    return read(operand, operand.kind == OperandKind::kMemory ? instruction.width : 8);
  };
  const CodeValues left = read_whole(instruction.second);
  const CodeValues right = read_whole(instruction.third);
  const auto range_of = [](const CodeValues& values) -> const CodeValue* {
    const CodeValue* range = nullptr;
    for (const CodeValue& value : values.any) {
      if (value.kind != Kind::kRange && value.kind != Kind::kStackRange) continue;
      if (range != nullptr) return nullptr;
      range = &value;
    }
    return range;
  };
  const CodeValue* range = range_of(left);
  const CodeValues& end = range != nullptr ? right : left;
  if (range == nullptr) range = range_of(right);
  if (range == nullptr || range->stride <= 0 || end.unknown || end.any.size() != 1) return;
  const CodeValue& last = end.any.front();
  const bool same_sort = (range->kind == Kind::kRange && last.kind == Kind::kConstant) ||
                         (range->kind == Kind::kStackRange && last.kind == Kind::kStack);
  if (!same_sort) return;
  const std::int64_t distance = sum(last.value, sum(~range->first, 1));
  if (distance < 0 || distance > range->stride * kMostRounds) return;
  comparison_.loop = range->site;
  comparison_.unstepped = range->value == range->first;
  comparison_.rounds = (distance + range->stride - 1) / range->stride;
}

void CodeStep::push_pop(const CodeInstruction& instruction) {
  const auto pointer = static_cast<std::size_t>(input_.convention->stack_pointer);
  CodeValues& top = state_.registers[pointer];
  if (instruction.operation == Operation::kPush) {
    const CodeValues values = read(instruction.second, 8);
    top = add_constant(top, -8);
    store(top, values, 8);
  } else {
    const CodeValues values = load(top, 8);
    top = add_constant(top, 8);
    write(instruction.first, values, 8);
  }
}

}  // namespace imgslim
