// SPDX-License-Identifier: Apache-2.0
#include "src/audit/result_cache.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "layers/error.h"
#include "layers/packed.h"
#include "layers/stream.h"
#include "src/cache/code_id.h"
#include "src/command.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
constexpr std::uint64_t kMaxFiles = 1000;

std::string text_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool begins_with_brace(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  char first = 0;
  in >> std::ws >> first;
  return first == '{';
}

}  // namespace

std::string identity_of_file(const std::string& path) {
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(path, error);
  if (error) return "absent";
  try {
    return open_file_blob(file)->identity();
  } catch (const Error&) {
    return "absent";
  }
}

std::optional<std::string> identity_of(const ImageName& name, const ImageSource& source,
                                       const ImageSet& set) {
  if (name.location == "-" || name.transport == Transport::kDockerDaemon) return std::nullopt;
  std::string identity = source.root().digest.text() + "\n";
  if (source.is_remote()) return identity;
  for (const SourceImage& image : set.images) {
    for (const LayerDescriptor& layer : image.manifest.layers) {
      identity += layer.descriptor.digest.text() + " ";
      if (!layer.foreign) identity += source.open(layer.descriptor)->identity();
      identity += "\n";
    }
  }
  return identity;
}

std::optional<std::string> identity_of_image(const std::string& text, const NetworkArguments& network) {
  try {
    const ImageName name = parse_source_name(text);
    // Opening standard input would take it away from who reads it.
    if (name.location == "-") return std::nullopt;
    const auto source = ImageStores(network, spool_directory()).open_source(name);
    return identity_of(name, *source, read_image_set(*source, {}));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::string> identity_of_settings(const Settings& settings, const NetworkArguments& network) {
  std::string identity =
      fmt::format("{}\n{}\n", settings.file, settings.file.empty() ? "" : text_of(settings.file));
  for (const GoSumBudget& rule : settings.budgets.go_sums) {
    const std::string file = settings.path_of(rule.file);
    identity += identity_of_file(file) + "\n" +
                identity_of_file(file.substr(0, file.rfind('/') + 1) + "go.mod") + "\n";
  }
  if (settings.budgets.baseline.empty()) return identity;
  const std::string file = settings.path_of(settings.budgets.baseline);
  if (const std::string found = identity_of_file(file); found != "absent" && begins_with_brace(file))
    return identity + found;
  const auto baseline = identity_of_image(settings.budgets.baseline, network);
  if (!baseline) return std::nullopt;
  return identity + *baseline;
}

ResultCache::ResultCache(std::string_view about, std::string_view key)
    : store_(cache_directory(), "results"), about_(about), key_(fmt::format("{}\n{}", code_id(), key)) {}

std::optional<std::vector<std::string>> ResultCache::find() const {
  const auto text = store_.find(about_);
  auto known = text ? unpacked<std::pair<std::string, std::vector<std::string>>>(*text) : std::nullopt;
  if (!known || known->first != key_) return std::nullopt;
  return std::move(known->second);
}

void ResultCache::store(const std::vector<std::string>& items) const {
  store_.store(about_, packed(std::pair(key_, items)));
  store_.trim(kMaxBytes, kMaxFiles);
}

}  // namespace imgslim
