// SPDX-License-Identifier: Apache-2.0
// Programs that start the program they are given (tini, gosu, env, nice, ...), and the ones that do nothing
// without being given something: shells, interpreters that open a prompt.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

// What a wrapper's words come down to.
struct Unwrapped {
  std::vector<std::string> argv;          // of the command inside; empty: none is given
  std::vector<std::string> env;           // "NAME=value" the wrapper sets
  std::optional<std::string> shell_text;  // su -c TEXT, flock -c TEXT: for a shell
  // That shell, where it is not sh: the one named (su -s), else the login shell of an account.
  std::string shell;
  std::optional<std::string> account;
  std::vector<std::string> shell_arguments;  // su USER SCRIPT ARGS.., or behind the text
};
// Nothing if argv[0] is no wrapper.
std::optional<Unwrapped> unwrap(const std::vector<std::string>& argv);

// A shell's words: `sh -ec TEXT NAME ARGS...`, `bash SCRIPT ARGS...`, or neither.
struct ShellInvocation {
  std::optional<std::string> text;     // behind -c
  std::optional<std::string> script;   // name of a file
  std::vector<std::string> arguments;  // $1, $2, ...
  bool login = false;                  // reads /etc/profile
};
// Nothing if `name` is no shell's name.
std::optional<ShellInvocation> shell_invocation(std::string_view name, const std::vector<std::string>& argv);
bool is_shell(std::string_view name);

// Whether one of the program's words is a command that it starts: find, xargs, strace, unshare.
bool starts_its_arguments(std::string_view name);

// Whether the command opens a prompt or only keeps a container alive: python3, node, `sleep infinity`.
bool starts_nothing(std::string_view name, const std::vector<std::string>& argv);

// Whether a POSIX shell or bash runs this word itself.
bool is_shell_builtin(std::string_view word);

// "/usr/bin/env" -> "env".
std::string_view base_name(std::string_view path);

}  // namespace imgslim
