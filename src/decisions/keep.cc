// SPDX-License-Identifier: Apache-2.0
// The work list: names to files, links on the way, scripts, directories at the end.
#include "src/decisions/keep.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <mutex>

#include "layers/error.h"
#include "src/decisions/keep_search.h"
#include "src/facts/search_cost.h"
#include "src/facts/wrappers.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kRecentBytes = std::uint64_t{32} << 20;

// A search reads a library, its scan reads it again soon after: the bytes stay for a while.
class RecentFiles : public FileSystem {
 public:
  explicit RecentFiles(const FileSystem& files) : files_(files) {}
  std::optional<FileStatus> status(std::string_view path) const override { return files_.status(path); }
  std::optional<std::string> read_link(std::string_view path) const override {
    return files_.read_link(path);
  }
  std::vector<std::string> list(std::string_view path) const override { return files_.list(path); }
  std::string head(std::string_view path) const override { return files_.head(path); }
  std::optional<std::string> recall(std::string_view path, std::string_view fact) const override {
    return files_.recall(path, fact);
  }
  void remember(std::string_view path, std::string_view fact, std::string_view data) const override {
    files_.remember(path, fact, data);
  }
  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override {
    std::shared_ptr<const FileBytes> content = files_.read(path, limit);
    if (!content || content->bytes().size() > kRecentBytes) return content;
    const std::lock_guard lock(mutex_);
    recent_.push_back(content);
    bytes_ += content->bytes().size();
    while (bytes_ > kRecentBytes) {
      bytes_ -= recent_.front()->bytes().size();
      recent_.pop_front();
    }
    return content;
  }

 private:
  const FileSystem& files_;
  mutable std::mutex mutex_;
  mutable std::deque<std::shared_ptr<const FileBytes>> recent_;
  mutable std::uint64_t bytes_ = 0;
};

}  // namespace

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

bool is_language_runtime(std::string_view program) {
  std::string_view name = file_name(program);
  name = name.substr(0, name.find_last_not_of("0123456789.-") + 1);
  static constexpr std::string_view kNames[] = {
      "python",   "pypy", "perl",   "ruby",  "node",   "nodejs",  "bun",      "deno",   "php",   "php-fpm",
      "java",     "lua",  "luajit", "tclsh", "wish",   "Rscript", "R",        "dotnet", "guile", "erl",
      "beam.smp", "mono", "groovy", "scala", "racket", "octave",  "gawk-ext", "julia"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

KeepSearch::KeepSearch(const KeepInput& input)
    : input_(input),
      recent_(std::make_unique<RecentFiles>(input.files)),
      objects_(*recent_),
      tracer_(*recent_, input.config.env, input.config.working_dir) {
  application_.assign(tree().node_limit(), false);
  data_done_.assign(data_rows().size(), false);
  leftover_.assign(tree().node_limit(), false);
  generated_.assign(tree().node_limit(), false);
}

void KeepSearch::put(NodeId node, Witness witness) {
  if (node == kNone || result_.kept.contains(node)) return;
  queue_[static_cast<std::size_t>(witness.evidence)].push_back({node, std::move(witness)});
}

std::optional<std::string> KeepSearch::reach(std::string_view path, const Witness& witness, Whole whole) {
  std::vector<std::string> links;
  const auto resolved = resolve_path(input_.files, path, true, &links);
  if (!resolved) return std::nullopt;
  const NodeId node = node_of(*resolved);
  if (node == kNone) return std::nullopt;
  for (const std::string& link : links) {
    put(node_of(link), {"link", witness.because, "on the way to " + printable(*resolved), witness.evidence});
  }
  put(node, witness);
  if (whole != Whole::kNo && tree().type(node) == EntryType::kDirectory &&
      !(whole == Whole::kUnlessShared && is_shared_directory(node))) {
    put_tree(node, witness);
  }
  return resolved;
}

// All below a directory but what a leftover rule claims.
void KeepSearch::put_tree(NodeId directory, const Witness& witness) {
  std::vector<NodeId> todo{directory};
  while (!todo.empty()) {
    const NodeId at = todo.back();
    todo.pop_back();
    for (const NodeId child : tree().children(at)) {
      if (tree().type(child) == EntryType::kDirectory) todo.push_back(child);
      if (tree().node(child).name.ends_with(".sample")) continue;  // git runs none of that name
      if (!leftover_[child]) put(child, witness);
    }
  }
}

void KeepSearch::drain() {
  for (std::size_t level = 0; level < queue_.size();) {
    if (queue_[level].empty()) {
      ++level;
      continue;
    }
    scan_queue_ahead(queue_[level]);
    const Item item = std::move(queue_[level].front());
    queue_[level].pop_front();
    take(item);
    level = 0;
  }
}

bool KeepSearch::is_dropped(NodeId node) const {
  if (input_.drop.empty()) return false;
  const std::string path = tree().path(node);
  const auto covers = [&](const Glob& glob) { return glob.covers(path); };
  return std::any_of(input_.drop.begin(), input_.drop.end(), covers) &&
         std::none_of(input_.keep.begin(), input_.keep.end(), covers);
}

void KeepSearch::take(const Item& item) {
  if (result_.kept.contains(item.node)) return;
  if (tree().type(item.node) != EntryType::kDirectory && is_dropped(item.node)) {
    if (item.witness.rule != "application") {
      notice(fmt::format("--drop takes {}, which {} needs ({})", printable(path_of(item.node)),
                         printable(item.witness.because), item.witness.rule));
    }
    return;
  }
  result_.kept.emplace(item.node, item.witness);
  result_.weakest = std::max(result_.weakest, item.witness.evidence);
  keep_ancestors(item.node);
  switch (tree().type(item.node)) {
    case EntryType::kSymlink: {
      const std::string path = path_of(item.node);
      reach(path, {"link", path, "its target", item.witness.evidence});
      break;
    }
    case EntryType::kRegular:
    case EntryType::kHardLink:
      expand_file(item.node, item.witness);
      break;
    default:
      break;
  }
}

void KeepSearch::keep_ancestors(NodeId node) {
  std::string path;
  while (node != Tree::kRoot) {
    const NodeId parent = tree().node(node).parent;
    if (result_.kept.contains(parent)) return;
    if (path.empty()) path = path_of(node);
    result_.kept.emplace(parent, Witness{"directory", path, "above a kept path", Evidence::kExact});
    node = parent;
  }
}

void KeepSearch::expand_file(NodeId node, const Witness& witness) {
  const std::string path = path_of(node);
  package_is_kept(path, witness.evidence);
  const Entry* entry = tree().attributes(node);
  const std::string head = input_.files.head(path);
  const bool is_elf_file = head.starts_with("\177ELF");
  const bool is_script = head.starts_with("#!") && entry != nullptr && (entry->mode & 0111) != 0;
  if (is_elf_file || is_script) {
    if (const auto owner = input_.packages.owner(path)) keep_conffiles(*owner, path, witness.evidence);
    fire({DataTrigger::Kind::kProgram, file_name(path)}, path, witness.evidence);
  }
  if (is_elf_file) {
    expand_elf(path, witness);
  } else if (head.starts_with("#!")) {
    expand_script(path, witness);
  } else if (application_[node]) {
    read_configuration(node, path, witness);
  }
  // Scripts of a language come once it is there.
  const auto waiting = waiting_for_interpreter_.find(path);
  if (waiting != waiting_for_interpreter_.end()) {
    for (Item& item : waiting->second)
      put(item.node, std::move(item.witness));
    waiting_for_interpreter_.erase(waiting);
  }
  if ((is_elf_file || is_script) && is_language_runtime(path)) {
    stop(fmt::format("{} runs programs whose imports are not followed", printable(path)));
  }
}

// A tracer follows a script down to all that it sources and starts.
void KeepSearch::expand_script(const std::string& path, const Witness& witness) {
  if (!scripts_.insert(path).second) return;
  CommandTracer tracer(*recent_, input_.config.env, input_.config.working_dir);
  Command nothing;
  nothing.origin = path;
  nothing.assumed = true;
  const std::uint32_t root = tracer.trace(nothing);
  tracer.trace_file(path, witness.evidence, root);
  Roots reached = tracer.result();
  // What a row or a package's configuration brings along is there to be run by its owner, whose row names the
  // programs; only its interpreter is sure.
  if (witness.rule.starts_with("data:") || witness.rule == "conffile" || witness.rule == "--keep-package") {
    reached.findings.clear();
    const std::string content = [&] {
      const auto bytes = recent_->read(path, 4 << 20);
      return std::string(bytes ? bytes->bytes().substr(0, 256) : std::string_view());
    }();
    const std::string line = content.substr(0, content.find('\n'));
    std::erase_if(reached.files, [&](const ReachedFile& file) {
      if (file.why.find("the #! line of " + printable(path)) != std::string::npos) return false;
      return file.kind != ReachedFile::Kind::kLink || line.find(file_name(file.path)) == std::string::npos;
    });
  }
  add_reached(reached, path, witness.evidence, false);
}

void KeepSearch::add_reached(const Roots& roots, const std::string& because, Evidence evidence,
                             bool are_commands) {
  using Kind = ReachedFile::Kind;
  for (const ReachedFile& file : roots.files) {
    Witness witness;
    witness.because = are_commands ? roots.roots[file.root].command.origin : because;
    witness.detail = file.why;
    witness.evidence = std::max(evidence, file.evidence);
    Whole whole = Whole::kNo;
    switch (file.kind) {
      case Kind::kProgram:
        witness.rule = are_commands ? "command" : "exec";
        break;
      case Kind::kLink:
        witness.rule = "link";
        break;
      case Kind::kScript:
      case Kind::kSourced:
        witness.rule = "script";
        break;
      case Kind::kInterpreter:
        witness.rule = "interpreter";
        break;
      case Kind::kArgument:
        witness.rule = "argument";
        whole = Whole::kUnlessShared;
        break;
    }
    if (input_.files.head(file.path).starts_with("#!")) scripts_.insert(file.path);
    if (file.kind == Kind::kLink) {
      put(node_of(file.path), witness);
    } else {
      reach(file.path, witness, whole);
    }
  }
  for (const RootFinding& finding : roots.findings)
    notice(finding.text);
}

void KeepSearch::reach_glob(std::string_view glob, const std::string& library_folder,
                            const Witness& witness) {
  std::string pattern(glob);
  if (const std::size_t at = pattern.find("{LIB}"); at != std::string::npos)
    pattern.replace(at, 5, library_folder);
  // Component by component, links to directories followed; what is behind '**' is taken whole.
  std::vector<std::string> paths{"/"};
  std::string_view rest = pattern;
  while (!rest.empty()) {
    if (rest.front() == '/') {
      rest.remove_prefix(1);
      continue;
    }
    const std::string part(rest.substr(0, rest.find('/')));
    rest.remove_prefix(part.size());
    if (part == "**") break;
    const bool is_pattern = part.find_first_of("*?[") != std::string::npos;
    std::vector<std::string> next;
    for (const std::string& folder : paths) {
      if (!is_pattern) {
        next.push_back(join_path(folder, part));
        continue;
      }
      const auto resolved = resolve_path(input_.files, folder);
      if (!resolved) continue;
      for (const std::string& name : input_.files.list(*resolved)) {
        if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) next.push_back(join_path(*resolved, name));
      }
    }
    paths = std::move(next);
  }
  for (const std::string& path : paths) {
    const auto resolved = resolve_path(input_.files, path);
    if (!resolved || *resolved == "/") continue;
    const std::string head = input_.files.head(*resolved);
    if (head.starts_with("#!")) {
      const auto script = recent_->read(*resolved, 1 << 20);
      std::string_view line = script ? script->bytes().substr(2, 254) : std::string_view();
      line = line.substr(0, line.find('\n'));
      std::string interpreter;
      for (std::size_t at = 0; at < line.size();) {
        const std::size_t start = line.find_first_not_of(" \t\r", at);
        if (start == std::string_view::npos) break;
        const std::size_t end = std::min(line.find_first_of(" \t\r", start), line.size());
        const std::string word(line.substr(start, end - start));
        at = end;
        if (is_language_runtime(word)) interpreter = word;
      }
      if (!interpreter.empty()) {
        const auto program = tracer_.look_up(interpreter);
        const auto target = program ? resolve_path(input_.files, *program) : std::nullopt;
        if (!target || !result_.kept.contains(node_of(*target))) {
          if (target) waiting_for_interpreter_[*target].push_back({node_of(*resolved), witness});
          continue;
        }
      }
    }
    reach(path, witness, Whole::kYes);
  }
}

void KeepSearch::stop(const std::string& line) {
  result_.weakest = Evidence::kUnknown;
  if (said_.insert("stop " + line).second) result_.stoppers.push_back(line);
}

void KeepSearch::notice(const std::string& line) {
  if (said_.insert("note " + line).second) result_.notices.push_back(line);
}

void KeepSearch::keep_named_by_user() {
  if (!input_.keep.empty()) {
    tree().walk([&](NodeId node) {
      if (node == Tree::kRoot) return;
      const std::string path = tree().path(node);
      for (const Glob& glob : input_.keep) {
        if (glob.covers(path))
          return put(node, {"--keep", "--keep " + glob.text(), glob.text(), Evidence::kExact});
      }
    });
  }
  for (const std::string& name : input_.keep_packages) {
    bool found = false;
    const auto& packages = input_.packages.packages();
    for (PackageId id = 0; id < packages.size(); ++id) {
      if (packages[id].name != name) continue;
      found = true;
      for (const std::uint32_t index : input_.packages.paths_of(id)) {
        const std::string path(input_.packages.paths()[index].path);
        put(node_of(path), {"--keep-package", "--keep-package " + name, name, Evidence::kExact});
      }
    }
    if (!found) notice(fmt::format("--keep-package: no package {} in the image", printable(name)));
  }
}

void KeepSearch::package_is_kept(const std::string& path, Evidence evidence) {
  const auto owner = input_.packages.owner(path);
  if (!owner || is_documentation(path) || !kept_packages_.insert(*owner).second) return;
  const Package& package = input_.packages.packages()[*owner];
  const Witness witness{"data:copyright", path, "terms of the package " + printable(package.name), evidence};
  if (package.kind == PackageKind::kDpkg) {
    reach("/usr/share/doc/" + package.name + "/copyright", witness);
  } else {
    reach("/usr/share/licenses/" + package.name, witness, Whole::kYes);
  }
}

// Directories of kept packages, and those of nobody: programs write into them.
void KeepSearch::keep_directories() {
  // Below each directory: how many files stay, how many were claimed.
  std::vector<std::uint8_t> below(tree().node_limit(), 0);  // 1: something stays, 2: something was claimed
  std::vector<NodeId> order;
  order.reserve(tree().node_count());
  tree().walk([&](NodeId node) { order.push_back(node); });
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const NodeId node = *it;
    if (tree().type(node) != EntryType::kDirectory) {
      if (result_.kept.contains(node)) {
        below[node] = 1;
      } else if (leftover_[node] || generated_[node]) {
        below[node] = 2;
      }
    }
    if (node != Tree::kRoot) below[tree().node(node).parent] |= below[node];
  }
  for (const NodeId node : order) {
    if (tree().type(node) != EntryType::kDirectory || result_.kept.contains(node)) continue;
    const std::string path = path_of(node);
    const auto owners = input_.packages.owners(path);
    if (!owners.empty()) {
      const auto kept = std::find_if(owners.begin(), owners.end(), [&](const OwnedPath& owned) {
        return kept_packages_.contains(owned.package);
      });
      if (kept == owners.end()) continue;
      const std::string& name = input_.packages.packages()[kept->package].name;
      result_.kept.emplace(node, Witness{"directory", "package " + name, "a directory of a kept package"});
    } else {
      // Where all that was in it is a build's leftover it was made for that; but a spool or log folder stays.
      const Entry* entry = tree().attributes(node);
      const bool is_plain =
          entry == nullptr || (entry->uid == 0 && entry->gid == 0 && (entry->mode & 07022) == 0);
      if (below[node] == 2 && is_plain && !path.starts_with("/var/")) continue;
      result_.kept.emplace(node,
                           Witness{"directory", "no package owns it", "programs write into directories"});
    }
    keep_ancestors(node);
  }
}

KeepResult KeepSearch::finish() {
  for (auto& [key, entry] : cache_entries_)
    result_.cache_entries.push_back(std::move(entry));
  std::stable_sort(result_.loads.begin(), result_.loads.end(),
                   [](const LoadFinding& a, const LoadFinding& b) {
                     return std::tie(a.path, a.finding.site) < std::tie(b.path, b.finding.site);
                   });
  std::stable_sort(result_.starts.begin(), result_.starts.end(),
                   [](const StartFinding& a, const StartFinding& b) {
                     return std::tie(a.path, a.finding.site) < std::tie(b.path, b.finding.site);
                   });
  std::sort(result_.stoppers.begin(), result_.stoppers.end());
  std::sort(result_.notices.begin(), result_.notices.end());
  return std::move(result_);
}

KeepResult KeepSearch::run() {
  result_.kept.emplace(Tree::kRoot, Witness{"directory", "/", "the root", Evidence::kExact});
  find_application();
  const Roots roots = find_roots(input_.files, input_.config, input_.commands);
  add_reached(roots, "", Evidence::kExact, true);
  for (const RootFinding& finding : roots.findings) {
    if (finding.kind == RootFinding::Kind::kUnclear) stop(finding.text);
  }
  keep_root_packages(roots);
  keep_environment();
  keep_named_by_user();
  fire({DataTrigger::Kind::kAlways, {}}, "every image", Evidence::kExact);
  drain();
  keep_directories();
  drain();
  for (const auto& [interpreter, scripts] : waiting_for_interpreter_) {
    notice(fmt::format("{} helper scripts stay out, as nothing else needs {}", scripts.size(),
                       printable(interpreter)));
  }
  return finish();
}

KeepResult find_kept(const KeepInput& input) {
  return KeepSearch(input).run();
}

}  // namespace imgslim
