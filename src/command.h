// SPDX-License-Identifier: Apache-2.0
// The commands of the program: one row each, one file each.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace imgslim {

// What every command takes.
struct CommonOptions {
  bool quiet = false;
  bool verbose = false;
  std::string format = "text";
  unsigned threads = 0;  // 0: one a processor
  unsigned thread_count() const;
};

// What a command does once its arguments are parsed; returns the exit status.
using Run = std::function<int()>;

struct CommandRow {
  std::string_view name;
  std::string_view summary;
  // Adds the command's arguments to `app` and returns what to run. `app` and `common` outlive the run.
  Run (*set_up)(CLI::App& app, const CommonOptions& common);
  // What --format takes, divided by spaces.
  std::string_view formats = "text json";
};

// All commands, in the order of --help.
std::span<const CommandRow> commands();
std::vector<std::string> formats_of(const CommandRow& row);

Run set_up_audit(CLI::App& app, const CommonOptions& common);
Run set_up_diff(CLI::App& app, const CommonOptions& common);
Run set_up_hook(CLI::App& app, const CommonOptions& common);
Run set_up_cache(CLI::App& app, const CommonOptions& common);
Run set_up_debug_info(CLI::App& app, const CommonOptions& common);
Run set_up_copy(CLI::App& app, const CommonOptions& common);
Run set_up_inspect(CLI::App& app, const CommonOptions& common);
Run set_up_optimize(CLI::App& app, const CommonOptions& common);
Run set_up_explain(CLI::App& app, const CommonOptions& common);
Run set_up_verify(CLI::App& app, const CommonOptions& common);
Run set_up_completion(CLI::App& app, const CommonOptions& common);

// Where what runs keep for later ones is; empty where nothing says: XDG_CACHE_HOME or HOME.
std::string cache_directory();
// Where copies of sources that cannot be read twice are kept while the program runs.
std::string spool_directory();

// Writes `text` to a file that appears whole or not at all.
void write_file(const std::string& path, const std::string& text);

}  // namespace imgslim
