// SPDX-License-Identifier: Apache-2.0
// The objects that a program or library of an image loads before main, and by each dlopen: the search of
// the image's own loader followed step by step over its files (glibc: elf/dl-load.c, elf/dl-deps.c,
// elf/rtld.c, elf/dl-open.c; musl 1.2: ldso/dynlink.c). Nothing is executed; any architecture's image is
// searched on any host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/elf.h"
#include "src/facts/ld_cache.h"
#include "src/facts/loader.h"
#include "src/facts/object_cache.h"

namespace imgslim {

// The value of a variable in an image's environment ("NAME=VALUE" lines): the last one counts; "" if there is
// none.
std::string variable(const std::vector<std::string>& env, std::string_view name);

struct SearchOptions {
  std::string library_path;              // LD_LIBRARY_PATH; empty as not set
  std::string preload;                   // LD_PRELOAD
  std::string working_directory = "/";   // where relative paths start
  bool secure = false;                   // AT_SECURE: the program is setuid, setgid or has capabilities
  bool use_cache = true;                 // false: as if there were no ld.so.cache in the image
  std::shared_ptr<const LdCache> cache;  // in place of the image's own
  Cpu cpu;
  // Loader of an object that names none (a library); empty: find_interpreter().
  std::string interpreter;
  bool record_probes = false;
  // A process ends at the first library that it does not find; `ld.so --list` and a list of what is missing
  // go on.
  bool stop_when_missing = false;
};

// Why an object is there.
enum class RequestKind : std::uint8_t {
  kProgram,
  kInterpreter,  // PT_INTERP
  kNeeded,       // DT_NEEDED
  kFilter,       // DT_FILTER
  kAuxiliary,    // DT_AUXILIARY: nothing happens if it is missing
  kPreload,      // LD_PRELOAD; glibc goes on without, musl does not
  kPreloadFile,  // /etc/ld.so.preload
  kDlopen,
};

// Which rule found it.
enum class SearchRule : std::uint8_t {
  kDirect,            // a path, not searched
  kRpath,             // DT_RPATH of `path_owner` (musl: its DT_RUNPATH too)
  kLibraryPath,       // LD_LIBRARY_PATH
  kRunpath,           // DT_RUNPATH of `path_owner`
  kCache,             // ld.so.cache
  kDefaultDirectory,  // the loader's own directories (musl: or its path file)
  kLoader,            // it is the loader itself (musl: libc.so, libpthread.so, ..)
};
std::string_view name_of(RequestKind request);
std::string_view name_of(SearchRule rule);

struct SearchedObject {
  std::string name;                      // what was asked for first
  std::optional<std::size_t> requester;  // index of the object that asked
  RequestKind request = RequestKind::kProgram;
  SearchRule rule = SearchRule::kDirect;
  std::optional<std::size_t> path_owner;  // whose RPATH or RUNPATH
  std::string path;                       // as the loader opens it
  std::string resolved;                   // with every link resolved
  std::vector<std::string> links;         // links passed on the way, as resolved paths
  std::string hwcaps;  // variant for some CPUs: "glibc-hwcaps/x86-64-v3", "tls/x86_64"; else empty
  std::shared_ptr<const ObjectFile> file;
};

// One request for a library by one object, and what it led to: the linkage graph.
struct SearchEdge {
  std::size_t from = 0;
  std::optional<std::size_t> to;  // nothing: missing
  std::string name;
  RequestKind request = RequestKind::kNeeded;
  bool already_loaded = false;  // known by name, SONAME or inode
};

struct MissingLibrary {
  std::string name;
  std::optional<std::size_t> requester;
  RequestKind request = RequestKind::kNeeded;
  bool optional = false;              // the process goes on without it
  std::vector<std::string> searched;  // directories, and files of other kinds met, in order
  std::string why;                    // "not found", or the loader's complaint about what it found
};

struct MissingVersion {
  std::string version;        // "GLIBC_2.38"
  std::size_t requester = 0;  // object that needs it
  std::size_t provider = 0;   // object that should have it
};

// A system call of the search that names a path.
struct SearchProbe {
  enum class Call : std::uint8_t { kOpen, kStat, kAccess };
  Call call = Call::kOpen;
  bool failed = false;
  std::string path;
  bool operator==(const SearchProbe&) const = default;
};

// What one dlopen did. Objects of a dlopen that fails are listed and not kept loaded.
struct DlopenResult {
  std::optional<std::size_t> object;  // index in objects(), nothing if it failed
  bool already_loaded = false;
  std::vector<SearchedObject> loaded;  // new objects in load order
  std::vector<MissingLibrary> missing;
  std::vector<MissingVersion> missing_versions;  // indexes as if `loaded` followed objects()
  std::string fatal;                             // what ended it, else empty
  std::vector<SearchProbe> probes;
};

// A process, as far as its libraries go: started, then with dlopen calls. A value; copies share the parsed
// files. The ObjectCache must outlive it.
class LibrarySearch {
 public:
  // Loads `program` (absolute path inside the image, links allowed), which may be a library: then as
  // `ld.so --list` does. What goes wrong is in fatal(), missing() and problems(); nothing is thrown.
  static LibrarySearch start(ObjectCache& cache, const std::string& program, const SearchOptions& options);

  // dlopen(name) called by code of object `caller`. Process state (objects, known directories) goes on.
  DlopenResult open(std::size_t caller, const std::string& name);

  // In load order: [0] is the program, [1] the loader (not of a static program).
  const std::vector<SearchedObject>& objects() const;
  // Indexes in the order of the global scope: breadth first, filters before what they filter, the loader
  // where it is first needed, else last.
  const std::vector<std::size_t>& scope() const;
  const std::vector<SearchEdge>& edges() const;
  const std::vector<MissingLibrary>& missing() const;
  const std::vector<MissingVersion>& missing_versions() const;
  const std::string& fatal() const;  // what ends the process before main, else empty
  const std::vector<std::string>& problems() const;
  const std::vector<SearchProbe>& probes() const;  // before main; with record_probes
  const LoaderFacts& loader() const;               // of a static program: known after its first open()
  bool is_static() const;                          // no interpreter, and no other program's
  const SearchOptions& options() const;
  // Whether another CPU could load other files: a directory of variants or a cache entry of one was met.
  bool depends_on_cpu() const;

  LibrarySearch(const LibrarySearch& other);
  LibrarySearch& operator=(const LibrarySearch& other);
  LibrarySearch(LibrarySearch&& other) noexcept;
  LibrarySearch& operator=(LibrarySearch&& other) noexcept;
  ~LibrarySearch();

  struct Process;  // the engine's state, library_search.cc

 private:
  explicit LibrarySearch(std::unique_ptr<Process> process);
  std::unique_ptr<Process> process_;
};

// A search on every CPU that the loader tells apart: the image must start on any of them.
struct LibraryClosure {
  LibrarySearch base;                   // on the plainest CPU
  std::vector<LibrarySearch> variants;  // on others, only those that load a file `base` does not

  // Every object of base and variants once (by resolved path), base first.
  std::vector<const SearchedObject*> all_objects() const;
};
LibraryClosure search_libraries(ObjectCache& cache, const std::string& program, const SearchOptions& options);

// The loader in the image for an object that names none: of its machine, and of the C library it needs.
// Empty if there is none.
std::string find_interpreter(ObjectCache& cache, const ElfFacts& facts);

}  // namespace imgslim
