// SPDX-License-Identifier: Apache-2.0
// The layers of the images of a run, as pass 1 leaves them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "layers/contents.h"
#include "layers/digest.h"
#include "layers/image_store.h"
#include "layers/layer_table.h"
#include "layers/scan.h"
#include "layers/stream.h"
#include "layers/tree.h"
#include "src/image_cache.h"
#include "src/image_set.h"
#include "src/progress.h"

namespace imgslim {

// Decoded bytes kept for a layer while contents are read.
constexpr std::size_t kContentCacheBytes = std::size_t{4} << 20;

// The layers of all images, each blob read once and its digests checked.
class ScannedLayers {
 public:
  // `observers`, if given, makes those of each layer. Throws Error{kBadImage, kIo} naming image and layer,
  // and Error{kBadImage} if the trees of all images, of which each takes memory for each entry of its layers,
  // would hold more than anyone has: an index may name one layer in any number of manifests. With `cache`,
  // layers that it knows are not read; all of a cache's runs have the same observers.
  ScannedLayers(const ImageSource& source, const ImageSet& set, unsigned threads, Progress& progress,
                const std::function<Observers()>& observers = nullptr, ImageCache* cache = nullptr);

  // Of one image of the set, from the bottom up.
  std::vector<LayerTablePtr> tables_of(const SourceImage& image) const;
  std::vector<BlobPtr> blobs_of(const SourceImage& image) const;
  // What is known of their files; null without a cache.
  std::vector<std::shared_ptr<LayerFindings>> facts_of(const SourceImage& image) const;
  ImageCache* cache() const { return cache_; }
  // The contents of one image's layers.
  std::unique_ptr<Contents> contents_of(const SourceImage& image,
                                        const KnownDigests* digests = nullptr) const;

 private:
  void read_layers(const std::vector<ScanJob>& jobs, const ImageSource& source, const ScanOptions& options,
                   Progress& progress);

  std::map<Digest, std::size_t> number_;
  std::vector<BlobPtr> blobs_;
  std::vector<LayerTablePtr> tables_;
  std::vector<std::shared_ptr<LayerFindings>> facts_;
  ImageCache* cache_ = nullptr;
  unsigned threads_ = 1;
};

// The same for each of so many layers, so that what all of them keep stays far below the memory a small CI
// job has.
std::size_t content_cache_bytes(std::size_t layers);

// The merged tree of an image's layers, given from the bottom up.
Tree merge_layers(const SourceImage& image, const std::vector<LayerTablePtr>& tables);

}  // namespace imgslim
