// SPDX-License-Identifier: Apache-2.0
#include "src/scanned_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/at_once.h"
#include "layers/error.h"
#include "layers/hash_states.h"

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

// Each blob of all images once. Two images that name different DiffIDs for one are Error{kBadImage}.
std::vector<ScanJob> layers_of(const ImageSource& source, const ImageSet& set) {
  std::map<Digest, Digest> diff_ids;
  std::vector<ScanJob> layers;
  for (const SourceImage& image : set.images) {
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const LayerDescriptor& layer = image.manifest.layers[i];
      const Descriptor& descriptor = layer.descriptor;
      const Digest& diff_id = image.config.diff_ids[i];
      std::string what = fmt::format("{}, layer {} ({})", image.what, i + 1, descriptor.digest.short_text());
      const auto [known, is_new] = diff_ids.emplace(descriptor.digest, diff_id);
      if (known->second != diff_id) {
        throw_bad_image(what + ": two images name different DiffIDs for the same blob");
      }
      if (!is_new) continue;
      BlobPtr blob = with_context(what, [&] { return open_layer(source, layer); });
      layers.push_back(
          ScanJob{std::move(blob), descriptor.digest, descriptor.size, diff_id, std::move(what)});
    }
  }
  return layers;
}

}  // namespace

ScannedLayers::ScannedLayers(const ImageSource& source, const ImageSet& set, unsigned threads,
                             Progress& progress, const std::function<Observers()>& observers,
                             ImageCache* cache)
    : cache_(cache), threads_(threads) {
  const std::vector<ScanJob> layers = layers_of(source, set);
  tables_.resize(layers.size());
  facts_.resize(layers.size());
  blobs_.resize(layers.size());
  std::vector<ScanJob> wanted;
  std::vector<ScanJob> recorded;
  for (const ScanJob& layer : layers) {
    number_.emplace(layer.digest, number_.size());
    (cache != nullptr && cache->has_record(layer.digest) ? recorded : wanted).push_back(layer);
  }
  ScanOptions scan;
  scan.what = source.name();
  scan.max_entries = kMaxEntries;
  scan.threads = threads;
  if (observers) scan.observers = [&](std::size_t) { return observers(); };
  scan.progress = [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); };
  const auto read = [&](const std::vector<ScanJob>& jobs) { read_layers(jobs, source, scan, progress); };
  // The records are unpacked while the first bytes of the others come.
  for_each_at_once(threads, recorded.empty() ? 1 : 2, [&](std::size_t at) {
    if (at == 0) return read(wanted);
    cache->read_ahead(recorded);
  });
  std::vector<ScanJob> damaged;
  for (ScanJob& layer : recorded) {
    const std::size_t number = number_.at(layer.digest);
    const auto known = cache->find_layer(layer);
    if (!known) {
      damaged.push_back(std::move(layer));
      continue;
    }
    // Of what is still read, each part is shown to belong to the blob that was read then.
    blobs_[number] = checked_blob(std::move(layer.blob), layer.digest, known->table->hash_states);
    tables_[number] = known->table;
    facts_[number] = known->facts;
  }
  read(damaged);
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

void ScannedLayers::read_layers(const std::vector<ScanJob>& jobs, const ImageSource& source,
                                const ScanOptions& options, Progress& progress) {
  if (jobs.empty()) return;
  std::uint64_t total = 0;
  std::vector<Descriptor> wanted;
  std::vector<std::string> identities;
  for (const ScanJob& job : jobs) {
    total += job.size;
    wanted.push_back(Descriptor{"", job.digest, job.size, {}, {}, {}});
    identities.push_back(job.blob->identity());
  }
  source.will_read(wanted);
  progress.begin(fmt::format("reading {} layers, {}", jobs.size(), human_bytes(total)));
  std::vector<LayerTablePtr> scanned = scan_layers(jobs, options);
  progress.end();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const std::size_t number = number_.at(jobs[i].digest);
    blobs_[number] = jobs[i].blob;
    tables_[number] = std::move(scanned[i]);
    if (cache_ == nullptr) continue;
    facts_[number] = std::make_shared<LayerFindings>();
    cache_->add_layer({tables_[number], facts_[number]}, identities[i]);
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
  auto contents = std::make_unique<Contents>(tables_of(image), blobs_of(image),
                                             content_cache_bytes(image.manifest.layers.size()),
                                             std::vector<BlobPtr>(), digests);
  contents->set_threads(threads_);
  return contents;
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
