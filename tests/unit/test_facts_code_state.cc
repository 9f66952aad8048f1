// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "src/facts/code_state.h"

using namespace imgslim;

TEST_CASE("code state: what was forgotten stays forgotten and is no change") {
  CodeState seen;
  CodeState next;
  seen.registers[0] = CodeValues::nothing_known();
  next.registers[0] = CodeValues::constant(5);
  CHECK_FALSE(seen.meet(next, 0, true));
  CHECK(seen.registers[0] == CodeValues::nothing_known());
  seen.registers[1] = CodeValues::constant(1);
  next.registers[1] = CodeValues::constant(2, 9);
  CHECK(seen.meet(next, 0, true));
  CHECK_FALSE(seen.meet(next, 0, true));
  CHECK(seen.registers[1] == CodeValues::nothing_known());
}

TEST_CASE("code state: ways that meet hold what either holds, and a part of it changes nothing") {
  CodeState seen;
  CodeState next;
  seen.registers[0] = CodeValues::constant(1);
  next.registers[0] = CodeValues::constant(2, 9);
  CHECK(seen.meet(next, 0, false));
  CHECK(seen.registers[0].any.size() == 2);
  CHECK_FALSE(seen.meet(next, 0, false));
  next.registers[0] = CodeValues::nothing_known();
  CHECK(seen.meet(next, 0, false));
  CHECK(seen.registers[0].unknown);
}

TEST_CASE("code state: ways that meet keep of the stack what both hold") {
  CodeState seen;
  CodeState next;
  seen.memory[{0, -8}] = {.values = CodeValues::constant(1)};
  seen.memory[{0, -16}] = {.values = CodeValues::constant(1)};
  next.memory[{0, -16}] = {.values = CodeValues::constant(1)};
  next.memory[{0, -24}] = {.values = CodeValues::constant(1)};
  CHECK(seen.meet(next, 0, false));
  CHECK(seen.memory.size() == 1);
  CHECK(seen.memory.contains({0, -16}));
  CHECK_FALSE(seen.meet(next, 0, false));
}

TEST_CASE("code state: what a function wrote where its argument points is known if all ways did") {
  CodeState seen;
  CodeState next;
  seen.memory[{kArgumentMemory, 0}] = {.values = CodeValues::constant(1)};
  seen.memory[{kArgumentMemory, 8}] = {.values = CodeValues::constant(2)};
  next.memory[{kArgumentMemory, 8}] = {.values = CodeValues::constant(2)};
  next.memory[{kArgumentMemory + 1, 0}] = {.values = CodeValues::constant(3)};
  CHECK(seen.meet(next, 0, false));
  CHECK(seen.memory.size() == 1);
  CHECK(seen.memory.contains({kArgumentMemory, 8}));
}
