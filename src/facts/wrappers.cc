// SPDX-License-Identifier: Apache-2.0
#include "src/facts/wrappers.h"

#include <algorithm>
#include <array>

#include "layers/error.h"
#include "src/facts/shell_words.h"

namespace imgslim {
namespace {

// A wrapper: how to get past its own words, as its own parser takes them: coreutils src/, util-linux
// sys-utils/ and schedutils/ (getopt_long), sudo src/parse_args.c, OpenDoas doas.c, tini src/tini.c,
// dumb-init dumb-init.c, gosu main.go, su-exec su-exec.c, catatonit catatonit.c, dockerize main.go, fixuid
// fixuid.go, vault-env main.go, s6 src/daemontools-extras/, s6-overlay command/with-contenv, busybox
// runit/chpst.c, AppArmor binutils/aa_exec.c; the manual pages of runit's chpst, dbus-run-session, xvfb-run
// and time.
struct Wrapper {
  std::string_view name;
  std::string_view short_with_value;  // letters of options that take the next word
  std::string_view long_with_value;   // names likewise, blanks around each; a start of one is taken for it
  int operands = 0;                   // words before the command
  bool assignments = false;           // NAME=value before the command
  bool go_flags = false;              // one dash or two, and no letters
};

constexpr std::array kWrappers = {
    Wrapper{"aa-exec", "pn", " --profile --namespace "},
    Wrapper{"busybox", "", ""},
    Wrapper{"catatonit", "", ""},
    Wrapper{"catchsegv", "", ""},
    Wrapper{"choom", "np", " --adjust --pid "},
    Wrapper{"chpst", "uUbe/CnlLmdopfcrtas", ""},
    Wrapper{"chroot", "", " --userspec --groups ", 1},
    Wrapper{"chrt", "TPDUX", " --sched-runtime --sched-period --sched-deadline --clamp-min --clamp-max ", 1},
    Wrapper{"dbus-run-session", "", " --config-file --dbus-daemon "},
    Wrapper{"doas", "uC", ""},
    Wrapper{"docker-init", "pe", ""},
    Wrapper{"dockerize", "",
            " --wait --timeout --template --stdout --stderr --env --env-section --env-header --delims "
            "--wait-retry-interval --wait-http-header --poll-interval ",
            0, false, true},
    Wrapper{"dumb-init", "r", " --rewrite "},
    Wrapper{"env", "uCaP", " --unset --chdir --argv0 --env0-from ", 0, true},
    Wrapper{"envdir", "", "", 1},
    Wrapper{"envuidgid", "", "", 1},
    Wrapper{"fixuid", "", ""},
    Wrapper{"flock", "wE", " --timeout --wait --conflict-exit-code --start --length --fd ", 1},
    Wrapper{"gosu", "", "", 1},
    Wrapper{"i386", "p", " --pid "},
    Wrapper{"ionice", "cnpPu", " --class --classdata --pid --pgid --uid "},
    Wrapper{"linux32", "p", " --pid "},
    Wrapper{"linux64", "p", " --pid "},
    Wrapper{"nice", "n", " --adjustment "},
    Wrapper{"nohup", "", ""},
    Wrapper{"prlimit", "po", " --pid --output "},
    Wrapper{"s6-envdir", "c", "", 1},
    Wrapper{"s6-setlock", "td", "", 1},
    Wrapper{"s6-setuidgid", "", "", 1},
    Wrapper{"setarch", "p", " --pid "},
    Wrapper{"setpriv", "",
            " --reuid --regid --ruid --euid --rgid --egid --groups --inh-caps --ambient-caps --bounding-set "
            "--securebits --pdeathsig --ptracer --selinux-label --apparmor-profile --landlock-access "
            "--landlock-rule --list-landlock-rights --seccomp-filter "},
    Wrapper{"setsid", "", ""},
    Wrapper{"setuidgid", "", "", 1},
    Wrapper{"stdbuf", "ioe", " --input --output --error "},
    Wrapper{"su-exec", "", "", 1},
    Wrapper{"softlimit", "acdflmoprst", ""},
    Wrapper{"sudo", "aCcDghpRrTtUu",
            " --auth-type --close-from --login-class --chdir --chroot --user --other-user --group --host "
            "--prompt --role --type --command-timeout ",
            0, true},
    Wrapper{"taskset", "", "", 1},
    Wrapper{"time", "fo", " --format --output "},
    Wrapper{"timeout", "sk", " --signal --kill-after ", 1},
    Wrapper{"tini", "pe", ""},
    Wrapper{"tini-static", "pe", ""},
    Wrapper{"vault-env", "", ""},
    Wrapper{"with-contenv", "", ""},
    Wrapper{"x86_64", "p", " --pid "},
    Wrapper{"xvfb-run", "nsefpw",
            " --server-num --server-args --error-file --auth-file --xauth-protocol --wait "},
};

// getopt_long(3) takes the start of a name for the name; Go's flag package takes one dash or two.
bool takes_next_word(const Wrapper& wrapper, std::string_view word) {
  if (wrapper.go_flags) {
    const std::string name = " --" + std::string(word.substr(word.starts_with("--") ? 2 : 1)) + " ";
    return wrapper.long_with_value.find(name) != std::string_view::npos;
  }
  return word.size() > 2 && word.starts_with("--") && word.find('=') == std::string_view::npos &&
         wrapper.long_with_value.find(" " + std::string(word)) != std::string_view::npos;
}

bool is_assignment(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string_view::npos) return false;
  return std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::vector<std::string> words_of(std::string_view text) {
  try {
    if (auto words = split_words(text)) return *words;
  } catch (const Error&) {
    // an open quote: as plain words
  }
  std::vector<std::string> words;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(" \t", at)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

// env -S TEXT: the text's words take its place.
std::optional<std::vector<std::string>> split_string(const std::vector<std::string>& argv) {
  for (std::size_t i = 1; i < argv.size() && argv[i].size() > 1 && argv[i][0] == '-'; ++i) {
    const std::string& word = argv[i];
    std::string text;
    std::size_t used = 1;
    constexpr std::string_view kLong = "--split-string";
    const std::size_t letter = word[1] == '-' ? std::string::npos : word.find('S');
    if (word.starts_with(kLong)) {
      if (word.size() > kLong.size() && word[kLong.size()] == '=') {
        text = word.substr(kLong.size() + 1);
      } else {
        used = 2;
      }
    } else if (letter != std::string::npos) {
      text = word.substr(letter + 1);
      if (text.empty()) used = 2;
    } else {
      continue;
    }
    if (used == 2) {
      if (i + 1 >= argv.size()) return std::nullopt;
      text = argv[i + 1];
    }
    std::vector<std::string> result(argv.begin(), argv.begin() + static_cast<std::ptrdiff_t>(i));
    for (std::string& part : words_of(text))
      result.push_back(std::move(part));
    result.insert(result.end(), argv.begin() + static_cast<std::ptrdiff_t>(i + used), argv.end());
    return result;
  }
  return std::nullopt;
}

// su USER -c TEXT, su USER SCRIPT, runuser -u USER -- COMMAND (util-linux login-utils/su-common.c; options
// may stand behind the user's name).
Unwrapped unwrap_su(const std::vector<std::string>& argv) {
  constexpr std::string_view kLettersWithValue = "cCgGsuw";
  constexpr std::string_view kNamesWithValue[] = {
      "--command", "--session-command",      "--group", "--supp-group", "--shell",
      "--user",    "--whitelist-environment"};
  constexpr std::string_view kLetterOfName = "cCgGsuw";
  Unwrapped result;
  std::string shell;
  std::optional<std::string> user;
  bool by_option = false;
  std::vector<std::string> operands;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    char letter = 0;
    std::optional<std::string> value;
    if (word == "--") {
      operands.insert(operands.end(), argv.begin() + static_cast<std::ptrdiff_t>(i) + 1, argv.end());
      break;
    }
    if (word.starts_with("--")) {
      const std::string name = word.substr(0, word.find('='));
      for (std::size_t n = 0; n < std::size(kNamesWithValue); ++n) {
        if (letter == 0 && kNamesWithValue[n].starts_with(name)) letter = kLetterOfName[n];
      }
      if (name.size() < word.size()) value = word.substr(name.size() + 1);
    } else if (word.size() > 1 && word[0] == '-') {
      const std::size_t at = word.find_first_of(kLettersWithValue, 1);
      if (at != std::string::npos) letter = word[at];
      if (letter != 0 && at + 1 < word.size()) value = word.substr(at + 1);
    } else {
      if (by_option) {
        operands.insert(operands.end(), argv.begin() + static_cast<std::ptrdiff_t>(i), argv.end());
        break;
      }
      operands.push_back(word);
      continue;
    }
    if (letter == 0) continue;
    if (!value) {
      if (i + 1 >= argv.size()) break;
      value = argv[++i];
    }
    if (letter == 'c' || letter == 'C') result.shell_text = *value;
    if (letter == 's') shell = *value;
    if (letter == 'u') {
      user = *value;
      by_option = true;
    }
  }
  if (by_option && !result.shell_text) {
    result.argv = std::move(operands);
    return result;
  }
  if (!operands.empty() && operands.front() == "-") operands.erase(operands.begin());
  if (!user) {
    user = operands.empty() ? "root" : operands.front();
    if (!operands.empty()) operands.erase(operands.begin());
  }
  if (result.shell_text && !operands.empty()) operands.erase(operands.begin());  // $0
  result.shell = std::move(shell);
  result.account = std::move(user);
  result.shell_arguments = std::move(operands);
  return result;
}

// Programs of which some word is a command that they start; where it begins is theirs to know.
constexpr std::array<std::string_view, 16> kStartArguments = {
    "find", "gdb",   "ltrace", "nsenter",           "numactl", "parallel", "perf",  "script",
    "sort", "split", "strace", "start-stop-daemon", "unshare", "valgrind", "watch", "xargs"};

constexpr std::array<std::string_view, 13> kShells = {"sh",    "bash",       "dash",  "ash",  "ksh",
                                                      "ksh93", "mksh",       "rbash", "yash", "zsh",
                                                      "posh",  "busybox-sh", "oksh"};

// Interpreters that open a prompt, with version digits cut off.
constexpr std::array<std::string_view, 20> kPrompts = {
    "python", "ipython", "pypy", "node", "nodejs", "deno", "bun", "ruby",  "irb",    "lua",
    "luajit", "perl",    "php",  "R",    "ghci",   "erl",  "iex", "julia", "jshell", "pwsh"};

constexpr std::array<std::string_view, 64> kBuiltins = {
    ".",       ":",       "[",      "[[",     "alias",     "bg",       "bind",     "break",
    "builtin", "caller",  "case",   "cd",     "command",   "compgen",  "complete", "continue",
    "declare", "dirs",    "disown", "echo",   "enable",    "eval",     "exec",     "exit",
    "export",  "false",   "fc",     "fg",     "for",       "getopts",  "hash",     "help",
    "history", "jobs",    "kill",   "let",    "local",     "logout",   "mapfile",  "popd",
    "printf",  "pushd",   "pwd",    "read",   "readarray", "readonly", "return",   "select",
    "set",     "shift",   "shopt",  "source", "test",      "times",    "trap",     "true",
    "type",    "typeset", "ulimit", "umask",  "unalias",   "unset",    "wait",     "]]"};

}  // namespace

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_shell(std::string_view name) {
  return std::find(kShells.begin(), kShells.end(), name) != kShells.end();
}

bool is_shell_builtin(std::string_view word) {
  return std::find(kBuiltins.begin(), kBuiltins.end(), word) != kBuiltins.end();
}

std::optional<Unwrapped> unwrap(const std::vector<std::string>& argv) {
  if (argv.empty()) return std::nullopt;
  const std::string_view name = base_name(argv[0]);
  if (name == "su" || name == "runuser") return unwrap_su(argv);
  const auto wrapper =
      std::find_if(kWrappers.begin(), kWrappers.end(), [&](const Wrapper& w) { return w.name == name; });
  if (wrapper == kWrappers.end()) return std::nullopt;
  if (name == "env") {
    if (const auto split = split_string(argv)) {
      // Once: what -S brought is not split again.
      std::vector<std::string> rest = *split;
      if (!split_string(rest)) return unwrap(rest);
    }
  }
  Unwrapped result;
  int operands = wrapper->operands;
  bool options = true;
  std::size_t i = 1;
  for (; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    if (options && word == "--") {
      options = false;
      continue;
    }
    if (options && word.size() > 1 && word[0] == '-') {
      if (takes_next_word(*wrapper, word)) {
        ++i;
      } else if (word[1] != '-') {
        const std::size_t letter = word.find_first_of(wrapper->short_with_value, 1);
        if (letter != std::string::npos && letter + 1 == word.size()) ++i;
      }
      continue;
    }
    if (options && word == "-") continue;  // env -: an empty environment
    if (wrapper->assignments && is_assignment(word)) {
      result.env.push_back(word);
      continue;
    }
    if (operands == 0) break;
    // Behind another root directory the names mean other files.
    if (name == "chroot" && word.find_first_not_of('/') != std::string::npos) return result;
    --operands;
    options = false;
  }
  if (name == "flock" && i + 1 < argv.size() && (argv[i] == "-c" || argv[i] == "--command")) {
    result.shell_text = argv[i + 1];
    return result;
  }
  if (i < argv.size()) result.argv.assign(argv.begin() + static_cast<std::ptrdiff_t>(i), argv.end());
  return result;
}

std::optional<ShellInvocation> shell_invocation(std::string_view name, const std::vector<std::string>& argv) {
  if (!is_shell(name)) return std::nullopt;
  ShellInvocation result;
  bool wants_text = false;
  bool from_input = false;
  std::size_t i = 1;
  for (; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    if (word == "--" || word == "-") {
      ++i;
      break;
    }
    if (word.size() < 2 || (word[0] != '-' && word[0] != '+')) break;
    if (word.starts_with("--")) {
      if (word == "--login") result.login = true;
      if (word == "--rcfile" || word == "--init-file") ++i;
      continue;
    }
    for (std::size_t letter = 1; letter < word.size(); ++letter) {
      if (word[0] == '-' && word[letter] == 'c') wants_text = true;
      if (word[0] == '-' && word[letter] == 's') from_input = true;
      if (word[0] == '-' && word[letter] == 'l') result.login = true;
      if (word[letter] == 'o' || word[letter] == 'O') {
        ++i;
        break;
      }
    }
  }
  if (i < argv.size() && wants_text) {
    result.text = argv[i++];
    if (i < argv.size()) ++i;  // $0
  } else if (i < argv.size() && !from_input) {
    result.script = argv[i++];
  }
  if (i < argv.size()) result.arguments.assign(argv.begin() + static_cast<std::ptrdiff_t>(i), argv.end());
  return result;
}

bool starts_its_arguments(std::string_view name) {
  return std::find(kStartArguments.begin(), kStartArguments.end(), name) != kStartArguments.end();
}

bool starts_nothing(std::string_view name, const std::vector<std::string>& argv) {
  if (name == "sleep" || name == "pause") return true;
  if (name == "cat") return argv.size() == 1;
  if (name == "tail") return argv.size() >= 2 && argv.back() == "/dev/null";
  name = name.substr(0, name.find_last_not_of("0123456789.-") + 1);
  if (std::find(kPrompts.begin(), kPrompts.end(), name) == kPrompts.end()) return false;
  return std::all_of(argv.begin() + 1, argv.end(), [](const std::string& word) {
    return word == "-i" || word == "-a" || word == "-q" || word == "-" || word == "--interactive";
  });
}

}  // namespace imgslim
