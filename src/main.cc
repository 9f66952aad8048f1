// SPDX-License-Identifier: Apache-2.0
// Command line, and the one place where an error becomes an exit status.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <map>
#include <new>

#include "layers/error.h"
#include "src/command.h"
#include "src/packaged.h"
#include "src/version.h"

namespace imgslim {
namespace {

constexpr CommandRow kCommands[] = {
    {"optimize", "write a smaller image that behaves the same", &set_up_optimize},
    {"audit", "where the bytes of images come from, and budgets", &set_up_audit,
     "text json dive-json markdown junit"},
    {"diff", "what grew from one image to another, and why", &set_up_diff, "text json markdown"},
    {"inspect", "what one program loads and starts", &set_up_inspect},
    {"explain", "say why a path is in an image, or gone from it", &set_up_explain},
    {"verify", "check that an image can start, from its files alone", &set_up_verify},
    {"hook", "hold images to their budgets before git pushes", &set_up_hook, "text"},
    {"debug-info", "bring debug information back that was taken out", &set_up_debug_info, "text json"},
    {"copy", "bring an image from one place to another, byte for byte", &set_up_copy, "text json"},
    {"cache", "what a build cache holds, and whether it is good", &set_up_cache, "text json"},
    {"completion", "print a completion script for a shell", &set_up_completion},
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// The first word that is no option must be a command; CLI11's own message would name all words.
void check_command(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("-")) continue;
    const CommandRow* nearest = nullptr;
    std::size_t distance = 3;
    for (const CommandRow& row : kCommands) {
      if (row.name == word) return;
      const std::size_t d = edit_distance(row.name, word);
      if (d < distance) {
        distance = d;
        nearest = &row;
      }
    }
    throw_usage(fmt::format(
        "there is no command '{}'; {}", printable(word, 40),
        nearest != nullptr ? fmt::format("did you mean '{}'?", nearest->name) : "see 'imgslim --help'"));
  }
}

int run(int argc, char** argv) {
  CLI::App app{"Make container images small, and prove that they still start.", "imgslim"};
  app.set_version_flag("-V,--version", std::string("imgslim ") + kVersion);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) { return std::string(error.what()); });

  CommonOptions common;
  std::map<const CLI::App*, Run> runs;
  for (const CommandRow& row : kCommands) {
    CLI::App* command = app.add_subcommand(std::string(row.name), std::string(row.summary));
    command->add_flag("-q,--quiet", common.quiet, "no progress and no warnings");
    command->add_flag("-v,--verbose", common.verbose, "say more about what is done");
    command->add_option("--format", common.format, fmt::format("form of the result: {}", row.formats))
        ->check(CLI::IsMember(formats_of(row)))
        ->type_name("FORMAT");
    command->add_option("-j,--threads", common.threads, "threads to use (default: one a processor)")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    runs[command] = row.set_up(*command, common);
  }
  check_command(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (char& c : message) {
      if (c == '\n') c = ' ';
    }
    if (!message.empty() && message[0] >= 'A' && message[0] <= 'Z' &&
        !(message.size() > 1 && message[1] <= 'Z')) {
      message[0] = static_cast<char>(message[0] - 'A' + 'a');
    }
    throw_usage(message + (app.get_subcommands().empty()
                               ? "; see 'imgslim --help'"
                               : "; see 'imgslim " + app.get_subcommands()[0]->get_name() + " --help'"));
  }
  return runs.at(app.get_subcommands().front())();
}

}  // namespace

std::span<const CommandRow> commands() {
  return kCommands;
}

}  // namespace imgslim

int main(int argc, char** argv) {
  imgslim::keep_to_own_libraries();
  // A reader that goes away is an error of write(2), reported like any other.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return imgslim::run(argc, argv);
  } catch (const imgslim::Error& error) {
    fmt::print(stderr, "imgslim: {}\n", error.what());
    return static_cast<int>(error.failure());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "imgslim: out of memory\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "imgslim: internal error: {}; nothing was written, please report it\n", error.what());
  }
  return static_cast<int>(imgslim::Failure::kIo);
}
