// SPDX-License-Identifier: Apache-2.0
// From a command's words to files: PATH, links, wrappers, shebangs, shell text. Recursion is bounded by depth
// and by how often one script is read; every branch of a script counts.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "layers/error.h"
#include "src/facts/roots.h"
#include "src/facts/shell_words.h"
#include "src/facts/wrappers.h"

namespace imgslim {
namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kMaxDepth = 24;              // wrappers, shebangs and scripts within each other
constexpr std::size_t kMaxScriptRuns = 4;  // of one script with different arguments
constexpr std::size_t kMaxSteps = 256;     // of one root
constexpr std::size_t kMaxFindings = 1000;
constexpr std::size_t kMaxPathFolders = 64;  // every word of a script is looked up in each
constexpr std::uint64_t kMaxScriptBytes = 4u << 20;
// A word of which the text is not known; no word of a command line can hold a NUL.
const std::string kUnknown(1, '\0');

// What a command comes down to.
enum class Outcome : std::uint8_t { kNothing, kStartsNothing, kApplication };

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> folders;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view folder = colon == 0 || text.empty() ? "." : text.substr(0, colon);
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.emplace_back(folder);
    if (colon == std::string_view::npos || folders.size() >= kMaxPathFolders) return folders;
    text.remove_prefix(colon + 1);
  }
}

// Where words are looked up, and what variables hold.
struct Environment {
  std::vector<std::string> path;
  std::vector<std::string> folders;  // the working directory first, then those a script may change to
  ShellVariables variables;
  mutable std::unordered_map<std::string, std::optional<std::string>> found;  // by word

  void set(std::string_view assignment) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view name = assignment.substr(0, equals);
    const std::string_view value = assignment.substr(equals + 1);
    variables[std::string(name)] = std::string(value);
    if (name == "PATH") path = split_path(value);
    found.clear();
  }
};

std::string line_of(std::string_view where, std::size_t line) {
  return line == 0 ? std::string(where) : fmt::format("{}, line {}", where, line);
}

bool is_directory_text(std::string_view path) {
  return path.find('/') != std::string_view::npos;
}

}  // namespace

struct CommandTracer::State {
  const FileSystem& files;
  Environment environment;
  std::vector<Root> roots;
  std::map<std::string, ReachedFile> reached;
  std::vector<RootFinding> findings;
  std::set<std::pair<std::uint32_t, std::string>> said;
  std::map<std::string, std::set<std::string>> script_runs;
  std::set<std::string> traced;  // files whose own words were followed without arguments

  // What holds for one thread of following.
  struct Call {
    std::uint32_t root = 0;
    Evidence evidence = Evidence::kExact;
    int depth = 0;
    bool quiet = false;   // a guess: what is not there is no finding
    bool main = true;     // on the way to the root's own program
    bool script = false;  // in shell text: text files without a shebang run too
    std::string why;      // for people: "ENTRYPOINT and CMD", "/entrypoint.sh, line 3"

    Call deeper(Evidence at_least, std::string reason) const {
      Call call = *this;
      call.evidence = std::max(evidence, at_least);
      call.why = std::move(reason);
      ++call.depth;
      return call;
    }
  };

  explicit State(const FileSystem& fs) : files(fs) {}

  bool is_executable(const std::string& path) const {
    const auto resolved = resolve_path(files, path);
    if (!resolved) return false;
    const auto status = files.status(*resolved);
    return status && status->kind == FileKind::kRegular && (status->mode & 0111) != 0;
  }

  std::optional<std::string> look_up(std::string_view word, const Environment& env) const {
    if (word.empty() || word == kUnknown || word.size() > 4096) return std::nullopt;
    const std::string key(word);
    const auto known = env.found.find(key);
    if (known != env.found.end()) return known->second;
    std::optional<std::string> result;
    if (is_directory_text(word)) {
      for (const std::string& folder : env.folders) {
        const std::string path = join_path(folder, word);
        if (!result && is_executable(path)) result = path;
      }
    } else if (word != "." && word != "..") {
      for (const std::string& folder : env.path) {
        const std::string path = join_path(join_path(env.folders.front(), folder), word);
        if (is_executable(path)) {
          result = path;
          break;
        }
      }
    }
    env.found.emplace(key, result);
    return result;
  }

  void say(RootFinding::Kind kind, const Call& call, std::string text) {
    if (call.quiet || findings.size() >= kMaxFindings) return;
    if (!said.emplace(call.root, text).second) return;
    findings.push_back({kind, std::move(text), call.root});
  }

  void step(const Call& call, Step::Kind kind, const std::vector<std::string>& argv, std::string path) {
    auto& steps = roots[call.root].steps;
    if (steps.size() >= kMaxSteps) return;
    Step result{kind, argv, std::move(path), call.evidence};
    for (std::string& word : result.argv) {
      if (word == kUnknown) word = "?";
    }
    steps.push_back(std::move(result));
  }

  void add(const std::string& path, ReachedFile::Kind kind, const std::string& why, const Call& call) {
    const auto [entry, is_new] =
        reached.try_emplace(path, ReachedFile{path, kind, why, call.evidence, call.root});
    if (!is_new && call.evidence < entry->second.evidence) {
      entry->second = {path, kind, why, call.evidence, call.root};
    }
  }

  // The file behind a path, with the links on the way.
  std::optional<std::string> reach(const std::string& path, ReachedFile::Kind kind, const std::string& why,
                                   const Call& call) {
    std::vector<std::string> links;
    const auto resolved = resolve_path(files, path, true, &links);
    if (!resolved) return std::nullopt;
    for (const std::string& link : links) {
      add(link, ReachedFile::Kind::kLink, "link on the way to " + printable(*resolved), call);
    }
    add(*resolved, kind, why, call);
    return resolved;
  }

  // A command as execvp(3) would start it.
  Outcome follow(const std::vector<std::string>& argv, const Environment& env, const Call& call,
                 Step::Kind kind) {
    if (argv.empty() || call.depth > kMaxDepth) return Outcome::kNothing;
    if (argv[0] == kUnknown) {
      say(RootFinding::Kind::kUnclear, call,
          fmt::format("the program started by {} is not a constant", call.why));
      return Outcome::kApplication;
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
      return Outcome::kNothing;
    }
    const auto resolved = reach(*found, ReachedFile::Kind::kProgram, "started by " + call.why, call);
    if (!resolved) return Outcome::kNothing;
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
              false);
    return starts_nothing(name, argv) ? Outcome::kStartsNothing : Outcome::kApplication;
  }

  static std::vector<std::string> rest_of(const std::vector<std::string>& argv) {
    return {argv.begin() + 1, argv.end()};
  }

  Outcome follow_inner(const Unwrapped& inner, const std::vector<std::string>& argv, const Environment& env,
                       const Call& call) {
    const Call next =
        call.deeper(Evidence::kKnown, fmt::format("{}, by {}", call.why, printable(base_name(argv[0]))));
    if (inner.shell_text) {
      Environment changed = env;
      if (call.depth < kMaxDepth) follow({"sh"}, changed, quiet_side(next), Step::Kind::kProgram);
      return run_text(*inner.shell_text, {}, false, changed, next, next.why, "");
    }
    if (inner.argv.empty()) return Outcome::kNothing;
    if (inner.env.empty()) return follow(inner.argv, env, next, Step::Kind::kProgram);
    Environment changed = env;
    for (const std::string& assignment : inner.env)
      changed.set(assignment);
    return follow(inner.argv, changed, next, Step::Kind::kProgram);
  }

  // For words that are not the command itself.
  static Call side_call(const Call& call, Evidence at_least, std::string reason) {
    Call side = call.deeper(at_least, std::move(reason));
    side.main = false;
    side.quiet = true;
    return side;
  }
  static Call quiet_side(Call call) {
    call.quiet = true;
    call.main = false;
    return call;
  }

  Outcome follow_shell(const ShellInvocation& shell, const std::string& program, const Environment& env,
                       const Call& call) {
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
    if (!shell.script) return Outcome::kStartsNothing;
    const Call next = call.deeper(Evidence::kKnown, call.why);
    if (*shell.script == kUnknown) {
      say(RootFinding::Kind::kUnclear, call,
          fmt::format("the script started by {} is not a constant", call.why));
      return Outcome::kApplication;
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
      return Outcome::kNothing;
    }
    const auto resolved = reach(*script, ReachedFile::Kind::kScript, "script of " + printable(program), next);
    if (!resolved) return Outcome::kNothing;
    if (call.main) roots[call.root].program = *resolved;
    return run_script(*resolved, shell.arguments, true, env, next);
  }

  // execve(2): interpreter, the rest of the line as one argument, the script's path.
  Outcome follow_shebang(const std::string& script, const std::string& as_named,
                         const std::vector<std::string>& argv, const Environment& env, const Call& call) {
    const auto line = shebang(script);
    if (line.empty()) {
      say(RootFinding::Kind::kNotExecutable, call,
          fmt::format("{}: the #! line names nothing", printable(script)));
      return Outcome::kNothing;
    }
    std::vector<std::string> words = line;
    words.push_back(as_named);
    words.insert(words.end(), argv.begin() + 1, argv.end());
    Call next = call.deeper(Evidence::kKnown, "the #! line of " + printable(script));
    const std::string program = roots[call.root].program;
    const Outcome outcome = follow(words, env, next, Step::Kind::kInterpreter);
    if (call.main && !roots[call.root].program.empty())
      roots[call.root].program = program;  // the script itself
    return outcome;
  }

  // Interpreter and argument of a #! line, empty if there is none.
  std::vector<std::string> shebang(const std::string& path) const {
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

  // Words that name existing files: all of a script's, only paths of a command's own.
  void arguments(const std::vector<std::string>& argv, const Environment& env, const Call& call,
                 bool any_word) {
    bool commands = any_word;
    for (std::size_t i = 1; i < argv.size(); ++i) {
      if (argv[i] == "--") commands = true;
      argument(argv[i], env, call, commands);
    }
  }

  void argument(std::string_view word, const Environment& env, const Call& call, bool on_path) {
    if (word == kUnknown || word.empty() || word.size() > 4096 || call.depth > kMaxDepth) return;
    const std::size_t equals = word.find('=');
    if (equals != std::string_view::npos) argument_path(word.substr(equals + 1), env, call);
    if (word[0] == '-') return;
    if (argument_path(word, env, call) || !on_path || is_directory_text(word)) return;
    if (const auto found = look_up(word, env)) candidate_program(*found, call);
  }

  bool argument_path(std::string_view word, const Environment& env, const Call& call) {
    if (word.empty() || word == "." || word == ".." || word.find('\0') != std::string_view::npos)
      return false;
    for (const std::string& folder : env.folders) {
      const std::string path = join_path(folder, word);
      const auto resolved = resolve_path(files, path);
      if (!resolved || *resolved == "/") continue;
      const auto status = files.status(*resolved);
      if (!status || (status->kind != FileKind::kRegular && status->kind != FileKind::kDirectory))
        return false;
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

  void candidate_program(const std::string& path, const Call& call) {
    const auto resolved = reach(path, ReachedFile::Kind::kProgram, "named by " + call.why, call);
    if (resolved) trace_file(*resolved, environment, call);
  }

  // What a script file brings by itself: interpreter and, of a shell script, its words.
  void trace_file(const std::string& path, const Environment& env, const Call& call) {
    if (call.depth > kMaxDepth || !files.head(path).starts_with("#!")) return;
    if (!traced.insert(path).second) return;
    std::vector<std::string> words = shebang(path);
    if (words.empty()) return;
    words.push_back(path);
    Call next = call.deeper(call.evidence, "the #! line of " + printable(path));
    next.main = false;
    follow(words, env, next, Step::Kind::kInterpreter);
  }

  // A shell script with its arguments, as far as they are known.
  Outcome run_script(const std::string& path, const std::vector<std::string>& args, bool args_known,
                     const Environment& env, const Call& call) {
    std::string key = args_known ? "a" : "u";
    for (const std::string& word : args)
      key.append("\1").append(word);
    auto& runs = script_runs[path];
    if (call.depth > kMaxDepth || runs.size() >= kMaxScriptRuns || !runs.insert(key).second) {
      return Outcome::kApplication;
    }
    const auto content = files.read(path, kMaxScriptBytes);
    if (!content) return Outcome::kNothing;
    return run_text(content->bytes(), args, args_known, env, call, printable(path), path);
  }

  Outcome run_text(std::string_view text, const std::vector<std::string>& args, bool args_known,
                   const Environment& env, Call call, const std::string& where,
                   const std::string& script_path);

  std::vector<std::string> words_of(const ShellCommand& command, const ShellVariables& variables,
                                    const std::vector<std::string>& args, bool args_known) const;
  void assign_variables(const ShellScript& script, Environment& env) const;
  void source(const std::vector<std::string>& words, const ShellCommand& command, std::size_t at,
              const Environment& env, const Call& call, const std::string& script_path);
};

// Words after expansion. An unquoted value is split at blanks, "$@" becomes the arguments.
std::vector<std::string> CommandTracer::State::words_of(const ShellCommand& command,
                                                        const ShellVariables& variables,
                                                        const std::vector<std::string>& args,
                                                        bool args_known) const {
  std::vector<std::string> words;
  for (const ShellWord& word : command.words) {
    const bool single = std::count_if(word.parts.begin(), word.parts.end(), [](const ShellPart& part) {
                          return part.kind != ShellPart::Kind::kText || !part.text.empty();
                        }) == 1;
    const auto all = std::find_if(word.parts.begin(), word.parts.end(), [](const ShellPart& part) {
      return part.kind == ShellPart::Kind::kVariable && (part.text == "@" || part.text == "*");
    });
    if (single && all != word.parts.end()) {
      if (args_known) {
        words.insert(words.end(), args.begin(), args.end());
      } else {
        words.push_back(kUnknown);
      }
      continue;
    }
    const auto text = expand(word, variables);
    const bool splits = std::any_of(word.parts.begin(), word.parts.end(), [](const ShellPart& part) {
      return part.kind == ShellPart::Kind::kVariable && !part.quoted;
    });
    if (!text) {
      words.push_back(kUnknown);
    } else if (!splits) {
      words.push_back(*text);
    } else {
      std::size_t at = 0;
      while ((at = text->find_first_not_of(" \t\n", at)) != std::string::npos) {
        const std::size_t end = std::min(text->find_first_of(" \t\n", at), text->size());
        words.push_back(text->substr(at, end - at));
        at = end;
      }
    }
    if (words.size() > (1u << 16)) break;
  }
  return words;
}

// Values that hold anywhere in the script: a variable set twice to different texts may hold anything.
void CommandTracer::State::assign_variables(const ShellScript& script, Environment& env) const {
  std::set<std::string, std::less<>> assigned;
  std::vector<std::string> more_path;
  const auto assign = [&](const std::string& name, std::optional<std::string> value) {
    if (value && value->size() > 4096) value.reset();
    if (name == "PATH") {
      if (!value) return;
      for (std::string& folder : split_path(*value))
        more_path.push_back(std::move(folder));
      return;
    }
    auto& held = env.variables[name];
    if (!assigned.insert(name).second && held != value) value.reset();
    held = std::move(value);
  };
  for (const ShellCommand& command : script.commands) {
    // NAME=value in front of a command is that command's alone.
    if (command.words.empty()) {
      for (const auto& [name, word] : command.assignments)
        assign(name, expand(word, env.variables));
      continue;
    }
    const auto first = command.words[0].literal();
    if (!first) continue;
    if (*first == "export" || *first == "readonly" || *first == "local" || *first == "declare" ||
        *first == "typeset") {
      for (std::size_t i = 1; i < command.words.size(); ++i) {
        ShellWord value = command.words[i];
        if (value.parts.empty() || value.parts[0].kind != ShellPart::Kind::kText) continue;
        const std::size_t equals = value.parts[0].text.find('=');
        if (equals == 0 || equals == std::string::npos) continue;
        const std::string name = value.parts[0].text.substr(0, equals);
        value.parts[0].text.erase(0, equals + 1);
        assign(name, expand(value, env.variables));
      }
    } else if (*first == "for" || *first == "read" || *first == "select" || *first == "getopts") {
      for (std::size_t i = 1; i < command.words.size(); ++i) {
        const auto name = command.words[i].literal();
        if (name && *first != "read") {
          assign(*name, std::nullopt);
          if (*first != "getopts" || i == 2) break;
        } else if (name && !name->starts_with('-')) {
          assign(*name, std::nullopt);
        }
      }
    } else if (*first == "cd" && command.words.size() >= 2 && env.folders.size() < 16) {
      const auto folder = expand(command.words[1], env.variables);
      if (folder && !folder->empty()) env.folders.push_back(join_path(env.folders.front(), *folder));
    }
  }
  for (std::string& folder : more_path) {
    if (env.path.size() < kMaxPathFolders &&
        std::find(env.path.begin(), env.path.end(), folder) == env.path.end()) {
      env.path.push_back(std::move(folder));
    }
  }
  env.found.clear();
}

// `. FILE`: looked for as a path, on PATH, beside the script if only its end is known.
void CommandTracer::State::source(const std::vector<std::string>& words, const ShellCommand& command,
                                  std::size_t at, const Environment& env, const Call& call,
                                  const std::string& script_path) {
  if (at + 1 >= words.size()) return;
  const std::string& operand = words[at + 1];
  std::optional<std::string> found;
  if (operand != kUnknown) {
    for (const std::string& folder : env.folders) {
      const std::string path = join_path(folder, operand);
      if (!found && resolve_path(files, path)) found = path;
    }
    if (!found && !is_directory_text(operand)) {
      for (const std::string& folder : env.path) {
        const std::string path = join_path(join_path(env.folders.front(), folder), operand);
        if (!found && resolve_path(files, path)) found = path;
      }
    }
  } else if (!script_path.empty() && at + 1 < command.words.size()) {
    const ShellWord& word = command.words[at + 1];
    const std::string tail = word.parts.empty() ? "" : word.parts.back().text;
    if (!word.parts.empty() && word.parts.back().kind == ShellPart::Kind::kText && tail.starts_with('/')) {
      const std::string path = script_path.substr(0, script_path.rfind('/')) + tail;
      if (resolve_path(files, path)) found = path;
    }
  }
  if (!found) {
    say(RootFinding::Kind::kUnclear, call,
        operand == kUnknown
            ? fmt::format("the file sourced by {} is not a constant", call.why)
            : fmt::format("the file \"{}\" sourced by {} is not in the image", printable(operand), call.why));
    return;
  }
  if (const auto resolved = reach(*found, ReachedFile::Kind::kSourced, "sourced by " + call.why, call)) {
    const auto status = files.status(*resolved);
    if (status && status->kind == FileKind::kRegular) run_script(*resolved, {}, false, env, call);
  }
}

Outcome CommandTracer::State::run_text(std::string_view text, const std::vector<std::string>& args,
                                       bool args_known, const Environment& outer, Call call,
                                       const std::string& where, const std::string& script_path) {
  if (call.depth > kMaxDepth) return Outcome::kApplication;
  const ShellScript script = parse_shell(text);
  Environment env = outer;
  // Words of a file are candidates; those of a -c text are the command itself.
  const Evidence evidence = script_path.empty() ? Evidence::kKnown : Evidence::kCandidate;
  for (std::size_t i = 0; i < args.size() && i < 32; ++i) {
    auto& value = env.variables[std::to_string(i + 1)];
    value.reset();
    if (args[i] != kUnknown) value = args[i];
  }
  assign_variables(script, env);
  const bool shifts =
      std::any_of(script.commands.begin(), script.commands.end(), [](const ShellCommand& command) {
        return !command.words.empty() && command.words[0].literal() == "shift";
      });

  std::optional<Outcome> passed_on;  // what "$@" comes down to
  Outcome own = Outcome::kNothing;
  for (const ShellCommand& command : script.commands) {
    for (const auto& [name, word] : command.assignments) {
      if (const auto value = expand(word, env.variables)) {
        argument(*value, env, side_call(call, evidence, line_of(where, word.line)), false);
      }
    }
    if (command.words.empty()) continue;
    std::vector<std::string> words = words_of(command, env.variables, args, args_known);
    const std::string reason = line_of(where, script_path.empty() ? 0 : command.words[0].line);
    Call next = call.deeper(evidence, reason);
    next.script = true;
    next.main = script_path.empty() && call.main;
    // Past the builtins that start what follows.
    std::size_t at = 0;
    bool skipping = true;
    while (skipping && at < words.size()) {
      const std::string& word = words[at];
      skipping = false;
      if (word == "exec" || word == "command" || word == "builtin" || word == "time") {
        const bool is_exec = word == "exec";
        for (++at; at < words.size() && words[at].size() > 1 && words[at][0] == '-'; ++at) {
          if (words[at] == "--") {
            ++at;
            break;
          }
          if (is_exec && words[at] == "-a") ++at;
          if (!is_exec && (words[at] == "-v" || words[at] == "-V")) next.quiet = true;
        }
        skipping = true;
      }
    }
    if (at >= words.size()) continue;
    const std::string& first = words[at];
    const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
    const bool forwards =
        at < command.words.size() && command.words[at].parts.size() <= 2 &&
        std::any_of(command.words[at].parts.begin(), command.words[at].parts.end(),
                    [](const ShellPart& part) { return part.text == "@" || part.text == "*"; }) &&
        !command.words[at].literal();
    if (forwards) {
      Call guess = next;
      guess.quiet = guess.quiet || args.empty() || args[0].starts_with('-') || shifts;
      guess.main = call.main;
      const std::string program = roots[call.root].program;
      if (args_known && !args.empty()) {
        for (std::size_t skip = 0; skip < rest.size() && skip <= (shifts ? 4u : 0u); ++skip) {
          const std::vector<std::string> given(rest.begin() + static_cast<std::ptrdiff_t>(skip), rest.end());
          const Outcome outcome = follow(given, env, guess, Step::Kind::kShellText);
          if (!passed_on || *passed_on == Outcome::kNothing) passed_on = outcome;
        }
      }
      if (!script_path.empty()) roots[call.root].program = program;
      continue;
    }
    if (std::binary_search(script.functions.begin(), script.functions.end(), first)) {
      arguments(rest, env, side_call(next, Evidence::kCandidate, reason), true);
    } else if (first == "." || first == "source") {
      Call side = side_call(next, evidence, reason);
      side.quiet = next.quiet;
      source(words, command, at, env, side, script_path);
    } else if (first == "eval" || first == "trap") {
      std::string inner;
      for (std::size_t i = 1; i < rest.size() && (first == "eval" || i == 1); ++i) {
        if (rest[i] != kUnknown) inner.append(rest[i]).append(" ");
      }
      Call side = next.deeper(Evidence::kCandidate, reason);
      side.quiet = true;
      side.main = false;
      if (!inner.empty() && inner.size() < 65536)
        run_text(inner, args, args_known, env, side, reason, script_path);
    } else if (first == "echo" || first == "printf" || first == ":") {
      continue;  // only said
    } else if (is_shell_builtin(first)) {
      arguments(rest, env, side_call(next, Evidence::kCandidate, reason), true);
    } else {
      const Outcome outcome = follow(rest, env, next, Step::Kind::kShellText);
      own = std::max(own, outcome);
      if (outcome != Outcome::kNothing)
        arguments(rest, env, side_call(next, Evidence::kCandidate, reason), true);
    }
  }
  if (!script_path.empty()) {
    // A script is a program of its own, unless all it does is to start what it is given.
    return passed_on && *passed_on == Outcome::kStartsNothing ? Outcome::kStartsNothing
                                                              : Outcome::kApplication;
  }
  return passed_on ? std::max(*passed_on, own) : own;
}

CommandTracer::CommandTracer(const FileSystem& files, const std::vector<std::string>& env,
                             std::string working_dir)
    : state_(std::make_unique<State>(files)) {
  Environment& environment = state_->environment;
  environment.path = split_path(kDefaultPath);
  environment.folders = {join_path("/", working_dir)};
  for (const std::string& assignment : env)
    environment.set(assignment);
}
CommandTracer::~CommandTracer() = default;

std::uint32_t CommandTracer::trace(const Command& command) {
  State& state = *state_;
  const auto index = static_cast<std::uint32_t>(state.roots.size());
  state.roots.push_back({command, {}, "", false});
  Environment env = state.environment;
  if (!command.working_dir.empty()) env.folders = {join_path(env.folders.front(), command.working_dir)};
  for (const std::string& assignment : command.env)
    env.set(assignment);
  env.found.clear();
  State::Call call;
  call.root = index;
  call.quiet = command.assumed;
  call.why = printable(command.origin);
  state.roots[index].starts_nothing =
      state.follow(command.argv, env, call, Step::Kind::kProgram) == Outcome::kStartsNothing;
  return index;
}

void CommandTracer::trace_file(std::string_view path, Evidence evidence, std::uint32_t root) {
  State::Call call;
  call.root = root;
  call.evidence = evidence;
  call.main = false;
  call.why = printable(path);
  state_->trace_file(std::string(path), state_->environment, call);
}

std::optional<std::string> CommandTracer::look_up(std::string_view word) const {
  return state_->look_up(word, state_->environment);
}

Roots CommandTracer::result() const {
  Roots roots;
  roots.roots = state_->roots;
  for (const auto& [path, file] : state_->reached)
    roots.files.push_back(file);
  roots.findings = state_->findings;
  std::stable_sort(roots.findings.begin(), roots.findings.end(),
                   [](const RootFinding& a, const RootFinding& b) { return a.root < b.root; });
  return roots;
}

}  // namespace imgslim
