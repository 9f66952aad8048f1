// SPDX-License-Identifier: Apache-2.0
// Inside of CommandTracer: what it has found so far, and how it goes on. Included by its own files only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/facts/roots.h"
#include "src/facts/shell_words.h"
#include "src/facts/wrappers.h"

namespace imgslim {

inline constexpr int kMaxDepth = 24;                // wrappers, shebangs and scripts within each other
inline constexpr std::size_t kMaxPathFolders = 64;  // every word of a script is looked up in each
// A word of which the text is not known; no word of a command line can hold a NUL.
inline const std::string kUnknown(1, '\0');

// What a command comes down to.
enum class CommandOutcome : std::uint8_t { kNothing, kStartsNothing, kApplication };

// The folders of a PATH, once each.
std::vector<std::string> split_path(std::string_view text);

inline bool is_directory_text(std::string_view path) {
  return path.find('/') != std::string_view::npos;
}

// Where words are looked up, and what variables hold.
struct CommandEnvironment {
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

struct CommandTracer::State {
  const FileSystem& files;
  CommandEnvironment environment;
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

  bool is_executable(const std::string& path) const;

  std::optional<std::string> look_up(std::string_view word, const CommandEnvironment& env) const;

  void say(RootFinding::Kind kind, const Call& call, std::string text);

  void step(const Call& call, Step::Kind kind, const std::vector<std::string>& argv, std::string path);

  void add(const std::string& path, ReachedFile::Kind kind, const std::string& why, const Call& call);

  // The file behind a path, with the links on the way.
  std::optional<std::string> reach(const std::string& path, ReachedFile::Kind kind, const std::string& why,
                                   const Call& call);

  // A command as execvp(3) would start it.
  CommandOutcome follow(const std::vector<std::string>& argv, const CommandEnvironment& env, const Call& call,
                        Step::Kind kind);

  static std::vector<std::string> rest_of(const std::vector<std::string>& argv);

  CommandOutcome follow_inner(const Unwrapped& inner, const std::vector<std::string>& argv,
                              const CommandEnvironment& env, const Call& call);

  CommandOutcome follow_login(const Unwrapped& inner, const CommandEnvironment& env, const Call& call);
  std::vector<std::string> login_shells(std::string_view account) const;

  // For words that are not the command itself.
  static Call side_call(const Call& call, Evidence at_least, std::string reason);
  static Call quiet_side(Call call);

  CommandOutcome follow_shell(const ShellInvocation& shell, const std::string& program,
                              const CommandEnvironment& env, const Call& call);

  // execve(2): interpreter, the rest of the line as one argument, the script's path.
  CommandOutcome follow_shebang(const std::string& script, const std::string& as_named,
                                const std::vector<std::string>& argv, const CommandEnvironment& env,
                                const Call& call);

  // Interpreter and argument of a #! line, empty if there is none.
  std::vector<std::string> shebang(const std::string& path) const;

  // Words that name existing files: all of a script's, only paths of a command's own.
  void arguments(const std::vector<std::string>& argv, const CommandEnvironment& env, const Call& call,
                 bool any_word);

  void argument(std::string_view word, const CommandEnvironment& env, const Call& call, bool on_path);

  bool argument_path(std::string_view word, const CommandEnvironment& env, const Call& call);

  void candidate_program(const std::string& path, const Call& call);

  // What a script file brings by itself: interpreter and, of a shell script, its words.
  void trace_file(const std::string& path, const CommandEnvironment& env, const Call& call);

  // A shell script with its arguments, as far as they are known.
  CommandOutcome run_script(const std::string& path, const std::vector<std::string>& args, bool args_known,
                            const CommandEnvironment& env, const Call& call);

  CommandOutcome run_text(std::string_view text, const std::vector<std::string>& args, bool args_known,
                          const CommandEnvironment& env, Call call, const std::string& where,
                          const std::string& script_path);

  std::vector<std::string> words_of(const ShellCommand& command, const ShellVariables& variables,
                                    const std::vector<std::string>& args, bool args_known) const;
  void assign_variables(const ShellScript& script, CommandEnvironment& env) const;
  void source(const std::vector<std::string>& words, const ShellCommand& command, std::size_t at,
              const CommandEnvironment& env, const Call& call, const std::string& script_path);
};

}  // namespace imgslim
