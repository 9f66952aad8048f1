// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache/cache_documents.h"

#include <fmt/format.h>

#include <stdexcept>

#include "layers/error.h"

namespace imgslim {
namespace {

Descriptor describe(std::string_view media_type, const std::string& text) {
  return Descriptor{std::string(media_type), digest_of(text), text.size(), {}, {}, {}};
}

void check_size(std::string_view name, const std::string& text, std::string_view what) {
  if (text.size() <= kMaxImportedBytes) return;
  throw_bad_image(
      fmt::format("{}: without what no build can hit the cache's {} still has {} bytes, and BuildKit imports "
                  "none of more than {}",
                  what, name, text.size(), kMaxImportedBytes));
}

// What a reader of the documents gets is what was meant.
void check_written(const CacheDocuments& documents, CacheForm form, std::size_t layers) {
  const CacheConfig again = parse_cache_config(documents.config, "the cache config written");
  if (dump_cache_config(again) != documents.config || again.layers.size() != layers)
    throw std::logic_error("a cache config reads differently than it was written");
  const std::size_t named =
      form == CacheForm::kIndex
          ? Index::parse(documents.manifest, documents.root.media_type, "the cache index written")
                    .manifests.size() -
                1
          : Manifest::parse(documents.manifest, documents.root.media_type, "the cache manifest written")
                .layers.size();
  if (named != layers) throw std::logic_error("a cache manifest names other layers than its config");
}

}  // namespace

CacheDocuments make_cache_documents(const CacheConfig& config, const std::map<Digest, Descriptor>& layers,
                                    CacheForm form, std::string_view what) {
  if (config.layers.empty())
    throw_bad_image(fmt::format("{}: no result of the BuildKit cache can be used", what));
  const std::string config_text = dump_cache_config(config);
  check_size("config", config_text, what);
  const Descriptor config_descriptor = describe(media_type::kBuildkitCacheConfig, config_text);

  // One descriptor for each layer, a blob's repeated with it, as BuildKit writes them.
  Json list = Json::array();
  for (const CacheLayer& layer : config.layers)
    list.push_back(layers.at(layer.blob).to_json());
  const std::string_view type = form == CacheForm::kIndex ? media_type::kOciIndex : media_type::kOciManifest;
  Json json = Json::object();
  json["schemaVersion"] = 2;
  json["mediaType"] = type;
  if (form == CacheForm::kIndex) {
    list.push_back(config_descriptor.to_json());
    json["manifests"] = std::move(list);
  } else {
    json["config"] = config_descriptor.to_json();
    json["layers"] = std::move(list);
  }
  const std::string manifest = dump_json(json);
  check_size(name_of(form), manifest, what);
  CacheDocuments documents{config_text, config_descriptor, manifest, describe(type, manifest)};
  check_written(documents, form, config.layers.size());
  return documents;
}

}  // namespace imgslim
