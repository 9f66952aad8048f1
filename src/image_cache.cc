// SPDX-License-Identifier: Apache-2.0
#include "src/image_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "layers/at_once.h"
#include "layers/blob_file.h"
#include "layers/error.h"
#include "src/cache/code_id.h"

namespace imgslim {
namespace {

constexpr std::string_view kLayers = "layers";
constexpr std::string_view kOutputs = "outputs";
constexpr std::string_view kVerified = "verified";
// Of this machine's cache. A record takes some MB for a layer of a GB.
constexpr std::uint64_t kMaxLayerBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxSmallBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxFiles = 20000;

constexpr std::string_view kHere = "local";

// Two builds keep their records side by side.
std::string key_of(const Digest& digest) {
  return fmt::format("{} {}", code_id(), digest.text());
}

Descriptor descriptor_of(const WrittenLayer& layer) {
  return Descriptor{"", layer.digest, layer.size, {}, {}, {}};
}

}  // namespace

ImageCache::ImageCache(const CacheOptions& options, ImageStores& stores, Progress& progress)
    : options_(options), stores_(stores), progress_(progress) {
  for (const CacheSpec& spec : options_.from) {
    bool is_open = false;
    try {
      std::unique_ptr<ImageSource> source = stores_.open_source(spec.name);
      is_open = true;
      artifacts_.push_back(std::make_unique<CacheArtifact>(std::move(source)));
    } catch (const Error& error) {
      // Something else than a cache of ours.
      if (is_open && error.failure() == Failure::kUsage) throw;
      progress_.note(fmt::format("--cache-from {}: not used: {}", spec.name.text(), error.what()));
    }
  }
}

bool ImageCache::has_record(const Digest& layer) const {
  return CacheStore(options_.directory, kLayers).holds(key_of(layer)) ||
         std::any_of(artifacts_.begin(), artifacts_.end(),
                     [&](const auto& artifact) { return artifact->has_record(layer); });
}

void ImageCache::read_ahead(const std::vector<ScanJob>& layers) {
  // Large ones first, as they take longest.
  std::vector<const ScanJob*> order;
  order.reserve(layers.size());
  for (const ScanJob& layer : layers)
    order.push_back(&layer);
  std::stable_sort(order.begin(), order.end(),
                   [](const ScanJob* a, const ScanJob* b) { return a->size > b->size; });
  std::vector<std::optional<Found>> found(order.size());
  for_each_at_once(options_.threads, order.size(),
                   [&](std::size_t at) { found[at] = read_record(*order[at]); });
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (found[i]) ahead_.emplace(order[i]->digest, *std::move(found[i]));
  }
}

std::optional<ImageCache::Found> ImageCache::read_record(const ScanJob& layer) const {
  const auto fits = [&](const std::optional<LayerRecord>& record) {
    // Without states nothing shows that a part of the blob is what it was.
    return record && record->table->diff_id == layer.diff_id && record->table->blob_size == layer.size &&
           record->table->digest->algorithm() == "sha256";
  };
  if (auto text = CacheStore(options_.directory, kLayers).find(key_of(layer.digest))) {
    auto record = unpack_record(*std::move(text), layer.digest);
    if (fits(record)) return Found{*std::move(record), std::string(kHere)};
  }
  for (const auto& artifact : artifacts_) {
    const std::string name = artifact->source().name();
    try {
      auto record = artifact->layer(layer.digest);
      if (fits(record)) return Found{*std::move(record), name};
    } catch (const Error& error) {
      progress_.note(fmt::format("{}: not used: {}", name, error.what()));
    }
  }
  return std::nullopt;
}

std::optional<LayerRecord> ImageCache::find_layer(const ScanJob& layer) {
  const auto ahead = ahead_.find(layer.digest);
  if (ahead == ahead_.end()) return std::nullopt;
  const Found found = std::move(ahead->second);
  ahead_.erase(ahead);
  // Hashing a file is a small part of reading it as a layer.
  if (!verify(*layer.blob, layer.digest)) return std::nullopt;
  report_.layers.push_back({layer.digest.text(), found.from, layer.size});
  layers_.insert_or_assign(layer.digest, Known{found.record, found.from != kHere});
  return found.record;
}

void ImageCache::add_layer(const LayerRecord& record, const std::string& identity) {
  set_verified(identity, *record.table->digest);
  if (record.table->digest->algorithm() == "sha256")
    layers_.insert_or_assign(*record.table->digest, Known{record, true});
}

void ImageCache::set_verified(const std::string& identity, const Digest& digest) const {
  if (!identity.empty()) CacheStore(options_.directory, kVerified).store(digest.text() + " " + identity, "");
}

bool ImageCache::verify(const Blob& blob, const Digest& digest) const {
  // Before the bytes are read: what changes meanwhile has another one.
  const std::string identity = blob.identity();
  if (identity.empty()) return true;
  if (CacheStore(options_.directory, kVerified).find(digest.text() + " " + identity)) return true;
  if (hash_blob(blob, digest) != digest) return false;
  set_verified(identity, digest);
  return true;
}

std::optional<WrittenLayer> ImageCache::find_output(const Digest& key, ImageDestination& destination) {
  std::optional<WrittenLayer> found;
  const auto take = [&](const std::optional<OutputNames>& outputs) {
    if (!outputs || found) return;
    if (const auto known = outputs->find(key); known != outputs->end()) found = known->second;
  };
  if (const auto text = CacheStore(options_.directory, kOutputs).find(key_of(key)))
    take(unpack_outputs(*text));
  for (const auto& artifact : artifacts_)
    take(artifact->outputs());
  if (!found) return found;
  const Descriptor descriptor = descriptor_of(*found);
  bool is_there = destination.has(descriptor) && verify(*destination.open(descriptor), found->digest);
  for (std::size_t i = 0; i < artifacts_.size() && !is_there; ++i) {
    const Descriptor* written = artifacts_[i]->written(found->digest);
    if (written == nullptr || written->size != found->size) continue;
    const std::lock_guard lock(take_mutex_);
    destination.take(artifacts_[i]->source(), descriptor);
    is_there = true;
  }
  if (!is_there) return std::nullopt;
  const std::lock_guard lock(mutex_);
  ++report_.outputs;
  report_.output_bytes += found->size;
  outputs_.emplace(key, *found);
  return found;
}

void ImageCache::add_output(const Digest& key, const WrittenLayer& layer) {
  const std::lock_guard lock(mutex_);
  outputs_.emplace(key, layer);
}

void ImageCache::save_layers() {
  const CacheStore store(options_.directory, kLayers);
  bool is_changed = false;
  // One after the other: a record takes a good part of the memory that a run may have.
  for (const auto& [digest, layer] : layers_) {
    if (!layer.has_news() && options_.to.empty()) continue;
    std::string text = pack_record(layer.record, options_.threads);
    if (layer.has_news()) {
      store.store(key_of(digest), text);
      is_changed = true;
    }
    if (!options_.to.empty()) records_.emplace(digest, std::move(text));
  }
  if (is_changed) store.trim(kMaxLayerBytes, kMaxFiles);
}

void ImageCache::save_outputs(const ImageSource* result) const {
  const CacheStore outputs(options_.directory, kOutputs);
  for (const auto& [key, layer] : outputs_) {
    outputs.store(key_of(key), pack_outputs({{key, layer}}));
    // Under its last name: renaming a file changes its times.
    if (result != nullptr) set_verified(result->open(descriptor_of(layer))->identity(), layer.digest);
  }
  if (layers_.empty() && outputs_.empty()) return;
  outputs.trim(kMaxSmallBytes, kMaxFiles);
  CacheStore(options_.directory, kVerified).trim(kMaxSmallBytes, kMaxFiles);
}

// Each once, whatever keys led to it.
std::vector<std::pair<Descriptor, BlobPtr>> ImageCache::written_layers(const ImageSource& result) const {
  std::map<Digest, Descriptor> each;
  for (const auto& [key, layer] : outputs_) {
    Descriptor descriptor = descriptor_of(layer);
    descriptor.media_type = layer_media_type(media_type::kOciManifest, layer.compression);
    each.emplace(layer.digest, std::move(descriptor));
  }
  std::vector<std::pair<Descriptor, BlobPtr>> layers;
  for (const auto& [digest, descriptor] : each)
    layers.emplace_back(descriptor, result.open(descriptor));
  return layers;
}

void ImageCache::save(const ImageSource* result) {
  save_outputs(result);
  CacheContents contents;
  contents.records = std::move(records_);
  contents.outputs = outputs_;
  for (const CacheSpec& spec : options_.to) {
    try {
      contents.written.clear();
      if (spec.with_layers && result != nullptr) contents.written = written_layers(*result);
      const auto destination = stores_.open_destination(spec.name, {}, nullptr);
      write_cache_artifact(contents, *destination);
    } catch (const Error& error) {
      if (!spec.ignore_error) throw;
      progress_.note(fmt::format("--cache-to {}: not written: {}", spec.name.text(), error.what()));
    }
  }
}

CacheReport ImageCache::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

}  // namespace imgslim
