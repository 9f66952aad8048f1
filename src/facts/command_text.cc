// SPDX-License-Identifier: Apache-2.0
// Shell text: which commands its words come down to.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/command_state.h"

namespace imgslim {
namespace {

std::string line_of(std::string_view where, std::size_t line) {
  return line == 0 ? std::string(where) : fmt::format("{}, line {}", where, line);
}

}  // namespace

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
void CommandTracer::State::assign_variables(const ShellScript& script, CommandEnvironment& env) const {
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
                                  std::size_t at, const CommandEnvironment& env, const Call& call,
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

CommandOutcome CommandTracer::State::run_text(std::string_view text, const std::vector<std::string>& args,
                                              bool args_known, const CommandEnvironment& outer, Call call,
                                              const std::string& where, const std::string& script_path) {
  if (call.depth > kMaxDepth) return CommandOutcome::kApplication;
  const ShellScript script = parse_shell(text);
  CommandEnvironment env = outer;
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

  std::optional<CommandOutcome> passed_on;  // what "$@" comes down to
  CommandOutcome own = CommandOutcome::kNothing;
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
          const CommandOutcome outcome = follow(given, env, guess, Step::Kind::kShellText);
          if (!passed_on || *passed_on == CommandOutcome::kNothing) passed_on = outcome;
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
      const CommandOutcome outcome = follow(rest, env, next, Step::Kind::kShellText);
      own = std::max(own, outcome);
      if (outcome != CommandOutcome::kNothing)
        arguments(rest, env, side_call(next, Evidence::kCandidate, reason), true);
    }
  }
  if (!script_path.empty()) {
    // A script is a program of its own, unless all it does is to start what it is given.
    return passed_on && *passed_on == CommandOutcome::kStartsNothing ? CommandOutcome::kStartsNothing
                                                                     : CommandOutcome::kApplication;
  }
  return passed_on ? std::max(*passed_on, own) : own;
}

}  // namespace imgslim
