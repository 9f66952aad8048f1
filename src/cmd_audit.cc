// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memory>

#include "layers/error.h"
#include "src/audit/audit_run.h"
#include "src/audit/formats.h"
#include "src/command.h"
#include "src/settings.h"

namespace imgslim {
namespace {

struct Arguments {
  std::vector<std::string> images;
  std::string base;
  std::string config;
  std::string metrics;
  std::vector<std::string> platforms;
};

int run_audit(const Arguments& arguments, const CommonOptions& common) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  const Settings settings = arguments.config.empty() ? find_settings(".") : read_settings(arguments.config);
  AuditRequest request;
  request.images = arguments.images;
  request.base = arguments.base;
  request.ignore = settings.budgets.ignore;
  request.threads = common.thread_count();
  for (const std::string& text : arguments.platforms)
    request.platforms.push_back(Platform::parse(text));
  const AuditedImages images = audit_images(request, progress);
  const Audit& audit = images.audit;
  const std::vector<BrokenRule> broken = check_all(images, settings, request.threads, progress);
  progress.end();

  if (!arguments.metrics.empty()) write_file(arguments.metrics, to_metrics(audit, broken));
  if (common.format == "json") {
    fmt::print("{}", dump_json_pretty(to_json(audit, broken)));
  } else if (common.format == "dive-json") {
    fmt::print("{}", dump_json_pretty(to_dive_json(audit)));
  } else if (common.format == "markdown") {
    fmt::print("{}", to_markdown(audit, broken));
  } else if (common.format == "junit") {
    fmt::print("{}", to_junit(audit, rules_of(settings.budgets), broken));
  } else {
    fmt::print("{}", to_text(audit, terminal_width(STDOUT_FILENO), common.verbose));
  }
  std::fflush(stdout);
  for (const BrokenRule& rule : broken)
    fmt::print(stderr, "imgslim: {}\n", rule.line());
  return broken.empty() ? 0 : static_cast<int>(Failure::kPolicy);
}

}  // namespace

Run set_up_audit(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("IMAGE", a.images, "images to audit")->required();
  app.add_option("--base", a.base, "how many of the lowest layers are the base, or the base image")
      ->type_name("N|IMAGE");
  app.add_option("--config", a.config, "settings instead of imgslim.yaml")->type_name("FILE");
  app.add_option("--metrics", a.metrics, "write Prometheus metrics there")->type_name("FILE");
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  return [arguments, &common] { return run_audit(*arguments, common); };
}

}  // namespace imgslim
