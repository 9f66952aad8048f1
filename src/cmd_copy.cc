// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

#include "layers/error.h"
#include "src/command.h"
#include "src/copy.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string source;
  std::string destination;
  std::vector<std::string> platforms;
  std::string digest_file;
  CopyOptions options;
};

int run_copy(const Arguments& arguments, const CommonOptions& common) {
  CopyOptions options = arguments.options;
  options.source = parse_source_name(arguments.source);
  options.destination = parse_destination_name(arguments.destination);
  for (const std::string& text : arguments.platforms)
    options.platforms.push_back(Platform::parse(text));
  options.spool_directory = spool_directory();
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  const CopyReport report = copy_image(options, progress);
  progress.end();
  if (!report.left_out.empty())
    progress.note(fmt::format("left out by --platform: {}", fmt::join(report.left_out, ", ")));
  if (!arguments.digest_file.empty()) write_file(arguments.digest_file, report.result_digest + "\n");
  // With an archive on standard output there is no room for text.
  std::FILE* out = options.destination.location == "-" ? stderr : stdout;
  if (common.format == "json") {
    fmt::print(out, "{}", dump_json_pretty(to_json(report)));
    return 0;
  }
  fmt::print(out, "{} {}\n", printable(report.destination), report.result_digest);
  if (report.transfers.any()) fmt::print(out, "{}\n", to_text(report.transfers));
  return 0;
}

}  // namespace

Run set_up_copy(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("SOURCE", a.source, "image to read")->required();
  app.add_option("DESTINATION", a.destination, "where it goes")->required();
  app.add_option("--digest-file", a.digest_file, "write the digest of what was written there")
      ->type_name("FILE");
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  app.add_flag("--referrers", a.options.referrers, "take along what refers to the image");
  add_network_options(app, a.options.network);
  return [arguments, &common] { return run_copy(*arguments, common); };
}

}  // namespace imgslim
