// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <iterator>

#include "src/facts/code_machines.h"

namespace imgslim {

namespace {

using Kind = CodeOperand::Kind;
using Operation = CodeOperation;

// Every name of each integer register, 8 to 64 bits, in the machine's numbering.
constexpr std::array<std::array<x86_reg, 5>, 16> kIntegerRegisters = {{
    {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
    {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
    {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
    {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
    {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, X86_REG_INVALID},
    {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, X86_REG_INVALID},
    {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, X86_REG_INVALID},
    {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, X86_REG_INVALID},
    {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, X86_REG_INVALID},
    {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, X86_REG_INVALID},
    {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B, X86_REG_INVALID},
    {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B, X86_REG_INVALID},
    {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B, X86_REG_INVALID},
    {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B, X86_REG_INVALID},
    {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B, X86_REG_INVALID},
    {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B, X86_REG_INVALID},
}};

using RegisterTable = std::array<std::int8_t, X86_REG_ENDING>;

RegisterTable make_register_table() {
  RegisterTable table;
  table.fill(kNoRegister);
  for (std::size_t i = 0; i < kIntegerRegisters.size(); ++i) {
    for (const x86_reg name : kIntegerRegisters[i]) {
      if (name != X86_REG_INVALID) table[name] = static_cast<std::int8_t>(i);
    }
  }
  for (int i = 0; i < 16; ++i) {
    const auto number = static_cast<std::int8_t>(kFirstVectorRegister + 2 * i);
    table[X86_REG_XMM0 + i] = number;
    table[X86_REG_YMM0 + i] = number;
  }
  return table;
}

int register_number(unsigned name) {
  static const RegisterTable table = make_register_table();
  return name < table.size() ? table[name] : kNoRegister;
}

bool is_vector(const CodeOperand& operand) {
  return operand.kind == Kind::kRegister && operand.base >= kFirstVectorRegister;
}

CodeOperand operand_of(const cs_insn& raw, const cs_x86_op& from) {
  CodeOperand to;
  if (from.type == X86_OP_REG) {
    to.base = register_number(from.reg);
    if (to.base != kNoRegister) to.kind = Kind::kRegister;
  } else if (from.type == X86_OP_IMM) {
    to.kind = Kind::kImmediate;
    to.offset = from.imm;
  } else if (from.type == X86_OP_MEM) {
    // Thread-local memory is no place that we follow.
    if (from.mem.segment == X86_REG_FS || from.mem.segment == X86_REG_GS) return to;
    to.kind = Kind::kMemory;
    to.offset = from.mem.disp;
    to.scale = from.mem.scale;
    if (from.mem.base == X86_REG_RIP) {
      to.offset = static_cast<std::int64_t>(raw.address + raw.size + static_cast<std::uint64_t>(to.offset));
    } else {
      to.base = register_number(from.mem.base);
    }
    to.index = register_number(from.mem.index);
  }
  return to;
}

CodeCondition condition_of(unsigned id) {
  switch (id) {
    case X86_INS_JLE:
    case X86_INS_JG:
    case X86_INS_JBE:
    case X86_INS_JA:
      return CodeCondition::kInclusive;
    default:
      return CodeCondition::kExclusive;
  }
}

bool is_conditional_move(unsigned id) {
  switch (id) {
    case X86_INS_CMOVA:
    case X86_INS_CMOVAE:
    case X86_INS_CMOVB:
    case X86_INS_CMOVBE:
    case X86_INS_CMOVE:
    case X86_INS_CMOVG:
    case X86_INS_CMOVGE:
    case X86_INS_CMOVL:
    case X86_INS_CMOVLE:
    case X86_INS_CMOVNE:
    case X86_INS_CMOVNO:
    case X86_INS_CMOVNP:
    case X86_INS_CMOVNS:
    case X86_INS_CMOVO:
    case X86_INS_CMOVP:
    case X86_INS_CMOVS:
      return true;
    default:
      return false;
  }
}

// What an instruction without a model may change.
void note_changes(csh handle, const cs_insn& raw, CodeInstruction& result) {
  result.operation = Operation::kOther;
  note_written(handle, raw, register_number, result);
  // A memory operand in front is written more often than not.
  result.first = {};
  const cs_x86& detail = raw.detail->x86;
  if (detail.op_count > 0 && detail.operands[0].type == X86_OP_MEM) {
    result.first = operand_of(raw, detail.operands[0]);
  }
}

bool same_register(const CodeOperand& a, const CodeOperand& b) {
  return a.kind == Kind::kRegister && b.kind == Kind::kRegister && a.base == b.base;
}

// Instructions of two operands, `a` the one written.
bool read_two_operands(const cs_insn& raw, CodeInstruction& result, const CodeOperand& a,
                       const CodeOperand& b) {
  const std::uint8_t width = raw.detail->x86.operands[0].size;
  const std::uint8_t source_width = raw.detail->x86.operands[1].size;
  const bool wide = width >= 4;
  result.width = width;
  const auto make = [&](Operation operation, const CodeOperand& second, const CodeOperand& third = {}) {
    result.operation = operation;
    result.first = a;
    result.second = second;
    result.third = third;
    return true;
  };
  switch (raw.id) {
    case X86_INS_MOV:
    case X86_INS_MOVABS:
      return (wide || a.kind == Kind::kMemory) && make(Operation::kMove, b);
    case X86_INS_MOVSXD:
    case X86_INS_MOVZX:
    case X86_INS_MOVSX:
      // Of bytes and half words, plain loads alone.
      if (source_width < 4 && (raw.id != X86_INS_MOVZX || b.kind != Kind::kMemory)) return false;
      make(Operation::kMove, b);
      result.width = source_width;
      return true;
    case X86_INS_MOVUPS:
    case X86_INS_MOVAPS:
    case X86_INS_MOVDQU:
    case X86_INS_MOVDQA:
    case X86_INS_MOVUPD:
    case X86_INS_MOVAPD:
      make(Operation::kMove, b);
      result.width = 16;
      return true;
    case X86_INS_MOVQ:
      make(Operation::kMove, b);
      result.width = 8;
      return true;
    case X86_INS_MOVHPS:
    case X86_INS_MOVHPD:
    case X86_INS_PUNPCKLQDQ:
    case X86_INS_UNPCKLPD:
    case X86_INS_MOVLHPS:
      return is_vector(a) && make(Operation::kMoveHigh, b);
    case X86_INS_PXOR:
    case X86_INS_XORPS:
      if (!same_register(a, b)) return false;
      make(Operation::kMove, {.kind = Kind::kImmediate});
      result.width = 16;
      return true;
    case X86_INS_LEA:
      return wide && make(Operation::kAddressOf, b);
    case X86_INS_XOR:
    case X86_INS_SUB:
      if (same_register(a, b)) {
        make(Operation::kMove, {.kind = Kind::kImmediate});
        return true;
      }
      return raw.id == X86_INS_SUB && wide && make(Operation::kSubtract, a, b);
    case X86_INS_ADD:
      return wide && make(Operation::kAdd, a, b);
    case X86_INS_SHL:
    case X86_INS_SAL:
      return wide && make(Operation::kShiftLeft, a, b);
    case X86_INS_CMP:
      result.operation = Operation::kCompare;
      result.second = a;
      result.third = b;
      return true;
    case X86_INS_TEST:
      result.operation = Operation::kOther;
      return true;
    default:
      if (!is_conditional_move(raw.id) || !wide) return false;
      result.negated = (raw.detail->x86.opcode[1] & 1) != 0;
      return make(Operation::kSelect, a, b);
  }
}

bool read_operation(const cs_insn& raw, CodeInstruction& result) {
  const cs_x86& detail = raw.detail->x86;
  CodeOperand a;
  CodeOperand b;
  if (detail.op_count > 0) a = operand_of(raw, detail.operands[0]);
  if (detail.op_count > 1) b = operand_of(raw, detail.operands[1]);
  const auto jump = [&](Operation operation) {
    result.operation = operation;
    result.first = a;
    return true;
  };
  switch (raw.id) {
    case X86_INS_CALL:
      return jump(Operation::kCall);
    case X86_INS_JMP:
      return jump(Operation::kJump);
    case X86_INS_RET:
      result.operation = Operation::kReturn;
      return true;
    case X86_INS_UD2:
    case X86_INS_HLT:
    case X86_INS_INT3:
      result.operation = Operation::kStop;
      return true;
    case X86_INS_NOP:
    case X86_INS_CDQE:
    case X86_INS_ENDBR64:
      return true;
    case X86_INS_PUSH:
      result.operation = Operation::kPush;
      result.second = a;
      return true;
    case X86_INS_POP:
      result.operation = Operation::kPop;
      result.first = a;
      return true;
    case X86_INS_LEAVE:
      result.operation = Operation::kMove;  // rsp = rbp; the saved rbp is of no use to its function any more
      result.first = {.kind = Kind::kRegister, .base = 4};
      result.second = {.kind = Kind::kRegister, .base = 5};
      return true;
    case X86_INS_INC:
    case X86_INS_DEC:
      if (detail.operands[0].size < 4) return false;
      result.operation = raw.id == X86_INS_INC ? Operation::kAdd : Operation::kSubtract;
      result.width = detail.operands[0].size;
      result.first = result.second = a;
      result.third = {.kind = Kind::kImmediate, .offset = 1};
      return true;
    case X86_INS_MOVSQ:
      result.operation = Operation::kCopyWords;
      return detail.prefix[0] == X86_PREFIX_REP;
    case X86_INS_XCHG:
      return same_register(a, b);  // a kind of nop
    default:
      break;
  }
  if (raw.id == X86_INS_JCXZ || raw.id == X86_INS_JECXZ || raw.id == X86_INS_JRCXZ ||
      (raw.id >= X86_INS_JAE && raw.id <= X86_INS_JS && raw.id != X86_INS_JMP)) {
    if (a.kind != Kind::kImmediate) return false;
    result.condition = condition_of(raw.id);
    return jump(Operation::kBranch);
  }
  return detail.op_count == 2 && read_two_operands(raw, result, a, b);
}

}  // namespace

CodeInstruction read_x86_64(csh handle, const cs_insn& raw) {
  CodeInstruction result;
  result.address = raw.address;
  result.length = static_cast<std::uint8_t>(raw.size);
  if (!read_operation(raw, result)) note_changes(handle, raw, result);
  return result;
}

}  // namespace imgslim
