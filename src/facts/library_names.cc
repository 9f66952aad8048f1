// SPDX-License-Identifier: Apache-2.0
#include "src/facts/library_names.h"

#include <bit>
#include <set>

#include "src/facts/knowledge_base.h"
#include "src/facts/ld_cache.h"

namespace imgslim {

namespace {

constexpr std::size_t kMostNames = 1000;

}  // namespace

std::vector<std::string> library_names(ObjectCache& objects, const LibrarySearch& process,
                                       const std::string& pattern) {
  const FileSystem& files = objects.files();
  std::set<std::string> names;
  const auto add = [&](const std::string& name, std::string_view glob, const std::string& result) {
    if (names.size() < kMostNames && matches_glob(name, glob)) names.insert(result);
  };
  const auto list = [&](std::string_view folder, std::string_view glob, bool absolute) {
    if (folder.empty()) return;
    const auto resolved = resolve_path(files, folder);
    if (!resolved) return;
    for (const std::string& name : files.list(*resolved))
      add(name, glob, absolute ? join_path(folder, name) : name);
  };
  const std::size_t slash = pattern.rfind('/');
  if (slash != std::string::npos) {
    const std::string folder = pattern.substr(0, slash + 1);
    const std::string_view file = std::string_view(pattern).substr(slash + 1);
    if (folder.find('*') != std::string::npos) return {};
    if (folder.front() == '/') {
      list(folder, file, true);
    } else {
      for (const std::string& directory : process.loader().directories)
        list(join_path(directory, folder), file, true);
    }
    return {names.begin(), names.end()};
  }
  std::string_view rest = process.options().library_path;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find_first_of(":;"));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    list(folder, pattern, false);
  }
  for (const std::string& folder : process.loader().directories)
    list(folder, pattern, false);
  if (process.loader().cache_path.empty()) return {names.begin(), names.end()};
  if (const auto cache = objects.ld_cache(process.loader().cache_path, std::endian::little)) {
    for (const LdCacheEntry& entry : cache->entries)
      add(entry.name, pattern, entry.name);
  }
  return {names.begin(), names.end()};
}

}  // namespace imgslim
