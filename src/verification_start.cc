// SPDX-License-Identifier: Apache-2.0
// From the commands to every file that they cannot start without.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "layers/error.h"
#include "src/facts/library_search.h"
#include "src/facts/object_cache.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxSearchedShown = 12;
constexpr std::uint64_t kMaxScriptBytes = 4u << 20;
constexpr int kMaxDepth = 256;  // of directories

using Chain = std::vector<std::string>;

Chain with(Chain chain, std::string step) {
  chain.push_back(std::move(step));
  return chain;
}

// Machines whose programs a kernel of an architecture starts; empty: not known here.
std::vector<std::uint16_t> machines_of(std::string_view architecture) {
  if (architecture == "amd64") return {EM_X86_64, EM_386};
  if (architecture == "386") return {EM_386};
  if (architecture == "arm64") return {EM_AARCH64, EM_ARM};
  if (architecture == "arm") return {EM_ARM};
  if (architecture == "riscv64") return {EM_RISCV};
  if (architecture == "ppc64le") return {EM_PPC64};
  if (architecture == "s390x") return {EM_S390};
  return {};
}

// "x86-64-v3" of "glibc-hwcaps/x86-64-v3/"
std::string cpu_text(const LibrarySearch& search) {
  std::string name = hwcaps_subdirectories(search.loader(), search.options().cpu).front();
  while (name.ends_with('/'))
    name.pop_back();
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

std::string_view request_text(RequestKind request) {
  switch (request) {
    case RequestKind::kNeeded:
      return "DT_NEEDED ";
    case RequestKind::kFilter:
      return "DT_FILTER ";
    case RequestKind::kAuxiliary:
      return "DT_AUXILIARY ";
    case RequestKind::kPreload:
      return "LD_PRELOAD ";
    case RequestKind::kPreloadFile:
      return "ld.so.preload ";
    case RequestKind::kDlopen:
      return "dlopen ";
    case RequestKind::kProgram:
    case RequestKind::kInterpreter:
      break;
  }
  return "interpreter ";
}

// Interpreter and argument of a #! line, as execve(2) reads it.
std::vector<std::string> shebang_of(const FileSystem& files, const std::string& path) {
  const auto content = files.read(path, kMaxScriptBytes);
  if (!content || !content->bytes().starts_with("#!")) return {};
  std::string_view line = content->bytes().substr(2, 254);  // BINPRM_BUF_SIZE
  line = line.substr(0, line.find_first_of(std::string_view("\n\0", 2)));
  std::vector<std::string> words;
  while (true) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) return words;
    const std::size_t end = std::min(line.find_first_of(" \t\r", start), line.size());
    words.emplace_back(line.substr(start, end - start));
    line.remove_prefix(end);
  }
}

class StartVerifier {
 public:
  StartVerifier(const VerificationInput& input, Verification& result, FindingList& findings)
      : input_(input),
        files_(input.files),
        result_(result),
        findings_(findings),
        cache_(input.files),
        tracer_(input.files, input.config.env, input.config.working_dir),
        machines_(machines_of(input.config.platform.architecture)),
        as_root_(runs_as_root(input.files, input.config)) {}

  void run() {
    roots_ = find_roots(files_, input_.config, input_.more_commands);
    commands();
    for (const ReachedFile& file : roots_.files) {
      const Chain chain = chain_to(file);
      reach(file.path, chain);
      if (file.kind == ReachedFile::Kind::kLink) continue;
      const Command& command = roots_.roots[file.root].command;
      check_file(file.path, chain, command, file.evidence);
    }
    if (input_.all) everything();
    result_.programs_checked = programs_.size();
    result_.libraries_checked = libraries_.size();
    result_.scripts_checked = scripts_.size();
  }

 private:
  static std::string name_of_command(const Root& root) {
    std::string name = root.command.origin;
    for (const std::string& word : root.command.argv)
      name.append(" ").append(word);
    return name;
  }

  // What was found of the commands themselves.
  void commands() {
    for (const Root& root : roots_.roots) {
      if (!root.command.assumed) ++result_.commands;
      result_.programs.emplace(name_of_command(root), root.program);
    }
    if (result_.commands == 0) {
      findings_.note("command", "", "", {}, "the image has neither ENTRYPOINT nor CMD: nothing to start");
    }
    for (const RootFinding& finding : roots_.findings) {
      const Root& root = roots_.roots[finding.root];
      const Chain start{printable(root.command.origin)};
      if (finding.kind == RootFinding::Kind::kUnclear) {
        findings_.note("command", "", finding.text, start, finding.text);
        continue;
      }
      const Step* step = step_of(root, finding);
      Chain chain = start;
      std::string subject;
      std::string name = finding.text;
      std::string why;
      if (step != nullptr) {
        chain = steps_before(root, step);
        if (chain.size() > 1) subject = chain.back();
        name = step->argv[0];
        why = why_not_started(root.command, step->argv[0]);
      }
      const std::string problem = why.empty() ? finding.text : fmt::format("{}: {}", finding.text, why);
      // A word of a script that is not the command itself may stand in a branch that is never taken.
      const bool own = step == nullptr || step->kind != Step::Kind::kShellText ||
                       step->evidence <= Evidence::kKnown || root.program.empty() ||
                       finding.text.find(printable(root.program) + ",") != std::string::npos;
      findings_.add(own ? Finding::Severity::kFailure : Finding::Severity::kNote, "command",
                    std::move(subject), std::move(name), std::move(chain), problem);
    }
  }

  // The step that a "not found" is about.
  static const Step* step_of(const Root& root, const RootFinding& finding) {
    if (finding.kind != RootFinding::Kind::kNotFound) return nullptr;
    for (const Step& step : root.steps) {
      if (step.path.empty() && !step.argv.empty() &&
          finding.text.find("\"" + printable(step.argv[0]) + "\"") != std::string::npos)
        return &step;
    }
    return nullptr;
  }

  // The command, and the files passed before a step.
  static Chain steps_before(const Root& root, const Step* until) {
    Chain chain{printable(root.command.origin)};
    for (const Step& step : root.steps) {
      if (&step == until) break;
      if (step.kind == Step::Kind::kShellText || step.path.empty()) continue;
      if (chain.back() != printable(step.path)) chain.push_back(printable(step.path));
    }
    return chain;
  }

  Chain chain_to(const ReachedFile& file) const {
    const Root& root = roots_.roots[file.root];
    for (const Step& step : root.steps) {
      if (step.path == file.path) return with(steps_before(root, &step), printable(file.path));
    }
    return {printable(root.command.origin), fmt::format("{} ({})", printable(file.path), file.why)};
  }

  std::string why_not_started(const Command& command, const std::string& word) const {
    if (word.find('/') == std::string::npos) {
      std::string path = variable(command.env, "PATH");
      if (path.empty()) path = variable(input_.config.env, "PATH");
      return path.empty() ? "not in the folders of the default PATH"
                          : fmt::format("not in the folders of PATH, {}", printable(path));
    }
    return why_not_executable(join_path(working_directory(command), word));
  }

  // "" if a process can execute it.
  std::string why_not_executable(const std::string& path) const {
    const auto resolved = resolve_path(files_, path);
    if (!resolved) return why_unresolved(files_, path);
    const auto status = files_.status(*resolved);
    if (!status || status->kind != FileKind::kRegular) return "no regular file";
    if ((status->mode & 0111) == 0) return fmt::format("not executable, mode {:04o}", status->mode);
    return "";
  }

  std::string working_directory(const Command& command) const {
    const std::string own = join_path("/", input_.config.working_dir);
    return command.working_dir.empty() ? own : join_path(own, command.working_dir);
  }

  void reach(const std::string& path, const Chain& chain) {
    const auto status = files_.status(path);
    if (!status) return;
    result_.reached.try_emplace(path, VerifiedPath{chain, *status, files_.read_link(path).value_or("")});
  }

  // A file that something starts, by its first bytes.
  void check_file(const std::string& path, const Chain& chain, const Command& command, Evidence evidence) {
    const std::string head = files_.head(path);
    if (head.starts_with("\177ELF")) {
      check_program(path, chain, command, evidence);
    } else if (head.starts_with("#!")) {
      scripts_.insert(path);
    }
  }

  void check_program(const std::string& path, const Chain& chain, const Command& command, Evidence evidence) {
    if (!programs_.insert(path).second) return;
    const auto file = cache_.object(path);
    if (file == nullptr || !file->facts) {
      findings_.failure("program", path, "", chain, "damaged: it starts like an ELF file and has no header");
      return;
    }
    const ElfFacts& facts = *file->facts;
    if (!machines_.empty() &&
        std::find(machines_.begin(), machines_.end(), facts.machine) == machines_.end()) {
      findings_.add(evidence <= Evidence::kKnown ? Finding::Severity::kFailure : Finding::Severity::kNote,
                    "program", path, "", chain,
                    fmt::format("made for another machine (ELF machine {}) than {}", facts.machine,
                                printable(input_.config.platform.architecture)));
      return;
    }
    for (const std::string& problem : facts.problems)
      findings_.note("program", path, problem, chain, problem);
    if (facts.interpreter) check_interpreter(path, *facts.interpreter, chain, command);

    SearchOptions options;
    options.library_path = environment(command, "LD_LIBRARY_PATH");
    options.preload = environment(command, "LD_PRELOAD");
    options.working_directory = working_directory(command);
    const auto status = files_.status(path);
    options.secure = status && (status->mode & 06000) != 0 && !as_root_;
    const LibraryClosure closure = search_libraries(cache_, path, options);
    check_search(path, closure.base, nullptr, chain);
    for (const LibrarySearch& variant : closure.variants)
      check_search(path, variant, &closure.base, chain);
    check_notes(path, closure.base, chain);
  }

  // The kernel opens it for execution.
  void check_interpreter(const std::string& path, const std::string& interpreter, const Chain& chain,
                         const Command& command) {
    const std::string full = join_path(working_directory(command), interpreter);
    const std::string why = why_not_executable(full);
    if (why.empty()) return;
    findings_.failure("interpreter", path, interpreter, with(chain, "interpreter " + printable(interpreter)),
                      why);
  }

  std::string environment(const Command& command, std::string_view name) const {
    const std::string own = variable(command.env, name);
    return own.empty() ? variable(input_.config.env, name) : own;
  }

  // The program, and the libraries from it to one of them.
  static Chain chain_in(const LibrarySearch& search, std::size_t index, const Chain& program) {
    Chain reversed;
    for (std::size_t at = index, hop = 0; at != 0 && hop < search.objects().size(); ++hop) {
      const SearchedObject& object = search.objects()[at];
      reversed.push_back(printable(object.resolved));
      if (!object.requester) break;
      at = *object.requester;
    }
    Chain chain = program;
    chain.insert(chain.end(), reversed.rbegin(), reversed.rend());
    return chain;
  }

  // `base` is the search on the plainest CPU, of which the findings are known already.
  void check_search(const std::string& program, const LibrarySearch& search, const LibrarySearch* base,
                    const Chain& chain) {
    const std::string cpu = base == nullptr ? "" : fmt::format(" (on CPUs with {})", cpu_text(search));
    for (std::size_t index = 1; index < search.objects().size(); ++index) {
      const SearchedObject& object = search.objects()[index];
      libraries_.insert(object.resolved);
      if (result_.reached.contains(object.resolved) &&
          std::all_of(object.links.begin(), object.links.end(),
                      [&](const std::string& link) { return result_.reached.contains(link); })) {
        continue;
      }
      const Chain place = chain_in(search, index, chain);
      for (const std::string& link : object.links)
        reach(link, place);
      reach(object.resolved, place);
    }
    for (const SearchEdge& edge : search.edges()) {
      if (edge.to) result_.edges.emplace(search.objects()[edge.from].resolved, search.objects()[*edge.to].resolved);
    }
    if (base == nullptr) {
      for (const SearchEdge& edge : search.edges()) {
        if (!edge.to) continue;
        result_.libraries.emplace(
            std::array<std::string, 3>{program, search.objects()[edge.from].resolved, edge.name},
            search.objects()[*edge.to].resolved);
      }
    }
    bool explained = false;
    for (const MissingLibrary& library : search.missing()) {
      if (library.request == RequestKind::kInterpreter) {
        explained = true;
        // check_interpreter() says the most; what is left is a file that is no ELF file.
        const std::string full = join_path(search.options().working_directory, library.name);
        if (base == nullptr && why_not_executable(full).empty()) {
          findings_.failure("interpreter", program, library.name,
                            with(chain, "interpreter " + printable(library.name)), "not an ELF file");
        }
        continue;
      }
      const std::string requester =
          library.requester ? search.objects()[*library.requester].resolved : program;
      if (!said_.insert({program, requester, library.name}).second) {
        explained = true;
        continue;
      }
      Chain place = library.requester ? chain_in(search, *library.requester, chain) : chain;
      place.push_back(std::string(request_text(library.request)) + printable(library.name));
      explained = explained || !library.optional;
      findings_.add(library.optional ? Finding::Severity::kNote : Finding::Severity::kFailure, "library",
                    requester, library.name, std::move(place), missing_text(library) + cpu);
    }
    for (const MissingVersion& version : search.missing_versions()) {
      const std::string& requester = search.objects()[version.requester].resolved;
      const std::string& provider = search.objects()[version.provider].resolved;
      if (!said_.insert({program, requester, version.version + "\n" + provider}).second) continue;
      Chain place = chain_in(search, version.requester, chain);
      place.push_back("version " + printable(version.version));
      findings_.failure("version", requester, version.version, std::move(place),
                        fmt::format("{} does not provide it{}", printable(provider), cpu));
    }
    if (search.fatal().empty() || explained) return;
    if (!said_.insert({program, program, search.fatal()}).second) return;
    const bool loader_known = search.objects().size() < 2 || search.loader().kind != LoaderKind::kUnknown;
    findings_.add(loader_known ? Finding::Severity::kFailure : Finding::Severity::kNote, "loader", program,
                  search.fatal(), chain, printable(search.fatal(), 400) + cpu);
  }

  // Libraries that an object says it cannot do without (ELF dlopen notes).
  void check_notes(const std::string& program, const LibrarySearch& base, const Chain& chain) {
    for (std::size_t index = 0; index < base.objects().size(); ++index) {
      for (const DlopenNote& note : base.objects()[index].file->facts->dlopen_notes) {
        if (note.priority != "required" || note.sonames.empty()) continue;
        LibrarySearch process = base;
        const bool found = std::any_of(
            note.sonames.begin(), note.sonames.end(),
            [&](const std::string& name) { return process.open(index, name).object.has_value(); });
        if (found || !said_.insert({program, base.objects()[index].resolved, note.sonames.front()}).second)
          continue;
        Chain place = chain_in(base, index, chain);
        place.push_back("dlopen " + printable(note.sonames.front()));
        findings_.failure("library", base.objects()[index].resolved, note.sonames.front(), std::move(place),
                          "not found, and its ELF note says \"required\"");
      }
    }
  }

  std::string missing_text(const MissingLibrary& library) const {
    std::string text = printable(library.why, 400);
    if (!library.searched.empty()) {
      text += "; searched ";
      for (std::size_t i = 0; i < library.searched.size() && i < kMaxSearchedShown; ++i)
        text += (i == 0 ? "" : ", ") + printable(library.searched[i]);
      if (library.searched.size() > kMaxSearchedShown)
        text += fmt::format(" and {} more", library.searched.size() - kMaxSearchedShown);
    }
    if (library.name.find('/') != std::string::npos) {
      const std::string why = why_unresolved(files_, join_path("/", library.name));
      return why.empty() || why == "not found" ? text : text + "; " + why;
    }
    for (const std::string& folder : library.searched) {
      const std::string path = join_path(join_path("/", folder), library.name);
      const auto place = resolve_path(files_, path, false);
      const auto status = place ? files_.status(*place) : std::nullopt;
      if (status && status->kind == FileKind::kSymlink) {
        const std::string why = why_unresolved(files_, path);
        if (!why.empty()) return text + "; " + why;
      }
    }
    return text;
  }

  // Whatever the image has, reached or not.
  void everything() {
    const Command none;
    std::vector<std::pair<std::string, int>> waiting{{"/", 0}};
    while (!waiting.empty()) {
      const auto [directory, depth] = std::move(waiting.back());
      waiting.pop_back();
      for (const std::string& name : files_.list(directory)) {
        const std::string path = join_path(directory, name);
        const auto status = files_.status(path);
        if (!status) continue;
        if (status->kind == FileKind::kDirectory) {
          if (depth < kMaxDepth) waiting.emplace_back(path, depth + 1);
        } else if (status->kind == FileKind::kSymlink) {
          check_link(path);
        } else if (status->kind == FileKind::kRegular && (status->mode & 0111) != 0) {
          check_unreached(path, none);
        }
      }
    }
  }

  void check_link(const std::string& path) {
    const std::string target =
        join_path(path.substr(0, path.rfind('/') + 1), files_.read_link(path).value_or(""));
    // What the runtime mounts is not in the image.
    for (const std::string_view mounted : {"/proc/", "/dev/", "/sys/"}) {
      if (target.starts_with(mounted)) return;
    }
    const std::string why = why_unresolved(files_, path);
    if (!why.empty()) findings_.note("link", path, "", {printable(path)}, why);
  }

  void check_unreached(const std::string& path, const Command& none) {
    const std::string head = files_.head(path);
    if (head.starts_with("\177ELF")) {
      const auto file = cache_.object(path);
      if (file == nullptr || !file->facts) return;
      if (file->facts->type == ET_EXEC || file->facts->interpreter)
        check_program(path, {printable(path)}, none, Evidence::kCandidate);
    } else if (head.starts_with("#!") && scripts_.insert(path).second) {
      check_script(path);
    }
  }

  void check_script(const std::string& path) {
    const std::vector<std::string> words = shebang_of(files_, path);
    const Chain chain{printable(path)};
    if (words.empty()) {
      findings_.failure("script", path, "", chain, "its #! line names nothing");
      return;
    }
    const std::string why = why_not_executable(join_path("/", words[0]));
    if (!why.empty()) {
      findings_.failure("script", path, words[0], with(chain, "#! " + printable(words[0])), why);
      return;
    }
    if (!words[0].ends_with("/env")) return;
    // env(1): options and assignments, then the program.
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i].starts_with('-') || words[i].find('=') != std::string::npos) continue;
      if (!tracer_.look_up(words[i])) {
        findings_.failure("script", path, words[i],
                          with(chain, fmt::format("#! {} {}", printable(words[0]), printable(words[i]))),
                          "not in the folders of PATH");
      }
      return;
    }
  }

  const VerificationInput& input_;
  const FileSystem& files_;
  Verification& result_;
  FindingList& findings_;
  ObjectCache cache_;
  CommandTracer tracer_;  // for the image's PATH
  std::vector<std::uint16_t> machines_;
  bool as_root_;
  Roots roots_;
  std::set<std::string> programs_;
  std::set<std::string> libraries_;
  std::set<std::string> scripts_;
  std::set<std::array<std::string, 3>> said_;
};

}  // namespace

void verify_start(const VerificationInput& input, Verification& result, FindingList& findings) {
  StartVerifier(input, result, findings).run();
}

}  // namespace imgslim
