// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

#include "layers/error.h"
#include "layers/image_store.h"
#include "src/certificate.h"
#include "src/command.h"
#include "src/explanation.h"
#include "src/image_set.h"
#include "src/image_work.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string image;
  std::vector<std::string> paths;
  std::string proof;
  bool afresh = false;
  std::string platform;
  OptimizeOptions options;
};

struct ExplainedPlatform {
  std::string platform;
  std::vector<Explanation> explanations;
  std::vector<std::string> unmatched;  // patterns
  std::size_t more = 0;
};

ExplainedPlatform explain_all(const ExplainInput& input, const Arguments& arguments) {
  ExplainedPlatform out;
  out.platform = input.proof.platform;
  for (const std::string& pattern : arguments.paths) {
    std::size_t more = 0;
    std::vector<Explanation> found = explain(input, pattern, &more);
    out.more += more;
    if (found.empty()) out.unmatched.push_back(pattern);
    for (Explanation& explanation : found)
      out.explanations.push_back(std::move(explanation));
  }
  return out;
}

std::optional<Proof> find_proof(const ImageSource& source, const Arguments& arguments) {
  if (arguments.afresh) return std::nullopt;
  if (!arguments.proof.empty()) return read_proof_file(arguments.proof);
  const auto certificate = find_certificate(source, source.root().digest);
  if (!certificate) return std::nullopt;
  return read_proof(certificate->text, "certificate " + certificate->referrer);
}

// What optimize would decide for this image; nothing is written.
ExplainedPlatform explain_afresh(const SourceImage& image, const ScannedLayers& layers,
                                 const Arguments& arguments, Progress& progress) {
  ImageWork work(image, arguments.options);
  work.merge(layers);
  work.find_facts();
  Form form = Form::kTidy;
  if (work.roots().kind == ImageKind::kApplication) {
    work.find_closure();
    form = Form::kDistroless;
    const KeepResult& closure = work.closure();
    if (closure.weakest > arguments.options.accept) {
      progress.note(
          fmt::format("{}: this is the form distroless, which optimize does not reach by itself{}{}",
                      image.config.platform.text(), closure.stoppers.empty() ? "" : ": ",
                      closure.stoppers.empty() ? "" : closure.stoppers.front()));
    }
  }
  work.plan(form);
  const ProofPlatform proof = work.prove(form);
  const Tree result = work.result_tree();
  return explain_all({proof, &work.tree(), &result}, arguments);
}

int run_explain(const Arguments& arguments, const CommonOptions& common) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  ImageStores stores(arguments.options.network, spool_directory());
  const auto source = stores.open_source(parse_source_name(arguments.image));
  std::vector<Platform> platforms;
  if (!arguments.platform.empty()) platforms.push_back(Platform::parse(arguments.platform));
  const ImageSet set = read_image_set(*source, platforms);
  const std::optional<Proof> proof = find_proof(*source, arguments);
  std::unique_ptr<ScannedLayers> layers;
  const auto scan = [&]() -> const ScannedLayers& {
    if (!layers) layers = std::make_unique<ScannedLayers>(*source, set, common.thread_count(), progress);
    return *layers;
  };

  std::vector<ExplainedPlatform> explained;
  for (const SourceImage& image : set.images) {
    if (!proof) {
      explained.push_back(explain_afresh(image, scan(), arguments, progress));
      continue;
    }
    const ProofPlatform* part = proof->find(image.descriptor.digest.text());
    if (part == nullptr) {
      throw Error(Failure::kVerification, fmt::format("{}: the certificate does not speak of {}", image.what,
                                                      image.descriptor.digest.text()));
    }
    // Where a certificate lists no paths, all that is there is kept.
    std::optional<Tree> tree;
    if (part->paths.empty()) tree = merge_layers(image, scan().tables_of(image));
    explained.push_back(explain_all({*part, nullptr, tree ? &*tree : nullptr}, arguments));
  }
  progress.end();

  bool all_known = true;
  Json json;
  json["version"] = 1;
  json["image"] = printable(source->name(), 2000);
  json["platforms"] = Json::array();
  for (const ExplainedPlatform& platform : explained) {
    for (const std::string& pattern : platform.unmatched)
      progress.note(fmt::format("{}: nothing matches {}", platform.platform, printable(pattern)));
    if (platform.more > 0)
      progress.note(fmt::format("{}: {} more paths match", platform.platform, platform.more));
    all_known = all_known && platform.unmatched.empty() &&
                std::none_of(platform.explanations.begin(), platform.explanations.end(),
                             [](const Explanation& it) { return it.state == Explanation::State::kUnknown; });
    if (common.format == "json") {
      json["platforms"].push_back({{"platform", platform.platform},
                                   {"paths", to_json(platform.explanations)},
                                   {"more", platform.more}});
      continue;
    }
    if (explained.size() > 1) fmt::print("{}:\n", platform.platform);
    fmt::print("{}", to_text(platform.explanations));
  }
  if (common.format == "json") fmt::print("{}", dump_json_pretty(json));
  return all_known ? 0 : static_cast<int>(Failure::kIo);
}

}  // namespace

Run set_up_explain(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("IMAGE", a.image, "image to explain")->required();
  app.add_option("PATH", a.paths, "path in it, or pattern")->required();
  app.add_flag("--afresh", a.afresh, "derive it from the image, without its certificate");
  app.add_option("--also-run", a.options.also_run, "another command the image is started with")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  app.add_option("--platform", a.platform, "only this platform of an index")->type_name("OS/ARCH");
  app.add_option("--proof", a.proof, "the certificate (default: the one beside the image)")
      ->type_name("FILE");
  app.add_option("--roots-from", a.options.roots_from, "commands of a Kubernetes or Compose file")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_network_options(app, a.options.network);
  return [arguments, &common] {
    if (arguments->afresh && !arguments->proof.empty())
      throw_usage("--afresh and --proof exclude each other");
    arguments->options.threads = common.thread_count();
    return run_explain(*arguments, common);
  };
}

}  // namespace imgslim
