// SPDX-License-Identifier: Apache-2.0
// Inside of LibrarySearch: the state of a process while its loader searches. Included by its own files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/facts/library_search.h"
#include "src/facts/search_path.h"

namespace imgslim {

// A file that a rule found.
struct LocatedFile {
  SearchRule rule = SearchRule::kDirect;
  std::optional<std::size_t> path_owner;
  std::string path;
  std::string resolved;
  std::vector<std::string> links;
  std::string hwcaps;
  std::shared_ptr<const ObjectFile> file;
};

// What became of one attempt, or of a whole search.
enum class Tried {
  kAbsent,
  kFound,
  kBroken,  // found, and the loader ends the load because of it
  kStop,    // an error other than "no such file": this list of directories ends
};

struct LibrarySearch::Process {
  enum class DirectoryState : std::uint8_t { kUnknown, kExisting, kMissing };
  enum class CacheState : std::uint8_t { kUnread, kRead, kUnusable };

  struct Details {
    // Whose DT_RPATH is searched after this object's own (glibc: l_loader, musl: needed_by).
    std::optional<std::size_t> chain;
    std::shared_ptr<const std::vector<std::string>> rpath;  // split, once asked for
    std::shared_ptr<const std::vector<std::string>> runpath;
  };

  explicit Process(ObjectCache& object_cache) : cache(&object_cache) {}

  ObjectCache* cache;
  SearchOptions options;
  std::shared_ptr<const LoaderFacts> loader;
  bool is_static = false;
  bool static_loader_read = false;
  bool depends_on_cpu = false;
  bool program_given_to_loader = false;     // a library as program: `ld.so --list LIBRARY`
  std::vector<std::string> subdirectories;  // of hwcaps, "" last
  std::vector<std::string> variant_roots;   // first components of those of any CPU

  std::vector<SearchedObject> objects;
  std::vector<Details> details;  // of the same indexes
  std::vector<std::size_t> scope;
  std::vector<SearchEdge> edges;
  std::vector<MissingLibrary> missing;
  std::vector<MissingVersion> missing_versions;
  std::string fatal;
  std::vector<std::string> problems;
  std::vector<SearchProbe> probes;
  std::size_t probes_made = 0;

  std::unordered_map<std::string, std::size_t> names;  // a name that is taken for a loaded object
  std::unordered_map<std::string, std::size_t> paths;  // resolved paths of loaded objects
  std::unordered_map<std::uint64_t, std::size_t> inodes;
  std::unordered_map<std::string, std::vector<DirectoryState>> directories;
  std::shared_ptr<const std::vector<std::string>> library_path;
  std::shared_ptr<const std::vector<std::string>> musl_path;  // of the path file, once read
  CacheState cache_state = CacheState::kUnread;
  std::shared_ptr<const LdCache> ld_cache;

  const ElfFacts& program() const { return *objects.front().file->facts; }
  const ElfFacts& facts(std::size_t index) const { return *objects[index].file->facts; }
  bool is_musl() const { return loader->kind == LoaderKind::kMusl; }

  void probe(SearchProbe::Call call, const std::string& path, bool failed);
  // Opens a path as the loader does; `found` and `why` are filled as it goes.
  Tried try_open(const std::string& path, LocatedFile& found, std::string& why);
  std::string origin_of(std::size_t index) const;
  DynamicTokens tokens_of(std::size_t index) const;
  void end(const std::string& why);  // sets fatal, once

  // The object that a request leads to: a loaded one, or a new one, which is then in objects. Nothing if it
  // is missing (recorded) or the load ends (fatal).
  std::optional<std::size_t> request(const std::string& name, std::optional<std::size_t> requester,
                                     RequestKind kind);
  std::size_t add_object(const std::string& name, std::optional<std::size_t> requester, RequestKind kind,
                         LocatedFile located);
  void miss(const std::string& name, std::optional<std::size_t> requester, RequestKind kind,
            std::vector<std::string> searched, const std::string& why);

  void prepare();  // what follows from loader and options
  void load_preloads();
  // Breadth first from `roots`, which are loaded; returns the scope order of what it reached.
  std::vector<std::size_t> load_dependencies(const std::vector<std::size_t>& roots);
  void check_versions(std::size_t first_object);

  // search_glibc.cc
  std::optional<std::size_t> request_glibc(const std::string& name, std::optional<std::size_t> requester,
                                           RequestKind kind);
  Tried locate_glibc(const std::string& name, std::optional<std::size_t> requester, RequestKind kind,
                     LocatedFile& found, std::vector<std::string>& searched, std::string& why);
  Tried try_directories(const std::vector<std::string>& list, const std::string& name, RequestKind kind,
                        LocatedFile& found, std::vector<std::string>& searched, std::string& why);
  const std::vector<std::string>& rpath_of(std::size_t index);
  const std::vector<std::string>& runpath_of(std::size_t index);
  std::optional<std::string> look_up_cache(const std::string& name, std::string& hwcaps);
  LdCacheSelector selector_for(Cpu cpu) const;
  void unload_cache();

  // search_musl.cc
  std::optional<std::size_t> request_musl(const std::string& name, std::optional<std::size_t> requester,
                                          RequestKind kind);
  Tried try_musl_path(const std::vector<std::string>& list, const std::string& name, LocatedFile& found,
                      std::vector<std::string>& searched, std::string& why);
  const std::vector<std::string>& musl_rpath_of(std::size_t index);
  const std::vector<std::string>& musl_system_path();
};

}  // namespace imgslim
