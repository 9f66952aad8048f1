// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "src/facts/code_values.h"

using namespace imgslim;
using Kind = CodeValue::Kind;

TEST_CASE("code values: too many possibilities are none") {
  CodeValues values;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(kMostCodeValues); ++i)
    values.add(CodeValue{.value = i});
  CHECK(values.any.size() == kMostCodeValues);
  CHECK_FALSE(values.unknown);
  values.add(CodeValue{.value = 1});
  CHECK_FALSE(values.unknown);
  values.add(CodeValue{.value = -1});
  CHECK(values.unknown);
  CHECK(values.any.empty());
}

TEST_CASE("code values: a stepped value becomes a range of its loop and stays one") {
  const CodeValues start = CodeValues::constant(0x1000, 7);
  const CodeValues range = widen(start, add_constant(start, 8), 0x400);
  REQUIRE(range.any.size() == 1);
  CHECK(range.any[0].kind == Kind::kRange);
  CHECK(range.any[0].stride == 8);
  CHECK(range.any[0].site == 0x400);
  CHECK(widen(range, add_constant(range, 8), 0x400) == range);
}

TEST_CASE("code values: another constant at the end of a loop is no step") {
  const CodeValues values = widen(CodeValues::constant(0x1000, 7), CodeValues::constant(0x1008, 9), 0x400);
  REQUIRE(values.any.size() == 2);
  CHECK(values.any[0].kind == Kind::kConstant);
  CHECK(values.any[1].kind == Kind::kConstant);
}

TEST_CASE("code values: an index scaled and added to a table keeps its rounds") {
  const CodeValues index = CodeValues::one({.kind = Kind::kRange, .value = 0, .stride = 1, .site = 0x400});
  const CodeValues place = add_values(CodeValues::constant(0x2000), scale_values(index, 16));
  REQUIRE(place.any.size() == 1);
  CHECK(place.any[0].value == 0x2000);
  CHECK(place.any[0].stride == 16);
  CHECK(add_values(place, place).unknown);
}

TEST_CASE("code values: places in what an argument of C code points to") {
  const CodeValues out = CodeValues::one({.kind = Kind::kParameter, .value = 2, .site = kArgumentMemory + 2});
  const CodeValues behind = add_constant(out, 8);
  REQUIRE(behind.any.size() == 1);
  CHECK(behind.any[0].kind == Kind::kObject);
  CHECK(behind.any[0].site == kArgumentMemory + 2);
  CHECK(behind.any[0].value == 8);
  CHECK(add_constant(behind, -8) == out);
  // Of Go code, arguments are values alone.
  CHECK(add_constant(CodeValues::one({.kind = Kind::kParameter, .value = 2}), 8).unknown);
}
