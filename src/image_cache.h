// SPDX-License-Identifier: Apache-2.0
// What earlier runs leave for this one, and this one for later ones: records of the source's layers, names of
// the layers written. From this machine's cache, and from artifacts in registries and layouts.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "layers/image_store.h"
#include "layers/layer_writer.h"
#include "layers/scan.h"
#include "src/cache/cache_artifact.h"
#include "src/cache/cache_spec.h"
#include "src/cache/cache_store.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/report.h"

namespace imgslim {

struct CacheOptions {
  std::vector<CacheSpec> from;
  std::vector<CacheSpec> to;
  std::string directory;  // of this machine's cache; empty: none is used
  unsigned threads = 1;
  bool is_used() const { return !directory.empty() || !from.empty() || !to.empty(); }
};

class ImageCache {
 public:
  // Opens the caches to read; one that is not there or cannot be read is noted and left out. Throws
  // Error{kUsage} if one is something else. `options`, `stores` and `progress` must outlive it.
  ImageCache(const CacheOptions& options, ImageStores& stores, Progress& progress);

  // Whether there is a record of a layer; it may turn out to be damaged.
  bool has_record(const Digest& layer) const;
  // Reads the records of these layers, several at a time, for find_layer().
  void read_ahead(const std::vector<ScanJob>& layers);
  // The record of a layer that was read ahead, once, if the blob is that layer: a file that did not change
  // since it was read, or is hashed; bytes of a registry are compared by their reader.
  std::optional<LayerRecord> find_layer(const ScanJob& layer);
  // Of a layer that was read from a blob with that identity (Blob::identity(), before it was read).
  void add_layer(const LayerRecord& record, const std::string& identity);

  // The layer that was written for a key, if the destination has it or this brings it there.
  std::optional<WrittenLayer> find_output(const Digest& key, ImageDestination& destination);
  void add_output(const Digest& key, const WrittenLayer& layer);

  // Keeps what is new of the source's layers, when all that reads them is done.
  void save_layers();
  // Keeps what was written, after save_layers() and when the result was published; `result` is where its
  // layers can be read again, null if nowhere, which mode=max needs. A cache that cannot be written is an
  // Error, or a note where it is asked to be one.
  void save(const ImageSource* result);

  CacheReport report() const;

 private:
  struct Known {
    LayerRecord record;
    bool is_new = false;  // to this machine's cache
    bool has_news() const { return is_new || record.facts->has_grown(); }
  };
  struct Found {
    LayerRecord record;
    std::string from;  // the cache
  };
  // From the first cache that has it.
  std::optional<Found> read_record(const ScanJob& layer) const;
  // Whether the blob has that digest: what is no file has, and a file that was found to and did not change
  // since.
  bool verify(const Blob& blob, const Digest& digest) const;
  void set_verified(const std::string& identity, const Digest& digest) const;
  void save_outputs(const ImageSource* result) const;
  std::vector<std::pair<Descriptor, BlobPtr>> written_layers(const ImageSource& result) const;

  const CacheOptions& options_;
  ImageStores& stores_;
  Progress& progress_;
  std::vector<std::unique_ptr<CacheArtifact>> artifacts_;
  std::map<Digest, Found> ahead_;
  std::map<Digest, Known> layers_;
  std::map<Digest, std::string> records_;  // packed, for the caches to write
  std::mutex take_mutex_;     // one layer is brought to the destination at a time
  mutable std::mutex mutex_;  // guards what follows
  OutputNames outputs_;       // of this run
  CacheReport report_;
};

}  // namespace imgslim
