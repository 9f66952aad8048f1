// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_values.h"

#include <algorithm>
#include <cstdlib>

#include "src/facts/code_numbers.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;

constexpr std::int64_t kLongestStride = 4096;     // of a loop's own step
constexpr std::int64_t kLargestStride = 1 << 20;  // of what is computed from it

bool can_be_moved(Kind kind) {
  return kind == Kind::kConstant || kind == Kind::kStack || kind == Kind::kObject || kind == Kind::kRange ||
         kind == Kind::kStackRange || kind == Kind::kContext;
}

}  // namespace

CodeValues CodeValues::nothing_known() {
  CodeValues values;
  values.unknown = true;
  return values;
}

CodeValues CodeValues::one(const CodeValue& value) {
  CodeValues values;
  values.any.push_back(value);
  return values;
}

CodeValues CodeValues::constant(std::uint64_t value, std::uint64_t origin) {
  return one({.value = static_cast<std::int64_t>(value), .origin = origin});
}

bool CodeValues::is_constant() const {
  return !unknown && any.size() == 1 && any.front().kind == Kind::kConstant;
}

void CodeValues::add(const CodeValue& value) {
  const auto place = std::lower_bound(any.begin(), any.end(), value);
  if (place != any.end() && *place == value) return;
  if (any.size() >= kMostCodeValues) {
    any.clear();
    unknown = true;
    return;
  }
  any.insert(place, value);
}

void CodeValues::add(const CodeValues& other) {
  unknown = unknown || other.unknown;
  for (const CodeValue& value : other.any)
    add(value);
}

CodeValues add_constant(const CodeValues& values, std::int64_t amount) {
  if (amount == 0) return values;
  CodeValues result;
  result.unknown = values.unknown;
  for (CodeValue value : values.any) {
    if (value.kind == Kind::kFrame) {
      if (amount < 0) value.value = sum(value.value, amount);
      result.add(value);
      continue;
    }
    if (value.kind == Kind::kNumbers) {
      value.first = sum(value.first, amount);
      result.add(value);
      continue;
    }
    if (value.kind == Kind::kResult && value.value == 0) {
      value.kind = Kind::kObject;
    } else if (value.kind == Kind::kParameter && is_argument_memory(value.site)) {
      value.kind = Kind::kObject;
      value.value = 0;
    } else if (!can_be_moved(value.kind)) {
      result.unknown = true;
      continue;
    }
    value.value = sum(value.value, amount);
    if (value.kind == Kind::kObject && value.value == 0 && is_argument_memory(value.site)) {
      value.kind = Kind::kParameter;
      value.value = static_cast<std::int64_t>(value.site - kArgumentMemory);
    }
    result.add(value);
  }
  return result;
}

CodeValues add_values(const CodeValues& a, const CodeValues& b) {
  CodeValues result;
  result.unknown = a.unknown || b.unknown;
  for (const CodeValue& left : a.any) {
    for (const CodeValue& right : b.any) {
      if (left.kind == Kind::kNumbers && right.kind == Kind::kConstant) {
        result.add(add_constant(CodeValues::one(left), right.value));
        continue;
      }
      if (right.kind == Kind::kNumbers && left.kind == Kind::kConstant) {
        result.add(add_constant(CodeValues::one(right), left.value));
        continue;
      }
      const bool right_moves = left.kind == Kind::kConstant && can_be_moved(right.kind);
      if (!right_moves && !(right.kind == Kind::kConstant && can_be_moved(left.kind))) {
        // The frame's own address plus an index of a loop.
        if (left.kind == Kind::kStack && right.kind == Kind::kRange) {
          CodeValue value = right;
          value.kind = Kind::kStackRange;
          value.value = sum(value.value, left.value);
          value.first = sum(value.first, left.value);
          result.add(value);
        } else if (right.kind == Kind::kStack && left.kind == Kind::kRange) {
          CodeValue value = left;
          value.kind = Kind::kStackRange;
          value.value = sum(value.value, right.value);
          value.first = sum(value.first, right.value);
          result.add(value);
        } else {
          result.unknown = true;
        }
        continue;
      }
      CodeValue value = right_moves ? right : left;
      const CodeValue& base = right_moves ? left : right;
      value.value = sum(value.value, base.value);
      value.first = sum(value.first, base.value);
      result.add(value);
    }
  }
  return result;
}

CodeValues scale_values(const CodeValues& values, std::int64_t factor) {
  if (factor == 1) return values;
  CodeValues result;
  result.unknown = values.unknown;
  for (CodeValue value : values.any) {
    const std::int64_t stride = product(value.stride, factor);
    const bool too_far = stride > kLargestStride || stride < -kLargestStride;
    if ((value.kind != Kind::kConstant && value.kind != Kind::kRange) || too_far) {
      result.unknown = true;
      continue;
    }
    value.value = product(value.value, factor);
    value.first = product(value.first, factor);
    value.stride = stride;
    result.add(value);
  }
  return result;
}

bool is_range(const CodeValue& value) {
  return value.kind == Kind::kRange || value.kind == Kind::kStackRange;
}

bool is_round_of(const CodeValue& value, const CodeValue& range) {
  const bool same_sort = (value.kind == Kind::kConstant && range.kind == Kind::kRange) ||
                         (value.kind == Kind::kStack && range.kind == Kind::kStackRange);
  if (!same_sort || value.origin != range.origin || range.stride == 0) return false;
  const std::int64_t distance = difference(value.value, range.value);
  // Small steps alone, so that neither quotient can overflow.
  return range.stride != -1 ? distance % range.stride == 0 && distance / range.stride >= 0 : distance <= 0;
}

CodeValues widen(const CodeValues& before, const CodeValues& stepped, std::uint64_t site) {
  CodeValues result;
  result.unknown = before.unknown || stepped.unknown;
  std::vector<CodeValue> ranges;
  for (const CodeValue& next : stepped.any) {
    bool absorbed = false;
    for (const CodeValue& first : before.any) {
      if (first.origin != next.origin) continue;
      if (is_range(first) && next.kind == first.kind && first.site == site && next.site == site &&
          first.stride == next.stride && next.first == first.first) {
        // One step on, or none.
        absorbed = next.value == sum(first.value, first.stride) || next.value == first.value;
      } else if (is_range(first) && is_round_of(next, first)) {
        absorbed = true;
      } else if (!is_range(first) && next.kind == first.kind && next.value != first.value &&
                 (first.kind == Kind::kConstant || first.kind == Kind::kStack)) {
        const std::int64_t stride = difference(next.value, first.value);
        if (stride > kLongestStride || stride < -kLongestStride) continue;
        CodeValue range = first;
        range.kind = first.kind == Kind::kStack ? Kind::kStackRange : Kind::kRange;
        range.first = first.value;
        range.stride = stride;
        range.site = site;
        ranges.push_back(range);
        absorbed = true;
      }
      if (absorbed) break;
    }
    if (!absorbed) result.add(next);
  }
  for (const CodeValue& first : before.any) {
    const bool replaced = std::any_of(ranges.begin(), ranges.end(), [&](const CodeValue& range) {
      return first.value == range.first && first.origin == range.origin &&
             (first.kind == Kind::kConstant || first.kind == Kind::kStack);
    });
    if (!replaced) result.add(first);
  }
  for (const CodeValue& range : ranges)
    result.add(range);
  // What came before its loop was seen, or from the loop's entry, is a part of the range.
  std::vector<CodeValue> kept;
  for (const CodeValue& value : result.any) {
    const bool part = std::any_of(result.any.begin(), result.any.end(),
                                  [&](const CodeValue& range) { return is_round_of(value, range); });
    if (!part) kept.push_back(value);
  }
  result.any = kept;
  return result;
}

}  // namespace imgslim
