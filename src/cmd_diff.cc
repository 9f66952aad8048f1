// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memory>

#include "layers/error.h"
#include "src/audit/audit_run.h"
#include "src/audit/image_diff.h"
#include "src/command.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string before;
  std::string after;
  NetworkArguments network;
};

int run_diff(const Arguments& arguments, const CommonOptions& common) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  const unsigned threads = common.thread_count();
  const std::vector<Footprint> before = read_baseline(arguments.before, threads, arguments.network, progress);
  const std::vector<Footprint> after = read_baseline(arguments.after, threads, arguments.network, progress);
  progress.end();
  std::vector<ImageDiff> diffs;
  for (const Footprint& image : after) {
    const Footprint* old = find_platform(before, image.platform);
    if (old == nullptr) {
      progress.warn(fmt::format("{} has no image for {}", arguments.before, image.platform));
      continue;
    }
    diffs.push_back(compare_images(*old, image));
  }
  if (diffs.empty())
    throw_usage(fmt::format("{} and {} have no platform in common", arguments.before, arguments.after));
  if (common.format == "json") {
    fmt::print("{}", dump_json_pretty(to_json(diffs)));
  } else if (common.format == "markdown") {
    fmt::print("{}", to_markdown(diffs));
  } else {
    fmt::print("{}", to_text(diffs, terminal_width(STDOUT_FILENO), common.verbose));
  }
  return 0;
}

}  // namespace

Run set_up_diff(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("BEFORE", arguments->before, "image, or a file that audit --format json wrote")->required();
  app.add_option("AFTER", arguments->after, "image, or such a file")->required();
  add_network_options(app, arguments->network);
  return [arguments, &common] { return run_diff(*arguments, common); };
}

}  // namespace imgslim
