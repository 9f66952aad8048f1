// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache/cache_source.h"

#include <fmt/format.h>

#include "layers/error.h"
#include "layers/json_fields.h"

namespace imgslim {
namespace {

constexpr const char* kUncompressed = "containerd.io/uncompressed";
constexpr const char* kCreatedAt = "buildkit/createdat";
constexpr const char* kDescription = "buildkit/description";

// Manifest and config of a separate cache, as its root document names them.
struct Parts {
  CacheForm form = CacheForm::kManifest;
  Descriptor config;
  std::vector<Descriptor> layers;
};

std::optional<Parts> find_parts(const ImageSource& source) {
  const Descriptor root = source.root();
  const std::string what = fmt::format("{}, {}", source.name(), root.digest.short_text());
  const std::string text = source.read_document(root);
  if (classify_document(parse_json(text, what), root.media_type, what) == DocumentKind::kManifest) {
    Manifest manifest = Manifest::parse(text, root.media_type, what);
    if (manifest.config.media_type != media_type::kBuildkitCacheConfig) return std::nullopt;
    Parts parts{CacheForm::kManifest, manifest.config, {}};
    for (LayerDescriptor& layer : manifest.layers)
      parts.layers.push_back(std::move(layer.descriptor));
    return parts;
  }
  std::optional<Descriptor> config;
  std::vector<Descriptor> layers;
  for (Descriptor& entry : Index::parse(text, root.media_type, what).manifests) {
    if (entry.media_type != media_type::kBuildkitCacheConfig) {
      layers.push_back(std::move(entry));
      continue;
    }
    if (config && config->digest != entry.digest) throw_bad_image(what + ": names two configs of a cache");
    config = std::move(entry);
  }
  if (!config) return std::nullopt;
  return Parts{CacheForm::kIndex, std::move(*config), std::move(layers)};
}

std::string annotation(const Descriptor& descriptor, const char* key) {
  const auto found = descriptor.annotations.find(key);
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

void check_size(const Descriptor& descriptor, std::string_view name, std::vector<CacheProblem>& problems) {
  if (descriptor.size <= kMaxImportedBytes) return;
  problems.push_back({true, fmt::format("the {} has {} bytes; BuildKit imports none of more than {}", name,
                                        descriptor.size, kMaxImportedBytes)});
}

}  // namespace

std::string_view name_of(CacheForm form) {
  switch (form) {
    case CacheForm::kInline:
      return "inline";
    case CacheForm::kIndex:
      return "index";
    case CacheForm::kManifest:
      return "manifest";
  }
  return "inline";
}

std::optional<BuildkitCache> read_separate_cache(const ImageSource& source) {
  auto parts = find_parts(source);
  if (!parts) return std::nullopt;
  BuildkitCache cache{parts->form, source.name(), source.root(), parts->config, {}, {}};
  check_size(cache.root, name_of(cache.form), cache.problems);
  check_size(parts->config, "config", cache.problems);

  const std::string what = fmt::format("{}, config {}", source.name(), parts->config.digest.short_text());
  CachePart part;
  part.what = source.name();
  part.config = parse_cache_config(source.read_document(parts->config), what);
  for (const Descriptor& layer : parts->layers) {
    const Digest digest = layer.digest;
    const bool foreign = layer.media_type.find(".nondistributable.") != std::string::npos ||
                         layer.media_type.find(".foreign.") != std::string::npos;
    StatedLayer stated{layer, annotation(layer, kUncompressed), annotation(layer, kCreatedAt), foreign};
    part.layers.insert_or_assign(digest, std::move(stated));
  }
  for (const CacheLayer& layer : part.config.layers) {
    const auto stated = part.layers.find(layer.blob);
    part.steps.push_back(stated == part.layers.end() ? ""
                                                     : annotation(stated->second.descriptor, kDescription));
  }
  cache.parts.push_back(std::move(part));
  return cache;
}

std::optional<CacheForm> separate_cache_form(const ImageSource& source) {
  const auto parts = find_parts(source);
  return parts ? std::optional(parts->form) : std::nullopt;
}

void refuse_buildkit_cache(const ImageSource& source, std::string_view option) {
  if (!separate_cache_form(source)) return;
  throw_usage(fmt::format("{} {}: this is a cache of BuildKit's, which --buildkit-cache-from takes", option,
                          source.name()));
}

}  // namespace imgslim
