// SPDX-License-Identifier: Apache-2.0
#include "src/facts/go_binary.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxProblems = 64;
// The packer's header stands right behind the program headers, and again at the end of the file.
constexpr std::string_view kUpxMagic = "UPX!";
constexpr std::size_t kUpxHeaderRoom = 1024;
constexpr std::size_t kUpxTrailerRoom = 64;

bool is_packed_with_upx(const ElfFacts& elf, std::string_view bytes) {
  if (elf.segments.size() > 8) return false;
  const std::string_view head = bytes.substr(0, kUpxHeaderRoom);
  const std::string_view tail = bytes.substr(bytes.size() - std::min(bytes.size(), kUpxTrailerRoom));
  return head.find(kUpxMagic) != std::string_view::npos && tail.find(kUpxMagic) != std::string_view::npos;
}

std::string_view version_of(GoTableLayout layout) {
  switch (layout) {
    case GoTableLayout::k116:
      return "1.16";
    case GoTableLayout::k118:
      return "1.18";
    case GoTableLayout::k120:
      return "1.20";
  }
  return "";
}

}  // namespace

const GoFunction* GoFacts::function_at(std::uint64_t address) const {
  auto it = std::upper_bound(functions.begin(), functions.end(), address,
                             [](std::uint64_t value, const GoFunction& item) { return value < item.start; });
  if (it == functions.begin()) return nullptr;
  --it;
  return address < it->end ? &*it : nullptr;
}

const GoFunction* GoFacts::function_named(std::string_view name) const {
  const auto it = std::find_if(functions.begin(), functions.end(),
                               [&](const GoFunction& function) { return function.name == name; });
  return it == functions.end() ? nullptr : &*it;
}

std::optional<GoFacts> read_go(const ElfImage& elf, std::string_view bytes) {
  GoFacts facts;
  const GoMemory memory(elf);
  const std::optional<GoTable> table = find_go_table(memory);
  const bool is_go = table && table->module_data != 0;
  facts.build = find_go_build_info(memory, true, facts.problems);
  // Elsewhere only a program that is known to be Go's is believed: others may carry one as data.
  if (!facts.build && is_go) facts.build = find_go_build_info(memory, false, facts.problems);
  if (!facts.build && !is_go) {
    if (!is_packed_with_upx(elf.facts(), bytes)) return std::nullopt;
    facts.opaque = "packed with UPX";
    facts.problems.clear();
    return facts;
  }

  if (is_go) {
    if (!table->known_magic) facts.opaque = "obfuscated by garble";
    facts.pclntab_version = std::string(version_of(table->layout));
    read_go_functions(memory, *table, facts);
    read_go_packages(facts);
    read_go_inits(memory, *table, facts);
  } else {
    facts.problems.push_back("no function table");
  }
  read_go_embeds(memory, bytes, facts);
  read_go_linkage(memory, is_go ? &*table : nullptr, facts);
  if (facts.problems.size() > kMaxProblems) facts.problems.resize(kMaxProblems);
  return facts;
}

}  // namespace imgslim
