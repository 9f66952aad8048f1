// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sstream>

#include "src/hook/git.h"
#include "src/hook/hook_script.h"

using namespace imgslim;

TEST_CASE("hook script: written, renewed, taken out") {
  const std::string text = with_hook(std::nullopt, "/opt/it's/imgslim");
  CHECK(text.starts_with("#!/bin/sh\n"));
  CHECK(text.find("'/opt/it'\\''s/imgslim'") != std::string::npos);
  CHECK(with_hook(text, "/opt/it's/imgslim") == text);
  bool present = false;
  CHECK(!without_hook(text, present));
  CHECK(present);
}

TEST_CASE("hook script: an earlier hook comes back byte for byte") {
  const std::string hooks[] = {"#!/bin/sh\necho hello\n",
                               "#!/usr/bin/env bash\nset -e\nexit 0",
                               "#!/bin/bash -e\nx\n",
                               "#!/usr/bin/python3\npass\n",
                               std::string("\x7f"
                                           "ELF\0\1\2",
                                           7),
                               "no shebang\n",
                               "#!/bin/sh",
                               "#!/usr/bin/env -S sh -e\ntrue\n"};
  for (const std::string& hook : hooks) {
    INFO(hook);
    const std::string text = with_hook(hook, "imgslim");
    CHECK(text != hook);
    CHECK(with_hook(text, "imgslim") == text);
    bool present = false;
    CHECK(without_hook(text, present) == hook);
    CHECK(present);
  }
}

TEST_CASE("hook script: a shell script keeps its own interpreter") {
  CHECK(with_hook("#!/bin/bash\n[[ 1 ]]\n", "x").starts_with("#!/bin/bash\n"));
  CHECK(with_hook("#!/usr/bin/python3\npass\n", "x").starts_with("#!/bin/sh\n"));
}

TEST_CASE("hook script: nothing of ours is left alone") {
  bool present = true;
  CHECK(without_hook("#!/bin/sh\n", present) == "#!/bin/sh\n");
  CHECK(!present);
}

TEST_CASE("hook: lines that git gives") {
  const std::string zero(40, '0');
  const std::string one(40, '1');
  std::istringstream in("refs/heads/a " + one + " refs/heads/a " + zero + "\n(delete) " + zero +
                        " refs/heads/b " + one + "\nnonsense\nrefs/heads/c xyz refs/heads/c " + zero + "\n");
  const std::vector<PushedRef> refs = read_pushed_refs(in);
  REQUIRE(refs.size() == 2);
  CHECK(refs[0].local_ref == "refs/heads/a");
  CHECK(!refs[0].is_deletion());
  CHECK(refs[1].is_deletion());
}
