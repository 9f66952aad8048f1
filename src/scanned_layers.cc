// SPDX-License-Identifier: Apache-2.0
#include "src/scanned_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "layers/scan.h"

namespace imgslim {
namespace {

// Of all images, a layer that several have counted for each. A layer alone may have as many.
constexpr std::uint64_t kMaxEntries = 20000000;

BlobPtr open_layer(const ImageSource& source, const LayerDescriptor& layer) {
  try {
    return source.open(layer.descriptor);
  } catch (const Error& error) {
    if (!layer.foreign) throw;
    throw_bad_image(
        "a foreign (non-distributable) layer whose content is not in the source; URLs are not followed");
  }
}

}  // namespace

ScannedLayers::ScannedLayers(const ImageSource& source, const ImageSet& set, unsigned threads,
                             Progress& progress, const std::function<Observers()>& observers) {
  std::vector<ScanJob> jobs;
  std::uint64_t total = 0;
  for (const SourceImage& image : set.images) {
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const LayerDescriptor& layer = image.manifest.layers[i];
      const Digest& digest = layer.descriptor.digest;
      const auto [place, is_new] = number_.emplace(digest, jobs.size());
      const std::string what = fmt::format("{}, layer {} ({})", image.what, i + 1, digest.short_text());
      if (!is_new) {
        if (jobs[place->second].diff_id != image.config.diff_ids[i]) {
          throw_bad_image(what + ": two images name different DiffIDs for the same blob");
        }
        continue;
      }
      BlobPtr blob = with_context(what, [&] { return open_layer(source, layer); });
      jobs.push_back(ScanJob{blob, digest, layer.descriptor.size, image.config.diff_ids[i], what});
      blobs_.push_back(std::move(blob));
      total += layer.descriptor.size;
    }
  }
  std::vector<Descriptor> wanted;
  for (const ScanJob& job : jobs)
    wanted.push_back(Descriptor{"", job.digest, job.size, {}, {}, {}});
  source.will_read(wanted);
  ScanOptions scan;
  scan.what = source.name();
  scan.max_entries = kMaxEntries;
  scan.threads = threads;
  if (observers) scan.observers = [&](std::size_t) { return observers(); };
  scan.progress = [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); };
  progress.begin(fmt::format("reading {} layers, {}", jobs.size(), human_bytes(total)));
  tables_ = scan_layers(jobs, scan);
  progress.end();
  std::uint64_t entries = 0;
  for (const SourceImage& image : set.images) {
    for (const LayerTablePtr& table : tables_of(image))
      entries += table->entries.size();
    if (entries > kMaxEntries) {
      throw_bad_image(
          fmt::format("{}: its images have more than {} entries in all", image.what, kMaxEntries));
    }
  }
}

std::vector<LayerTablePtr> ScannedLayers::tables_of(const SourceImage& image) const {
  std::vector<LayerTablePtr> tables;
  for (const LayerDescriptor& layer : image.manifest.layers) {
    tables.push_back(tables_[number_.at(layer.descriptor.digest)]);
  }
  return tables;
}

std::vector<BlobPtr> ScannedLayers::blobs_of(const SourceImage& image) const {
  std::vector<BlobPtr> blobs;
  for (const LayerDescriptor& layer : image.manifest.layers) {
    blobs.push_back(blobs_[number_.at(layer.descriptor.digest)]);
  }
  return blobs;
}

std::unique_ptr<Contents> ScannedLayers::contents_of(const SourceImage& image) const {
  return std::make_unique<Contents>(tables_of(image), blobs_of(image),
                                    content_cache_bytes(image.manifest.layers.size()));
}

std::size_t content_cache_bytes(std::size_t layers) {
  constexpr std::size_t kAll = std::size_t{128} << 20;
  return std::min(kContentCacheBytes, kAll / std::max<std::size_t>(layers, 1));
}

Tree merge_layers(const SourceImage& image, const std::vector<LayerTablePtr>& tables) {
  Tree tree;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::string what = fmt::format("{}, layer {} ({})", image.what, i + 1,
                                         image.manifest.layers[i].descriptor.digest.short_text());
    with_context(what, [&] { tree.apply(tables[i]); });
  }
  return tree;
}

}  // namespace imgslim
