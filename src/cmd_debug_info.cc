// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "layers/contents.h"
#include "layers/durable_file.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "layers/scan.h"
#include "src/command.h"
#include "src/debug_files.h"
#include "src/image_set.h"
#include "src/open_image.h"
#include "src/progress.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string image;
  std::string output;
  std::vector<std::string> platforms;
  NetworkArguments network;
};

struct FetchedFile {
  std::string path;  // ".build-id/xx/yyyy.debug"
  std::uint64_t size = 0;
};

// Writes through a name of its own, so that a companion is there whole or not at all.
void write_companion(const Contents& contents, EntryRef file, const std::string& path) {
  make_directories(directory_of(path));
  const std::string part = path + ".part";
  std::filesystem::remove(part);
  try {
    const UniqueFd fd = create_new_file(part);
    contents.write_to(
        file, *sink_to([&](std::span<const std::byte> bytes) { write_fully(fd.get(), bytes, part); }));
    rename_file(part, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw;
  }
}

// The companions of one image, from the newest artifact that refers to it.
void fetch(const ImageSource& source, const SourceImage& image, const Arguments& arguments, unsigned threads,
           std::vector<FetchedFile>& files) {
  const std::vector<Descriptor> referrers = source.referrers(image.descriptor.digest, kDebugArtifactType);
  if (referrers.empty()) return;
  const std::string what = image.what + ": debug information " + referrers.back().digest.short_text();
  const Manifest manifest =
      Manifest::parse(source.read_document(referrers.back()), referrers.back().media_type, what);
  std::vector<ScanJob> jobs;
  std::vector<BlobPtr> blobs;
  for (const LayerDescriptor& layer : manifest.layers) {
    const Descriptor& blob = layer.descriptor;
    blobs.push_back(source.open(blob));
    jobs.push_back(
        {blobs.back(), blob.digest, blob.size, std::nullopt, what + ", layer " + blob.digest.short_text()});
  }
  ScanOptions options;
  options.threads = threads;
  const std::vector<LayerTablePtr> tables = scan_layers(jobs, options);
  const Contents contents(tables, blobs, std::size_t{4} << 20);
  for (std::uint32_t k = 0; k < tables.size(); ++k) {
    for (std::uint32_t i = 0; i < tables[k]->entries.size(); ++i) {
      const Entry& entry = tables[k]->entries[i];
      if (entry.type == EntryType::kDirectory) continue;
      // Nothing but companions is written, wherever the layer says it belongs.
      if (entry.type != EntryType::kRegular || !is_companion_path(entry.path)) {
        throw_bad_image(jobs[k].what + ": '" + printable(entry.path) + "' is no file of a build id");
      }
      write_companion(contents, {k, i}, arguments.output + "/" + std::string(entry.path));
      files.push_back({std::string(entry.path), entry.size});
    }
  }
}

int run_debug_info(const Arguments& arguments, const CommonOptions& common) {
  std::vector<Platform> platforms;
  for (const std::string& text : arguments.platforms)
    platforms.push_back(Platform::parse(text));
  const std::unique_ptr<ImageSource> source =
      ImageStores(arguments.network, spool_directory()).open_source(parse_source_name(arguments.image));
  const ImageSet set = read_image_set(*source, platforms);
  std::vector<FetchedFile> files;
  for (const SourceImage& image : set.images)
    fetch(*source, image, arguments, common.thread_count(), files);
  if (files.empty()) {
    throw Error(Failure::kIo, source->name() + ": no debug information is kept beside it");
  }
  if (common.format == "json") {
    Json json;
    json["version"] = 1;
    json["directory"] = printable(arguments.output, 4096);
    json["files"] = Json::array();
    for (const FetchedFile& file : files)
      json["files"].push_back(Json{{"path", file.path}, {"size", file.size}});
    fmt::print("{}", dump_json_pretty(json));
    return 0;
  }
  for (const FetchedFile& file : files)
    fmt::print("{}/{} {}\n", arguments.output, file.path, human_bytes(file.size));
  return 0;
}

}  // namespace

Run set_up_debug_info(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("IMAGE", a.image, "image whose debug information is kept beside it")->required();
  app.add_option("-o,--output", a.output, "debug-file directory to write to")->type_name("DIR")->required();
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  add_network_options(app, a.network);
  return [arguments, &common] { return run_debug_info(*arguments, common); };
}

}  // namespace imgslim
