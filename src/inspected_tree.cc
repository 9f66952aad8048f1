// SPDX-License-Identifier: Apache-2.0
#include "src/inspected_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "src/facts/tree_file_system.h"
#include "src/image_set.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

constexpr std::string_view kTransports[] = {"oci", "oci-archive", "docker-archive", "docker",
                                            "docker-daemon"};

class HostTree : public InspectedTree {
 public:
  explicit HostTree(const std::string& root) : files_(host_file_system(root)) {}
  const FileSystem& files() const override { return *files_; }

 private:
  std::unique_ptr<FileSystem> files_;
};

class ImageTree : public InspectedTree {
 public:
  ImageTree(const ImageName& image, const InspectedTreeOptions& options, Progress& progress)
      : source_(ImageStores(options.network, options.spool_directory).open_source(image)),
        set_(read_image_set(*source_, options.platform ? std::vector<Platform>{*options.platform}
                                                       : std::vector<Platform>{})) {
    if (set_.images.size() > 1) {
      std::vector<std::string> platforms;
      for (const SourceImage& found : set_.images)
        platforms.push_back(found.config.platform.text());
      throw_usage(fmt::format("{} has {} images; choose one with --platform: {}", source_->name(),
                              platforms.size(), fmt::join(platforms, ", ")));
    }
    const SourceImage& found = set_.images.front();
    const ScannedLayers layers(*source_, set_, options.threads, progress);
    tree_ = merge_layers(found, layers.tables_of(found));
    contents_ = layers.contents_of(found);
    files_ = std::make_unique<TreeFileSystem>(
        tree_, [this](EntryRef file, std::uint64_t length) { return contents_->read_front(file, length); });
    name = found.what;
    is_image = true;
    env = found.config.env;
    working_directory = found.config.working_dir.empty() ? "/" : found.config.working_dir;
    user = found.config.user;
  }
  const FileSystem& files() const override { return *files_; }

 private:
  std::unique_ptr<ImageSource> source_;
  ImageSet set_;
  Tree tree_;
  std::unique_ptr<Contents> contents_;
  std::unique_ptr<TreeFileSystem> files_;
};

bool is_transport(std::string_view word) {
  return std::find(std::begin(kTransports), std::end(kTransports), word) != std::end(kTransports);
}

// The path as every process sees it; the last link is not followed, nor any other.
std::string absolute(const std::string& path) {
  std::error_code error;
  const auto full = std::filesystem::absolute(path, error);
  return error ? path : full.string();
}

}  // namespace

std::optional<std::pair<std::string, std::string>> split_image_path(std::string_view target) {
  for (std::size_t colon = target.rfind(":/"); colon != std::string_view::npos && colon > 0;
       colon = target.rfind(":/", colon - 1)) {
    if (target.substr(colon).starts_with("://")) continue;
    const std::string_view image = target.substr(0, colon);
    if (is_transport(image)) return std::nullopt;
    return std::pair{std::string(image), std::string(target.substr(colon + 1))};
  }
  return std::nullopt;
}

std::unique_ptr<InspectedTree> open_inspected_tree(const InspectedTreeOptions& options, Progress& progress) {
  struct stat info {};
  const bool below = !options.root.empty();
  if (below && stat(options.root.c_str(), &info) != 0)
    throw_io("cannot read " + printable(options.root), errno);
  if (below && !S_ISDIR(info.st_mode)) throw_usage(printable(options.root) + " is no directory");
  if (!below && stat(options.target.c_str(), &info) != 0) {
    const int failed = errno;
    if (const auto split = split_image_path(options.target)) {
      auto tree = std::make_unique<ImageTree>(parse_source_name(split->first), options, progress);
      tree->path = split->second;
      return tree;
    }
    const std::string_view lead = std::string_view(options.target).substr(0, options.target.find(':'));
    if (lead.size() < options.target.size() && is_transport(lead)) {
      throw_usage(fmt::format("\"{}\" names an image, not a file in it; add :/PATH of the program",
                              printable(options.target)));
    }
    throw_io("cannot read " + printable(options.target), failed);
  }
  if (options.platform) throw_usage("--platform chooses an image of an index; a file has none");
  auto tree = std::make_unique<HostTree>(below ? options.root : "/");
  tree->path = below ? join_path("/", options.target) : absolute(options.target);
  tree->name = below ? options.root : "";
  return tree;
}

}  // namespace imgslim
