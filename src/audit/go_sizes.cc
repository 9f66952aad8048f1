// SPDX-License-Identifier: Apache-2.0
#include "src/audit/go_sizes.h"

#include <algorithm>
#include <map>
#include <set>

#include "src/audit/elf_sections.h"
#include "src/facts/elf.h"

namespace imgslim {
namespace {

constexpr std::string_view kEmbeddedFiles = "embedded files";

void largest_first(std::vector<NamedBytes>& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const NamedBytes& a, const NamedBytes& b) { return a.bytes > b.bytes; });
}

// Whether a package path is the standard library's: its first element has no dot.
bool is_standard(std::string_view package) {
  if (package.starts_with("vendor/")) return true;
  return package.substr(0, package.find('/')).find('.') == std::string_view::npos;
}

bool is_below(std::string_view package, std::string_view module) {
  return package.starts_with(module) && (package.size() == module.size() || package[module.size()] == '/');
}

void read_modules(const GoFacts& facts, GoProgramSize& out) {
  std::vector<GoModuleBytes>& modules = out.modules;
  if (facts.build) {
    const auto add = [&](const GoModule& module, bool is_main) {
      GoModuleBytes row;
      row.path = module.path;
      row.version = module.replaced_by ? module.replaced_by->second : module.version;
      row.sum = module.sum;
      row.is_main = is_main;
      modules.push_back(std::move(row));
    };
    if (facts.build->main_module) {
      add(*facts.build->main_module, true);
      out.main_module = facts.build->main_module->path;
    }
    for (const GoModule& module : facts.build->dependencies)
      add(module, false);
  }
  // By path, for the longest one that a package lies below.
  std::map<std::string_view, std::size_t> by_path;
  for (std::size_t i = 0; i < modules.size(); ++i)
    by_path.emplace(modules[i].path, i);
  std::vector<std::vector<NamedBytes>> packages(modules.size() + 2);
  const std::size_t standard = modules.size();
  const std::size_t none = modules.size() + 1;
  const auto module_of = [&](std::string_view package) {
    if (package.empty()) return none;
    if (package == "main" || (facts.build && package == facts.build->main_path)) {
      if (!modules.empty() && modules[0].is_main) return std::size_t{0};
    }
    for (std::string_view at = package;; at = at.substr(0, at.rfind('/'))) {
      if (const auto found = by_path.find(at); found != by_path.end() && is_below(package, at))
        return found->second;
      if (at.find('/') == std::string_view::npos) break;
    }
    return is_standard(package) ? standard : none;
  };
  for (const GoPackage& package : facts.packages) {
    packages[module_of(package.path)].push_back({package.path, package.code_bytes});
  }
  modules.push_back({});
  modules.back().path = "std";
  modules.back().version = out.go_version;
  modules.push_back({});
  for (std::size_t i = 0; i < modules.size(); ++i) {
    largest_first(packages[i]);
    for (const NamedBytes& package : packages[i])
      modules[i].code += package.bytes;
    modules[i].packages = std::move(packages[i]);
  }
  std::stable_sort(modules.begin(), modules.end(),
                   [](const GoModuleBytes& a, const GoModuleBytes& b) { return a.code > b.code; });
  std::erase_if(modules, [](const GoModuleBytes& module) { return module.path.empty() && module.code == 0; });
}

void read_parts(std::string_view bytes, const ElfFacts& elf, const GoFacts& facts, GoProgramSize& out) {
  std::map<SectionUse, std::uint64_t> parts;
  std::uint64_t known = 0;
  const std::vector<ElfSection> sections = read_elf_sections({{0, bytes}}, bytes.size());
  for (const ElfSection& section : sections) {
    parts[section.use] += section.size;
    known += section.size;
  }
  if (sections.empty()) {
    // No sections: what is mapped as code, and the rest.
    std::uint64_t code = 0;
    for (const ElfSegment& segment : elf.segments) {
      if (segment.type == 1 && (segment.flags & 1) != 0) code += segment.file_size;
    }
    parts[SectionUse::kCode] = std::min<std::uint64_t>(code, bytes.size());
    parts[SectionUse::kData] = bytes.size() - parts[SectionUse::kCode];
    known = bytes.size();
  }
  parts[SectionUse::kOther] += bytes.size() - std::min<std::uint64_t>(known, bytes.size());

  std::uint64_t embedded = 0;
  std::set<std::uint64_t> seen;
  for (const GoEmbedTree& tree : facts.embeds) {
    for (const GoEmbeddedFile& file : tree.files) {
      if (file.name.ends_with('/') || file.size == 0 || !seen.insert(file.address).second) continue;
      out.embedded.push_back({file.name, file.size});
      embedded += file.size;
    }
  }
  largest_first(out.embedded);
  // They lie among the read-only data, as strings.
  for (const SectionUse use : {SectionUse::kReadOnly, SectionUse::kData, SectionUse::kCode}) {
    const std::uint64_t taken = std::min(embedded, parts[use]);
    parts[use] -= taken;
    embedded -= taken;
    if (taken == 0) continue;
    if (out.parts.empty()) out.parts.push_back({std::string(kEmbeddedFiles), 0});
    out.parts[0].bytes += taken;
  }
  for (const auto& [use, size] : parts) {
    if (size > 0) out.parts.push_back({std::string(name_of(use)), size});
  }
  largest_first(out.parts);
}

}  // namespace

std::optional<GoProgramSize> measure_go(std::string_view path, std::string_view bytes) {
  const std::optional<ElfFacts> elf = read_elf(bytes);
  if (!elf) return std::nullopt;
  const ElfImage image(*elf, bytes);
  const std::optional<GoFacts> facts = read_go(image, bytes);
  if (!facts) return std::nullopt;
  GoProgramSize out;
  out.path = path;
  out.size = bytes.size();
  if (facts->build) out.go_version = facts->build->go_version;
  if (facts->linkage) out.linkage = name_of(*facts->linkage);
  out.opaque = facts->opaque;
  read_modules(*facts, out);
  read_parts(bytes, *elf, *facts, out);
  return out;
}

}  // namespace imgslim
