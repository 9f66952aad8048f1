// SPDX-License-Identifier: Apache-2.0
// The layers of the images of a run, as pass 1 leaves them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "layers/digest.h"
#include "layers/image_store.h"
#include "layers/layer_table.h"
#include "layers/stream.h"
#include "layers/tree.h"
#include "src/image_set.h"
#include "src/progress.h"

namespace imgslim {

// Decoded bytes kept for each layer while contents are read; eight layers of this stay far below the
// memory a small CI job has.
constexpr std::size_t kContentCacheBytes = std::size_t{4} << 20;

// The layers of all images, each blob read once and its digests checked.
class ScannedLayers {
 public:
  // `observers`, if given, makes those of each layer. Throws Error{kBadImage, kIo} naming image and layer.
  ScannedLayers(const ImageSource& source, const ImageSet& set, unsigned threads, Progress& progress,
                const std::function<Observers()>& observers = nullptr);

  // Of one image of the set, from the bottom up.
  std::vector<LayerTablePtr> tables_of(const SourceImage& image) const;
  std::vector<BlobPtr> blobs_of(const SourceImage& image) const;

 private:
  std::map<Digest, std::size_t> number_;
  std::vector<BlobPtr> blobs_;
  std::vector<LayerTablePtr> tables_;
};

// The merged tree of an image's layers, given from the bottom up.
Tree merge_layers(const SourceImage& image, const std::vector<LayerTablePtr>& tables);

}  // namespace imgslim
