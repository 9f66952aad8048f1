// SPDX-License-Identifier: Apache-2.0
// What every loader does: objects, preloaded ones, dependencies in their order, versions.
#include "src/facts/search_process.h"

#include <algorithm>
#include <iterator>
#include <list>
#include <set>
#include <unordered_set>
#include <utility>

namespace imgslim {
namespace {

// A process of more objects, or a search of more steps, is no real one.
constexpr std::size_t kMaxObjects = 16384;
constexpr std::size_t kMaxProbes = 4'000'000;
constexpr int kMaxLinks = 40;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Whether a path does not open because of a loop of links rather than a missing name.
bool is_link_loop(const FileSystem& files, std::string path) {
  for (int hop = 0; hop <= kMaxLinks; ++hop) {
    const auto directory = resolve_path(files, directory_of(path));
    if (!directory) return false;
    const auto target = files.read_link(join_path(*directory, path.substr(path.rfind('/') + 1)));
    if (!target) return false;
    path = join_path(*directory, *target);
  }
  return true;
}

std::vector<std::string> split_words(std::string_view text, std::string_view separators) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace

void LibrarySearch::Process::end(const std::string& why) {
  if (fatal.empty()) fatal = why;
}

void LibrarySearch::Process::probe(SearchProbe::Call call, const std::string& path, bool failed) {
  if (++probes_made > kMaxProbes) end("search takes more than 4000000 steps");
  if (options.record_probes) probes.push_back({call, failed, path});
}

Tried LibrarySearch::Process::try_open(const std::string& path, LocatedFile& found, std::string& why) {
  const FileSystem& files = cache->files();
  const std::string full = join_path(options.working_directory, path);
  std::vector<std::string> links;
  const auto resolved = resolve_path(files, full, true, &links);
  probe(SearchProbe::Call::kOpen, path, !resolved.has_value());
  if (!resolved) return !links.empty() && is_link_loop(files, full) ? Tried::kStop : Tried::kAbsent;
  const auto file = cache->object(*resolved);
  if (file == nullptr) return Tried::kAbsent;
  std::string complaint;
  ObjectVerdict verdict = file->verdict(program(), &complaint);
  // musl takes the first file that opens, whatever it is.
  if (is_musl() && verdict == ObjectVerdict::kOtherKind) {
    verdict = ObjectVerdict::kFatal;
    complaint = "of another machine";
  }
  if (verdict == ObjectVerdict::kOtherKind) return Tried::kAbsent;
  found.path = path;
  if (verdict == ObjectVerdict::kFatal) {
    why = complaint;
    return Tried::kBroken;
  }
  found.resolved = *resolved;
  found.links = std::move(links);
  found.file = file;
  return Tried::kFound;
}

std::string LibrarySearch::Process::origin_of(std::size_t index) const {
  const SearchedObject& object = objects[index];
  // Of the program it is what /proc/self/exe says, of a library the path as it was opened.
  if (index == 0 && !program_given_to_loader) return directory_of(object.resolved);
  return directory_of(join_path(options.working_directory, object.path));
}

DynamicTokens LibrarySearch::Process::tokens_of(std::size_t index) const {
  DynamicTokens tokens;
  tokens.origin = origin_of(index);
  tokens.lib = loader->lib;
  tokens.platform = platform_of(*loader, options.cpu);
  tokens.secure = options.secure;
  tokens.is_program = index == 0;
  tokens.trusted = &loader->directories;
  return tokens;
}

std::size_t LibrarySearch::Process::add_object(const std::string& name, std::optional<std::size_t> requester,
                                               RequestKind kind, LocatedFile located) {
  SearchedObject object;
  object.name = name;
  object.requester = requester;
  object.request = kind;
  object.rule = located.rule;
  object.path_owner = located.path_owner;
  object.path = std::move(located.path);
  object.resolved = std::move(located.resolved);
  object.links = std::move(located.links);
  object.hwcaps = std::move(located.hwcaps);
  object.file = std::move(located.file);
  const std::size_t index = objects.size();
  // The kernel maps program and loader, so the loader does not know which files they are.
  if (kind != RequestKind::kProgram && kind != RequestKind::kInterpreter) {
    paths.try_emplace(object.resolved, index);
    if (object.file->inode != 0) inodes.try_emplace(object.file->inode, index);
  }
  if (requester) edges.push_back({*requester, index, name, kind, false});
  objects.push_back(std::move(object));
  details.emplace_back();
  if (objects.size() > kMaxObjects) end("more than 16384 objects");
  return index;
}

void LibrarySearch::Process::miss(const std::string& name, std::optional<std::size_t> requester,
                                  RequestKind kind, std::vector<std::string> searched,
                                  const std::string& why) {
  MissingLibrary lost;
  lost.name = name;
  lost.requester = requester;
  lost.request = kind;
  lost.optional = kind == RequestKind::kAuxiliary ||
                  (!is_musl() && (kind == RequestKind::kPreload || kind == RequestKind::kPreloadFile));
  lost.searched = std::move(searched);
  lost.why = why;
  if (requester) edges.push_back({*requester, std::nullopt, name, kind, false});
  if (options.stop_when_missing && !lost.optional) end(name + ": " + why);
  missing.push_back(std::move(lost));
}

std::optional<std::size_t> LibrarySearch::Process::request(const std::string& name,
                                                           std::optional<std::size_t> requester,
                                                           RequestKind kind) {
  return is_musl() ? request_musl(name, requester, kind) : request_glibc(name, requester, kind);
}

void LibrarySearch::Process::prepare() {
  problems = loader->problems;
  subdirectories = hwcaps_subdirectories(*loader, options.cpu, !is_static);
  if (!is_static) {
    std::set<std::string> roots;
    for (const Cpu cpu : distinct_cpus(*loader)) {
      for (const std::string& path : hwcaps_subdirectories(*loader, cpu)) {
        if (!path.empty()) roots.insert(path.substr(0, path.find('/')));
      }
    }
    variant_roots.assign(roots.begin(), roots.end());
  }
  if (options.library_path.empty() || options.secure) return;
  library_path = std::make_shared<std::vector<std::string>>(
      is_musl() ? split_words(options.library_path, ":\n")
                : split_search_path(options.library_path, ":;", tokens_of(0)));
}

void LibrarySearch::Process::load_preloads() {
  const bool musl = is_musl();
  if (!(musl && options.secure)) {
    for (const std::string& name : split_words(options.preload, " :")) {
      if (options.secure && name.find('/') != std::string::npos) continue;
      request(name, musl ? std::nullopt : std::optional<std::size_t>(0), RequestKind::kPreload);
      if (!fatal.empty()) return;
    }
  }
  if (musl || is_static) return;
  const auto resolved = resolve_path(cache->files(), loader->preload_path);
  probe(SearchProbe::Call::kAccess, loader->preload_path, !resolved.has_value());
  if (!resolved) return;
  probe(SearchProbe::Call::kOpen, loader->preload_path, false);
  const auto content = cache->files().read(*resolved, 1u << 20);
  if (content == nullptr) return;
  std::string text(content->bytes());
  for (std::size_t at = text.find('#'); at != std::string::npos; at = text.find('#', at)) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::fill(text.begin() + static_cast<std::ptrdiff_t>(at), text.begin() + static_cast<std::ptrdiff_t>(end),
              ' ');
  }
  for (const std::string& name : split_words(text, ": \t\n")) {
    request(name, 0, RequestKind::kPreloadFile);
    if (!fatal.empty()) return;
  }
}

std::vector<std::size_t> LibrarySearch::Process::load_dependencies(const std::vector<std::size_t>& roots) {
  struct Item {
    std::size_t index;
    bool done;
  };
  std::list<Item> order;
  std::vector<bool> listed(objects.size(), false);
  const std::size_t already = roots.size() == 1 && roots.front() != 0 ? roots.front() : 0;
  for (const std::size_t root : roots) {
    if (listed[root]) continue;
    listed[root] = true;
    order.push_back({root, false});
  }
  const auto is_listed = [&](std::size_t index) {
    if (index >= listed.size()) listed.resize(objects.size(), false);
    return listed[index];
  };
  for (auto at = order.begin(); at != order.end() && fatal.empty();) {
    at->done = true;
    const std::size_t index = at->index;
    // What was loaded before this dlopen has its own dependencies loaded too.
    if (index >= already) {
      const std::shared_ptr<const ObjectFile> file = objects[index].file;
      for (const std::string& name : file->facts->needed) {
        const auto dependency = request(name, index, RequestKind::kNeeded);
        if (!fatal.empty()) break;
        if (!dependency || is_listed(*dependency)) continue;
        listed[*dependency] = true;
        order.push_back({*dependency, false});
      }
      auto first_filter = order.end();
      const auto add_filter = [&](const std::string& name, RequestKind kind) {
        const auto filter = request(name, index, kind);
        if (!filter || !fatal.empty()) return;
        auto place = order.end();
        if (is_listed(*filter)) {
          // It moves forward if it comes later, and stays if it comes earlier.
          auto late = std::find_if(std::next(at), order.end(),
                                   [&](const Item& item) { return item.index == *filter; });
          if (late == order.end()) return;
          order.splice(at, order, late);
          place = std::prev(at);
          place->done = false;
        } else {
          listed[*filter] = true;
          place = order.insert(at, {*filter, false});
        }
        if (first_filter == order.end()) first_filter = place;
      };
      if (!is_musl()) {
        for (const std::string& name : file->facts->filters)
          add_filter(name, RequestKind::kFilter);
        for (const std::string& name : file->facts->auxiliaries)
          add_filter(name, RequestKind::kAuxiliary);
      }
      if (first_filter != order.end()) at = first_filter;
    }
    while (at != order.end() && at->done)
      ++at;
  }
  std::vector<std::size_t> result;
  for (const Item& item : order)
    result.push_back(item.index);
  return result;
}

void LibrarySearch::Process::check_versions(std::size_t first_object) {
  if (is_musl()) return;
  std::unordered_map<std::size_t, std::unordered_set<std::string_view>> defined;
  for (std::size_t index = first_object; index < objects.size(); ++index) {
    for (const SymbolVersion& needed : facts(index).versions_needed) {
      if (needed.weak) continue;
      const auto provider = names.find(needed.file);
      if (provider == names.end()) continue;
      const auto& versions = facts(provider->second).versions_defined;
      if (versions.empty()) continue;  // glibc does not check a library without versions
      const auto [known, is_new] = defined.try_emplace(provider->second);
      if (is_new) {
        for (const SymbolVersion& version : versions)
          known->second.insert(version.name);
      }
      if (known->second.contains(needed.name)) continue;
      missing_versions.push_back({needed.name, index, provider->second});
    }
  }
}

}  // namespace imgslim
