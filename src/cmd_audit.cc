// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memory>

#include "layers/error.h"
#include "src/audit/audit_run.h"
#include "src/audit/formats.h"
#include "src/audit/result_cache.h"
#include "src/command.h"
#include "src/settings.h"

namespace imgslim {
namespace {

struct Arguments {
  std::vector<std::string> images;
  std::string base;
  std::string config;
  std::string metrics;
  bool no_cache = false;
  std::vector<std::string> platforms;
  NetworkArguments network;
};

// What a run says: what it may also take from an earlier one.
struct Result {
  std::string out;
  std::string metrics;
  std::vector<std::string> broken;  // lines
};

Result audit(const Arguments& arguments, const CommonOptions& common, const Settings& settings) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  AuditRequest request;
  request.images = arguments.images;
  request.base = arguments.base;
  request.ignore = settings.budgets.ignore;
  request.threads = common.thread_count();
  request.network = arguments.network;
  for (const std::string& text : arguments.platforms)
    request.platforms.push_back(Platform::parse(text));
  const AuditedImages images = audit_images(request, progress);
  const Audit& audit = images.audit;
  const std::vector<BrokenRule> broken =
      check_all(images, settings, request.threads, arguments.network, progress);
  progress.end();

  Result result;
  if (common.format == "json") {
    result.out = dump_json_pretty(to_json(audit, broken));
  } else if (common.format == "dive-json") {
    result.out = dump_json_pretty(to_dive_json(audit));
  } else if (common.format == "markdown") {
    result.out = to_markdown(audit, broken);
  } else if (common.format == "junit") {
    result.out = to_junit(audit, rules_of(settings.budgets), broken);
  } else {
    result.out = to_text(audit, terminal_width(STDOUT_FILENO), common.verbose);
  }
  if (!arguments.metrics.empty()) result.metrics = to_metrics(audit, broken);
  for (const BrokenRule& rule : broken)
    result.broken.push_back(rule.line());
  return result;
}

// The cache of this run's result; nothing if it cannot be told whether something changed.
std::optional<ResultCache> cache_of(const Arguments& arguments, const CommonOptions& common,
                                    const Settings& settings) {
  std::string about = fmt::format("audit\n{}\n{}\n{}\n{}\n{}\n", common.format, common.verbose,
                                  terminal_width(STDOUT_FILENO), !arguments.metrics.empty(), arguments.base);
  std::optional<std::string> key = identity_of_settings(settings, arguments.network);
  const auto add = [&](const std::string& image) {
    const auto identity = key ? identity_of_image(image, arguments.network) : std::nullopt;
    key = identity ? std::optional(*key + "\n" + image + "\n" + *identity) : std::nullopt;
  };
  for (const std::string& image : arguments.images) {
    about += image + "\n";
    add(image);
  }
  for (const std::string& platform : arguments.platforms)
    about += "--platform " + platform + "\n";
  const bool base_is_image = arguments.base.find_first_not_of("0123456789") != std::string::npos;
  if (base_is_image) add(arguments.base);
  if (!key) return std::nullopt;
  return ResultCache(about, about + *key);
}

int run_audit(const Arguments& arguments, const CommonOptions& common) {
  const Settings settings = arguments.config.empty() ? find_settings(".") : read_settings(arguments.config);
  std::optional<ResultCache> cache;
  if (!arguments.no_cache) cache = cache_of(arguments, common, settings);
  Result result;
  std::optional<std::vector<std::string>> known;
  if (cache) known = cache->find();
  if (known && known->size() >= 2) {
    result.out = std::move((*known)[0]);
    result.metrics = std::move((*known)[1]);
    result.broken.assign(known->begin() + 2, known->end());
  } else {
    result = audit(arguments, common, settings);
    if (cache) {
      std::vector<std::string> items{result.out, result.metrics};
      items.insert(items.end(), result.broken.begin(), result.broken.end());
      cache->store(items);
    }
  }
  if (!arguments.metrics.empty()) write_file(arguments.metrics, result.metrics);
  fmt::print("{}", result.out);
  std::fflush(stdout);
  for (const std::string& line : result.broken)
    fmt::print(stderr, "imgslim: {}\n", line);
  return result.broken.empty() ? 0 : static_cast<int>(Failure::kPolicy);
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
  app.add_flag("--no-cache", a.no_cache, "read everything again");
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  add_network_options(app, a.network);
  return [arguments, &common] { return run_audit(*arguments, common); };
}

}  // namespace imgslim
