// SPDX-License-Identifier: Apache-2.0
// What imgslim-hook(1) does when git pushes.
#pragma once

#include <string>
#include <vector>

#include "src/hook/git.h"
#include "src/settings.h"

namespace imgslim {

struct HookInput {
  Settings settings;
  std::vector<std::string> commits;  // that are pushed
  unsigned threads = 1;
  bool verbose = false;
};

// What is said, in order, one line each; and whether it stops the push.
struct HookResult {
  std::vector<std::string> broken;    // budgets
  std::vector<std::string> warnings;  // no image, stale, not reached
  std::vector<std::string> notes;
};

// Audits the images of the settings, in the current directory. Writes nothing but its own cache.
HookResult run_hook(const HookInput& input);

}  // namespace imgslim
