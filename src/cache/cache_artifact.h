// SPDX-License-Identifier: Apache-2.0
// A cache as an OCI artifact (image-spec manifest.md, "Guidelines for Artifact Usage"), in a registry or a
// layout: a record for each layer of the source, the names of the layers that were written, and these
// themselves if asked for. imgslim-optimize(1), CACHE.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/image_store.h"
#include "layers/layer_writer.h"
#include "layers/manifest.h"
#include "src/cache/layer_record.h"

namespace imgslim {

inline constexpr std::string_view kCacheArtifactType = "application/vnd.imgslim.cache.v1";

// Layers that were written, by layer_key().
using OutputNames = std::map<Digest, WrittenLayer>;
std::string pack_outputs(const OutputNames& outputs);
// Nothing if the text is none, or of another build.
std::optional<OutputNames> unpack_outputs(std::string_view text);

class CacheArtifact {
 public:
  // Reads the manifest. Throws Error{kUsage} if the artifact is no cache of imgslim's, naming the option that
  // takes it if it is BuildKit's; Error{kBadImage, kNetwork}.
  explicit CacheArtifact(std::unique_ptr<ImageSource> source);

  const ImageSource& source() const { return *source_; }
  bool has_record(const Digest& layer) const { return records_.contains(layer); }
  // The record of a layer; nothing if there is none or it cannot be used. Read once.
  std::optional<LayerRecord> layer(const Digest& digest) const;
  const OutputNames& outputs() const { return outputs_; }
  // A layer that was written, if it is part of the cache.
  const Descriptor* written(const Digest& digest) const;

 private:
  std::unique_ptr<ImageSource> source_;
  std::map<Digest, Descriptor> records_;  // by the layer's digest
  std::map<Digest, Descriptor> written_;
  OutputNames outputs_;
};

// What goes into one.
struct CacheContents {
  std::map<Digest, std::string> records;  // packed, by the layer's digest
  OutputNames outputs;
  // Layers of the outputs to hold too, and where they can be read.
  std::vector<std::pair<Descriptor, BlobPtr>> written;
};
// Writes all and names it.
void write_cache_artifact(const CacheContents& contents, ImageDestination& destination);

}  // namespace imgslim
