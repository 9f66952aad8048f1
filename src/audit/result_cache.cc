// SPDX-License-Identifier: Apache-2.0
#include "src/audit/result_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "layers/digest.h"
#include "layers/error.h"
#include "src/command.h"
#include "src/version.h"

namespace imgslim {
namespace {

// In front of a result; another meaning of its items takes another number.
constexpr std::string_view kFormat = "imgslim result 1";
constexpr std::uintmax_t kMaxFile = std::uintmax_t{64} << 20;

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
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return "absent";
  return fmt::format("{} {} {} {}.{:09} {}.{:09}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

std::optional<std::string> identity_of(const ImageName& name, const ImageSource& source,
                                       const ImageSet& set) {
  std::string identity = source.root().digest.text() + "\n";
  if (name.location == "-") return std::nullopt;
  if (name.transport == Transport::kOciArchive || name.transport == Transport::kDockerArchive)
    return identity + identity_of_file(name.location) + "\n";
  if (name.transport == Transport::kDockerDaemon) return std::nullopt;
  if (name.transport != Transport::kOci) return identity;
  for (const SourceImage& image : set.images) {
    for (const LayerDescriptor& layer : image.manifest.layers) {
      std::string digest = layer.descriptor.digest.text();
      digest[digest.find(':')] = '/';
      identity += digest + " " + identity_of_file(name.location + "/blobs/" + digest) + "\n";
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
    : file_(spool_directory() + "/results/" + digest_of(about).text().substr(7)),
      head_(fmt::format("{}, {}\n{}\n", kFormat, kVersion, digest_of(key).text())) {}

std::optional<std::vector<std::string>> ResultCache::find() const {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file_, error);
  if (error || size > kMaxFile || size < head_.size()) return std::nullopt;
  std::ifstream in(file_, std::ios::binary);
  std::string text(size, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(size)) || !text.starts_with(head_))
    return std::nullopt;
  // Each item stands behind its length.
  std::vector<std::string> items;
  for (std::size_t at = head_.size(); at < text.size();) {
    std::size_t length = 0;
    const auto [end, failed] = std::from_chars(text.data() + at, text.data() + text.size(), length);
    const auto start = static_cast<std::size_t>(end - text.data()) + 1;
    if (failed != std::errc() || start > text.size() || length > text.size() - start) return std::nullopt;
    items.push_back(text.substr(start, length));
    at = start + length;
  }
  return items;
}

void ResultCache::store(const std::vector<std::string>& items) const {
  std::string text = head_;
  for (const std::string& item : items)
    text += fmt::format("{} ", item.size()) + item;
  if (text.size() > kMaxFile) return;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), error);
  try {
    write_file(file_, text);
  } catch (const Error&) {
  }
}

}  // namespace imgslim
