// SPDX-License-Identifier: Apache-2.0
// Where glibc looks for a library (elf/dl-load.c: _dl_map_object, open_path; elf/dl-cache.c).
#include <algorithm>

#include "src/facts/search_process.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kFlag1NoDefaultLibraries = 0x800;

const std::vector<std::string> kNoDirectories;

// What an error message calls a directory of the list.
std::string shown(const std::string& directory) {
  if (directory.empty()) return ".";
  return directory.size() > 1 && directory.back() == '/' ? directory.substr(0, directory.size() - 1)
                                                         : directory;
}

}  // namespace

const std::vector<std::string>& LibrarySearch::Process::rpath_of(std::size_t index) {
  const ElfFacts& object = facts(index);
  if (!object.rpath || object.rpath->empty() || object.runpath) return kNoDirectories;
  auto& list = details[index].rpath;
  if (list == nullptr) {
    list =
        std::make_shared<std::vector<std::string>>(split_search_path(*object.rpath, ":", tokens_of(index)));
  }
  return *list;
}

const std::vector<std::string>& LibrarySearch::Process::runpath_of(std::size_t index) {
  const ElfFacts& object = facts(index);
  if (!object.runpath || object.runpath->empty()) return kNoDirectories;
  auto& list = details[index].runpath;
  if (list == nullptr) {
    list =
        std::make_shared<std::vector<std::string>>(split_search_path(*object.runpath, ":", tokens_of(index)));
  }
  return *list;
}

Tried LibrarySearch::Process::try_directories(const std::vector<std::string>& list, const std::string& name,
                                              RequestKind kind, LocatedFile& found,
                                              std::vector<std::string>& searched, std::string& why) {
  const bool setuid_only =
      options.secure && (kind == RequestKind::kPreload || kind == RequestKind::kPreloadFile);
  for (const std::string& directory : list) {
    const auto [entry, is_new] = directories.try_emplace(directory);
    std::vector<DirectoryState>& states = entry->second;
    if (is_new) {
      // What is relative may change with the working directory, so nothing is remembered of it.
      const bool absolute = directory.starts_with('/');
      states.assign(subdirectories.size(), absolute ? DirectoryState::kUnknown : DirectoryState::kExisting);
      for (const std::string& root : variant_roots) {
        if (depends_on_cpu) break;
        const std::string path = join_path(options.working_directory, directory + root);
        depends_on_cpu = resolve_path(cache->files(), path).has_value();
      }
    }
    searched.push_back(shown(directory));
    bool any_here = false;
    bool stop = false;
    for (std::size_t i = 0; i < subdirectories.size(); ++i) {
      if (states[i] == DirectoryState::kMissing) continue;
      const std::string start = directory + subdirectories[i];
      Tried tried = try_open(start + name, found, why);
      if (!fatal.empty()) return Tried::kBroken;
      if (tried == Tried::kBroken) return tried;
      stop = tried == Tried::kStop;
      if (states[i] == DirectoryState::kUnknown) {
        states[i] = DirectoryState::kExisting;
        if (tried != Tried::kFound) {
          const auto resolved = resolve_path(cache->files(), start);
          const auto status = resolved ? cache->files().status(*resolved) : std::nullopt;
          const std::string shown_path = shown(start);
          probe(SearchProbe::Call::kStat, shown_path, !resolved.has_value());
          if (!status || status->kind != FileKind::kDirectory) {
            states[i] = DirectoryState::kMissing;
            stop = false;
          }
        }
      }
      any_here = any_here || states[i] != DirectoryState::kMissing;
      if (tried == Tried::kFound && setuid_only && !found.file->is_setuid) tried = Tried::kAbsent;
      if (tried == Tried::kFound) {
        found.hwcaps =
            subdirectories[i].substr(0, subdirectories[i].size() - (i + 1 < subdirectories.size()));
        return tried;
      }
    }
    if (any_here && stop) return Tried::kAbsent;
  }
  return Tried::kAbsent;
}

LdCacheSelector LibrarySearch::Process::selector_for(Cpu cpu) const {
  LdCacheSelector selector;
  selector.flags = ld_cache_flags(program());
  if (!is_static) {
    const std::size_t active = std::min<std::size_t>(cpu.level, loader->hwcaps.size());
    selector.active_hwcaps.assign(loader->hwcaps.end() - static_cast<std::ptrdiff_t>(active),
                                  loader->hwcaps.end());
    selector.isa_level = cpu.level;
  }
  selector.legacy = loader->legacy_hwcaps;
  if (loader->machine == static_cast<std::uint16_t>(ElfMachine::kX86_64)) {
    selector.legacy_hwcap = cpu.intel && cpu.level >= 3 ? 6 : 2;    // x86_64, avx512_1
    if (cpu.intel && cpu.level >= 2) selector.legacy_platform = 2;  // haswell
  }
  return selector;
}

std::optional<std::string> LibrarySearch::Process::look_up_cache(const std::string& name,
                                                                 std::string& hwcaps) {
  if (cache_state == CacheState::kUnread) {
    bool exists = true;
    if (options.cache != nullptr) {
      ld_cache = options.cache;
    } else if (options.use_cache) {
      exists = resolve_path(cache->files(), loader->cache_path).has_value();
      ld_cache = cache->ld_cache(loader->cache_path, program().byte_order);
    } else {
      exists = false;
    }
    probe(SearchProbe::Call::kOpen, loader->cache_path, !exists);
    cache_state = ld_cache != nullptr ? CacheState::kRead : CacheState::kUnusable;
  }
  if (cache_state != CacheState::kRead) return std::nullopt;
  const LdCacheEntry* const entry = find_in_ld_cache(*ld_cache, name, selector_for(options.cpu));
  if (!is_static && !depends_on_cpu) {
    for (const Cpu cpu : distinct_cpus(*loader)) {
      if (find_in_ld_cache(*ld_cache, name, selector_for(cpu)) != entry) depends_on_cpu = true;
    }
  }
  if (entry == nullptr) return std::nullopt;
  hwcaps = entry->hwcaps.empty() ? std::string{} : "glibc-hwcaps/" + entry->hwcaps;
  return entry->path;
}

// The mapping goes after each load; a file that was not there is not tried again.
void LibrarySearch::Process::unload_cache() {
  if (cache_state == CacheState::kRead) cache_state = CacheState::kUnread;
}

Tried LibrarySearch::Process::locate_glibc(const std::string& name, std::optional<std::size_t> requester,
                                           RequestKind kind, LocatedFile& found,
                                           std::vector<std::string>& searched, std::string& why) {
  const bool preload = kind == RequestKind::kPreload || kind == RequestKind::kPreloadFile;
  const std::size_t asking = requester.value_or(0);
  if (name.find('/') != std::string::npos) {
    const auto path = expand_dynamic_tokens(name, tokens_of(asking));
    if (!path || path->empty()) return Tried::kAbsent;
    found.rule = SearchRule::kDirect;
    const Tried tried = try_open(*path, found, why);
    return tried == Tried::kStop ? Tried::kAbsent : tried;
  }

  const auto search = [&](const std::vector<std::string>& list, SearchRule rule,
                          std::optional<std::size_t> owner) {
    const Tried tried = try_directories(list, name, kind, found, searched, why);
    if (tried == Tried::kFound) {
      found.rule = rule;
      found.path_owner = owner;
    }
    return tried;
  };

  if (!facts(asking).runpath) {
    bool did_program = false;
    for (std::optional<std::size_t> at = asking; at; at = details[*at].chain) {
      const auto& list = rpath_of(*at);
      if (list.empty()) continue;
      const Tried tried = search(list, SearchRule::kRpath, at);
      if (tried != Tried::kAbsent) return tried;
      did_program = did_program || *at == 0;
    }
    if (!did_program) {
      const auto& list = rpath_of(0);
      const Tried tried = list.empty() ? Tried::kAbsent : search(list, SearchRule::kRpath, 0);
      if (tried != Tried::kAbsent) return tried;
    }
  }
  if (library_path != nullptr) {
    const Tried tried = search(*library_path, SearchRule::kLibraryPath, std::nullopt);
    if (tried != Tried::kAbsent) return tried;
  }
  if (const auto& list = runpath_of(asking); !list.empty()) {
    const Tried tried = search(list, SearchRule::kRunpath, asking);
    if (tried != Tried::kAbsent) return tried;
  }
  const bool no_defaults = (facts(asking).flags_1 & kFlag1NoDefaultLibraries) != 0;
  if (!(preload && options.secure)) {
    std::string hwcaps;
    const auto cached = look_up_cache(name, hwcaps);
    const bool refused =
        cached && no_defaults &&
        std::any_of(loader->directories.begin(), loader->directories.end(),
                    [&](const std::string& directory) { return cached->starts_with(directory); });
    if (cached && !refused) {
      const Tried tried = try_open(*cached, found, why);
      if (tried == Tried::kBroken) return tried;
      if (tried == Tried::kFound) {
        found.rule = SearchRule::kCache;
        found.hwcaps = hwcaps;
        return tried;
      }
    }
  }
  if (no_defaults) return Tried::kAbsent;
  return search(loader->directories, SearchRule::kDefaultDirectory, std::nullopt);
}

std::optional<std::size_t> LibrarySearch::Process::request_glibc(const std::string& asked,
                                                                 std::optional<std::size_t> requester,
                                                                 RequestKind kind) {
  std::string name = asked;
  const bool dependency =
      kind == RequestKind::kNeeded || kind == RequestKind::kFilter || kind == RequestKind::kAuxiliary;
  if (dependency && has_dynamic_tokens(name)) {
    if (options.secure) {
      end(name + ": DST not allowed in SUID/SGID programs");
      return std::nullopt;
    }
    const auto expanded = expand_dynamic_tokens(name, tokens_of(requester.value_or(0)));
    if (!expanded || expanded->empty()) {
      if (kind != RequestKind::kAuxiliary) end(name + ": empty dynamic string token substitution");
      return std::nullopt;
    }
    name = *expanded;
  }
  if (const auto known = names.find(name); known != names.end()) {
    if (requester) edges.push_back({*requester, known->second, asked, kind, true});
    return known->second;
  }

  LocatedFile found;
  std::vector<std::string> searched;
  std::string why;
  const Tried tried = locate_glibc(name, requester, kind, found, searched, why);
  if (tried != Tried::kFound) {
    const bool optional =
        kind == RequestKind::kAuxiliary || kind == RequestKind::kPreload || kind == RequestKind::kPreloadFile;
    if (tried == Tried::kBroken && !optional) end(found.path + ": " + why);
    miss(asked, requester, kind, std::move(searched), why.empty() ? "not found" : found.path + ": " + why);
    return std::nullopt;
  }
  // The same file under another name is the same object.
  std::optional<std::size_t> same;
  if (const auto known = paths.find(found.resolved); known != paths.end()) same = known->second;
  if (!same && found.file->inode != 0) {
    if (const auto known = inodes.find(found.file->inode); known != inodes.end()) same = known->second;
  }
  if (same) {
    names.try_emplace(name, *same);
    if (requester) edges.push_back({*requester, *same, asked, kind, true});
    return same;
  }
  const std::string path = found.path;
  const std::size_t index = add_object(asked, requester, kind, std::move(found));
  names.try_emplace(name, index);
  names.try_emplace(path, index);
  if (facts(index).soname) names.try_emplace(*facts(index).soname, index);
  if (kind != RequestKind::kDlopen) details[index].chain = requester;
  return index;
}

}  // namespace imgslim
