// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memory>

#include "layers/error.h"
#include "src/command.h"
#include "src/inspected_tree.h"
#include "src/inspection.h"
#include "src/progress.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string target;
  std::string cpu = "baseline";
  std::vector<std::string> env;
  std::string platform;
  std::string root;
  NetworkArguments network;
};

int run_inspect(const Arguments& arguments, const CommonOptions& common) {
  for (const std::string& item : arguments.env) {
    if (item.find('=') == 0 || item.find('=') == std::string::npos) {
      throw_usage(fmt::format("--env {}: it takes NAME=VALUE", printable(item, 80)));
    }
  }
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  InspectedTreeOptions where;
  where.target = arguments.target;
  where.root = arguments.root;
  if (!arguments.platform.empty()) where.platform = Platform::parse(arguments.platform);
  where.threads = common.thread_count();
  where.spool_directory = spool_directory();
  where.network = arguments.network;
  const std::unique_ptr<InspectedTree> tree = open_inspected_tree(where, progress);

  InspectionOptions options;
  options.tree = tree->name;
  options.env = tree->env;
  options.env.insert(options.env.end(), arguments.env.begin(), arguments.env.end());
  options.working_directory = tree->working_directory;
  const std::string user = tree->user.substr(0, tree->user.find(':'));
  options.runs_as_root = tree->is_image && (user.empty() || user == "root" || user == "0");
  options.cpu = arguments.cpu;
  options.walk_tree = tree->is_image;
  ObjectCache cache(tree->files());
  const Inspection inspection = inspect(cache, tree->path, options);
  progress.end();
  if (common.format == "json") {
    fmt::print("{}", dump_json_pretty(to_json(inspection)));
  } else {
    fmt::print("{}", to_text(inspection, {terminal_width(STDOUT_FILENO), common.verbose}));
  }
  return 0;
}

}  // namespace

Run set_up_inspect(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("PROGRAM", a.target, "FILE of this machine, or IMAGE:PATH")->required();
  app.add_option("--cpu", a.cpu, "CPU to search libraries for (default: baseline)")->type_name("CPU");
  app.add_option("--env", a.env, "set a variable of the environment")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--platform", a.platform, "the image of an index to look into")->type_name("OS/ARCH");
  app.add_option("--root", a.root, "FILE is a path in the tree below DIR")->type_name("DIR");
  add_network_options(app, a.network);
  return [arguments, &common] { return run_inspect(*arguments, common); };
}

}  // namespace imgslim
