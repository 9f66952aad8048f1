// SPDX-License-Identifier: Apache-2.0
#include "layers/image_edit.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "layers/json_fields.h"

namespace imgslim {
namespace {

// What BuildKit left in a config about the layers' build: its cache, and before v0.12 what they were built
// from. It takes names in any case.
constexpr std::string_view kInlineCache = "moby.buildkit.cache.v0";
constexpr std::string_view kBuildInfo = "moby.buildkit.buildinfo.v1";

// Config and layer formats are the same in both families.
std::string to_oci_layer_type(const std::string& type) {
  if (type == media_type::kDockerLayer) return std::string(media_type::kOciLayer);
  if (type == media_type::kDockerLayerGzip) return std::string(media_type::kOciLayerGzip);
  return type;
}

void edit_history(Json& config, const std::vector<LayerChange>& changes) {
  const auto history = config.find("history");
  if (history == config.end() || !history->is_array()) return;
  std::size_t layer = 0;
  for (Json& item : *history) {
    const auto empty = item.find("empty_layer");
    if (empty != item.end() && empty->is_boolean() && empty->get<bool>()) continue;
    if (layer < changes.size() && changes[layer].kind == LayerChange::Kind::kRemoved)
      item["empty_layer"] = true;
    ++layer;
  }
}

// Returns whether there was one.
bool erase_in_any_case(Json& object, std::string_view name) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) {
    if (equal_but_case(item.key(), name)) keys.push_back(item.key());
  }
  for (const std::string& key : keys)
    object.erase(key);
  return !keys.empty();
}

// Fields of an index entry or manifest descriptor that speak of the old bytes.
void point_at(Json& descriptor, const Descriptor& target) {
  descriptor["mediaType"] = target.media_type;
  descriptor["digest"] = target.digest.text();
  descriptor["size"] = target.size;
  descriptor.erase("data");
}

// What both ways of editing share: the config's DiffIDs, the manifest's descriptors.
class ImageEditor {
 public:
  ImageEditor(const Manifest& manifest, const ImageConfig& config, bool any_zstd)
      : source_(manifest),
        manifest_(manifest.json),
        config_(config.json),
        to_oci_(manifest.is_docker() && any_zstd) {
    edited_.manifest_media_type = to_oci_ ? std::string(media_type::kOciManifest) : manifest.media_type;
    edited_.config_media_type = to_oci_ ? std::string(media_type::kOciConfig) : manifest.config.media_type;
  }

  Json& config() { return config_; }

  void keep_layer(std::size_t index, const Digest& diff_id) {
    Json layer = source_.json.at("layers").at(index);
    if (to_oci_) layer["mediaType"] = to_oci_layer_type(layer.at("mediaType").get<std::string>());
    layers_.push_back(std::move(layer));
    diff_ids_.push_back(diff_id.text());
  }

  // Annotations of a layer speak of its bytes (tables of contents, sizes, build keys): a new one starts
  // without.
  void add_layer(const WrittenLayer& written) {
    Json layer = Json::object();
    point_at(layer,
             Descriptor{std::string(layer_media_type(edited_.manifest_media_type, written.compression)),
                        written.digest,
                        written.size,
                        {},
                        {},
                        {}});
    layers_.push_back(std::move(layer));
    diff_ids_.push_back(written.diff_id.text());
  }

  EditedImage finish(const std::optional<std::string>& created) {
    config_["rootfs"]["type"] = "layers";
    config_["rootfs"]["diff_ids"] = std::move(diff_ids_);
    edited_.lost_inline_cache = erase_in_any_case(config_, kInlineCache);
    erase_in_any_case(config_, kBuildInfo);
    if (created) config_["created"] = *created;
    edited_.config = dump_json(config_);
    if (to_oci_ || manifest_.contains("mediaType")) manifest_["mediaType"] = edited_.manifest_media_type;
    point_at(
        manifest_["config"],
        Descriptor{edited_.config_media_type, digest_of(edited_.config), edited_.config.size(), {}, {}, {}});
    manifest_["layers"] = std::move(layers_);
    edited_.manifest = dump_json(manifest_);
    return std::move(edited_);
  }

 private:
  const Manifest& source_;
  Json manifest_;
  Json config_;
  bool to_oci_;
  Json layers_ = Json::array();
  Json diff_ids_ = Json::array();
  EditedImage edited_;
};

}  // namespace

std::string rfc3339(std::int64_t seconds) {
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", time);
}

EditedImage edit_image(const Manifest& manifest, const ImageConfig& config,
                       const std::vector<LayerChange>& changes, const std::optional<std::string>& created) {
  if (changes.size() != manifest.layers.size()) throw std::logic_error("edit_image: one change a layer");
  ImageEditor editor(manifest, config,
                     std::any_of(changes.begin(), changes.end(), [](const LayerChange& change) {
                       return change.written && change.written->compression == Compression::kZstd;
                     }));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].kind == LayerChange::Kind::kRemoved) continue;
    if (changes[i].written) {
      editor.add_layer(*changes[i].written);
    } else {
      editor.keep_layer(i, config.diff_ids[i]);
    }
  }
  edit_history(editor.config(), changes);
  return editor.finish(created);
}

EditedImage replace_layers(const Manifest& manifest, const ImageConfig& config, std::size_t base,
                           const std::vector<NewLayer>& layers, const std::optional<std::string>& created) {
  ImageEditor editor(manifest, config, std::any_of(layers.begin(), layers.end(), [](const NewLayer& layer) {
                       return layer.written.compression == Compression::kZstd;
                     }));
  Json& edited = editor.config();
  if (!edited.contains("history") || !edited["history"].is_array()) edited["history"] = Json::array();
  std::size_t seen = 0;
  for (Json& item : edited["history"]) {
    const auto empty = item.find("empty_layer");
    const bool is_empty = empty != item.end() && empty->is_boolean() && empty->get<bool>();
    if (is_empty || seen++ >= base) item["empty_layer"] = true;
  }
  for (std::size_t i = 0; i < base; ++i)
    editor.keep_layer(i, config.diff_ids[i]);
  for (const NewLayer& layer : layers) {
    editor.add_layer(layer.written);
    Json item = Json::object();
    if (const auto when = edited.find("created"); when != edited.end()) item["created"] = *when;
    if (created) item["created"] = *created;
    item["created_by"] = layer.created_by;
    edited["history"].push_back(std::move(item));
  }
  return editor.finish(created);
}

Manifest to_oci(const Manifest& manifest) {
  Json json = manifest.json;
  json["mediaType"] = media_type::kOciManifest;
  json["config"]["mediaType"] = media_type::kOciConfig;
  for (Json& layer : json["layers"]) {
    layer["mediaType"] = to_oci_layer_type(layer.at("mediaType").get<std::string>());
  }
  return Manifest::parse(dump_json(json), media_type::kOciManifest, "the manifest in OCI media types");
}

std::string edit_index(const Index& index, const std::vector<std::optional<Descriptor>>& replacements) {
  const Json& old_entries = index.json.at("manifests");
  if (replacements.size() != old_entries.size())
    throw std::logic_error("edit_index: one replacement an entry");
  Json edited = index.json;
  Json entries = Json::array();
  bool oci_child = false;
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    if (!replacements[i]) continue;
    Json entry = old_entries.at(i);
    if (entry.at("digest").get<std::string>() != replacements[i]->digest.text())
      point_at(entry, *replacements[i]);
    oci_child = oci_child || replacements[i]->media_type == media_type::kOciManifest;
    entries.push_back(std::move(entry));
  }
  edited["manifests"] = std::move(entries);
  // A Docker manifest list holds Docker manifests only.
  if (oci_child && index.media_type == media_type::kDockerIndex) edited["mediaType"] = media_type::kOciIndex;
  return dump_json(edited);
}

}  // namespace imgslim
