// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "layers/error.h"
#include "src/command.h"
#include "src/optimize.h"
#include "src/settings.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string source;
  std::string destination;
  std::string form;  // "" here and below: not given
  std::string min_form;
  std::string accept;
  std::vector<std::string> platforms;
  std::string compression;
  int compression_level = 0;
  bool no_hardlinks = false;
  bool dry_run = false;
  std::string debug_info;
  std::string report;
  std::string digest_file;
  std::string proof;
  std::vector<std::string> keep;
  std::vector<std::string> drop;
  std::string keep_base;
  std::string config;
  std::string buildkit_cache_from;
  std::string buildkit_cache_to;
  std::vector<std::string> cache_from;
  std::vector<std::string> cache_to;
  bool no_cache = false;
  OptimizeOptions options;
};

std::optional<std::int64_t> source_date_epoch() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long long seconds = std::strtoll(text, &end, 10);
  // The last second of the year 9999, the largest that RFC 3339 can say.
  if (errno != 0 || *end != '\0' || seconds < 0 || seconds > 253402300799) {
    throw_usage(fmt::format("SOURCE_DATE_EPOCH is '{}'; it takes seconds since 1970", printable(text, 40)));
  }
  return seconds;
}

void check_level(const Arguments& arguments) {
  const int level = arguments.compression_level;
  if (level == 0) return;
  if (arguments.compression.empty()) {
    throw_usage("--compression-level needs --compression: levels of gzip and zstd are not the same");
  }
  const int highest = arguments.compression == "gzip" ? 9 : 22;
  if (level > highest)
    throw_usage(fmt::format("--compression-level {} is above {}'s highest, {}", level, arguments.compression,
                            highest));
}

void set_debug_info(const std::string& text, OptimizeOptions& options) {
  const std::size_t comma = text.find(',');
  const std::string mode = text.substr(0, comma);
  bool known = false;
  for (const DebugInfoMode choice : {DebugInfoMode::kKeep, DebugInfoMode::kSplit, DebugInfoMode::kDrop}) {
    if (mode != name_of(choice)) continue;
    options.debug_info = choice;
    known = true;
  }
  options.debug_symbols = comma != std::string::npos;
  const bool keeps = options.debug_info == DebugInfoMode::kKeep;
  if (!known || (options.debug_symbols && (keeps || text.substr(comma) != ",symbols"))) {
    throw_usage(fmt::format("--debug-info {}: it takes keep, split or drop, the last two also with ,symbols",
                            printable(text, 40)));
  }
}

void set_buildkit_cache(const Arguments& arguments, OptimizeOptions& options) {
  if (arguments.buildkit_cache_to.empty()) {
    if (!arguments.buildkit_cache_from.empty())
      throw_usage("--buildkit-cache-from needs --buildkit-cache-to: a cache is read to be published");
    return;
  }
  options.buildkit_cache = parse_buildkit_cache_to(arguments.buildkit_cache_to);
  if (!arguments.buildkit_cache_from.empty())
    options.buildkit_cache->from = parse_source_name(arguments.buildkit_cache_from);
}

void set_cache(const Arguments& arguments, OptimizeOptions& options) {
  if (arguments.no_cache) {
    if (!arguments.cache_from.empty() || !arguments.cache_to.empty())
      throw_usage("--no-cache and --cache-from or --cache-to exclude each other");
    return;
  }
  options.cache.directory = cache_directory();
  options.cache.threads = options.threads;
  for (const std::string& text : arguments.cache_from)
    options.cache.from.push_back(parse_cache_from(text));
  for (const std::string& text : arguments.cache_to)
    options.cache.to.push_back(parse_cache_to(text));
  const auto& destination = options.destination;
  const bool is_readable = destination && (destination->transport == Transport::kOci ||
                                           destination->transport == Transport::kDocker);
  for (const CacheSpec& to : options.cache.to) {
    if (to.with_layers && !is_readable)
      throw_usage(
          "--cache-to with mode=max needs a destination whose layers can be read again: a layout or a "
          "registry");
  }
  if (options.dry_run && !options.cache.to.empty())
    throw_usage("--cache-to and --dry-run exclude each other");
}

// What the repository's settings say, where the command line says nothing; lists are joined.
void add_settings(const Settings& settings, Arguments& arguments) {
  const OptimizeSettings& all = settings.optimize;
  const auto set = [](std::string& argument, const std::optional<std::string>& setting) {
    if (argument.empty() && setting) argument = *setting;
  };
  const auto append = [](std::vector<std::string>& list, const std::vector<std::string>& more) {
    list.insert(list.end(), more.begin(), more.end());
  };
  if (arguments.form.empty() && arguments.min_form.empty()) {
    set(arguments.form, all.form);
    set(arguments.min_form, all.min_form);
  }
  set(arguments.accept, all.accept);
  if (arguments.compression.empty() && arguments.compression_level == 0) {
    set(arguments.compression, all.compression);
    arguments.compression_level = all.compression_level.value_or(0);
  }
  arguments.no_hardlinks = arguments.no_hardlinks || all.no_hardlinks.value_or(false);
  set(arguments.keep_base, all.keep_base);
  set(arguments.debug_info, all.debug_info);
  append(arguments.keep, all.keep);
  append(arguments.drop, all.drop);
  append(arguments.options.keep_packages, all.keep_package);
  append(arguments.options.also_run, all.also_run);
  for (const std::string& file : all.roots_from)
    arguments.options.roots_from.push_back(settings.path_of(file));
  if (arguments.platforms.empty()) arguments.platforms = all.platform;
}

OptimizeOptions options_from(const Arguments& arguments, const CommonOptions& common) {
  OptimizeOptions options = arguments.options;
  check_level(arguments);
  options.source = parse_source_name(arguments.source);
  options.dry_run = arguments.dry_run;
  options.keeps_proof = !arguments.proof.empty();
  if (options.keeps_proof && arguments.dry_run)
    throw_usage("--proof states digests of the result, which a dry run does not know");
  if (arguments.destination.empty()) {
    if (!arguments.dry_run)
      throw_usage("a destination is needed, such as oci:DIR; or --dry-run to see what would go");
  } else {
    const ImageName destination = parse_destination_name(arguments.destination);
    if (!arguments.dry_run) options.destination = destination;
  }
  if (!arguments.form.empty() && arguments.form != "auto") options.form = form_named(arguments.form);
  if (!arguments.min_form.empty()) {
    if (options.form) throw_usage("--form and --min-form exclude each other");
    options.min_form = form_named(arguments.min_form);
  }
  for (const std::string& pattern : arguments.keep)
    options.keep.emplace_back(pattern);
  for (const std::string& pattern : arguments.drop)
    options.drop.emplace_back(pattern);
  if (!arguments.keep_base.empty()) {
    const bool is_number = arguments.keep_base.size() < 6 &&
                           arguments.keep_base.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) {
      options.keep_base = static_cast<std::uint32_t>(std::stoul(arguments.keep_base));
    } else {
      options.base_image = parse_source_name(arguments.keep_base);
    }
  }
  if (options.form == Form::kLossless && !options.drop.empty()) {
    throw_usage("--drop takes visible files away, which --form lossless does not");
  }
  for (const std::string& text : arguments.platforms)
    options.platforms.push_back(Platform::parse(text));
  if (arguments.compression == "gzip") options.compression = Compression::kGzip;
  if (arguments.compression == "zstd") options.compression = Compression::kZstd;
  for (const Evidence evidence :
       {Evidence::kExact, Evidence::kKnown, Evidence::kBounded, Evidence::kCandidate, Evidence::kUnknown}) {
    if (arguments.accept == name_of(evidence)) options.accept = evidence;
  }
  if (!arguments.debug_info.empty()) set_debug_info(arguments.debug_info, options);
  set_buildkit_cache(arguments, options);
  options.compression_level = arguments.compression_level;
  options.hardlinks = !arguments.no_hardlinks;
  options.threads = common.thread_count();
  options.spool_directory = spool_directory();
  options.source_date_epoch = source_date_epoch();
  set_cache(arguments, options);
  return options;
}

int run_optimize(Arguments arguments, const CommonOptions& common) {
  add_settings(arguments.config.empty() ? find_settings(".") : read_settings(arguments.config), arguments);
  const OptimizeOptions options = options_from(arguments, common);
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  const Report report = optimize(options, progress);
  for (const PlatformReport& platform : report.platforms) {
    for (const std::string& warning : platform.warnings)
      progress.verbose(platform.platform + ": " + warning);
    if (!platform.warnings.empty() && !common.verbose) {
      progress.warn(
          fmt::format("{}: {} oddities in the input, which appliers may see differently; --verbose or the "
                      "report lists them",
                      platform.platform, platform.warnings.size()));
    }
    if (platform.lost_inline_cache)
      progress.note(platform.platform +
                    ": the inline BuildKit cache key was dropped, it spoke of the old layers");
  }
  for (const PlatformReport& platform : report.platforms) {
    if (platform.lost_shell) progress.note(platform.platform + ": the result has no shell any more");
    if (platform.base_layers > 0) {
      progress.note(fmt::format("{}: {} to pull above the {} layers of the base", platform.platform,
                                human_bytes(platform.above_base), platform.base_layers));
    }
  }
  if (report.attestations_dropped > 0) {
    progress.note(fmt::format("{} attestations were dropped, they spoke of the old manifests",
                              report.attestations_dropped));
  }
  if (!report.left_out.empty())
    progress.note(fmt::format("left out by --platform: {}", fmt::join(report.left_out, ", ")));

  const std::string json = dump_json_pretty(to_json(report));
  if (!arguments.report.empty()) write_file(arguments.report, json);
  if (!arguments.digest_file.empty() && !report.result_digest.empty())
    write_file(arguments.digest_file, report.result_digest + "\n");
  if (!arguments.proof.empty()) write_file(arguments.proof, report.proof);
  // With an archive on standard output there is no room for a table.
  const bool stdout_taken = options.destination && options.destination->location == "-";
  const std::string text = common.format == "json" ? json : to_text(report, terminal_width(STDOUT_FILENO));
  fmt::print(stdout_taken ? stderr : stdout, "{}", text);
  return 0;
}

}  // namespace

Run set_up_optimize(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("SOURCE", a.source, "image to read")->required();
  app.add_option("DESTINATION", a.destination, "where the result goes");
  app.add_option("--accept", a.accept, "weakest evidence that allows distroless (default: candidate)")
      ->check(CLI::IsMember({"exact", "known", "bounded", "candidate", "unknown"}))
      ->type_name("CLASS");
  app.add_option("--also-run", a.options.also_run, "another command the image is started with")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  app.add_option("--buildkit-cache-from", a.buildkit_cache_from,
                 "the BuildKit cache to publish (default: the source's inline one)")
      ->type_name("REF");
  app.add_option("--buildkit-cache-to", a.buildkit_cache_to, "publish the source's BuildKit cache there")
      ->type_name("REF[,form=index|manifest]");
  app.add_option("--cache-from", a.cache_from, "take what an earlier run found from there")
      ->type_name("REF|type=registry,ref=REF|type=local,src=DIR")
      ->allow_extra_args(false);
  app.add_option("--cache-to", a.cache_to, "keep what this run finds there")
      ->type_name("REF|type=registry,ref=REF|type=local,dest=DIR[,mode=min|max][,ignore-error=true]")
      ->allow_extra_args(false);
  app.add_option("--compression", a.compression, "compression of layers that are written")
      ->check(CLI::IsMember({"gzip", "zstd"}))
      ->type_name("gzip|zstd");
  app.add_option("--compression-level", a.compression_level, "1 to 9 for gzip, 1 to 22 for zstd")
      ->check(CLI::Range(1, 22))
      ->type_name("N");
  app.add_option("--config", a.config, "settings instead of imgslim.yaml")->type_name("FILE");
  app.add_option("--debug-info", a.debug_info, "what becomes of debug information (default: keep)")
      ->type_name("keep|split|drop[,symbols]");
  app.add_option("--digest-file", a.digest_file, "write the result's digest there")->type_name("FILE");
  app.add_option("--drop", a.drop, "drop these files too")->type_name("GLOB")->allow_extra_args(false);
  app.add_flag("--dry-run", a.dry_run, "plan and report, write nothing");
  app.add_option("--form", a.form, "exactly this form (default: auto)")
      ->check(CLI::IsMember({"auto", "lossless", "tidy", "distroless"}))
      ->type_name("FORM");
  app.add_option("--keep", a.keep, "no rule drops these files")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--keep-base", a.keep_base, "the lowest N layers, or those of IMAGE, stay as they are")
      ->type_name("N|IMAGE");
  app.add_option("--keep-package", a.options.keep_packages, "all files of this package stay")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_option("--min-form", a.min_form, "at least this form")
      ->check(CLI::IsMember({"lossless", "tidy", "distroless"}))
      ->type_name("FORM");
  app.add_flag("--no-cache", a.no_cache, "read and write everything again");
  app.add_flag("--no-hardlinks", a.no_hardlinks, "do not store equal files once");
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  app.add_option("--proof", a.proof, "write the certificate there")->type_name("FILE");
  app.add_option("--report", a.report, "write the report in JSON there")->type_name("FILE");
  app.add_option("--roots-from", a.options.roots_from, "commands of a Kubernetes or Compose file")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_network_options(app, a.options.network);
  return [arguments, &common] { return run_optimize(*arguments, common); };
}

}  // namespace imgslim
