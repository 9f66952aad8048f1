// SPDX-License-Identifier: Apache-2.0
// The BuildKit cache that optimize publishes beside its result: that of the source, whose layers it goes on
// naming.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/image_name.h"
#include "layers/image_store.h"
#include "src/buildkit_cache/cache_documents.h"
#include "src/buildkit_cache/cache_examination.h"
#include "src/buildkit_cache/cache_source.h"
#include "src/buildkit_cache/normal_cache.h"
#include "src/image_set.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/report.h"
#include "src/scanned_layers.h"

namespace imgslim {

struct BuildkitCacheRequest {
  std::optional<ImageName> from;  // nothing: the inline cache of the source
  ImageName to;
  std::optional<CacheForm> form;  // nothing: that of the cache read
};

// "REF[,form=index|manifest]". Throws Error{kUsage}.
BuildkitCacheRequest parse_buildkit_cache_to(const std::string& text);

// The inline caches of the images of a source, nothing if none has one.
std::optional<BuildkitCache> read_inline_caches(const ImageSource& source, const ImageSet& set);

class BuildkitCacheCopy {
 public:
  // Reads the cache's documents and opens its destination, unless it is a dry run. `source` and `set` must
  // outlive it. Throws Error{kUsage} if there is no cache, or no place for it.
  BuildkitCacheCopy(const BuildkitCacheRequest& request, const ImageName& source_name,
                    const ImageSource& source, const ImageSet& set,
                    const std::optional<ImageName>& image_destination, bool dry_run, ImageStores& stores);

  // Holds the cache against its blobs, of which those of `layers` are known, and makes its documents.
  void prepare(const ScannedLayers& layers, unsigned threads, Progress& progress);
  // Blobs, config, manifest, name.
  void publish();
  BuildkitCacheReport report() const;

 private:
  const ImageSource& source_;
  const ImageSet& set_;
  std::unique_ptr<ImageSource> cache_source_;  // if it is another one
  std::optional<BuildkitCache> cache_;
  CacheForm form_ = CacheForm::kManifest;
  std::unique_ptr<ImageDestination> destination_;
  Examination examination_;
  NormalCache normal_;
  std::optional<CacheDocuments> documents_;
};

}  // namespace imgslim
