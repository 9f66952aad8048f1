// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_flow.h"

#include <algorithm>
#include <optional>
#include <set>

#include "layers/bytes.h"
#include "src/facts/code_state.h"

namespace imgslim {

namespace {

using Operation = CodeOperation;

constexpr std::uint64_t kLargestFunction = 512u << 10;
constexpr std::size_t kMostBlocks = 20000;
constexpr int kVisitsBeforeUnknown = 12;

constexpr std::uint16_t kX86_64 = static_cast<std::uint16_t>(ElfMachine::kX86_64);

struct Block {
  std::size_t first = 0;  // instructions [first, last)
  std::size_t last = 0;
  std::vector<std::size_t> successors;
  bool jumps_anywhere = false;
  bool is_wanted = false;
  std::optional<CodeState> state;
  int visits = 0;
};

class Follower {
 public:
  explicit Follower(const FlowInput& input) : input_(input) {}

  FunctionFlow run() {
    flow_.start = input_.start;
    flow_.end = input_.end;
    flow_.convention = input_.convention;
    if (input_.end <= input_.start || input_.end - input_.start > kLargestFunction) {
      flow_.complete = false;
      return std::move(flow_);
    }
    const auto code = input_.image->bytes_at(input_.start, input_.end - input_.start);
    if (!code) return std::move(flow_);
    instructions_ = input_.reader->read(*code, input_.start);
    if (instructions_.empty()) return std::move(flow_);
    make_blocks();
    link_blocks();
    choose_blocks();
    order_blocks();
    settle();
    if (!flow_.rounds.empty()) {
      // Once more, with the number of rounds known from the start.
      for (Block& block : blocks_) {
        block.state.reset();
        block.visits = 0;
      }
      settle();
    }
    if (!flow_.complete) return std::move(flow_);  // half a truth would be none
    record();
    const auto by_address = [](const auto& a, const auto& b) { return a.address < b.address; };
    std::stable_sort(flow_.calls.begin(), flow_.calls.end(), by_address);
    std::stable_sort(flow_.stores.begin(), flow_.stores.end(), by_address);
    return std::move(flow_);
  }

 private:
  std::optional<std::size_t> instruction_at(std::uint64_t address) const {
    const auto found = std::lower_bound(
        instructions_.begin(), instructions_.end(), address,
        [](const CodeInstruction& instruction, std::uint64_t at) { return instruction.address < at; });
    if (found == instructions_.end() || found->address != address) return std::nullopt;
    return static_cast<std::size_t>(found - instructions_.begin());
  }

  static bool ends_block(const CodeInstruction& instruction) {
    switch (instruction.operation) {
      case Operation::kJump:
      case Operation::kBranch:
      case Operation::kReturn:
      case Operation::kStop:
        return true;
      default:
        return false;
    }
  }

  bool never_returns(const CodeInstruction& instruction) const {
    if (instruction.operation != Operation::kCall || !input_.effect_of) return false;
    if (instruction.first.kind == CodeOperand::Kind::kImmediate) {
      return !input_.effect_of(static_cast<std::uint64_t>(instruction.first.offset), 0).returns;
    }
    const bool slot = instruction.first.kind == CodeOperand::Kind::kMemory &&
                      instruction.first.base == kNoRegister && instruction.first.index == kNoRegister;
    return slot && !input_.effect_of(0, static_cast<std::uint64_t>(instruction.first.offset)).returns;
  }

  void make_blocks() {
    std::set<std::size_t> leaders{0};
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      const CodeInstruction& instruction = instructions_[i];
      if (!ends_block(instruction)) continue;
      if (i + 1 < instructions_.size()) leaders.insert(i + 1);
      if (instruction.first.kind == CodeOperand::Kind::kImmediate) {
        const auto target = instruction_at(static_cast<std::uint64_t>(instruction.first.offset));
        if (target) leaders.insert(*target);
      }
      if (leaders.size() > kMostBlocks) {
        flow_.complete = false;
        break;
      }
    }
    for (auto it = leaders.begin(); it != leaders.end(); ++it) {
      const auto next = std::next(it);
      Block block;
      block.first = *it;
      block.last = next == leaders.end() ? instructions_.size() : *next;
      blocks_.push_back(std::move(block));
    }
    for (const std::uint64_t place : input_.wanted) {
      const auto found = std::upper_bound(
          instructions_.begin(), instructions_.end(), place,
          [](std::uint64_t at, const CodeInstruction& instruction) { return at < instruction.address; });
      if (found == instructions_.begin()) continue;
      blocks_[block_of(static_cast<std::size_t>(found - instructions_.begin()) - 1)].is_wanted = true;
      const CodeInstruction& instruction = *std::prev(found);
      const bool transfers = instruction.operation == Operation::kCall ||
                             instruction.operation == Operation::kJump ||
                             instruction.operation == Operation::kBranch;
      if (instruction.address == place && transfers) flow_.transfers.push_back(place);
    }
  }

  std::size_t block_of(std::size_t instruction) const {
    const auto found = std::upper_bound(blocks_.begin(), blocks_.end(), instruction,
                                        [](std::size_t at, const Block& block) { return at < block.first; });
    return static_cast<std::size_t>(found - blocks_.begin()) - 1;
  }

  void link_blocks() {
    std::vector<bool> has_predecessor(blocks_.size());
    has_predecessor[0] = true;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      Block& block = blocks_[b];
      bool falls_through = b + 1 < blocks_.size();
      for (std::size_t i = block.first; i < block.last; ++i) {
        if (!never_returns(instructions_[i])) continue;
        block.last = i + 1;
        falls_through = false;
      }
      const CodeInstruction& last = instructions_[block.last - 1];
      if (last.operation == Operation::kReturn || last.operation == Operation::kStop ||
          last.operation == Operation::kJump) {
        falls_through = false;
      }
      if (last.operation == Operation::kJump || last.operation == Operation::kBranch) {
        if (last.first.kind == CodeOperand::Kind::kImmediate) {
          const auto target = instruction_at(static_cast<std::uint64_t>(last.first.offset));
          if (target) block.successors.push_back(block_of(*target));
        } else if (last.first.kind == CodeOperand::Kind::kRegister || last.first.index != kNoRegister ||
                   last.first.base != kNoRegister) {
          block.jumps_anywhere = true;
        }
      }
      if (falls_through) block.successors.push_back(b + 1);
      for (const std::size_t next : block.successors)
        has_predecessor[next] = true;
    }
    // A jump through a table can lead to what nothing else leads to.
    std::vector<std::size_t> orphans;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (!has_predecessor[b]) orphans.push_back(b);
    }
    std::size_t links = 0;
    for (Block& block : blocks_) {
      if (!block.jumps_anywhere) continue;
      links += orphans.size();
      if (links > 4 * kMostBlocks) {
        flow_.complete = false;
        break;
      }
      block.successors.insert(block.successors.end(), orphans.begin(), orphans.end());
    }
  }

  // Keeps only blocks from which a wanted one can be reached.
  void choose_blocks() {
    std::vector<std::vector<std::size_t>> predecessors(blocks_.size());
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      for (const std::size_t next : blocks_[b].successors)
        predecessors[next].push_back(b);
    }
    std::vector<std::size_t> open;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (blocks_[b].is_wanted) open.push_back(b);
    }
    if (input_.whole) {
      for (Block& block : blocks_)
        block.is_wanted = true;
    }
    while (!open.empty()) {
      const std::size_t b = open.back();
      open.pop_back();
      for (const std::size_t before : predecessors[b]) {
        if (blocks_[before].is_wanted) continue;
        blocks_[before].is_wanted = true;
        open.push_back(before);
      }
    }
    // Wanted code that only an unseen jump can reach is followed from nothing.
    std::vector<bool> reached(blocks_.size());
    open.assign(1, 0);
    const auto spread = [&] {
      while (!open.empty()) {
        const std::size_t b = open.back();
        open.pop_back();
        if (reached[b]) continue;
        reached[b] = true;
        open.insert(open.end(), blocks_[b].successors.begin(), blocks_[b].successors.end());
      }
    };
    spread();
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (reached[b] || !blocks_[b].is_wanted) continue;
      unreached_.push_back(b);
      open.push_back(b);
      spread();
    }
  }

  // Numbers blocks in reverse postorder, so that an edge to no higher number goes around a loop.
  void order_blocks() {
    order_.assign(blocks_.size(), 0);
    std::vector<std::uint8_t> seen(blocks_.size());
    std::vector<std::pair<std::size_t, std::size_t>> path;
    std::size_t next_number = blocks_.size();
    std::vector<std::size_t> roots = unreached_;
    roots.push_back(0);
    for (const std::size_t root : roots) {
      if (seen[root] != 0) continue;
      seen[root] = 1;
      path.emplace_back(root, 0);
      while (!path.empty()) {
        auto& [block, next] = path.back();
        if (next < blocks_[block].successors.size()) {
          const std::size_t to = blocks_[block].successors[next++];
          if (seen[to] == 0) {
            seen[to] = 1;
            path.emplace_back(to, 0);
          }
        } else {
          order_[block] = --next_number;
          path.pop_back();
        }
      }
    }
    by_order_.assign(blocks_.size(), 0);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (seen[b] != 0) by_order_[order_[b]] = b;
    }
  }

  std::uint64_t address_of(const Block& block) const { return instructions_[block.first].address; }

  CodeState start_state() const { return CodeState::at_entry(*input_.convention); }

  void settle() {
    std::set<std::size_t> open;
    if (blocks_[0].is_wanted) {
      blocks_[0].state = start_state();
      open.insert(order_[0]);
    }
    for (const std::size_t b : unreached_) {
      CodeState state;
      for (CodeValues& values : state.registers)
        values = CodeValues::nothing_known();
      blocks_[b].state = std::move(state);
      open.insert(order_[b]);
    }
    while (!open.empty()) {
      const std::size_t b = by_order_[*open.begin()];
      open.erase(open.begin());
      if (++flow_.visits > input_.most_visits) {
        flow_.complete = false;
        return;
      }
      ++blocks_[b].visits;
      CodeState state = *blocks_[b].state;
      run_block(blocks_[b], state, nullptr);
      for (const std::size_t next : blocks_[b].successors) {
        if (!blocks_[next].is_wanted) continue;
        if (meet(blocks_[next], state, order_[next] <= order_[b])) open.insert(order_[next]);
      }
    }
  }

  // Whether `into`'s state changed.
  bool meet(Block& into, const CodeState& from, bool backward) {
    if (!into.state) {
      into.state = from;
      return true;
    }
    return into.state->meet(from, backward ? address_of(into) : 0, into.visits > kVisitsBeforeUnknown);
  }

  void run_block(const Block& block, CodeState& state, FunctionFlow* record) {
    CodeStep step(input_, state, flow_.rounds, record, address_of(block));
    for (std::size_t i = block.first; i < block.last; ++i)
      step.run(instructions_[i]);
  }

  void record() {
    for (Block& block : blocks_) {
      if (!block.state || !block.is_wanted) continue;
      CodeState state = *block.state;
      run_block(block, state, &flow_);
    }
  }

  const FlowInput& input_;
  FunctionFlow flow_;
  std::vector<CodeInstruction> instructions_;
  std::vector<Block> blocks_;
  std::vector<std::size_t> unreached_;
  std::vector<std::size_t> order_;     // of each block
  std::vector<std::size_t> by_order_;  // the block of each number
};

constexpr std::uint32_t bits(std::initializer_list<int> numbers) {
  std::uint32_t result = 0;
  for (const int number : numbers)
    result |= 1u << number;
  return result;
}

}  // namespace

const CallingConvention& CallingConvention::system_v() {
  static const CallingConvention convention{.arguments = {7, 6, 2, 1, 8, 9},
                                            .results = {0, 2},
                                            .preserved = bits({3, 4, 5, 12, 13, 14, 15}),
                                            .is_c = true};
  return convention;
}

const CallingConvention& CallingConvention::aapcs64() {
  static const CallingConvention convention{
      .arguments = {0, 1, 2, 3, 4, 5, 6, 7},
      .results = {0, 1},
      .preserved = bits({19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31}),
      .stack_pointer = 31,
      .stack_at_entry = 0,
      .is_c = true};
  return convention;
}

const CallingConvention& CallingConvention::go_registers(std::uint16_t machine) {
  static const CallingConvention x86{.arguments = {0, 3, 1, 7, 6, 8, 9, 10, 11},
                                     .results = {0, 3, 1, 7, 6, 8, 9, 10, 11},
                                     .preserved = bits({4, 5, 14}),
                                     .context = 2};
  static const CallingConvention arm{.arguments = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                     .results = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                     .preserved = bits({28, 29, 31}),
                                     .stack_pointer = 31,
                                     .stack_at_call = 8,
                                     .stack_at_entry = 8,
                                     .context = 26};
  return machine == kX86_64 ? x86 : arm;
}

const CallingConvention& CallingConvention::go_stack(std::uint16_t machine) {
  static const CallingConvention x86{.arguments = {}, .results = {}, .preserved = bits({4, 5}), .context = 2};
  static const CallingConvention arm{.arguments = {},
                                     .results = {},
                                     .preserved = bits({28, 29, 31}),
                                     .stack_pointer = 31,
                                     .stack_at_call = 8,
                                     .stack_at_entry = 8,
                                     .context = 26};
  return machine == kX86_64 ? x86 : arm;
}

const CodeCall* FunctionFlow::call_at(std::uint64_t address) const {
  const auto found =
      std::lower_bound(calls.begin(), calls.end(), address,
                       [](const CodeCall& call, std::uint64_t at) { return call.address < at; });
  return found != calls.end() && found->address == address ? &*found : nullptr;
}

FunctionFlow follow_function(const FlowInput& input) {
  return Follower(input).run();
}

std::optional<std::int32_t> number_at(const ElfImage& image, std::uint64_t address) {
  const auto bytes = image.bytes_at(address, 4);
  if (!bytes) return std::nullopt;
  return static_cast<std::int32_t>(*read_integer<std::uint32_t>(*bytes, 0));
}

bool may_change(const ElfImage& image, std::uint64_t address) {
  constexpr std::uint32_t kGnuRelro = 0x6474e552;
  if (!image.is_writable(address)) return false;
  for (const ElfSegment& segment : image.facts().segments) {
    if (segment.type == kGnuRelro && address >= segment.address &&
        address - segment.address < segment.memory_size) {
      return false;
    }
  }
  return true;
}

}  // namespace imgslim
