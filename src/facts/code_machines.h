// SPDX-License-Identifier: Apache-2.0
// One decoded instruction of each machine as a CodeInstruction. For code_reader.cc alone.
#pragma once

#include <capstone/capstone.h>

#include "src/facts/code_reader.h"

namespace imgslim {

CodeInstruction read_x86_64(csh handle, const cs_insn& raw);
CodeInstruction read_aarch64(csh handle, const cs_insn& raw);

// Notes the registers that Capstone calls written; `register_number` gives ours, or kNoRegister.
template <typename RegisterNumber>
void note_written(csh handle, const cs_insn& raw, const RegisterNumber& register_number,
                  CodeInstruction& result) {
  cs_regs reads;
  cs_regs writes;
  std::uint8_t read_count = 0;
  std::uint8_t write_count = 0;
  if (cs_regs_access(handle, &raw, reads, &read_count, writes, &write_count) == CS_ERR_OK) {
    for (std::uint8_t i = 0; i < write_count; ++i) {
      const int number = register_number(writes[i]);
      if (number >= kFirstVectorRegister) {
        result.changed_vectors |= 1u << ((number - kFirstVectorRegister) / 2);
      } else if (number != kNoRegister) {
        result.changed |= 1u << number;
      }
    }
  }
}

}  // namespace imgslim
