// SPDX-License-Identifier: Apache-2.0
#include "src/tree_names.h"

#include <algorithm>
#include <set>

#include "src/facts/knowledge_base.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxMatches = 10000;
constexpr std::size_t kMaxWalked = 4000000;
constexpr std::string_view kElfMagic = "\177ELF";

}  // namespace

std::vector<std::string> files_matching(const FileSystem& files, std::string_view pattern) {
  std::vector<std::string> found{"/"};
  while (!pattern.empty()) {
    const std::size_t start = pattern.find_first_not_of('/');
    if (start == std::string_view::npos) break;
    pattern.remove_prefix(start);
    const std::string_view part = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(part.size());
    std::set<std::string> next;
    for (const std::string& directory : found) {
      if (part.find('*') == std::string_view::npos) {
        if (const auto path = resolve_path(files, join_path(directory, part))) next.insert(*path);
        continue;
      }
      for (const std::string& name : files.list(directory)) {
        if (!matches_glob(name, part) || next.size() >= kMaxMatches) continue;
        if (const auto path = resolve_path(files, join_path(directory, name))) next.insert(*path);
      }
    }
    found.assign(next.begin(), next.end());
  }
  return found;
}

std::vector<std::string> objects_exporting(ObjectCache& cache, const std::vector<std::string>& globs) {
  const FileSystem& files = cache.files();
  std::vector<std::string> found;
  std::vector<std::string> waiting{"/"};
  std::size_t walked = 0;
  while (!waiting.empty() && walked < kMaxWalked) {
    const std::string directory = std::move(waiting.back());
    waiting.pop_back();
    for (const std::string& name : files.list(directory)) {
      ++walked;
      std::string path = directory == "/" ? "/" + name : directory + "/" + name;
      const auto status = files.status(path);
      if (!status) continue;
      if (status->kind == FileKind::kDirectory) {
        waiting.push_back(std::move(path));
        continue;
      }
      if (status->kind != FileKind::kRegular || !files.head(path).starts_with(kElfMagic)) continue;
      const auto object = cache.object(path);
      if (!object || !object->facts) continue;
      const auto& symbols = object->facts->dynamic_symbols;
      const bool exports = std::any_of(symbols.begin(), symbols.end(), [&](const DynamicSymbol& symbol) {
        return symbol.defined && std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
                 return matches_glob(symbol.name, glob);
               });
      });
      if (exports) found.push_back(std::move(path));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace imgslim
