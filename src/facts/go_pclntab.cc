// SPDX-License-Identifier: Apache-2.0
// The function table (pclntab), found by its header alone, and the module data that points to it
// (runtime/symtab.go). Names of sections and symbols are not used.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

constexpr std::size_t kHeaderPrefix = 8;  // magic, two zeros, quantum, pointer size
constexpr std::uint32_t kMagic116 = 0xfffffffa;
constexpr std::uint32_t kMagic118 = 0xfffffff0;
constexpr std::uint32_t kMagic120 = 0xfffffff1;
constexpr std::size_t kMaxCandidates = 4096;
constexpr std::size_t kMaxFunctionName = 1 << 16;

std::optional<GoTableLayout> layout_of(std::uint32_t magic) {
  switch (magic) {
    case kMagic116:
      return GoTableLayout::k116;
    case kMagic118:
      return GoTableLayout::k118;
    case kMagic120:
      return GoTableLayout::k120;
    default:
      return std::nullopt;
  }
}

// Size of one entry of the function list: absolute addresses before 1.18, 4-byte offsets since.
std::uint64_t entry_size(const GoMemory& memory, GoTableLayout layout) {
  return layout == GoTableLayout::k116 ? 2 * memory.word_size() : 8;
}

// A header whose offsets are in order and lead to tables inside the same segment.
std::optional<GoTable> read_header(const GoMemory& memory, std::uint64_t address, std::string_view view,
                                   std::optional<GoTableLayout> layout) {
  GoTable table;
  table.address = address;
  table.known_magic = layout.has_value();
  table.layout = layout.value_or(GoTableLayout::k120);
  const std::size_t word = memory.word_size();
  // nfunc, nfiles, (textStart,) then the offsets of names, cu, files, pc values, functions.
  const bool has_text = table.layout != GoTableLayout::k116;
  std::array<std::uint64_t, 8> fields{};
  const std::size_t count = has_text ? 8 : 7;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = memory.word_in(view, kHeaderPrefix + i * word);
    if (!value) return std::nullopt;
    fields[i] = *value;
  }
  const std::size_t first = has_text ? 3 : 2;
  const std::uint64_t header = kHeaderPrefix + count * word;
  for (std::size_t i = first; i < count; ++i) {
    if (fields[i] < (i == first ? header : fields[i - 1]) || fields[i] >= view.size()) return std::nullopt;
  }
  table.function_count = fields[0];
  if (has_text) table.text_start = fields[2];
  table.names_offset = fields[first];
  table.names_end = fields[first + 1];
  table.functions_offset = fields[first + 4];
  const std::uint64_t room = (view.size() - table.functions_offset) / entry_size(memory, table.layout);
  // One entry more than functions: the end of the last.
  if (table.function_count == 0 || table.function_count >= room) return std::nullopt;
  return table;
}

// Whether the module data at an address belongs to the table: its slices say what the header says.
bool is_module_data(const GoMemory& memory, const GoTable& table, std::uint64_t address) {
  const std::string_view view = memory.from(address);
  const auto word = [&](std::uint64_t index) {
    return memory.word_in(view, index * memory.word_size()).value_or(0);
  };
  if (word(kModuleHeader) != table.address || word(kModuleNames) != table.address + table.names_offset)
    return false;
  const std::uint64_t functions = word(kModuleFunctions + 1);
  if (word(kModuleFunctions) != table.address + table.functions_offset) return false;
  if (functions < table.function_count || functions > table.function_count + 1) return false;
  const std::uint64_t text = word(kModuleText);
  const std::uint64_t end = word(kModuleTextEnd);
  return text < end && text <= word(kModuleFirstPc) && word(kModuleFirstPc) < end &&
         memory.elf().is_code(text);
}

}  // namespace

GoMemory::GoMemory(const ElfImage& elf)
    : elf_(elf),
      word_size_(elf.facts().is_64 ? 8 : 4),
      order_(elf.facts().byte_order),
      is_host_word_(elf.facts().is_64 && elf.facts().byte_order == std::endian::native) {
  // An address shows one byte: of segments that overlap, as only hostile ones do, the last is taken.
  std::map<std::uint64_t, std::uint64_t> taken;  // end by start
  for (auto it = elf.facts().segments.rbegin(); it != elf.facts().segments.rend(); ++it) {
    if (it->type != PT_LOAD || it->file_size == 0) continue;
    const std::uint64_t end = it->address + it->file_size;
    if (end < it->address) continue;
    const auto above = taken.lower_bound(it->address);
    if (above != taken.end() && above->first < end) continue;
    if (above != taken.begin() && std::prev(above)->second > it->address) continue;
    taken.emplace(it->address, end);
    Area area;
    area.address = it->address;
    area.bytes = elf.relocated_from(it->address).substr(0, it->file_size);
    area.executable = (it->flags & PF_X) != 0;
    area.writable = (it->flags & PF_W) != 0;
    if (!area.bytes.empty()) areas_.push_back(area);
  }
  const auto rank = [](const Area& area) { return area.executable ? 2 : area.writable ? 1 : 0; };
  std::stable_sort(areas_.begin(), areas_.end(),
                   [&](const Area& a, const Area& b) { return rank(a) < rank(b); });
}

std::uint64_t GoMemory::slow_word(const char* at) const {
  const std::string_view view(at, word_size_);
  if (word_size_ == 8) return *read_integer<std::uint64_t>(view, 0, order_);
  return *read_integer<std::uint32_t>(view, 0, order_);
}

std::optional<GoTable> find_go_table(const GoMemory& memory) {
  const std::size_t word = memory.word_size();
  std::vector<GoTable> candidates;
  std::vector<GoTable> strangers;
  for (const GoMemory::Area& area : memory.areas()) {
    const std::uint64_t first = (word - area.address % word) % word;
    for (std::uint64_t at = first; at + kHeaderPrefix + 8 * word <= area.bytes.size(); at += word) {
      const char* header = area.bytes.data() + at;
      if (header[7] != static_cast<char>(word) || header[4] != 0 || header[5] != 0) continue;
      if (header[6] != 1 && header[6] != 2 && header[6] != 4) continue;
      const std::string_view view = area.bytes.substr(at);
      const auto layout = layout_of(*memory.half_in(view, 0));
      auto& list = layout ? candidates : strangers;
      if (list.size() >= kMaxCandidates) continue;
      if (auto table = read_header(memory, area.address + at, view, layout)) list.push_back(*table);
    }
  }
  // A program may hold the bytes of another one, but its module data points to its own table.
  for (auto* list : {&candidates, &strangers}) {
    if (list->empty()) continue;
    std::vector<std::pair<std::uint64_t, GoTable*>> by_address;
    for (GoTable& table : *list)
      by_address.emplace_back(table.address, &table);
    std::sort(by_address.begin(), by_address.end());
    std::vector<GoMemory::Area> areas = memory.areas();
    std::stable_partition(areas.begin(), areas.end(), [](const auto& area) { return area.writable; });
    for (const GoMemory::Area& area : areas) {
      const std::uint64_t first = (word - area.address % word) % word;
      for (std::uint64_t at = first; at + word <= area.bytes.size(); at += word) {
        const std::uint64_t value = memory.load_word(area.bytes.data() + at);
        if (value < by_address.front().first || value > by_address.back().first) continue;
        const auto it =
            std::lower_bound(by_address.begin(), by_address.end(), value,
                             [](const auto& item, std::uint64_t wanted) { return item.first < wanted; });
        if (it->first != value || !is_module_data(memory, *it->second, area.address + at)) continue;
        it->second->module_data = area.address + at;
        return *it->second;
      }
    }
  }
  if (candidates.empty()) return std::nullopt;
  return candidates.front();
}

std::optional<std::uint64_t> module_word(const GoMemory& memory, const GoTable& table, std::uint64_t index) {
  if (table.module_data == 0) return std::nullopt;
  return memory.word(table.module_data + index * memory.word_size());
}

void read_go_functions(const GoMemory& memory, const GoTable& table, GoFacts& facts) {
  const std::string_view view = memory.from(table.address);
  const std::string_view names = view.substr(table.names_offset, table.names_end - table.names_offset);
  const std::string_view functions = view.substr(table.functions_offset);
  const std::uint64_t step = entry_size(memory, table.layout);
  const bool absolute = table.layout == GoTableLayout::k116;
  facts.text = module_word(memory, table, kModuleText).value_or(table.text_start);
  facts.end_of_text = module_word(memory, table, kModuleTextEnd).value_or(0);

  const auto entry = [&](std::uint64_t index) {
    if (absolute) return memory.word_in(functions, index * step).value_or(0);
    return facts.text + memory.half_in(functions, index * step).value_or(0);
  };
  // Names are looked at once each in a real file; the bound makes one that names them again and again cheap.
  std::uint64_t budget = 8 * std::uint64_t{names.size()} + kMaxFunctionName;
  std::uint64_t nameless = 0;
  facts.functions.reserve(table.function_count);
  for (std::uint64_t i = 0; i < table.function_count; ++i) {
    GoFunction function;
    function.start = entry(i);
    function.end = entry(i + 1);
    if (function.end < function.start) {
      facts.problems.push_back(fmt::format("function table is not sorted at entry {}", i));
      break;
    }
    const std::uint64_t record = absolute
                                     ? memory.word_in(functions, i * step + memory.word_size()).value_or(0)
                                     : memory.half_in(functions, i * step + 4).value_or(0);
    const std::uint64_t name_field = record + (absolute ? memory.word_size() : 4);
    const auto name_offset = memory.half_in(functions, name_field);
    const std::size_t limit = static_cast<std::size_t>(std::min<std::uint64_t>(kMaxFunctionName, budget));
    const auto name = name_offset ? c_string(names, *name_offset, limit) : std::nullopt;
    if (name) {
      function.name = *name;
      budget -= name->size() + 1;
    } else {
      ++nameless;
      const std::uint64_t rest = name_offset && *name_offset < names.size() ? names.size() - *name_offset : 0;
      budget -= std::min<std::uint64_t>(rest, limit);
    }
    facts.functions.push_back(function);
  }
  if (nameless != 0)
    facts.problems.push_back(fmt::format("{} functions without a name in the table", nameless));
  if (facts.functions.empty()) return;
  if (facts.text == 0) facts.text = facts.functions.front().start;
  if (facts.end_of_text == 0) facts.end_of_text = facts.functions.back().end;
}

}  // namespace imgslim
