// SPDX-License-Identifier: Apache-2.0
#include "src/scanned_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "layers/hash_states.h"
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

// Of all layers, each once; large ones first, as they take longest.
std::vector<Digest> digests_of(const ImageSet& set) {
  std::map<Digest, std::uint64_t> sizes;
  for (const SourceImage& image : set.images) {
    for (const LayerDescriptor& layer : image.manifest.layers)
      sizes.emplace(layer.descriptor.digest, layer.descriptor.size);
  }
  std::vector<Digest> digests;
  digests.reserve(sizes.size());
  for (const auto& [digest, size] : sizes)
    digests.push_back(digest);
  std::stable_sort(digests.begin(), digests.end(),
                   [&](const Digest& a, const Digest& b) { return sizes.at(a) > sizes.at(b); });
  return digests;
}

}  // namespace

ScannedLayers::ScannedLayers(const ImageSource& source, const ImageSet& set, unsigned threads,
                             Progress& progress, const std::function<Observers()>& observers,
                             ImageCache* cache)
    : cache_(cache) {
  std::vector<ScanJob> jobs;
  std::vector<std::size_t> numbers;     // of the jobs' layers
  std::vector<std::string> identities;  // of their blobs
  std::uint64_t total = 0;
  std::vector<Digest> diff_ids;
  if (cache != nullptr) cache->read_ahead(digests_of(set));
  for (const SourceImage& image : set.images) {
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const LayerDescriptor& layer = image.manifest.layers[i];
      const Digest& digest = layer.descriptor.digest;
      const auto [place, is_new] = number_.emplace(digest, diff_ids.size());
      const std::string what = fmt::format("{}, layer {} ({})", image.what, i + 1, digest.short_text());
      if (!is_new) {
        if (diff_ids[place->second] != image.config.diff_ids[i]) {
          throw_bad_image(what + ": two images name different DiffIDs for the same blob");
        }
        continue;
      }
      diff_ids.push_back(image.config.diff_ids[i]);
      BlobPtr blob = with_context(what, [&] { return open_layer(source, layer); });
      auto known =
          cache == nullptr ? std::nullopt : cache->find_layer(layer.descriptor, diff_ids.back(), *blob);
      if (known) {
        // Of what is still read, each part is shown to belong to the blob that was read then.
        blobs_.push_back(checked_blob(std::move(blob), digest, known->table->hash_states));
        tables_.push_back(known->table);
        facts_.push_back(known->facts);
        continue;
      }
      jobs.push_back(ScanJob{blob, digest, layer.descriptor.size, diff_ids.back(), what});
      numbers.push_back(blobs_.size());
      identities.push_back(blob->identity());
      blobs_.push_back(std::move(blob));
      tables_.emplace_back();
      facts_.push_back(cache == nullptr ? nullptr : std::make_shared<LayerFindings>());
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
  std::vector<LayerTablePtr> scanned = scan_layers(jobs, scan);
  progress.end();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    tables_[numbers[i]] = std::move(scanned[i]);
    if (cache != nullptr) cache->add_layer({tables_[numbers[i]], facts_[numbers[i]]}, identities[i]);
  }
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

std::vector<std::shared_ptr<LayerFindings>> ScannedLayers::facts_of(const SourceImage& image) const {
  std::vector<std::shared_ptr<LayerFindings>> facts;
  for (const LayerDescriptor& layer : image.manifest.layers)
    facts.push_back(facts_[number_.at(layer.descriptor.digest)]);
  return facts;
}

std::unique_ptr<Contents> ScannedLayers::contents_of(const SourceImage& image,
                                                     const KnownDigests* digests) const {
  return std::make_unique<Contents>(tables_of(image), blobs_of(image),
                                    content_cache_bytes(image.manifest.layers.size()), std::vector<BlobPtr>(),
                                    digests);
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
