// SPDX-License-Identifier: Apache-2.0
// What an image can start, as far as file names, links, shebangs and shell scripts tell: the commands of
// its configuration, of health checks and of deployment files, each seen through wrappers down to the
// programs. No ELF is parsed here: the files reached are where that begins.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/manifest.h"
#include "src/facts/evidence.h"
#include "src/facts/file_system.h"

namespace imgslim {

// An order to start something, before any file is looked at.
struct Command {
  std::string origin;  // for people: "ENTRYPOINT and CMD", "deploy.yaml: Deployment web, container app, ..."
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value", over the image's
  std::string working_dir;       // "" = the image's
  bool assumed = false;          // tried in case it is a command by itself: not found is no finding
  bool application = true;       // false for health checks, probes and hooks: alone they make no application
};

// One step from a command's words towards a file.
struct Step {
  enum class Kind : std::uint8_t {
    kProgram,      // argv[0] looked up: `path` is what it leads to
    kWrapper,      // argv[0] is a wrapper; the next step starts what it is given
    kInterpreter,  // `path` is named by a shebang line
    kShellText,    // argv of a command in a -c text or a script
  };
  Kind kind = Kind::kProgram;
  std::vector<std::string> argv;
  std::string path;  // resolved; "" if nothing was found
  Evidence evidence = Evidence::kExact;
};

struct Root {
  Command command;
  std::vector<Step> steps;      // in the order found, depth first
  std::string program;          // resolved path of what it comes down to, wrappers and shells seen through; a
                                // script counts as itself; "" if not found
  bool starts_nothing = false;  // a shell, a prompt or a pause without anything to run
};

// A file that a root needs to start. Links passed on the way are files of their own.
struct ReachedFile {
  enum class Kind : std::uint8_t { kProgram, kLink, kScript, kInterpreter, kSourced, kArgument };
  std::string path;  // directories resolved; for kLink the link itself
  Kind kind = Kind::kProgram;
  std::string why;  // one line: "started by /entrypoint.sh, line 12", "interpreter of /usr/bin/ldd"
  Evidence evidence = Evidence::kExact;
  std::uint32_t root = 0;  // index of the first root that reaches it
};

// Something people should know; not an error.
struct RootFinding {
  enum class Kind : std::uint8_t { kNotFound, kNotExecutable, kUnclear };
  Kind kind = Kind::kNotFound;
  std::string text;  // one line, printable
  std::uint32_t root = 0;
};

enum class ImageKind : std::uint8_t {
  kApplication,
  kNoCommand,  // no command, or none that is in the image
  kBareShell,  // the command is a shell or a REPL without anything to run: a builder image
};
std::string_view name_of(ImageKind kind);  // "application", "no command", "bare shell"

struct Roots {
  std::vector<Root> roots;            // in the order of the commands
  std::vector<ReachedFile> files;     // sorted by path, once each, with the strongest evidence
  std::vector<RootFinding> findings;  // by root, in the order found
  ImageKind kind = ImageKind::kNoCommand;
  std::string kind_reason;  // one line: "the command is a shell without a script: /bin/bash"
  bool reaches(std::string_view path) const;  // whether `files` has it
};

// ENTRYPOINT and CMD together and each alone, and HEALTHCHECK. Without an ENTRYPOINT, CMD once.
std::vector<Command> commands_of(const ImageConfig& config);
// A command line as people type it (--also-run): split into words, or `sh -c` if it needs a shell.
// Throws Error{kUsage} for an empty one or an open quote.
Command command_from_line(std::string_view line, std::string origin);

// What all commands reach: those of the config, then `more`.
Roots find_roots(const FileSystem& files, const ImageConfig& config, const std::vector<Command>& more = {});

// Goes from commands and scripts to files; a later fixpoint uses it for programs it finds elsewhere.
// Not thread safe. `files` must outlive it.
class CommandTracer {
 public:
  // The environment is the image's: PATH (the runtimes' default if unset) and WorkingDir count.
  CommandTracer(const FileSystem& files, const std::vector<std::string>& env, std::string working_dir);
  ~CommandTracer();
  CommandTracer(const CommandTracer&) = delete;
  CommandTracer& operator=(const CommandTracer&) = delete;

  // Follows a command; its files and findings are added. Returns the index of its root.
  std::uint32_t trace(const Command& command);
  // Follows a file that is started or kept for another reason: shebang, script words. Evidence of what it
  // brings is at best `evidence`. The file itself is not added.
  void trace_file(std::string_view path, Evidence evidence, std::uint32_t root);
  // execvp(3) as the image's runtime does it: a word with a slash as a path below the working directory, else
  // PATH. The path is not resolved; nothing if there is no executable file.
  std::optional<std::string> look_up(std::string_view word) const;
  // What was found so far, files sorted.
  Roots result() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imgslim
