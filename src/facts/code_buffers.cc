// SPDX-License-Identifier: Apache-2.0
// Texts in memory: what functions of libc write there, and what a buffer holds where it is handed on.
#include <algorithm>

#include "layers/bytes.h"
#include "src/facts/code_state.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;

constexpr std::int64_t kLongestBuffer = 4096;
constexpr std::size_t kMostPieces = 16;
constexpr std::uint64_t kFarthestEnd = 128;  // behind the end of a text that a word is stored

bool is_object(const CodeValue& value) {
  return value.kind == Kind::kObject || (value.kind == Kind::kResult && value.value == 0);
}

}  // namespace

std::optional<CodeState::Place> CodeStep::place_of(const CodeValue& address) {
  if (address.kind == Kind::kStack) return CodeState::Place{0, address.value};
  if (address.kind == Kind::kObject) return CodeState::Place{address.site, address.value};
  if (is_object(address)) return CodeState::Place{address.site, 0};
  if (address.kind == Kind::kFrame) return CodeState::Place{address.site, address.value};
  if (address.kind == Kind::kParameter && is_argument_memory(address.site)) {
    return CodeState::Place{address.site, 0};
  }
  return std::nullopt;
}

std::optional<CodeState::Place> CodeStep::only_place_of(const CodeValues& address) {
  if (address.unknown || address.any.size() != 1 || address.any.front().kind == Kind::kFrame) {
    return std::nullopt;
  }
  return place_of(address.any.front());
}

std::uint64_t CodeStep::writer_at(const CodeState::Place& place) const {
  const auto found = state_.memory.find(place);
  if (found == state_.memory.end()) return 0;
  const CodeValues& values = found->second.values;
  const bool one = !values.unknown && values.any.size() == 1 && values.any.front().kind == Kind::kText;
  return one && values.any.front().value == 0 ? values.any.front().site : 0;
}

std::optional<CodeState::Place> CodeStep::start_of_text(const CodeState::Place& place,
                                                        std::uint64_t writer) const {
  auto it = state_.memory.upper_bound(place);
  while (it != state_.memory.begin()) {
    --it;
    const auto before =
        static_cast<std::uint64_t>(place.second) - static_cast<std::uint64_t>(it->first.second);
    if (it->first.first != place.first || before > kFarthestEnd) return std::nullopt;
    if (writer_at(it->first) == writer) return it->first;
  }
  return std::nullopt;
}

CodeValues CodeStep::sum_of(const CodeValues& a, const CodeValues& b) const {
  CodeValues result = add_values(a, b);
  if (!result.unknown || !input_.convention->is_c) return result;
  for (const auto& [base, offset] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const auto place = only_place_of(*base);
    const bool counted = !offset->unknown && offset->any.size() == 1 &&
                         offset->any.front().kind == Kind::kResult && offset->any.front().value == 0;
    if (place && counted) {
      const std::uint64_t writer = offset->any.front().site;
      if (const auto start = start_of_text(*place, writer)) {
        const std::int64_t behind = place->second - start->second;
        return CodeValues::one({.kind = Kind::kObject, .value = behind, .site = writer});
      }
    }
    for (const CodeValue& value : base->any) {
      if (const auto start = place_of(value)) {
        result.add({.kind = Kind::kFrame, .value = start->second, .site = start->first});
      }
    }
  }
  return result;
}

// How far a text reaches is not known; other variables begin where its words end.
void CodeStep::forget_text(const CodeState::Place& place) {
  const auto is_text = [](const CodeState::Word& word) {
    return word.values.is_constant() ||
           std::any_of(word.values.any.begin(), word.values.any.end(),
                       [](const CodeValue& value) { return value.kind == Kind::kText; });
  };
  auto it = state_.memory.lower_bound(place);
  if (it != state_.memory.begin()) {
    const auto before = std::prev(it);
    const bool same = before->first.first == place.first;
    const std::uint64_t distance =
        static_cast<std::uint64_t>(place.second) - static_cast<std::uint64_t>(before->first.second);
    const bool covers =
        before->second.values.is_constant() && distance < static_cast<std::uint64_t>(before->second.width);
    const bool is_writers = !before->second.values.is_constant() && is_text(before->second);
    if (same && covers) {
      before->second.width = static_cast<int>(distance);
      before->second.cut = true;
    } else if (same && is_writers && distance < kLongestBuffer) {
      state_.memory.erase(before);
    }
  }
  std::int64_t end = place.second;
  while (it != state_.memory.end() && it->first.first == place.first && is_text(it->second) &&
         static_cast<std::uint64_t>(it->first.second) - static_cast<std::uint64_t>(end) < 8) {
    if (it->first.second != end && end != place.second) break;
    end = it->first.second + it->second.width;
    it = state_.memory.erase(it);
  }
}

bool CodeStep::copy_constant(const CodeState::Place& to, const CodeValues& from, std::int64_t bytes) {
  if (bytes < 0 || bytes > kLongestBuffer || !from.is_constant()) return false;
  const auto address = static_cast<std::uint64_t>(from.any.front().value);
  const auto source = input_.image->bytes_at(address, static_cast<std::uint64_t>(bytes));
  if (!source || may_change(*input_.image, address)) return false;
  for (std::size_t at = 0; at < source->size(); at += 8) {
    const std::string_view part = source->substr(at, 8);
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < part.size(); ++i)
      word |= static_cast<std::uint64_t>(static_cast<unsigned char>(part[i])) << (8 * i);
    store_at({to.first, to.second + static_cast<std::int64_t>(at)}, CodeValues::constant(word, block_),
             static_cast<int>(part.size()), true);
  }
  return true;
}

std::optional<CodeValues> CodeStep::write_text(const TextEffect& text, const CodeCall& call) {
  const auto argument = [&](int number) {
    const auto index = static_cast<std::size_t>(number);
    return number >= 0 && index < call.arguments.size() ? call.arguments[index] : CodeValues::nothing_known();
  };
  const CodeValues to = argument(text.to);
  const auto place = only_place_of(to);
  if (text.result == TextEffect::Result::kLength) {
    // The length of what was written by one call has that call's name.
    const std::uint64_t writer = place ? writer_at(*place) : 0;
    if (writer != 0) return CodeValues::one({.kind = Kind::kResult, .site = writer});
    const CodeBuffer buffer = buffer_at(to);
    if (!buffer.whole || buffer.pieces.size() != 1 || !buffer.pieces.front().writers.empty()) {
      return std::nullopt;
    }
    return CodeValues::constant(buffer.pieces.front().bytes.size(), block_);
  }
  if (text.result == TextEffect::Result::kInside) {
    if (!place) return std::nullopt;
    return CodeValues::one({.kind = Kind::kFrame, .value = place->second, .site = place->first});
  }
  if (text.allocates) {
    store(to, CodeValues::one({.kind = Kind::kTextPointer, .site = call.address}), 8);
    return std::nullopt;
  }
  forget_arguments(to, true);
  const CodeValues size = argument(text.size);
  std::optional<std::int64_t> most;
  if (size.is_constant() && size.any.front().value >= 0 && size.any.front().value <= kLongestBuffer) {
    most = size.any.front().value;
  }
  for (const CodeValue& value : to.any) {
    const auto start = place_of(value);
    if (!start) continue;
    if (most && value.kind != Kind::kFrame) {
      forget_from(*start, *most);
    } else {
      forget_text(*start);
    }
  }
  const bool bytes = text.source != kNoRegister && most.has_value();
  if (place && !(bytes && copy_constant(*place, argument(text.source), *most))) {
    // What was behind the text that this call wrote before is behind it no more.
    const auto behind = state_.memory.lower_bound({call.address, INT64_MIN});
    state_.memory.erase(behind, state_.memory.upper_bound({call.address, INT64_MAX}));
    store_at(*place, CodeValues::one({.kind = Kind::kText, .site = call.address}), 1, true);
  }
  if (text.result == TextEffect::Result::kStart) return to;
  if (text.result == TextEffect::Result::kEnd && bytes) return add_constant(to, *most);
  return std::nullopt;
}

CodeBuffer CodeStep::buffer_at(const CodeValues& address) const {
  CodeBuffer buffer;
  auto place = only_place_of(address);
  while (place && buffer.pieces.size() < kMostPieces) {
    const auto found = state_.memory.find(*place);
    if (found == state_.memory.end() || found->second.values.unknown) return buffer;
    const CodeValues& values = found->second.values;
    const bool written =
        !values.any.empty() && std::all_of(values.any.begin(), values.any.end(),
                                           [](const CodeValue& value) { return value.kind == Kind::kText; });
    if (written) {
      CodePiece piece;
      for (const CodeValue& value : values.any)
        piece.writers.push_back({value.site, static_cast<std::uint32_t>(value.value)});
      const CodeState::Place end{piece.writers.front().call, 0};
      const bool goes_on =
          piece.writers.size() == 1 && piece.writers.front().arguments == 0 && state_.memory.contains(end);
      buffer.pieces.push_back(std::move(piece));
      buffer.whole = !goes_on;
      if (!goes_on) return buffer;
      place = end;
      continue;
    }
    if (!values.is_constant()) return buffer;
    if (buffer.pieces.empty() || !buffer.pieces.back().writers.empty()) buffer.pieces.emplace_back();
    std::string& bytes = buffer.pieces.back().bytes;
    const auto word = static_cast<std::uint64_t>(values.any.front().value);
    for (int i = 0; i < found->second.width; ++i) {
      const char byte = static_cast<char>(word >> (8 * i) & 0xff);
      if (byte == '\0') {
        buffer.whole = true;
        return buffer;
      }
      bytes += byte;
    }
    place = CodeState::Place{place->first, place->second + found->second.width};
  }
  return buffer;
}

void CodeStep::forget_arguments() {
  if (record_ != nullptr) record_->writes_elsewhere = true;
  state_.memory.erase(state_.memory.lower_bound({kArgumentMemory, INT64_MIN}), state_.memory.end());
}

void CodeStep::forget_arguments(const CodeValues& written, bool is_text) {
  auto it = state_.memory.lower_bound({kArgumentMemory, INT64_MIN});
  if (it == state_.memory.end() && record_ == nullptr) return;
  const bool in_frame =
      !written.unknown && std::all_of(written.any.begin(), written.any.end(), [](const CodeValue& value) {
        return value.kind == Kind::kStack || value.kind == Kind::kStackRange ||
               (value.kind == Kind::kFrame && value.site == 0);
      });
  if (in_frame) return;
  if (record_ != nullptr) record_->writes_elsewhere = true;
  const auto place = only_place_of(written);
  if (!place || !is_argument_memory(place->first)) {
    forget_arguments();
    return;
  }
  // How far a text reaches is not known: what is stored behind its start may be in it.
  while (it != state_.memory.end()) {
    const bool other = it->first.first != place->first;
    const bool text = !it->second.values.is_constant() && !(is_text && it->first == *place);
    it = other || text ? state_.memory.erase(it) : std::next(it);
  }
}

void CodeStep::mark_filled(const CodeCall& call, const std::vector<CodeValues>& arguments,
                           std::size_t first) {
  const bool direct = call.targets.size() == 1 && call.slots.empty() && !call.through_variable;
  const std::size_t count = std::min(arguments.size(), input_.convention->arguments.size());
  if (!direct || !input_.convention->is_c) return;
  for (std::size_t i = first; i < count; ++i) {
    const auto place = only_place_of(arguments[i]);
    if (!place) continue;
    // Registers that are no arguments may hold the place as well.
    std::int64_t all = 0;
    for (std::size_t other = first; other < count; ++other)
      if (only_place_of(arguments[other]) == place) all |= std::int64_t{1} << other;
    store_at(*place, CodeValues::one({.kind = Kind::kText, .value = all, .site = call.address}), 1, true);
  }
}

void CodeStep::forget_filled_before(const CodeState::Place& place) {
  auto it = state_.memory.lower_bound(place);
  while (it != state_.memory.begin()) {
    --it;
    const auto before =
        static_cast<std::uint64_t>(place.second) - static_cast<std::uint64_t>(it->first.second);
    if (it->first.first != place.first || before > static_cast<std::uint64_t>(kEscapedBytes)) return;
    const auto& any = it->second.values.any;
    const bool filled = std::any_of(any.begin(), any.end(), [](const CodeValue& value) {
      return value.kind == Kind::kText && value.value != 0;
    });
    if (filled) it = state_.memory.erase(it);
  }
}

}  // namespace imgslim
