// SPDX-License-Identifier: Apache-2.0
// One decoded instruction of each machine as a CodeInstruction. For code_reader.cc alone.
#pragma once

#include <capstone/capstone.h>

#include "src/facts/code_reader.h"

namespace imgslim {

CodeInstruction read_x86_64(csh handle, const cs_insn& raw);
CodeInstruction read_aarch64(csh handle, const cs_insn& raw);

}  // namespace imgslim
