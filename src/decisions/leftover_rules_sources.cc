// SPDX-License-Identifier: Apache-2.0
// Sources of the program itself, left where it was built.
#include <algorithm>
#include <array>

#include "layers/digest.h"
#include "src/decisions/leftover_search.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxGoMod = 1 << 20;

// The module that a go.mod declares (Go Modules Reference, go.mod files).
std::string_view module_of(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find("//"));
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos || !line.substr(start).starts_with("module")) continue;
    line.remove_prefix(start + 6);
    const std::size_t name = line.find_first_not_of(" \t\"`");
    if (name == 0 || name == std::string_view::npos) continue;
    return line.substr(name, line.find_first_of(" \t\r\"`", name) - name);
  }
  return {};
}

bool is_go_source(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames{"go.mod",      "go.sum",      "go.work",
                                                          "go.work.sum", "modules.txt", "vendor.json"};
  return name.ends_with(".go") || std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// The module folder of a program that the image starts: its Go files, and the files that it embeds.
void find_go_source(LeftoverSearch& search, NodeId go_mod) {
  if (!search.is_file(go_mod)) return;
  if (!search.context().programs) return;
  const std::string text = search.beginning(go_mod, kMaxGoMod);
  const std::string_view module = module_of(text);
  if (module.empty()) return;
  const std::vector<GoProgram>& programs = search.context().programs();
  const auto program = std::find_if(programs.begin(), programs.end(), [&](const GoProgram& each) {
    return each.main_module == module;
  });
  if (program == programs.end()) return;
  const NodeId folder = search.parent(go_mod);
  search.each_file_below(folder, [&](NodeId file) {
    if (is_go_source(search.name(file))) return search.claim(file, folder);
    const std::uint64_t size = search.size(file);
    const auto same_size = program->embedded.find(size);
    if (same_size == program->embedded.end()) return;
    if (same_size->second.contains(digest_of(search.beginning(file, size)))) search.claim(file, folder);
  });
}

}  // namespace

std::span<const LeftoverRule> source_leftover_rules() {
  static const std::vector<LeftoverRule> rules = {
      {"go-source",
       "a go.mod of the module that a program of the image's commands was built from",
       "compiled or embedded into the program",
       Form::kDistroless,
       {"go.mod"},
       {"go"},
       false,
       find_go_source},
  };
  return rules;
}

}  // namespace imgslim
