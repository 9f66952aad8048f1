// SPDX-License-Identifier: Apache-2.0
// All facts of one program: what it is, what it loads and starts, where that is searched, what it costs and
// what would make it cheaper. Facts alone; imgslim-inspect(1) says how they are shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/json.h"
#include "src/facts/dlopen_scan.h"
#include "src/facts/exec_scan.h"
#include "src/facts/file_system.h"
#include "src/facts/go_binary.h"
#include "src/facts/library_search.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"
#include "src/facts/search_cost.h"

namespace imgslim {

struct InspectionOptions {
  std::string tree;              // name of the tree for people, empty: this machine
  std::vector<std::string> env;  // "NAME=value"; the last of a name counts
  std::string working_directory = "/";
  bool runs_as_root = true;      // then setuid changes nothing
  std::string cpu = "baseline";  // or a name of cpu_named()
  bool walk_tree = false;        // the whole tree may be searched for objects that export a symbol
};

// What the program is.
struct InspectedFile {
  std::string path;      // as asked for
  std::string resolved;  // every link resolved
  std::vector<std::string> links;
  std::uint64_t size = 0;
  std::uint64_t loaded_bytes = 0;  // of the file, inside segments; ELF only
  std::string package;             // "git 1:2.39.5-0+deb12u2", empty: of none
  bool has_symbol_table = false;   // sections that are not loaded
  bool has_debug_info = false;
};

enum class InspectedLinkage {
  kStatic,
  kStaticPie,        // static, but with its own relocations and no interpreter
  kInterpreterOnly,  // needs the loader, no library
  kDynamic,
  kLibrary,
  kOther,  // relocatable, core
};
std::string_view name_of(InspectedLinkage linkage);

// A script's way to its interpreter.
struct ScriptStep {
  std::string kind;                // "program", "wrapper", "interpreter", "shell text"
  std::vector<std::string> words;  // of the command
  std::string path;                // empty: not found
};

// A name that is loaded or started, and what it leads to in the tree.
struct FoundName {
  std::string name;
  std::vector<std::string> paths;  // resolved; more than one for a glob, none: not in the tree
};

struct InspectedDlopen {
  std::string object;  // resolved path of the object that calls
  DlopenFinding finding;
  std::vector<FoundName> names;
  std::vector<FoundName> files;        // globs of the row's paths, with what they match
  std::vector<std::string> exporters;  // kBounded: objects of the tree that export the symbol
  bool exporters_searched = false;
};

struct InspectedExec {
  std::string object;
  ExecFinding finding;
  Evidence evidence = Evidence::kUnknown;  // the finding's, weighed with the object's owner
  std::vector<FoundName> names;
};

// A Go module by what it adds to the program.
struct GoModuleSize {
  std::string path;  // "std" for the standard library, "" for what belongs to no package
  std::string version;
  std::uint64_t code_bytes = 0;
  std::size_t packages = 0;
};

struct Advice {
  std::string id;             // "rebuild-without-cgo", ..
  std::string text;           // one sentence
  std::uint64_t bytes = 0;    // that it saves
  std::uint64_t lookups = 0;  // failing look-ups at start that it saves
  bool fault = false;         // the program does not start as it is
};

struct Inspection {
  std::string tree;
  InspectedFile file;

  // A script has these and no ELF facts.
  std::vector<ScriptStep> script;
  std::vector<ReachedFile> script_files;  // programs and files it brings
  std::vector<std::string> script_findings;

  std::optional<ElfFacts> elf;
  InspectedLinkage linkage = InspectedLinkage::kOther;
  std::string cpu;
  std::optional<LibrarySearch> libraries;       // on `cpu`
  std::vector<SearchedObject> other_cpus;       // objects that only other CPUs load
  std::map<std::string, std::string> packages;  // resolved path -> package, of all objects
  std::uint64_t library_bytes = 0;              // interpreter and libraries before main
  std::vector<InspectedDlopen> dlopens;         // of the program, then of its libraries in load order
  std::vector<InspectedExec> execs;
  std::optional<GoFacts> go;
  std::vector<GoModuleSize> modules;  // by size
  std::vector<DlopenCall> calls;      // that `cost` follows
  std::optional<SearchCosts> cost;
  std::vector<Advice> advice;  // what gains most first
  std::vector<std::string> problems;
};

// Facts of the file at `path` (absolute, links allowed). Throws Error{kUsage} for a CPU of another machine,
// Error{kIo} if there is no such file or it is no program, Error{kBadImage} for a damaged ELF header. `cache`
// must outlive the result.
Inspection inspect(ObjectCache& cache, const std::string& path, const InspectionOptions& options);

// Advice from the other facts, `advice` aside: what gains most first. `cache` and `options` as for inspect().
std::vector<Advice> advice_for(const Inspection& inspection, ObjectCache& cache,
                               const SearchOptions& options);

// Modules of a Go program by the code of their packages, the largest first.
std::vector<GoModuleSize> module_sizes(const GoFacts& go);

struct InspectionTextOptions {
  int width = 80;
  bool verbose = false;  // every path tried, every init function, every embedded file
};
std::string to_text(const Inspection& inspection, const InspectionTextOptions& options);

// The document of imgslim-inspect(5).
inline constexpr int kInspectionVersion = 1;
Json to_json(const Inspection& inspection);

}  // namespace imgslim
