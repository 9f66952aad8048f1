// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_reader.h"

#include <capstone/capstone.h>

#include "layers/error.h"
#include "src/facts/code_machines.h"
#include "src/facts/elf.h"

namespace imgslim {

struct CodeReader::State {
  csh handle = 0;
  bool x86 = true;
  ~State() { cs_close(&handle); }
};

bool CodeReader::is_supported(std::uint16_t machine) {
  return machine == static_cast<std::uint16_t>(ElfMachine::kX86_64) ||
         machine == static_cast<std::uint16_t>(ElfMachine::kAarch64);
}

CodeReader::CodeReader(std::uint16_t machine) : state_(std::make_unique<State>()) {
  state_->x86 = machine == static_cast<std::uint16_t>(ElfMachine::kX86_64);
  const cs_err error = state_->x86 ? cs_open(CS_ARCH_X86, CS_MODE_64, &state_->handle)
                                   : cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &state_->handle);
  if (error != CS_ERR_OK) throw Error(Failure::kIo, std::string("capstone: ") + cs_strerror(error));
  cs_option(state_->handle, CS_OPT_DETAIL, CS_OPT_ON);
}

CodeReader::~CodeReader() = default;

std::vector<CodeInstruction> CodeReader::read(std::string_view code, std::uint64_t address) const {
  std::vector<CodeInstruction> result;
  result.reserve(code.size() / 4);
  cs_insn* const raw = cs_malloc(state_->handle);
  if (raw == nullptr) throw Error(Failure::kIo, "capstone: out of memory");
  const std::unique_ptr<cs_insn, void (*)(cs_insn*)> owner(raw, [](cs_insn* p) { cs_free(p, 1); });
  const auto* at = reinterpret_cast<const std::uint8_t*>(code.data());
  std::size_t left = code.size();
  const std::size_t unit = state_->x86 ? 1 : 4;
  while (left > 0) {
    if (!cs_disasm_iter(state_->handle, &at, &left, &address, raw)) {
      if (left < unit) break;
      at += unit;
      left -= unit;
      address += unit;
      continue;
    }
    result.push_back(state_->x86 ? read_x86_64(state_->handle, *raw) : read_aarch64(state_->handle, *raw));
  }
  return result;
}

}  // namespace imgslim
