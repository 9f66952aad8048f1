// SPDX-License-Identifier: Apache-2.0
// Where musl looks for a library (ldso/dynlink.c: load_library, path_open, fixup_rpath).
#include <algorithm>
#include <array>

#include "src/facts/search_process.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxName = 255;     // NAME_MAX
constexpr std::size_t kPathBuffer = 512;  // longer paths are passed over

// "/a:/b\n/c"; empty elements are skipped.
std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> result;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(":\n"), list.size());
    if (end > 0) result.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return result;
}

// Names that are the loader itself whatever follows the first dot.
bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 7> kReserved = {"c.",  "pthread.", "rt.",  "m.",
                                                         "dl.", "util.",    "xnet."};
  if (!name.starts_with("lib")) return false;
  name.remove_prefix(3);
  return std::any_of(kReserved.begin(), kReserved.end(),
                     [&](std::string_view start) { return name.starts_with(start); });
}

// The path with $ORIGIN replaced, nothing if there is another '$'.
std::optional<std::string> with_origin(std::string_view text, const std::string& origin) {
  std::string result;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find('$'), text.size());
    result += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) break;
    if (text.starts_with("$ORIGIN")) {
      text.remove_prefix(7);
    } else if (text.starts_with("${ORIGIN}")) {
      text.remove_prefix(9);
    } else {
      return std::nullopt;
    }
    result += origin;
    if (result.size() > 65536) return std::nullopt;
  }
  return result;
}

}  // namespace

const std::vector<std::string>& LibrarySearch::Process::musl_rpath_of(std::size_t index) {
  auto& list = details[index].rpath;
  if (list != nullptr) return *list;
  const ElfFacts& object = facts(index);
  auto split_list = std::make_shared<std::vector<std::string>>();
  const auto& text = object.runpath ? object.runpath : object.rpath;
  const std::string origin = origin_of(index);
  const bool tokens = text && text->find('$') != std::string::npos;
  const bool refused = tokens && options.secure && (index == 0 || !origin.starts_with('/'));
  if (text && !refused) {
    if (const auto expanded = with_origin(*text, origin)) *split_list = split(*expanded);
  }
  list = split_list;
  return *list;
}

const std::vector<std::string>& LibrarySearch::Process::musl_system_path() {
  if (musl_path != nullptr) return *musl_path;
  auto split_list = std::make_shared<std::vector<std::string>>(loader->directories);
  if (!loader->path_file.empty()) {
    // Below the prefix of the loader's path as the program names it: less its last two parts.
    std::string prefix = objects.size() > 1 ? objects[1].path : std::string{};
    for (int part = 0; part < 2; ++part) {
      const std::size_t slash = prefix.rfind('/');
      prefix.erase(slash == std::string::npos ? 0 : slash);
    }
    const std::string path = prefix + loader->path_file;
    const auto resolved = resolve_path(cache->files(), path);
    probe(SearchProbe::Call::kOpen, path, !resolved.has_value());
    if (resolved) {
      const auto content = cache->files().read(*resolved, 1u << 20);
      std::string_view text = content != nullptr ? content->bytes() : std::string_view{};
      *split_list = split(text.substr(0, text.find('\0')));
    }
  }
  musl_path = split_list;
  return *musl_path;
}

Tried LibrarySearch::Process::try_musl_path(const std::vector<std::string>& list, const std::string& name,
                                            LocatedFile& found, std::vector<std::string>& searched,
                                            std::string& why) {
  for (const std::string& directory : list) {
    const std::string path = directory + "/" + name;
    if (path.size() >= kPathBuffer) continue;
    searched.push_back(directory);
    const Tried tried = try_open(path, found, why);
    if (!fatal.empty()) return Tried::kBroken;
    if (tried != Tried::kAbsent) return tried;
  }
  return Tried::kAbsent;
}

std::optional<std::size_t> LibrarySearch::Process::request_musl(const std::string& name,
                                                                std::optional<std::size_t> requester,
                                                                RequestKind kind) {
  const auto answer = [&](std::size_t index) {
    if (requester) edges.push_back({*requester, index, name, kind, true});
    return index;
  };
  if (objects.size() > 1 && (is_reserved(name) || name == objects[1].path)) {
    return answer(1);
  }
  LocatedFile found;
  std::vector<std::string> searched;
  std::string why;
  Tried tried = Tried::kAbsent;
  const bool direct = name.find('/') != std::string::npos;
  if (direct) {
    tried = try_open(name, found, why);
  } else {
    if (const auto known = names.find(name); known != names.end()) return answer(known->second);
    if (!name.empty() && name.size() <= kMaxName) {
      if (library_path != nullptr) {
        tried = try_musl_path(*library_path, name, found, searched, why);
        found.rule = SearchRule::kLibraryPath;
      }
      for (auto at = requester; at && tried == Tried::kAbsent; at = details[*at].chain) {
        tried = try_musl_path(musl_rpath_of(*at), name, found, searched, why);
        found.rule = SearchRule::kRpath;
        found.path_owner = at;
      }
      if (tried == Tried::kAbsent) {
        tried = try_musl_path(musl_system_path(), name, found, searched, why);
        found.rule = SearchRule::kDefaultDirectory;
        found.path_owner.reset();
      }
    }
  }
  if (tried != Tried::kFound) {
    miss(name, requester, kind, std::move(searched), why.empty() ? "not found" : found.path + ": " + why);
    return std::nullopt;
  }
  std::optional<std::size_t> same;
  if (const auto known = paths.find(found.resolved); known != paths.end()) same = known->second;
  if (!same && found.file->inode != 0) {
    if (const auto known = inodes.find(found.file->inode); known != inodes.end()) same = known->second;
  }
  const std::string path = found.path;
  if (same) {
    // One that was loaded by path can be found by its name from now on.
    if (!direct) names.try_emplace(objects[*same].path.substr(objects[*same].path.rfind('/') + 1), *same);
    return answer(*same);
  }
  // Another C library in the process: its place is taken by this one.
  if (found.file->facts->exports("__libc_start_main") && found.file->facts->exports("stdin")) {
    if (objects.size() > 1) return answer(1);
  }
  const std::size_t index = add_object(name, requester, kind, std::move(found));
  details[index].chain = kind == RequestKind::kPreload ? std::nullopt : requester;
  if (!direct) names.try_emplace(path.substr(path.rfind('/') + 1), index);
  return index;
}

}  // namespace imgslim
