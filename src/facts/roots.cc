// SPDX-License-Identifier: Apache-2.0
#include "src/facts/roots.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/shell_words.h"

namespace imgslim {
namespace {

// Whether the image is one to run, by its commands that are not only guesses, probes or hooks.
void classify(Roots& roots) {
  const Root* bare = nullptr;
  const Root* missing = nullptr;
  for (const Root& root : roots.roots) {
    if (!root.command.application || root.command.assumed) continue;
    if (root.program.empty()) {
      if (missing == nullptr) missing = &root;
    } else if (root.starts_nothing) {
      if (bare == nullptr) bare = &root;
    } else {
      roots.kind = ImageKind::kApplication;
      roots.kind_reason =
          fmt::format("{} starts {}", printable(root.command.origin), printable(root.program));
      return;
    }
  }
  if (bare != nullptr) {
    roots.kind = ImageKind::kBareShell;
    roots.kind_reason = fmt::format("{} starts {} without anything to run", printable(bare->command.origin),
                                    printable(bare->program));
  } else if (missing != nullptr) {
    roots.kind = ImageKind::kNoCommand;
    const std::string word = missing->command.argv.empty() ? "" : missing->command.argv[0];
    roots.kind_reason = fmt::format("the program of {} is not in the image: {}",
                                    printable(missing->command.origin), printable(word));
  } else {
    roots.kind = ImageKind::kNoCommand;
    roots.kind_reason = "the image has neither ENTRYPOINT nor CMD";
  }
}

}  // namespace

std::string_view name_of(ImageKind kind) {
  switch (kind) {
    case ImageKind::kApplication:
      return "application";
    case ImageKind::kNoCommand:
      return "no command";
    case ImageKind::kBareShell:
      break;
  }
  return "bare shell";
}

bool Roots::reaches(std::string_view path) const {
  const auto found =
      std::lower_bound(files.begin(), files.end(), path,
                       [](const ReachedFile& file, std::string_view key) { return file.path < key; });
  return found != files.end() && found->path == path;
}

std::vector<Command> commands_of(const ImageConfig& config) {
  std::vector<Command> commands;
  if (!config.entrypoint.empty() && !config.cmd.empty()) {
    Command both;
    both.origin = "ENTRYPOINT and CMD";
    both.argv = config.entrypoint;
    both.argv.insert(both.argv.end(), config.cmd.begin(), config.cmd.end());
    commands.push_back(std::move(both));
  }
  if (!config.entrypoint.empty()) {
    Command alone;
    alone.origin = config.cmd.empty() ? "ENTRYPOINT" : "ENTRYPOINT alone";
    alone.argv = config.entrypoint;
    alone.assumed = !config.cmd.empty();
    commands.push_back(std::move(alone));
  }
  if (!config.cmd.empty()) {
    Command alone;
    alone.origin = config.entrypoint.empty() ? "CMD" : "CMD alone";
    alone.argv = config.cmd;
    alone.assumed = !config.entrypoint.empty();
    commands.push_back(std::move(alone));
  }
  if (config.healthcheck.size() >= 2) {
    Command check;
    check.origin = "HEALTHCHECK";
    check.application = false;
    if (config.healthcheck[0] == "CMD") {
      check.argv.assign(config.healthcheck.begin() + 1, config.healthcheck.end());
    } else if (config.healthcheck[0] == "CMD-SHELL") {
      check.argv = config.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : config.shell;
      check.argv.push_back(config.healthcheck[1]);
    }
    if (!check.argv.empty()) commands.push_back(std::move(check));
  }
  return commands;
}

Command command_from_line(std::string_view line, std::string origin) {
  Command command;
  const auto words = with_context(printable(line), [&] { return split_words(line); });
  command.origin = std::move(origin);
  command.argv = words ? *words : std::vector<std::string>{"sh", "-c", std::string(line)};
  if (command.argv.empty()) throw_usage(fmt::format("{}: the command is empty", command.origin));
  return command;
}

Roots find_roots(const FileSystem& files, const ImageConfig& config, const std::vector<Command>& more) {
  CommandTracer tracer(files, config.env, config.working_dir);
  for (const Command& command : commands_of(config))
    tracer.trace(command);
  for (const Command& command : more)
    tracer.trace(command);
  Roots roots = tracer.result();
  classify(roots);
  return roots;
}

}  // namespace imgslim
