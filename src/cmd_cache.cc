// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memory>

#include "layers/error.h"
#include "src/buildkit_cache_copy.h"
#include "src/buildkit_cache_report.h"
#include "src/command.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string action;
  std::string cache;
  NetworkArguments network;
};

std::optional<BuildkitCache> read_buildkit_cache(const ImageSource& source) {
  if (auto cache = read_separate_cache(source)) return cache;
  return read_inline_caches(source, read_image_set(source, {}));
}

// What a cache holds; with `verify`, against its blobs.
int report_cache(const Arguments& arguments, const CommonOptions& common, bool verify) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  ImageStores stores(arguments.network, spool_directory());
  const std::unique_ptr<ImageSource> source = stores.open_source(parse_source_name(arguments.cache));
  const std::optional<BuildkitCache> cache = read_buildkit_cache(*source);
  if (!cache) throw Error(Failure::kIo, source->name() + ": there is no build cache in it");
  ExaminationOptions options;
  options.read = verify;
  options.threads = common.thread_count();
  options.progress = [&](std::uint64_t done, std::uint64_t total) { progress.at(done, total); };
  if (verify) progress.begin("reading the layers of the cache");
  const CacheDescription description =
      describe_cache(*cache, examine_layers(*source, *cache, options), verify);
  progress.end();
  fmt::print("{}", common.format == "json" ? dump_json_pretty(to_json(description))
                                           : to_text(description, terminal_width(STDOUT_FILENO)));
  return verify && !description.ok() ? static_cast<int>(Failure::kVerification) : 0;
}

}  // namespace

Run set_up_cache(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("ACTION", a.action, "report or verify")
      ->required()
      ->check(CLI::IsMember({"report", "verify"}));
  app.add_option("REF", a.cache, "where the cache is")->required();
  add_network_options(app, a.network);
  return [arguments, &common] { return report_cache(*arguments, common, arguments->action == "verify"); };
}

}  // namespace imgslim
