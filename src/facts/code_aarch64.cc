// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_machines.h"

namespace imgslim {

namespace {

using Kind = CodeOperand::Kind;
using Operation = CodeOperation;

constexpr int kStackPointer = 31;

int register_number(unsigned name) {
  if (name >= ARM64_REG_X0 && name <= ARM64_REG_X28) return static_cast<int>(name - ARM64_REG_X0);
  if (name >= ARM64_REG_W0 && name <= ARM64_REG_W30) return static_cast<int>(name - ARM64_REG_W0);
  if (name == ARM64_REG_X29) return 29;
  if (name == ARM64_REG_X30) return 30;
  if (name == ARM64_REG_SP || name == ARM64_REG_WSP) return kStackPointer;
  if (name >= ARM64_REG_Q0 && name <= ARM64_REG_Q31) {
    return kFirstVectorRegister + 2 * static_cast<int>(name - ARM64_REG_Q0);
  }
  if (name >= ARM64_REG_D0 && name <= ARM64_REG_D31) {
    return kFirstVectorRegister + 2 * static_cast<int>(name - ARM64_REG_D0);
  }
  if (name >= ARM64_REG_S0 && name <= ARM64_REG_S31) {
    return kFirstVectorRegister + 2 * static_cast<int>(name - ARM64_REG_S0);
  }
  if (name >= ARM64_REG_V0 && name <= ARM64_REG_V31) {
    return kFirstVectorRegister + 2 * static_cast<int>(name - ARM64_REG_V0);
  }
  return kNoRegister;
}

bool is_zero_register(unsigned name) {
  return name == ARM64_REG_XZR || name == ARM64_REG_WZR;
}

// Bytes that a register operand moves.
std::uint8_t width_of(const cs_arm64_op& operand) {
  if (operand.type != ARM64_OP_REG) return 0;
  const unsigned name = operand.reg;
  if (name >= ARM64_REG_Q0 && name <= ARM64_REG_Q31) return 16;
  if ((name >= ARM64_REG_W0 && name <= ARM64_REG_W30) || name == ARM64_REG_WZR || name == ARM64_REG_WSP ||
      (name >= ARM64_REG_S0 && name <= ARM64_REG_S31)) {
    return 4;
  }
  return 8;
}

CodeOperand operand_of(const cs_arm64_op& from) {
  CodeOperand to;
  if (from.type == ARM64_OP_REG) {
    if (is_zero_register(from.reg)) {
      to.kind = Kind::kImmediate;
      return to;
    }
    to.base = register_number(from.reg);
    if (to.base != kNoRegister) to.kind = Kind::kRegister;
  } else if (from.type == ARM64_OP_IMM) {
    to.kind = Kind::kImmediate;
    to.offset = from.shift.type == ARM64_SFT_LSL && from.shift.value < 64
                    ? static_cast<std::int64_t>(static_cast<std::uint64_t>(from.imm) << from.shift.value)
                    : from.imm;
  } else if (from.type == ARM64_OP_MEM) {
    to.kind = Kind::kMemory;
    to.base = register_number(from.mem.base);
    to.index = register_number(from.mem.index);
    to.offset = from.mem.disp;
    // sxtw, uxtw: an index that is taken as it is
    if (from.shift.type == ARM64_SFT_LSL || from.ext != ARM64_EXT_INVALID)
      to.scale = 1 << (from.shift.value & 7);
  }
  return to;
}

void note_changes(csh handle, const cs_insn& raw, CodeInstruction& result) {
  result.operation = Operation::kOther;
  result.first = {};
  note_written(handle, raw, register_number, result);
  // Capstone 4 does not call the destination of every instruction written.
  const cs_arm64& detail = raw.detail->arm64;
  if (detail.op_count == 0 || detail.operands[0].type != ARM64_OP_REG || detail.cc == ARM64_CC_INVALID)
    return;
  const int number = register_number(detail.operands[0].reg);
  if (number >= 0 && number < kFirstVectorRegister) result.changed |= 1u << number;
}

// Stores whose result is not followed.
bool is_store(unsigned id) {
  switch (id) {
    case ARM64_INS_STXR:
    case ARM64_INS_STLXR:
    case ARM64_INS_STLR:
      return true;
    default:
      return false;
  }
}

class Aarch64Instruction {
 public:
  Aarch64Instruction(const cs_insn& raw, CodeInstruction& result)
      : raw_(raw), detail_(raw.detail->arm64), result_(result) {}

  // Whether the instruction has a model.
  bool read() { return read_flow() || read_arithmetic() || read_memory(); }

 private:
  CodeOperand operand(int i) const {
    return i < detail_.op_count ? operand_of(detail_.operands[i]) : CodeOperand{};
  }

  bool flow(Operation operation, int target) {
    result_.operation = operation;
    if (target >= 0) result_.first = operand(target);
    return true;
  }

  bool read_flow() {
    switch (raw_.id) {
      case ARM64_INS_BL:
      case ARM64_INS_BLR:
        return flow(Operation::kCall, 0);
      case ARM64_INS_B:
        if (detail_.cc == ARM64_CC_INVALID || detail_.cc == ARM64_CC_AL) return flow(Operation::kJump, 0);
        switch (detail_.cc) {
          case ARM64_CC_LE:
          case ARM64_CC_GT:
          case ARM64_CC_LS:
          case ARM64_CC_HI:
            result_.condition = CodeCondition::kInclusive;
            break;
          default:
            result_.condition = CodeCondition::kExclusive;
        }
        return flow(Operation::kBranch, 0);
      case ARM64_INS_BR:
        return flow(Operation::kJump, 0);
      case ARM64_INS_CBZ:
      case ARM64_INS_CBNZ:
        return flow(Operation::kBranch, 1);
      case ARM64_INS_TBZ:
      case ARM64_INS_TBNZ:
        return flow(Operation::kBranch, 2);
      case ARM64_INS_RET:
        return flow(Operation::kReturn, -1);
      case ARM64_INS_BRK:
      case ARM64_INS_HLT:
        return flow(Operation::kStop, -1);
      default:
        return false;
    }
  }

  bool assign(Operation operation, const CodeOperand& second, const CodeOperand& third = {}) {
    result_.operation = operation;
    result_.first = operand(0);
    result_.second = second;
    result_.third = third;
    result_.width = width_of(detail_.operands[0]);
    // Results in the zero register are dropped.
    return result_.first.kind == Kind::kRegister;
  }

  bool read_arithmetic() {
    switch (raw_.id) {
      case ARM64_INS_NOP:
      case ARM64_INS_HINT:
        return true;
      case ARM64_INS_ADR:
      case ARM64_INS_ADRP: {
        CodeOperand address = operand(1);
        return assign(Operation::kMove, address);
      }
      case ARM64_INS_MOV:
      case ARM64_INS_MOVZ:
        if (detail_.op_count != 2 || detail_.operands[0].vess != ARM64_VESS_INVALID ||
            detail_.operands[1].vess != ARM64_VESS_INVALID) {
          return false;
        }
        return assign(Operation::kMove, operand(1));
      case ARM64_INS_ORR:
        // With the zero register it is a move, and Go's way to make small numbers.
        return detail_.op_count == 3 && operand(1).kind == Kind::kImmediate &&
               detail_.operands[2].shift.type == ARM64_SFT_INVALID && assign(Operation::kMove, operand(2));
      case ARM64_INS_MOVN: {
        CodeOperand number = operand(1);
        number.offset = ~number.offset;
        return assign(Operation::kMove, number);
      }
      case ARM64_INS_MOVK: {
        CodeOperand number = operand(1);
        number.offset = detail_.operands[1].imm;
        const CodeOperand place{.kind = Kind::kImmediate,
                                .offset = static_cast<std::int64_t>(detail_.operands[1].shift.value)};
        return assign(Operation::kInsert, number, place);
      }
      case ARM64_INS_MOVI:
        if (operand(1).kind != Kind::kImmediate || operand(1).offset != 0) return false;
        assign(Operation::kMove, operand(1));
        result_.width = 16;
        return result_.first.kind == Kind::kRegister;
      case ARM64_INS_SXTW:
        return assign(Operation::kMove, operand(1));
      case ARM64_INS_ADD:
      case ARM64_INS_SUB: {
        const cs_arm64_op& last = detail_.operands[2];
        if (detail_.op_count != 3 || width_of(detail_.operands[0]) < 4) return false;
        const bool adds = raw_.id == ARM64_INS_ADD;
        if (last.type == ARM64_OP_REG &&
            (last.shift.type != ARM64_SFT_INVALID || last.ext != ARM64_EXT_INVALID)) {
          // Sum with a shifted register: an address of base and scaled index.
          const bool left = last.shift.type == ARM64_SFT_LSL || last.shift.type == ARM64_SFT_INVALID;
          if (!adds || !left || last.shift.value > 16 || operand(1).kind != Kind::kRegister ||
              operand(2).kind != Kind::kRegister) {
            return false;
          }
          CodeOperand address{.kind = Kind::kMemory, .base = operand(1).base, .index = operand(2).base};
          address.scale =
              last.shift.type == ARM64_SFT_LSL ? 1 << last.shift.value : 1 << (last.shift.value & 7);
          return assign(Operation::kAddressOf, address);
        }
        // subs: a comparison whose difference is of use, too
        const Operation subtract = detail_.update_flags ? Operation::kCompare : Operation::kSubtract;
        return assign(adds ? Operation::kAdd : subtract, operand(1), operand(2));
      }
      case ARM64_INS_LSL:
        return detail_.op_count == 3 && operand(2).kind == Kind::kImmediate &&
               assign(Operation::kShiftLeft, operand(1), operand(2));
      case ARM64_INS_UBFIZ:
      case ARM64_INS_SBFIZ:
        return detail_.op_count == 4 && operand(2).kind == Kind::kImmediate &&
               assign(Operation::kShiftLeft, operand(1), operand(2));
      case ARM64_INS_CSEL:
        result_.negated = (detail_.cc & 1) == 0;
        return assign(Operation::kSelect, operand(1), operand(2));
      case ARM64_INS_CMP:
        result_.operation = Operation::kCompare;
        result_.second = operand(0);
        result_.third = operand(1);
        return true;
      default:
        return false;
    }
  }

  // The memory operand behind `registers` register operands, with the move of its base.
  bool memory(int registers, CodeOperand& place) {
    if (registers >= detail_.op_count || detail_.operands[registers].type != ARM64_OP_MEM) return false;
    place = operand(registers);
    if (!detail_.writeback) return true;
    result_.stepped = place.base;
    if (registers + 1 < detail_.op_count) {
      if (operand(registers + 1).kind != Kind::kImmediate) return false;
      result_.step = operand(registers + 1).offset;
    } else {
      // The base moves first, and is then the address.
      result_.step = place.offset;
      result_.step_before = true;
      place.offset = 0;
    }
    return true;
  }

  bool store(std::uint8_t width) {
    CodeOperand place;
    if (!memory(1, place)) return false;
    pair(Operation::kMove, place, operand(0));
    result_.width = width;
    return true;
  }

  bool pair(Operation operation, const CodeOperand& first, const CodeOperand& second) {
    result_.operation = operation;
    result_.first = first;
    result_.second = second;
    result_.width = width_of(detail_.operands[0]);
    return true;
  }

  bool read_memory() {
    CodeOperand place;
    switch (raw_.id) {
      case ARM64_INS_LDR:
      case ARM64_INS_LDUR:
      case ARM64_INS_LDRSW:
        if (detail_.op_count >= 2 && detail_.operands[1].type == ARM64_OP_IMM) {
          place = {.kind = Kind::kMemory, .offset = detail_.operands[1].imm};
        } else if (!memory(1, place)) {
          return false;
        }
        if (raw_.id == ARM64_INS_LDRSW) {
          assign(Operation::kMove, place);
          result_.width = 4;
          return true;
        }
        return assign(Operation::kMove, place);
      case ARM64_INS_LDRB:
      case ARM64_INS_LDURB:
      case ARM64_INS_LDRH:
      case ARM64_INS_LDURH:
        if (!memory(1, place) || !assign(Operation::kMove, place)) return false;
        result_.width = raw_.id == ARM64_INS_LDRB || raw_.id == ARM64_INS_LDURB ? 1 : 2;
        return true;
      case ARM64_INS_STRB:
      case ARM64_INS_STURB:
        return store(1);
      case ARM64_INS_STRH:
      case ARM64_INS_STURH:
        return store(2);
      case ARM64_INS_STR:
      case ARM64_INS_STUR:
        return store(width_of(detail_.operands[0]));
      case ARM64_INS_LDP:
        if (!memory(2, place) || !pair(Operation::kLoadPair, operand(0), place)) return false;
        result_.fourth = operand(1);
        return true;
      case ARM64_INS_STP:
        if (!memory(2, place) || !pair(Operation::kStorePair, place, operand(0))) return false;
        result_.third = operand(1);
        return true;
      default:
        if (is_store(raw_.id)) {
          for (int i = 0; i < detail_.op_count; ++i) {
            if (detail_.operands[i].type == ARM64_OP_MEM) result_.first = operand(i);
          }
          result_.operation = Operation::kOther;
          if (detail_.writeback && result_.first.base != kNoRegister) {
            result_.changed = 1u << result_.first.base;
            result_.first = {};
          }
          return true;
        }
        return false;
    }
  }

  const cs_insn& raw_;
  const cs_arm64& detail_;
  CodeInstruction& result_;
};

}  // namespace

CodeInstruction read_aarch64(csh handle, const cs_insn& raw) {
  CodeInstruction result;
  result.address = raw.address;
  result.length = static_cast<std::uint8_t>(raw.size);
  if (!Aarch64Instruction(raw, result).read()) {
    CodeInstruction plain;
    plain.address = result.address;
    plain.length = result.length;
    result = plain;
    note_changes(handle, raw, result);
  }
  return result;
}

}  // namespace imgslim
