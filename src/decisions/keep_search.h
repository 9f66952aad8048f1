// SPDX-License-Identifier: Apache-2.0
// The engine of the keep rule, private to this room: a work list of files by evidence, strongest first, so
// that the first witness of a path is its best one. What a kept file brings is in keep_elf.cc (programs and
// libraries), keep_starts.cc (what those start), keep_data.cc (run-time data), keep_application.cc (the
// image's own files).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/decisions/keep.h"
#include "src/decisions/keep_data.h"
#include "src/facts/library_search.h"

namespace imgslim {

// Texts in an object that may name files, and the names at the top of the tree that they begin with: a text
// that begins with another was not looked for.
struct PathTexts {
  std::vector<std::string> tops;   // sorted
  std::vector<std::string> texts;  // "/usr/share/zoneinfo/..", sorted; what follows the name may be with it
};

// What a kept object brings, found in one reading of it.
struct ObjectScan {
  std::vector<DlopenFinding> loads;
  std::vector<ExecFinding> starts;
  std::optional<PathTexts> paths;        // of application objects
  std::vector<std::string> named_files;  // of them: regular files that strings name
  std::vector<std::size_t> data_rows;    // what it imports and links in asks for these
  bool is_static_glibc = false;
};

class KeepSearch {
 public:
  explicit KeepSearch(const KeepInput& input);
  KeepResult run();

 private:
  // How much of a directory a name stands for.
  enum class Whole : std::uint8_t { kNo, kYes, kUnlessShared };
  struct Item {
    NodeId node = kNone;
    Witness witness;
  };

  // keep.cc: names to nodes, the work list.
  const Tree& tree() const { return input_.files.tree(); }
  NodeId node_of(std::string_view path) const { return input_.files.node(path); }
  std::string path_of(NodeId node) const { return "/" + tree().path(node); }
  void put(NodeId node, Witness witness);
  // Keeps what a path leads to, and the links on the way. The resolved path, nothing if it leads nowhere.
  std::optional<std::string> reach(std::string_view path, const Witness& witness, Whole whole = Whole::kNo);
  void put_tree(NodeId directory, const Witness& witness);
  void drain();
  void take(const Item& item);
  void keep_ancestors(NodeId node);
  void expand_file(NodeId node, const Witness& witness);
  void expand_script(const std::string& path, const Witness& witness);
  // Existing paths of a glob; {LIB} is replaced by `library_folder`.
  void reach_glob(std::string_view glob, const std::string& library_folder, const Witness& witness);
  void add_reached(const Roots& roots, const std::string& because, Evidence evidence, bool are_commands);
  void keep_named_by_user();
  bool is_dropped(NodeId node) const;
  void stop(const std::string& line);
  void notice(const std::string& line);
  void keep_directories();
  KeepResult finish();

  // keep_elf.cc
  void expand_elf(const std::string& path, const Witness& witness);
  const ObjectScan& scan_of(const std::string& path);
  std::unique_ptr<ObjectScan> scan(const std::string& path) const;
  std::optional<ObjectScan> recall_scan(const std::string& path, bool is_application) const;
  // Scans of what comes next, several at a time; the result does not depend on it.
  void scan_ahead(std::vector<std::string> paths);
  void scan_queue_ahead(const std::deque<Item>& queue);
  // The same for the libraries that the search for a program's will come to.
  void read_libraries_ahead(const std::string& program);
  void follow_process(LibrarySearch& process, Evidence evidence);
  void keep_object(const LibrarySearch& process, const SearchedObject& object, Evidence evidence);
  void follow_load(LibrarySearch& process, std::size_t caller, const DlopenFinding& finding,
                   std::vector<Evidence>& evidence);
  void keep_exporters(const std::vector<std::string>& symbols, const Witness& witness,
                      std::vector<std::string>& found);
  void load_name_services(LibrarySearch& process, std::size_t caller, std::vector<Evidence>& evidence);
  SearchOptions search_options() const;

  // keep_starts.cc
  void follow_start(const std::string& path, const ExecFinding& finding, Evidence evidence);
  void start_program(std::string_view name, const Witness& witness, std::vector<std::string>& found);
  void keep_programs_of(PackageId package, const Witness& witness, std::vector<std::string>& found);

  // keep_data.cc
  void fire(const DataTrigger& fact, const std::string& because, Evidence evidence);
  void apply(std::size_t row, const std::string& because, Evidence evidence);

  // keep_application.cc
  void find_application();
  bool is_generated(NodeId node, const std::string& path) const;
  void keep_changed_files();
  bool is_changed(const OwnedPath& owned) const;
  void keep_root_packages(const Roots& roots);
  void keep_conffiles(PackageId package, const std::string& because, Evidence evidence);
  void keep_environment();
  void read_configuration(NodeId node, const std::string& path, const Witness& witness);
  PathTexts path_texts_in(const ElfFacts& facts, std::string_view bytes, const GoFacts* go) const;
  std::vector<std::string> files_named_in(const PathTexts& paths) const;
  std::vector<std::string> tops() const;
  bool is_distribution(PackageId package) const;
  bool is_from_archive(PackageId package) const;
  bool is_shared_directory(NodeId directory) const;
  void package_is_kept(const std::string& path, Evidence evidence);

  const KeepInput& input_;
  std::unique_ptr<FileSystem> recent_;  // over input_.files: what was read last is read once
  mutable ObjectCache objects_;
  CommandTracer tracer_;  // look-ups only
  std::array<std::deque<Item>, 5> queue_;
  KeepResult result_;

  std::unordered_set<std::string> loaded_;   // objects that are part of a process followed
  std::unordered_set<std::string> scripts_;  // whose words were followed
  std::unordered_map<std::string, std::unique_ptr<ObjectScan>> scans_;
  std::unordered_map<std::string, std::unique_ptr<ObjectScan>> scanned_ahead_;
  std::unordered_set<std::string> read_ahead_;
  // Where the image's cache says a library is; empty until it is asked.
  std::optional<std::unordered_map<std::string, std::string>> cached_libraries_;
  std::optional<std::set<std::string>> name_services_;   // of nsswitch.conf; empty until it is asked
  std::unordered_map<std::string, Evidence> following_;  // of objects, while their process is followed
  std::set<std::string> starts_done_;
  std::set<std::string> rows_done_;
  std::vector<bool> data_done_;  // by number of the data row
  std::set<std::string> said_;
  std::map<std::string, std::size_t> load_numbers_;  // of findings in result_.loads
  std::vector<bool> application_;                    // by node
  std::vector<bool> leftover_;                       // by node
  std::vector<bool> generated_;                      // by node
  std::set<PackageId> kept_packages_;                // a file other than documentation is kept
  std::set<PackageId> conffiles_of_;
  // Scripts that a row's glob names, in a language whose interpreter nothing else keeps so far.
  std::map<std::string, std::vector<Item>> waiting_for_interpreter_;
  std::map<std::tuple<std::string, std::string, std::int32_t, std::uint64_t>, LdCacheEntry> cache_entries_;
  mutable std::unordered_map<std::string, std::vector<NodeId>> exporters_;
};

// The last part of a path, and all before it.
std::string_view file_name(std::string_view path);
std::string folder_of(std::string_view path);
// python3.11, perl, node, ..: programs that run code which is no ELF file and no shell script.
bool is_language_runtime(std::string_view program);
// The C library itself, its loader included.
bool is_c_library(const ElfFacts& facts);

}  // namespace imgslim
