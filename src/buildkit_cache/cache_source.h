// SPDX-License-Identifier: Apache-2.0
// A BuildKit cache as it is found: its config, what its manifest says of the layers, what is wrong with it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/image_store.h"
#include "layers/manifest.h"
#include "src/buildkit_cache/cache_config.h"

namespace imgslim {

enum class CacheForm {
  kInline,  // in an image's config
  kIndex,   // an index that names config and layers; what BuildKit wrote before v0.21, all that Docker 20.10
            // reads
  kManifest,  // an image manifest whose config it is
};
std::string_view name_of(CacheForm form);  // "inline", "index", "manifest"

// What a manifest says of a layer; nothing of it is verified.
struct StatedLayer {
  Descriptor descriptor;
  std::string diff_id;     // empty: it does not
  std::string created_at;  // likewise
  bool foreign = false;    // non-distributable
};

// One config with its layers: a separate cache has one, an inline one has one for each image.
struct CachePart {
  std::string what;      // for messages
  std::string platform;  // of an inline one
  CacheConfig config;
  std::map<Digest, StatedLayer> layers;  // by blob; of several the last, which BuildKit takes
  std::vector<std::string> steps;        // by layer of the config, what built it; empty where not known
};

struct CacheProblem {
  // Whether BuildKit does not import the cache, or not all of it, or fails on it later.
  bool failure = false;
  std::string text;
};

struct BuildkitCache {
  CacheForm form = CacheForm::kInline;
  std::string name;
  Descriptor root;                   // the manifest or index
  std::optional<Descriptor> config;  // of a separate one
  std::vector<CachePart> parts;
  std::vector<CacheProblem> problems;
};

// The cache behind a name, if it is a separate one. Throws Error{kBadImage} if it is one that is malformed.
std::optional<BuildkitCache> read_separate_cache(const ImageSource& source);
// The same without a look into its config: what it is to whoever expected something else.
std::optional<CacheForm> separate_cache_form(const ImageSource& source);
// Throws Error{kUsage} if `source`, which was given to the option `option`, is a BuildKit cache: it names the
// option that takes it.
void refuse_buildkit_cache(const ImageSource& source, std::string_view option);

// The inline cache of an image; nothing if it has none. Throws Error{kBadImage} if it is malformed.
std::optional<CachePart> read_inline_cache(const Manifest& manifest, const ImageConfig& config,
                                           const std::string& what);

}  // namespace imgslim
