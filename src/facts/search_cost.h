// SPDX-License-Identifier: Apache-2.0
// What the search for libraries costs: the system calls that name a path, before main and at each dlopen,
// for one CPU; today, without ld.so.cache, and with a cache generated for what was found.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "src/facts/library_search.h"

namespace imgslim {

struct ProbeCount {
  std::size_t opens = 0;
  std::size_t failed_opens = 0;
  std::size_t stats = 0;
  std::size_t failed_stats = 0;
  bool operator==(const ProbeCount&) const = default;
};

// As strace counts open, openat, stat, newfstatat with a path; the access(2) of ld.so.preload is none of
// them, nor is the fstat of a file that is open.
ProbeCount count_probes(const std::vector<SearchProbe>& probes);

// A dlopen to follow, in the order of calls.
struct DlopenCall {
  std::string caller;  // resolved path of the object that calls; empty: the program
  std::string name;
};

struct DlopenCost {
  DlopenCall call;
  bool loaded = false;
  std::vector<SearchProbe> probes;
  ProbeCount count;
};

struct SearchCost {
  std::vector<SearchProbe> before_main;
  ProbeCount count;
  std::vector<DlopenCost> dlopens;
  std::string fatal;  // the process does not reach main
};

// As the process does it: it ends at the first library that is missing. A caller that is not loaded counts
// as the program.
SearchCost search_cost(ObjectCache& cache, const std::string& program, const SearchOptions& options,
                       const std::vector<DlopenCall>& calls = {});

struct SearchCosts {
  SearchCost today;
  SearchCost without_cache;
  SearchCost with_generated_cache;
};
SearchCosts search_costs(ObjectCache& cache, const std::string& program, const SearchOptions& options,
                         const std::vector<DlopenCall>& calls = {});

// Entries of a cache for what a closure found in the source's cache or in the loader's own directories,
// on every CPU: keyed as ldconfig does, by SONAME, else by file name.
std::vector<LdCacheEntry> cache_entries(const LibraryClosure& closure);
// The same for objects of a dlopen.
std::vector<LdCacheEntry> cache_entries(const LibrarySearch& process,
                                        const std::vector<SearchedObject>& loaded);

}  // namespace imgslim
