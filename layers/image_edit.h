// SPDX-License-Identifier: Apache-2.0
// Config and manifest of an image whose layers changed: edited as JSON trees, so that what we do not know
// stays as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/layer_writer.h"
#include "layers/manifest.h"

namespace imgslim {

// What becomes of one source layer.
struct LayerChange {
  enum class Kind { kCopied, kRewritten, kRemoved } kind = Kind::kCopied;
  std::optional<WrittenLayer> written;  // kRewritten
};

struct EditedImage {
  std::string config;
  std::string manifest;
  std::string config_media_type;
  std::string manifest_media_type;
  bool lost_inline_cache = false;  // the config had an inline BuildKit cache key, now removed
};

// `changes` has one element a source layer. `created` (RFC 3339) replaces the config's, if given. Docker
// schema 2 becomes OCI if a layer was written with zstd (Docker has no media type for it).
EditedImage edit_image(const Manifest& manifest, const ImageConfig& config,
                       const std::vector<LayerChange>& changes, const std::optional<std::string>& created);

// A layer of an image whose layers are all new.
struct NewLayer {
  WrittenLayer written;
  std::string created_by;  // for the history
};

// The image with other layers above its lowest `base`. The source's history stays, above those as entries without
// layers; the new layers' entries follow.
EditedImage replace_layers(const Manifest& manifest, const ImageConfig& config, std::size_t base,
                           const std::vector<NewLayer>& layers,
                           const std::optional<std::string>& created);

// A Docker schema 2 manifest in OCI's media types, of the same config and layers.
Manifest to_oci(const Manifest& manifest);

// The index with descriptors replaced or removed: `replacements` has one element an entry, nothing = removed.
// Platform, annotations and unknown fields of an entry stay.
std::string edit_index(const Index& index, const std::vector<std::optional<Descriptor>>& replacements);

// Seconds since the epoch as RFC 3339 in UTC, "2026-11-22T00:00:00Z".
std::string rfc3339(std::int64_t seconds);

}  // namespace imgslim
