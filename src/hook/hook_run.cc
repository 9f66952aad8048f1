// SPDX-License-Identifier: Apache-2.0
#include "src/hook/hook_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "layers/error.h"
#include "layers/image_store.h"
#include "src/audit/audit_run.h"
#include "src/audit/result_cache.h"
#include "src/command.h"
#include "src/open_image.h"

namespace imgslim {
namespace {

std::string revision_in(const SourceImage& image) {
  constexpr const char* kKey = "org.opencontainers.image.revision";
  const auto in = [&](const Json& object, const char* member) -> std::string {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_object()) return "";
    const auto value = found->find(kKey);
    return value != found->end() && value->is_string() ? value->get<std::string>() : "";
  };
  std::string revision = in(image.manifest.json, "annotations");
  const auto config = image.config.json.find("config");
  if (revision.empty() && config != image.config.json.end() && config->is_object())
    revision = in(*config, "Labels");
  return revision;
}

// How far an image is from what is pushed, "" if it is of a pushed commit or does not say.
std::string staleness(const SourceImage& image, const std::vector<std::string>& commits) {
  const std::string revision = revision_in(image);
  if (revision.empty() || commits.empty()) return "";
  std::string last;
  for (const std::string& commit : commits) {
    last = distance_text(revision, commit);
    if (last.empty()) return "";
  }
  return fmt::format("is stale: it is of {}, {}", printable(revision.substr(0, 12)), last);
}

// A hook asks nothing; what its time is has a limit.
NetworkArguments network_of(const HookInput& input) {
  NetworkArguments network;
  network.timeout = input.settings.hook.timeout_seconds;
  return network;
}

void check_image(const std::string& text, const HookInput& input, HookResult& result) {
  const ImageName name = parse_source_name(text);
  std::optional<std::string> identity;
  {
    const std::unique_ptr<ImageSource> source =
        ImageStores(network_of(input), spool_directory()).open_source(name);
    const ImageSet set = read_image_set(*source, {});
    for (const SourceImage& image : set.images) {
      if (const std::string stale = staleness(image, input.commits); !stale.empty()) {
        result.warnings.push_back(text + " " + stale);
        return;
      }
      if (input.verbose && revision_in(image).empty())
        result.notes.push_back(text + " does not say of which commit it is");
    }
    identity = identity_of(name, *source, set);
  }
  const std::optional<std::string> settings = identity_of_settings(input.settings, network_of(input));
  std::optional<ResultCache> cache;
  if (identity && settings) {
    cache.emplace("hook\n" + input.settings.file + "\n" + text, *identity + *settings);
    if (auto lines = cache->find()) {
      std::move(lines->begin(), lines->end(), std::back_inserter(result.broken));
      return;
    }
  }
  Progress progress(Progress::Detail::kQuiet);
  AuditRequest request;
  request.images = {text};
  request.ignore = input.settings.budgets.ignore;
  request.threads = input.threads;
  request.network = network_of(input);
  const AuditedImages images = audit_images(request, progress);
  std::vector<std::string> lines;
  for (const BrokenRule& rule : check_all(images, input.settings, input.threads, network_of(input), progress))
    lines.push_back(rule.line());
  if (cache) cache->store(lines);
  std::move(lines.begin(), lines.end(), std::back_inserter(result.broken));
}

}  // namespace

HookResult run_hook(const HookInput& input) {
  HookResult result;
  for (const std::string& image : input.settings.hook.images) {
    try {
      check_image(image, input, result);
    } catch (const Error& error) {
      // What is malformed is an error of its own; what is not there is not.
      if (error.failure() == Failure::kBadImage) throw;
      result.warnings.push_back(fmt::format("{} was not checked: {}", image, error.what()));
    }
  }
  return result;
}

}  // namespace imgslim
