// SPDX-License-Identifier: Apache-2.0
// Registers and followed memory: what an operand holds, and what a store leaves there.
#include <algorithm>

#include "src/facts/code_numbers.h"
#include "src/facts/code_state.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using OperandKind = CodeOperand::Kind;

constexpr std::int64_t kUnseenRounds = 64;  // read of a table on the stack whose end is not known
constexpr std::uint64_t kRoundOrigin = 1ull << 63;

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

}  // namespace

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
      if (found != state_.memory.end()) return found->second.load(width);
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
      return found != state_.memory.end() ? found->second.load(width) : CodeValues::nothing_known();
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
  forget_arguments(place, false);
  for (const CodeValue& one : place.any) {
    const auto start = width < 4 && one.kind != Kind::kFrame ? place_of(one) : std::nullopt;
    if (start) forget_filled_before(*start);
    if (one.kind == Kind::kStack) {
      store_at({0, one.value}, values, width, surely);
    } else if (one.kind == Kind::kObject || (one.kind == Kind::kResult && one.value == 0)) {
      store_at({one.site, one.kind == Kind::kResult ? 0 : one.value}, values, width, surely);
    } else if (one.kind == Kind::kParameter && is_argument_memory(one.site)) {
      store_at({one.site, 0}, values, width, surely);
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

void CodeStep::copy(const CodeValues& to, const CodeValues& from, std::int64_t bytes) {
  forget_arguments(to, false);
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

}  // namespace imgslim
