// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_state.h"

#include <algorithm>

#include "layers/bytes.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Operation = CodeOperation;
using OperandKind = CodeOperand::Kind;

constexpr std::size_t kArgumentWords = 12;
constexpr std::size_t kReturnedWords = 4;
constexpr std::int64_t kMostRounds = 512;
constexpr std::int64_t kUnseenRounds = 64;   // read of a table on the stack whose end is not known
constexpr std::int64_t kEscapedBytes = 256;  // a callee may write this far behind an address it got
constexpr std::int64_t kLongestCopy = 16384;
constexpr std::size_t kMostPlaces = 1024;
constexpr std::uint64_t kRoundOrigin = 1ull << 63;
constexpr std::uint64_t kSelectOrigin = 1ull << 62;

std::int64_t sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

CodeValues narrowed(CodeValues values, int width) {
  if (width >= 8) return values;
  for (CodeValue& value : values.any) {
    if (value.kind == Kind::kConstant)
      value.value = static_cast<std::int64_t>(static_cast<std::uint32_t>(value.value));
  }
  std::sort(values.any.begin(), values.any.end());
  values.any.erase(std::unique(values.any.begin(), values.any.end()), values.any.end());
  return values;
}

CodeValues with_origin(CodeValues values, std::uint64_t origin) {
  CodeValues result;
  result.unknown = values.unknown;
  for (CodeValue value : values.any) {
    value.origin = origin;
    result.add(value);
  }
  return result;
}

// What a load of `width` bytes gives of a word that is followed.
CodeValues loaded(const CodeState::Word& word, int width) {
  const bool other_width = word.width < width || (width < 4 && word.width != width);
  return word.cut || other_width ? CodeValues::nothing_known() : word.values;
}

bool is_range(const CodeValue& value) {
  return value.kind == Kind::kRange || value.kind == Kind::kStackRange;
}

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

CodeState CodeState::at_entry(const CallingConvention& convention) {
  CodeState state;
  for (CodeValues& values : state.registers)
    values = CodeValues::nothing_known();
  for (std::size_t i = 0; i < convention.arguments.size(); ++i) {
    state.registers[static_cast<std::size_t>(convention.arguments[i])] =
        CodeValues::one({.kind = Kind::kParameter, .value = static_cast<std::int64_t>(i)});
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
    } else if (it->first.first == 0) {
      it = memory.erase(it);
      changed = true;
      continue;
    }
    ++it;
  }
  for (const auto& [place, word] : other.memory) {
    // What a call returned exists on the paths through the call alone.
    if (place.first == 0 || memory.size() >= kMostPlaces) continue;
    changed = memory.try_emplace(place, word).second || changed;
  }
  return changed;
}

CodeValues CodeStep::read(const CodeOperand& operand, int width) {
  switch (operand.kind) {
    case OperandKind::kImmediate:
      return narrowed(CodeValues::constant(static_cast<std::uint64_t>(operand.offset), block_), width);
    case OperandKind::kRegister:
      return narrowed(state_.registers[static_cast<std::size_t>(operand.base)], width);
    case OperandKind::kMemory:
      return load(address_of(operand), width);
    case OperandKind::kNone:
      break;
  }
  return CodeValues::nothing_known();
}

CodeValues CodeStep::read_word(const CodeOperand& memory, int word, int width) {
  CodeOperand place = memory;
  place.offset = sum(place.offset, static_cast<std::int64_t>(word) * width);
  return load(address_of(place), width);
}

CodeValues CodeStep::address_of(const CodeOperand& memory) {
  CodeValues place = CodeValues::constant(static_cast<std::uint64_t>(memory.offset), block_);
  if (memory.base != kNoRegister) {
    place = add_constant(state_.registers[static_cast<std::size_t>(memory.base)], 0);
    if (memory.index == kNoRegister && memory.offset != 0) {
      // What a variable points to can be named with an offset.
      CodeValues moved;
      CodeValues others;
      others.unknown = place.unknown;
      for (const CodeValue& value : place.any) {
        if (value.kind != Kind::kGlobal) {
          others.add(value);
          continue;
        }
        CodeValue field = value;
        field.stride = memory.offset;
        moved.add(field);
      }
      place = add_constant(others, memory.offset);
      place.add(moved);
      return place;
    }
    place = add_constant(place, memory.offset);
  }
  if (memory.index != kNoRegister) {
    place =
        sum_of(place, scale_values(state_.registers[static_cast<std::size_t>(memory.index)], memory.scale));
  }
  return place;
}

CodeValues CodeStep::load(const CodeValues& place, int width) {
  CodeValues result;
  result.unknown = place.unknown;
  for (const CodeValue& one : place.any)
    result.add(load_one(one, width));
  return result;
}

CodeValues CodeStep::load_one(const CodeValue& place, int width) {
  switch (place.kind) {
    case Kind::kConstant:
      return constant_at(static_cast<std::uint64_t>(place.value), width);
    case Kind::kStack: {
      const auto found = state_.memory.find({0, place.value});
      if (found != state_.memory.end()) return loaded(found->second, width);
      const std::int64_t word = place.value - input_.convention->stack_at_entry;
      if (input_.convention->arguments.empty() && word >= 0 && word < 256 && word % 8 == 0) {
        return CodeValues::one({.kind = Kind::kParameter, .value = word / 8});
      }
      return CodeValues::nothing_known();
    }
    case Kind::kObject:
    case Kind::kResult: {
      if (place.kind == Kind::kResult && place.value != 0) return CodeValues::nothing_known();
      const auto found = state_.memory.find({place.site, place.value});
      return found != state_.memory.end() ? loaded(found->second, width) : CodeValues::nothing_known();
    }
    case Kind::kRange: {
      CodeValue table = place;
      table.kind = Kind::kTable;
      if (width == 4 && !may_change(*input_.image, static_cast<std::uint64_t>(place.value))) {
        table.kind = Kind::kNumbers;
        table.first = 0;
        return CodeValues::one(table);
      }
      if (width < 8 || !input_.image->pointer_at(static_cast<std::uint64_t>(place.value))) {
        return CodeValues::nothing_known();
      }
      return CodeValues::one(table);
    }
    case Kind::kStackRange:
      return load_rounds(place);
    case Kind::kGlobal: {
      CodeValue field = place;
      field.kind = Kind::kPointee;
      return CodeValues::one(field);
    }
    case Kind::kContext: {
      const std::int64_t word = place.value / 8 - 1;
      if (width != 8 || place.value % 8 != 0 || word < 0 || word >= static_cast<std::int64_t>(kMostCaptured))
        return CodeValues::nothing_known();
      return CodeValues::one(
          {.kind = Kind::kParameter, .value = static_cast<std::int64_t>(kFirstCaptured) + word});
    }
    case Kind::kParameter:
    case Kind::kTable:
    case Kind::kNumbers:
    case Kind::kPointee:
    case Kind::kText:
    case Kind::kTextPointer:
    case Kind::kFrame:
      break;
  }
  return CodeValues::nothing_known();
}

CodeValues CodeStep::load_rounds(const CodeValue& range) {
  const auto known = rounds_.find(range.site);
  const std::int64_t end = known != rounds_.end() ? known->second : kUnseenRounds;
  CodeValues result;
  for (std::int64_t k = 0; k < end; ++k) {
    const auto found = state_.memory.find({0, sum(range.value, k * range.stride)});
    if (found == state_.memory.end()) {
      if (known != rounds_.end() || k == 0) result.unknown = true;
      break;
    }
    const std::uint64_t origin = kRoundOrigin | (range.site << 10) | static_cast<std::uint64_t>(k);
    result.add(with_origin(found->second.values, origin));
  }
  return result;
}

CodeValues CodeStep::constant_at(std::uint64_t address, int width) {
  const ElfImage& image = *input_.image;
  if (image.symbol_at_slot(address) || may_change(image, address)) {
    if (width < 4) return CodeValues::nothing_known();
    return CodeValues::one(
        {.kind = Kind::kGlobal, .value = static_cast<std::int64_t>(address), .origin = block_});
  }
  if (width >= 8) {
    const auto word = image.pointer_at(address);
    return word ? CodeValues::constant(*word, block_) : CodeValues::nothing_known();
  }
  const auto bytes = image.bytes_at(address, static_cast<std::uint64_t>(std::min(width, 4)));
  if (!bytes) return CodeValues::nothing_known();
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes->size(); ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>((*bytes)[i])) << (8 * i);
  return CodeValues::constant(value, block_);
}

void CodeStep::write(const CodeOperand& operand, const CodeValues& values, int width) {
  if (operand.kind == OperandKind::kRegister) {
    if (operand.base == input_.convention->stack_pointer &&
        (values.unknown || values.any.size() != 1 || values.any.front().kind != Kind::kStack)) {
      return;  // an aligned or moved frame: its places keep their names as well as they can
    }
    state_.registers[static_cast<std::size_t>(operand.base)] = narrowed(values, width);
  } else if (operand.kind == OperandKind::kMemory) {
    store(address_of(operand), values, width);
  }
}

void CodeStep::write_word(const CodeOperand& memory, int word, const CodeValues& values, int width) {
  CodeOperand place = memory;
  place.offset = sum(place.offset, static_cast<std::int64_t>(word) * width);
  store(address_of(place), values, width);
}

void CodeStep::store(const CodeValues& place, const CodeValues& values, int width) {
  const bool surely = !place.unknown && place.any.size() == 1;
  for (const CodeValue& one : place.any) {
    if (one.kind == Kind::kStack) {
      store_at({0, one.value}, values, width, surely);
    } else if (one.kind == Kind::kObject || (one.kind == Kind::kResult && one.value == 0)) {
      store_at({one.site, one.kind == Kind::kResult ? 0 : one.value}, values, width, surely);
    } else if (one.kind == Kind::kStackRange) {
      forget_from({0, std::min(one.value, one.first)}, kEscapedBytes);
    } else if (one.kind == Kind::kFrame) {
      forget_text({one.site, one.value});
    }
    const bool shown = one.kind == Kind::kConstant || one.kind == Kind::kObject || one.kind == Kind::kResult;
    if (record_ != nullptr && shown) record_->stores.push_back({address_, one, values, width});
  }
}

void CodeStep::store_at(const CodeState::Place& place, const CodeValues& values, int width, bool surely) {
  // Words that overlap the one written are no longer whole.
  CodeState::Word tail;
  bool has_tail = false;
  auto it = state_.memory.lower_bound({place.first, sum(place.second, -7)});
  while (it != state_.memory.end() && it->first.first == place.first &&
         it->first.second < sum(place.second, width)) {
    CodeState::Word& word = it->second;
    const std::int64_t before = sum(place.second, sum(~it->first.second, 1));
    if (before == 0 || (before > 0 && word.width <= before)) {
      ++it;
    } else if (before > 0 && word.values.is_constant()) {
      word.width = static_cast<int>(before);
      word.cut = true;
      ++it;
    } else {
      const std::int64_t covered = sum(place.second, width) - it->first.second;
      if (before < 0 && word.values.is_constant() && covered > 0 && covered < word.width) {
        tail = {word.values, word.width - static_cast<int>(covered), true};
        tail.values.any.front().value = static_cast<std::int64_t>(
            static_cast<std::uint64_t>(word.values.any.front().value) >> (8 * covered));
        has_tail = true;
      }
      it = state_.memory.erase(it);
    }
  }
  if (has_tail) state_.memory[{place.first, sum(place.second, width)}] = tail;
  if (!surely) {
    const auto found = state_.memory.find(place);
    if (found == state_.memory.end()) return;
    found->second.values.add(values);
    found->second.cut = found->second.cut || found->second.width != width;
    return;
  }
  if (state_.memory.size() < kMostPlaces || state_.memory.count(place) != 0) {
    state_.memory[place] = {values, width, false};
  }
}

void CodeStep::forget_from(const CodeState::Place& place, std::int64_t length) {
  auto it = state_.memory.lower_bound(place);
  while (it != state_.memory.end() && it->first.first == place.first &&
         sum(it->first.second, sum(~place.second, 1)) < length) {
    it = state_.memory.erase(it);
  }
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

void CodeStep::copy(const CodeValues& to, const CodeValues& from, std::int64_t bytes) {
  if (to.unknown || to.any.size() != 1) return;
  const CodeValue& place = to.any.front();
  if (place.kind != Kind::kStack && place.kind != Kind::kObject &&
      !(place.kind == Kind::kResult && place.value == 0)) {
    return;
  }
  const bool known = bytes >= 0 && bytes <= kLongestCopy && !from.unknown && from.any.size() == 1;
  if (!known) {
    const CodeState::Place start{place.kind == Kind::kStack ? 0 : place.site, place.value};
    forget_from(start, bytes >= 0 ? std::min(bytes, kLongestCopy) : kLongestCopy);
    return;
  }
  for (std::int64_t at = 0; at + 8 <= bytes; at += 8) {
    store(add_constant(to, at), load(add_constant(from, at), 8), 8);
  }
}

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
        closure.captured.push_back(word != state_.memory.end() ? loaded(word->second, 8)
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
  record_->returns.push_back(std::move(result));
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
