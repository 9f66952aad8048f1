// SPDX-License-Identifier: Apache-2.0
#include "src/facts/exec_scan.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "layers/bytes.h"
#include "src/facts/code_texts.h"

namespace imgslim {

namespace {

using Rest = CodeText::Rest;

// How the text names the program.
enum class Naming : std::uint8_t {
  kName,
  kShellText,  // given to /bin/sh -c
  kWords,      // taken apart like a shell's, without one
};

struct Starter {
  std::string_view name;
  std::size_t argument;  // word of the name
  Naming naming = Naming::kName;
  int pointed = -1;  // the name is this word of a table or structure that the argument points to
};

// A file that is open: behind every argument that is followed.
constexpr std::size_t kNotFollowed = 64;

// exec(3), posix_spawn(3), system(3), popen(3), and what libraries offer instead of them.
constexpr Starter kImports[] = {
    {"execve", 0},
    {"execv", 0},
    {"execvp", 0},
    {"execvpe", 0},
    {"execl", 0},
    {"execlp", 0},
    {"execle", 0},
    {"execveat", 1},
    {"fexecve", kNotFollowed},
    {"posix_spawn", 1},
    {"posix_spawnp", 1},
    {"system", 0, Naming::kShellText},
    {"popen", 0, Naming::kShellText},
    {"wordexp", 0, Naming::kShellText},
    {"_IO_popen", 0, Naming::kShellText},
    // glib/gspawn.c: g_shell_parse_argv and execvp.
    {"g_spawn_command_line_sync", 0, Naming::kWords},
    {"g_spawn_command_line_async", 0, Naming::kWords},
    {"g_spawn_sync", 1, Naming::kName, 0},
    {"g_spawn_async", 1, Naming::kName, 0},
    {"g_spawn_async_with_fds", 1, Naming::kName, 0},
    {"g_spawn_async_with_pipes", 1, Naming::kName, 0},
    {"g_spawn_async_with_pipes_and_fds", 1, Naming::kName, 0},
    {"g_subprocess_new", 2},
    {"g_subprocess_newv", 0, Naming::kName, 0},
    {"g_subprocess_launcher_spawn", 2},
    {"g_subprocess_launcher_spawnv", 1, Naming::kName, 0},
    {"apr_proc_create", 1},
    {"uv_spawn", 2, Naming::kName, 1},  // libuv include/uv.h uv_process_options_t: file
};

constexpr std::array<Starter, 9> kGoFunctions = {{
    {"os/exec.Command", 0},
    {"os/exec.CommandContext", 2},
    {"os/exec.LookPath", 0},
    {"os/exec.lookPath", 0},
    {"os.StartProcess", 0},
    {"syscall.Exec", 0},
    {"syscall.ForkExec", 0},
    {"syscall.StartProcess", 0},
    {"syscall.forkExec", 0},
}};

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Packages that are the machinery itself: what they pass on came from their callers.
bool is_machinery(std::string_view package) {
  return package == "os/exec" || package == "os" || package == "syscall" ||
         package == "internal/syscall/execenv" || package == "golang.org/x/sys/unix" ||
         package == "golang.org/x/sys/execabs" || package == "internal/godebug";
}

bool is_itself(std::string_view name) {
  return name == "/proc/self/exe" || name == "/proc/thread-self/exe";
}

// First word of a command line for a shell, if it is a plain word.
std::string first_word(std::string_view line) {
  const std::size_t start = line.find_first_not_of(" \t\n");
  if (start == std::string_view::npos) return {};
  line.remove_prefix(start);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\n;|&<>()"));
  const bool plain = word.find_first_of("$`'\"\\*?=~{}#%") == std::string_view::npos;
  return plain ? std::string(word) : std::string();
}

class ExecScan {
 public:
  ExecScan(const ElfImage& image, const GoFacts* go, std::string_view object)
      : image_(image), go_(go), sites_(image, go), texts_(sites_) {
    row_ = exec_row_of(image.facts().soname ? std::string_view(*image.facts().soname) : object);
  }

  std::vector<ExecFinding> run() {
    for (const Starter& starter : kImports)
      add_target(sites_.imported(starter.name), starter, false);
    for (const Starter& starter : kGoFunctions)
      add_target(sites_.go_function(starter.name), starter, true);
    if (targets_.empty()) return {};
    if (!sites_.is_supported()) {
      ExecFinding finding;
      finding.callee = targets_.front().name;
      finding.reason = "code of this machine is not read";
      findings_.push_back(std::move(finding));
      return std::move(findings_);
    }
    add_command_literals();
    const std::vector<CallSite> sites = without_machinery(sites_.find(targets_));
    std::vector<TextArgument> arguments;
    for (const CallSite& site : sites)
      arguments.push_back(arguments_[site.target]);
    const auto texts = texts_.read(sites, arguments);
    for (std::size_t i = 0; i < sites.size(); ++i)
      add_site(sites[i], texts[i]);
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const ExecFinding& a, const ExecFinding& b) { return a.site < b.site; });
    return std::move(findings_);
  }

 private:
  void add_target(std::optional<CallTarget> target, const Starter& starter, bool go) {
    if (!target) return;
    targets_.push_back(std::move(*target));
    starters_.push_back(&starter);
    arguments_.push_back(
        {go ? TextArgument::Kind::kGo : TextArgument::Kind::kC, starter.argument, starter.pointed});
  }

  std::string package_at(std::uint64_t address) const {
    return sites_.is_go_code(address) ? go_package_of(sites_.function_name(address)) : std::string();
  }

  std::vector<CallSite> without_machinery(std::vector<CallSite> sites) const {
    std::erase_if(sites, [&](const CallSite& site) {
      // A pointer to the function in data says nothing unless code uses it; Go's own tables hold many.
      if (site.function == 0) return sites_.go() != nullptr;
      return is_machinery(package_at(site.function)) || is_runtime_thunk(site);
    });
    return sites;
  }

  bool is_runtime_thunk(const CallSite& site) const {
    return starts_with(sites_.function_name(site.function), "syscall.runtime_");
  }

  bool is_main_module(std::string_view package) const {
    if (package == "main") return true;
    if (go_ == nullptr || !go_->build || package.empty()) return false;
    if (package == go_->build->main_path) return true;
    if (!go_->build->main_module) return false;
    const std::string& module = go_->build->main_module->path;
    return !module.empty() && starts_with(package, module) &&
           (package.size() == module.size() || package[module.size()] == '/');
  }

  // exec.Cmd{Path: ..}: memory for the type, allocated outside os/exec, whose first field is set.
  void add_command_literals() {
    const auto command = sites_.go_function("os/exec.Command");
    const auto allocate = sites_.go_function("runtime.newobject");
    if (!command || !allocate) return;
    const auto type = command_type(command->addresses.front(), allocate->addresses.front());
    if (!type) return;
    CallTarget target{"exec.Cmd", {}, {*type}};
    for (const CallSite& site : sites_.find({target})) {
      const std::string package = package_at(site.function);
      if (site.function == 0 || is_machinery(package) || site.flow == nullptr) continue;
      add_literals_of(site, *type, allocate->addresses.front(), package);
    }
  }

  // The type that os/exec.Command itself allocates and that is large enough to be exec.Cmd.
  std::optional<std::uint64_t> command_type(std::uint64_t command, std::uint64_t allocate) const {
    constexpr std::uint64_t kSmallestCommand = 128;
    const auto flow = sites_.follow_all(command);
    if (flow == nullptr) return std::nullopt;
    for (const CodeCall& call : flow->calls) {
      const bool allocates = call.targets.size() == 1 && call.targets.front() == allocate;
      if (!allocates || call.arguments.empty() || !call.arguments.front().is_constant()) continue;
      const auto address = static_cast<std::uint64_t>(call.arguments.front().any.front().value);
      const auto size = image_.pointer_at(address);
      if (size && *size >= kSmallestCommand && *size < 4096) return address;
    }
    return std::nullopt;
  }

  void add_literals_of(const CallSite& site, std::uint64_t type, std::uint64_t allocate,
                       const std::string& package) {
    for (const CodeCall& call : site.flow->calls) {
      const bool allocates = call.targets.size() == 1 && call.targets.front() == allocate;
      if (!allocates || call.arguments.empty() || !call.arguments.front().is_constant() ||
          static_cast<std::uint64_t>(call.arguments.front().any.front().value) != type) {
        continue;
      }
      CodeCall fields;
      fields.address = call.address;
      fields.arguments.resize(2);
      for (const CodeStore& store : site.flow->stores) {
        if (store.place.site != call.address || store.place.kind == CodeValue::Kind::kConstant) continue;
        const std::int64_t offset = store.place.kind == CodeValue::Kind::kResult ? 0 : store.place.value;
        if (offset == 0) fields.arguments[0].add(store.stored);
        if (offset == 8) fields.arguments[1].add(store.stored);
      }
      literals_.push_back(std::make_unique<CodeCall>(std::move(fields)));
      CallSite literal = site;
      literal.address = call.address;
      literal.call = literals_.back().get();
      const auto texts = texts_.read({literal}, {{TextArgument::Kind::kGo, 0}});
      add_finding(literal, "exec.Cmd", package, Naming::kName, texts.front());
    }
  }

  void add_site(const CallSite& site, const std::vector<CodeText>& texts) {
    const Starter& starter = *starters_[site.target];
    add_finding(site, starter.name, package_at(site.function), starter.naming, texts);
  }

  void add_finding(const CallSite& site, std::string_view callee, const std::string& package, Naming naming,
                   const std::vector<CodeText>& texts) {
    ExecFinding finding;
    finding.site = site.address;
    finding.callee = std::string(callee);
    if (site.function != 0) finding.function = std::string(sites_.function_name(site.function));
    finding.package = package;
    finding.main_module = is_main_module(package);
    bool assembled = false;
    const CodeText* open = nullptr;
    bool open_in_main = finding.main_module;
    for (const CodeText& text : texts) {
      if (text.rest == Rest::kItself || (text.rest == Rest::kNothing && is_itself(text.prefix))) {
        finding.itself = true;
      } else if (text.rest != Rest::kNothing) {
        if (open == nullptr) open = &text;
        // A name that the main module hands to a dependency is its own.
        open_in_main = open_in_main || is_main_module(package_at(text.function));
      } else if (naming != Naming::kName) {
        const std::string word = first_word(text.prefix);
        if (!word.empty()) finding.names.push_back(word);
        if (word.empty() && naming == Naming::kWords && open == nullptr) open = &text;
        assembled = true;
      } else if (!text.prefix.empty()) {
        finding.names.push_back(text.prefix);
        assembled = assembled || text.assembled;
      }
    }
    if (naming == Naming::kShellText) finding.names.insert(finding.names.begin(), "/bin/sh");
    classify(finding, open, open_in_main, assembled);
    findings_.push_back(std::move(finding));
  }

  void classify(ExecFinding& finding, const CodeText* open, bool open_in_main, bool assembled) const {
    const bool only_itself = finding.itself && finding.names.empty() && open == nullptr;
    if (only_itself) {
      finding.evidence = Evidence::kExact;
      finding.reason = "itself";
      return;
    }
    if (!finding.package.empty() && !finding.main_module) {
      const KnowledgeRow* row = open != nullptr || finding.names.empty()
                                    ? exec_row_of_go_package(finding.package, "")
                                    : exec_row_of_go_package(finding.package, finding.names.front());
      if (row != nullptr && !(open != nullptr && open_in_main)) {
        finding.row = row;
        finding.evidence = Evidence::kKnown;
        finding.missing_handled = row->missing_handled;
        finding.reason = std::string(row->trigger);
        return;
      }
    } else if (finding.package.empty() && row_ != nullptr && open != nullptr) {
      finding.row = row_;
      finding.evidence = Evidence::kKnown;
      finding.missing_handled = row_->missing_handled;
      finding.reason = std::string(row_->trigger);
      return;
    }
    if (open == nullptr) {
      finding.evidence = assembled ? Evidence::kCandidate : Evidence::kExact;
      finding.reason = assembled ? "words of a command line, a table or a variable" : "constant at the call";
      return;
    }
    const bool is_dependency = !finding.package.empty() && !open_in_main;
    finding.evidence = is_dependency ? Evidence::kBounded : Evidence::kUnknown;
    switch (open->rest) {
      case Rest::kEnvironment:
        finding.reason =
            open->detail.empty() ? "from the environment" : "from the environment variable " + open->detail;
        break;
      case Rest::kArgument:
        finding.reason = "from the command line";
        break;
      default:
        finding.reason = open->detail.empty() ? "not a constant" : open->detail;
    }
    if (!open->prefix.empty() || !open->suffix.empty()) {
      finding.reason += ", as " + open->prefix + "*" + open->suffix;
    }
  }

  const ElfImage& image_;
  const GoFacts* go_;
  CallSites sites_;
  CodeTexts texts_;
  const KnowledgeRow* row_ = nullptr;
  std::vector<CallTarget> targets_;
  std::vector<const Starter*> starters_;
  std::vector<TextArgument> arguments_;
  std::vector<std::unique_ptr<CodeCall>> literals_;
  std::vector<ExecFinding> findings_;
};

}  // namespace

std::vector<ExecFinding> find_execs(const ElfImage& image, const GoFacts* go, std::string_view object) {
  return ExecScan(image, go, object).run();
}

}  // namespace imgslim
