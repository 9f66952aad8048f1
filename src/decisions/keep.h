// SPDX-License-Identifier: Apache-2.0
// The keep rule: what of an image its commands can start, load and read, as one least fixpoint over files,
// each kept path with one witness. No I/O but through FileSystem; the same facts give the same result.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "layers/manifest.h"
#include "layers/tree.h"
#include "src/decisions/glob.h"
#include "src/decisions/leftovers.h"
#include "src/facts/dlopen_scan.h"
#include "src/facts/evidence.h"
#include "src/facts/exec_scan.h"
#include "src/facts/ld_cache.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"
#include "src/facts/tree_file_system.h"

namespace imgslim {

// Why a path is kept: the rule, and the path (or command) that it follows from. Following `because` from
// path to path ends at a root.
struct Witness {
  std::string_view rule;  // "command", "interpreter", "needed", "dlopen", "exec", "link", "script",
                          // "application", "data:ca-certificates", "conffile", "directory", "--keep", ..
  std::string because;    // absolute path, or for roots the command's origin
  std::string detail;     // one line: "DT_NEEDED libssl.so.3, found in ld.so.cache"
  Evidence evidence = Evidence::kExact;
};

struct LoadFinding {
  std::string path;  // the object that loads
  DlopenFinding finding;
  std::vector<std::string> found;  // files of the image kept for it
};

struct StartFinding {
  std::string path;
  ExecFinding finding;
  Evidence evidence = Evidence::kUnknown;  // with what is known of the object's package
  std::vector<std::string> found;
};

struct KeepInput {
  const TreeFileSystem& files;
  const PackageDatabase& packages;
  const ImageConfig& config;
  const std::vector<Command>& commands;  // of deployment files and --also-run, besides the config's
  const Leftovers& leftovers;            // of the form distroless
  const std::vector<Glob>& keep;
  const std::vector<Glob>& drop;
  std::vector<std::string> keep_packages;
  unsigned threads = 1;
};

struct KeepResult {
  std::map<NodeId, Witness> kept;  // files, links and directories, ancestors included
  std::vector<LoadFinding> loads;  // by path, then site
  std::vector<StartFinding> starts;
  // Libraries that kept programs find by the image's ld.so.cache, dlopen targets included: what a cache of
  // the result has to answer. Equal to or a subset of what the source's cache answers.
  std::vector<LdCacheEntry> cache_entries;
  // The weakest evidence on which the result rests, and one line for each finding of kUnknown: what speaks
  // against the form.
  Evidence weakest = Evidence::kExact;
  std::vector<std::string> stoppers;
  std::vector<std::string> notices;
};

KeepResult find_kept(const KeepInput& input);

}  // namespace imgslim
