// SPDX-License-Identifier: Apache-2.0
// A command as the system would start it: wrappers, shells, shebangs, and the files that its words name.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/command_state.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxScriptRuns = 4;  // of one script with different arguments
constexpr std::uint64_t kMaxScriptBytes = 4u << 20;

}  // namespace

CommandOutcome CommandTracer::State::follow(const std::vector<std::string>& argv,
                                            const CommandEnvironment& env, const Call& call,
                                            Step::Kind kind) {
  if (argv.empty() || call.depth > kMaxDepth) return CommandOutcome::kNothing;
  if (argv[0] == kUnknown) {
    say(RootFinding::Kind::kUnclear, call,
        fmt::format("the program started by {} is not a constant", call.why));
    return CommandOutcome::kApplication;
  }
  const auto found = look_up(argv[0], env);
  const std::string_view name = base_name(argv[0]);
  const auto inner = unwrap(argv);
  if (kind == Step::Kind::kProgram && inner) kind = Step::Kind::kWrapper;
  if (!found) {
    step(call, kind, argv, "");
    say(RootFinding::Kind::kNotFound, call,
        fmt::format("the program \"{}\" ({}) is not in the image", printable(argv[0]), call.why));
    if (inner && !inner->argv.empty() && call.script) return follow_inner(*inner, argv, env, call);
    return CommandOutcome::kNothing;
  }
  const auto resolved = reach(*found, ReachedFile::Kind::kProgram, "started by " + call.why, call);
  if (!resolved) return CommandOutcome::kNothing;
  step(call, kind, argv, *resolved);
  if (call.main) roots[call.root].program = *resolved;
  if (inner) return follow_inner(*inner, argv, env, call);
  if (const auto shell = shell_invocation(name, argv)) return follow_shell(*shell, *resolved, env, call);

  const std::string head = files.head(*resolved);
  if (head.starts_with("#!")) return follow_shebang(*resolved, *found, argv, env, call);
  if (!head.starts_with("\177ELF")) {
    if (call.script) return run_script(*resolved, rest_of(argv), true, env, call);
    say(RootFinding::Kind::kNotExecutable, call,
        fmt::format("{} ({}) is neither an ELF program nor a script with an interpreter",
                    printable(*resolved), call.why));
  }
  arguments(argv, env, call.deeper(Evidence::kCandidate, "the arguments of " + printable(*resolved)),
            starts_its_arguments(name));
  return starts_nothing(name, argv) ? CommandOutcome::kStartsNothing : CommandOutcome::kApplication;
}

std::vector<std::string> CommandTracer::State::rest_of(const std::vector<std::string>& argv) {
  return {argv.begin() + 1, argv.end()};
}

CommandOutcome CommandTracer::State::follow_inner(const Unwrapped& inner,
                                                  const std::vector<std::string>& argv,
                                                  const CommandEnvironment& env, const Call& call) {
  const Call next =
      call.deeper(Evidence::kKnown, fmt::format("{}, by {}", call.why, printable(base_name(argv[0]))));
  if (inner.shell_text || inner.account) return follow_login(inner, env, next);
  if (inner.argv.empty()) return CommandOutcome::kNothing;
  CommandEnvironment changed = env;
  for (const std::string& assignment : inner.env)
    changed.set(assignment);
  if (inner.argv[0] != kUnknown && !look_up(inner.argv[0], changed)) {
    // Its own words may be others than are known here: then any of them is the command.
    arguments(argv, changed, side_call(next, Evidence::kCandidate, next.why), true);
  }
  return follow(inner.argv, changed, next, Step::Kind::kProgram);
}

// What a shell runs for su(1) and its like: the shell itself, and its text or script.
CommandOutcome CommandTracer::State::follow_login(const Unwrapped& inner, const CommandEnvironment& env,
                                                  const Call& call) {
  std::vector<std::string> shells;
  if (!inner.shell.empty()) shells.push_back(inner.shell);
  if (inner.account && shells.empty()) shells = login_shells(*inner.account);
  if (shells.empty()) shells.emplace_back("sh");
  if (call.depth < kMaxDepth) {
    for (const std::string& shell : shells)
      follow({shell}, env, quiet_side(call), Step::Kind::kProgram);
  }
  if (inner.shell_text)
    return run_text(*inner.shell_text, inner.shell_arguments, true, env, call, call.why, "");
  if (inner.shell_arguments.empty()) return CommandOutcome::kStartsNothing;
  std::vector<std::string> argv{"sh"};
  argv.insert(argv.end(), inner.shell_arguments.begin(), inner.shell_arguments.end());
  const auto shell = shell_invocation("sh", argv);
  return follow_shell(*shell, shells.front(), env, call);
}

// passwd(5): of the account, of all of them where its name is not known.
std::vector<std::string> CommandTracer::State::login_shells(std::string_view account) const {
  std::vector<std::string> shells;
  const auto content = files.read(resolve_path(files, "/etc/passwd").value_or("/"), 1 << 20);
  if (!content) return shells;
  std::string_view rest = content->bytes();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t last = line.rfind(':');
    if (last == std::string_view::npos) continue;
    const std::string shell(line.substr(last + 1));
    const bool meant = account == kUnknown || line.substr(0, line.find(':')) == account;
    if (!meant || shell.empty() || std::find(shells.begin(), shells.end(), shell) != shells.end()) continue;
    if (shells.size() < kMaxPathFolders) shells.push_back(shell);
  }
  return shells;
}

CommandTracer::State::Call CommandTracer::State::side_call(const Call& call, Evidence at_least,
                                                           std::string reason) {
  Call side = call.deeper(at_least, std::move(reason));
  side.main = false;
  side.quiet = true;
  return side;
}

CommandTracer::State::Call CommandTracer::State::quiet_side(Call call) {
  call.quiet = true;
  call.main = false;
  return call;
}

CommandOutcome CommandTracer::State::follow_shell(const ShellInvocation& shell, const std::string& program,
                                                  const CommandEnvironment& env, const Call& call) {
  if (shell.login) {
    const Call next = quiet_side(call.deeper(Evidence::kKnown, "a login shell"));
    if (const auto profile =
            reach("/etc/profile", ReachedFile::Kind::kSourced, "read by a login shell", next)) {
      run_script(*profile, {}, false, env, next);
    }
  }
  if (shell.text) {
    const Call next = call.deeper(Evidence::kKnown, call.why + ", shell text");
    return run_text(*shell.text, shell.arguments, true, env, next, next.why, "");
  }
  if (!shell.script) return CommandOutcome::kStartsNothing;
  const Call next = call.deeper(Evidence::kKnown, call.why);
  if (*shell.script == kUnknown) {
    say(RootFinding::Kind::kUnclear, call,
        fmt::format("the script started by {} is not a constant", call.why));
    return CommandOutcome::kApplication;
  }
  // The working directory first, then PATH (bash(1), ARGUMENTS).
  std::optional<std::string> script;
  for (const std::string& folder : env.folders) {
    const std::string path = join_path(folder, *shell.script);
    if (!script && resolve_path(files, path)) script = path;
  }
  if (!script) script = look_up(*shell.script, env);
  if (!script) {
    say(RootFinding::Kind::kNotFound, call,
        fmt::format("the script \"{}\" ({}) is not in the image", printable(*shell.script), call.why));
    return CommandOutcome::kNothing;
  }
  const auto resolved = reach(*script, ReachedFile::Kind::kScript, "script of " + printable(program), next);
  if (!resolved) return CommandOutcome::kNothing;
  if (call.main) roots[call.root].program = *resolved;
  return run_script(*resolved, shell.arguments, true, env, next);
}

CommandOutcome CommandTracer::State::follow_shebang(const std::string& script, const std::string& as_named,
                                                    const std::vector<std::string>& argv,
                                                    const CommandEnvironment& env, const Call& call) {
  const auto line = shebang(script);
  if (line.empty()) {
    say(RootFinding::Kind::kNotExecutable, call,
        fmt::format("{}: the #! line names nothing", printable(script)));
    return CommandOutcome::kNothing;
  }
  std::vector<std::string> words = line;
  words.push_back(as_named);
  words.insert(words.end(), argv.begin() + 1, argv.end());
  Call next = call.deeper(Evidence::kKnown, "the #! line of " + printable(script));
  const std::string program = roots[call.root].program;
  const CommandOutcome outcome = follow(words, env, next, Step::Kind::kInterpreter);
  if (call.main && !roots[call.root].program.empty())
    roots[call.root].program = program;  // the script itself
  return outcome;
}

std::vector<std::string> CommandTracer::State::shebang(const std::string& path) const {
  const auto content = files.read(path, kMaxScriptBytes);
  if (!content || !content->bytes().starts_with("#!")) return {};
  std::string_view line = content->bytes().substr(2, 254);  // BINPRM_BUF_SIZE
  line = line.substr(0, line.find('\n'));
  line = line.substr(0, line.find('\0'));
  const auto trim = [](std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) return std::string_view();
    return text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
  };
  line = trim(line);
  if (line.empty()) return {};
  const std::size_t end = line.find_first_of(" \t");
  std::vector<std::string> words{std::string(line.substr(0, end))};
  if (end != std::string_view::npos) words.emplace_back(trim(line.substr(end)));
  return words;
}

void CommandTracer::State::arguments(const std::vector<std::string>& argv, const CommandEnvironment& env,
                                     const Call& call, bool any_word) {
  bool commands = any_word;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (argv[i] == "--") commands = true;
    argument(argv[i], env, call, commands);
  }
}

void CommandTracer::State::argument(std::string_view word, const CommandEnvironment& env, const Call& call,
                                    bool on_path) {
  if (word == kUnknown || word.empty() || word.size() > 4096 || call.depth > kMaxDepth) return;
  const std::size_t equals = word.find('=');
  if (equals != std::string_view::npos) {
    const std::string_view value = word.substr(equals + 1);
    const bool is_option_of_words = word[0] == '-' && on_path && !is_directory_text(value);
    if (!argument_path(value, env, call) && is_option_of_words) {
      if (const auto found = look_up(value, env)) candidate_program(*found, call);  // --compress-program=gzip
    }
  }
  if (word[0] == '-') return;
  if (argument_path(word, env, call) || !on_path || is_directory_text(word)) return;
  if (const auto found = look_up(word, env)) candidate_program(*found, call);
}

bool CommandTracer::State::argument_path(std::string_view word, const CommandEnvironment& env,
                                         const Call& call) {
  if (word.empty() || word == "." || word == ".." || word.find('\0') != std::string_view::npos) return false;
  for (const std::string& folder : env.folders) {
    const std::string path = join_path(folder, word);
    const auto resolved = resolve_path(files, path);
    if (!resolved || *resolved == "/") continue;
    const auto status = files.status(*resolved);
    if (!status || (status->kind != FileKind::kRegular && status->kind != FileKind::kDirectory)) return false;
    if (status->kind == FileKind::kRegular && (status->mode & 0111) != 0) {
      candidate_program(path, call);
    } else {
      reach(path, ReachedFile::Kind::kArgument, "named by " + call.why, call);
      if (status->kind == FileKind::kRegular) trace_file(*resolved, env, call);
    }
    return true;
  }
  return false;
}

void CommandTracer::State::candidate_program(const std::string& path, const Call& call) {
  const auto resolved = reach(path, ReachedFile::Kind::kProgram, "named by " + call.why, call);
  if (resolved) trace_file(*resolved, environment, call);
}

void CommandTracer::State::trace_file(const std::string& path, const CommandEnvironment& env,
                                      const Call& call) {
  if (call.depth > kMaxDepth || !files.head(path).starts_with("#!")) return;
  if (!traced.insert(path).second) return;
  std::vector<std::string> words = shebang(path);
  if (words.empty()) return;
  words.push_back(path);
  Call next = call.deeper(call.evidence, "the #! line of " + printable(path));
  next.main = false;
  follow(words, env, next, Step::Kind::kInterpreter);
}

CommandOutcome CommandTracer::State::run_script(const std::string& path, const std::vector<std::string>& args,
                                                bool args_known, const CommandEnvironment& env,
                                                const Call& call) {
  std::string key = args_known ? "a" : "u";
  for (const std::string& word : args)
    key.append("\1").append(word);
  auto& runs = script_runs[path];
  if (call.depth > kMaxDepth || runs.size() >= kMaxScriptRuns || !runs.insert(key).second) {
    return CommandOutcome::kApplication;
  }
  const auto content = files.read(path, kMaxScriptBytes);
  if (!content) return CommandOutcome::kNothing;
  return run_text(content->bytes(), args, args_known, env, call, printable(path), path);
}

}  // namespace imgslim
