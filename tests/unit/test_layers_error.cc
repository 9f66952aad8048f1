// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"

using namespace imgslim;

TEST_CASE("error: context goes in front and the kind stays") {
  try {
    with_context("image a",
                 [] { return with_context("layer b", []() -> int { throw_bad_image("entry c is cut"); }); });
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "image a: layer b: entry c is cut");
    CHECK(error.failure() == Failure::kBadImage);
  }
}

TEST_CASE("error: names of an image cannot speak to the terminal") {
  CHECK(printable("usr/bin") == "usr/bin");
  CHECK(printable("a\x1b[31m\n") == "a\\x1b[31m\\x0a");
  CHECK(printable("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(printable("\xff\xc0\x80") == "\\xff\\xc0\\x80");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(printable("abcdef", 3) == "abc...");
}
