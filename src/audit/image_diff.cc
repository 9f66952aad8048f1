// SPDX-License-Identifier: Apache-2.0
#include "src/audit/image_diff.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace imgslim {
namespace {

std::uint64_t magnitude(std::int64_t value) {
  return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

void sort_changes(std::vector<Change>& changes) {
  std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return magnitude(a.delta()) > magnitude(b.delta());
  });
}

// What one path takes in all layers.
struct PathSum {
  std::uint64_t unpacked = 0;
  std::uint64_t compressed = 0;
  std::uint64_t checksum = 0;  // of the topmost
  std::uint64_t copies = 0;
  bool base = false;  // all of it lies in the base
  std::string package;
};

std::map<std::string_view, PathSum> sums_of(const Footprint& image) {
  std::map<std::string_view, PathSum> sums;
  for (const auto& [path, file] : image.files) {
    PathSum& sum = sums[path];
    const bool base = file.layer < image.layers.size() && image.layers[file.layer].base;
    sum.base = sum.copies == 0 ? base : sum.base && base;
    sum.unpacked += file.unpacked;
    sum.compressed += file.compressed;
    sum.checksum = file.checksum;
    ++sum.copies;
    if (!file.package.empty()) sum.package = file.package;
  }
  return sums;
}

Owner owner_of(const PathSum& sum) {
  if (sum.base) return Owner::kBase;
  return sum.package.empty() ? Owner::kOwn : Owner::kDependency;
}

std::string version_change(const std::string& before, const std::string& after) {
  if (before == after) return after;
  if (before.empty()) return after + " (new)";
  if (after.empty()) return before + " (gone)";
  return before + " -> " + after;
}

void compare_files(const Footprint& before, const Footprint& after, ImageDiff& diff) {
  const auto old_sums = sums_of(before);
  const auto new_sums = sums_of(after);
  std::map<std::string, Change> packages;
  const auto visit = [&](std::string_view path, const PathSum* old_sum, const PathSum* new_sum) {
    const PathSum& shown = new_sum != nullptr ? *new_sum : *old_sum;
    Change change;
    change.name = path;
    change.detail = shown.package;
    change.owner = owner_of(shown);
    change.before = old_sum != nullptr ? old_sum->unpacked : 0;
    change.after = new_sum != nullptr ? new_sum->unpacked : 0;
    change.compressed = static_cast<std::int64_t>(new_sum != nullptr ? new_sum->compressed : 0) -
                        static_cast<std::int64_t>(old_sum != nullptr ? old_sum->compressed : 0);
    const bool differs = old_sum == nullptr || new_sum == nullptr || old_sum->checksum != new_sum->checksum ||
                         change.delta() != 0;
    if (!differs) return;
    diff.by_owner[static_cast<std::size_t>(change.owner)] += change.delta();
    if (!shown.package.empty()) {
      const auto [place, fresh] = packages.try_emplace(shown.package);
      Change& package = place->second;
      if (fresh) {
        package.name = shown.package;
        package.owner = change.owner;
      } else if (change.owner == Owner::kDependency) {
        package.owner = Owner::kDependency;
      }
      package.before += change.before;
      package.after += change.after;
      package.compressed += change.compressed;
    }
    diff.files.push_back(std::move(change));
  };
  auto a = old_sums.begin();
  auto b = new_sums.begin();
  while (a != old_sums.end() || b != new_sums.end()) {
    if (b == new_sums.end() || (a != old_sums.end() && a->first < b->first)) {
      visit(a->first, &a->second, nullptr);
      ++a;
    } else if (a == old_sums.end() || b->first < a->first) {
      visit(b->first, nullptr, &b->second);
      ++b;
    } else {
      visit(a->first, &a->second, &b->second);
      ++a;
      ++b;
    }
  }
  const auto version = [](const Footprint& image, const std::string& package) {
    const auto found = image.package_versions.find(package);
    return found == image.package_versions.end() ? std::string() : found->second;
  };
  for (auto& [name, change] : packages) {
    change.detail = version_change(version(before, name), version(after, name));
    diff.packages.push_back(std::move(change));
  }
  sort_changes(diff.files);
  sort_changes(diff.packages);
}

void compare_modules(const Footprint& before, const Footprint& after, ImageDiff& diff) {
  static const FootprintProgram kNoProgram;
  static const FootprintModule kNoModule;
  std::set<std::string_view> paths;
  for (const auto& [path, program] : before.programs)
    paths.insert(path);
  for (const auto& [path, program] : after.programs)
    paths.insert(path);
  for (const std::string_view path : paths) {
    const auto find_program = [&](const Footprint& image) -> const FootprintProgram& {
      const auto found = image.programs.find(std::string(path));
      return found == image.programs.end() ? kNoProgram : found->second;
    };
    const FootprintProgram& old_program = find_program(before);
    const FootprintProgram& new_program = find_program(after);
    std::set<std::string_view> names;
    for (const auto& [name, module] : old_program.modules)
      names.insert(name);
    for (const auto& [name, module] : new_program.modules)
      names.insert(name);
    for (const std::string_view name : names) {
      const auto find_module = [&](const FootprintProgram& program) -> const FootprintModule& {
        const auto found = program.modules.find(std::string(name));
        return found == program.modules.end() ? kNoModule : found->second;
      };
      const FootprintModule& old_module = find_module(old_program);
      const FootprintModule& new_module = find_module(new_program);
      const Owner owner = old_module.is_main || new_module.is_main ? Owner::kOwn : Owner::kDependency;
      const std::string shown = name.empty() ? "C, assembly and generated code" : std::string(name);
      if (old_module.code != new_module.code || old_module.version != new_module.version) {
        diff.modules.push_back({std::string(path) + " " + shown,
                                version_change(old_module.version, new_module.version), owner,
                                old_module.code, new_module.code, 0});
      }
      std::set<std::string_view> packages;
      for (const auto& [package, code] : old_module.packages)
        packages.insert(package);
      for (const auto& [package, code] : new_module.packages)
        packages.insert(package);
      for (const std::string_view package : packages) {
        const auto code_in = [&](const FootprintModule& module) {
          const auto found = module.packages.find(std::string(package));
          return found == module.packages.end() ? 0 : found->second;
        };
        const std::uint64_t old_code = code_in(old_module);
        const std::uint64_t new_code = code_in(new_module);
        if (old_code == new_code) continue;
        diff.go_packages.push_back(
            {std::string(path) + " " + (package.empty() ? shown : std::string(package)), shown, owner,
             old_code, new_code, 0});
      }
    }
  }
  sort_changes(diff.modules);
  sort_changes(diff.go_packages);
}

void compare_layers(const Footprint& before, const Footprint& after, ImageDiff& diff) {
  std::set<std::string_view> had;
  for (const FootprintLayer& layer : before.layers)
    had.insert(layer.digest);
  std::set<std::string_view> has;
  bool chain = true;
  for (std::size_t i = 0; i < after.layers.size(); ++i) {
    const FootprintLayer& layer = after.layers[i];
    const bool known = had.contains(layer.digest);
    chain = chain && i < before.layers.size() && before.layers[i].digest == layer.digest;
    if (!known && has.insert(layer.digest).second) diff.pull += layer.compressed;
    has.insert(layer.digest);
    if (!chain) diff.pull_by_chain += layer.compressed;
    diff.layers.push_back({static_cast<std::uint32_t>(i + 1), layer.digest, layer.step,
                           known ? LayerChangeRow::Kind::kSame : LayerChangeRow::Kind::kNew, layer.compressed,
                           layer.unpacked});
  }
  for (std::size_t i = 0; i < before.layers.size(); ++i) {
    const FootprintLayer& layer = before.layers[i];
    if (has.contains(layer.digest)) continue;
    diff.layers.push_back({static_cast<std::uint32_t>(i + 1), layer.digest, layer.step,
                           LayerChangeRow::Kind::kGone, layer.compressed, layer.unpacked});
  }
}

}  // namespace

ImageDiff compare_images(const Footprint& before, const Footprint& after) {
  ImageDiff diff;
  diff.platform = after.platform;
  diff.name_before = before.name;
  diff.name_after = after.name;
  diff.digest_before = before.digest;
  diff.digest_after = after.digest;
  diff.compressed_before = before.compressed;
  diff.compressed_after = after.compressed;
  diff.unpacked_before = before.unpacked;
  diff.unpacked_after = after.unpacked;
  compare_layers(before, after, diff);
  compare_files(before, after, diff);
  compare_modules(before, after, diff);
  diff.rest = static_cast<std::int64_t>(after.unpacked) - static_cast<std::int64_t>(before.unpacked);
  for (const std::int64_t part : diff.by_owner)
    diff.rest -= part;
  return diff;
}

}  // namespace imgslim
