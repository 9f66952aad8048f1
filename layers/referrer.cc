// SPDX-License-Identifier: Apache-2.0
#include "layers/referrer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "layers/error.h"

namespace imgslim {
namespace {

Descriptor describe(std::string_view type, std::string_view bytes) {
  return {std::string(type), digest_of(bytes), bytes.size(), std::nullopt, {}, {}};
}

Manifest read_manifest(const ImageSource& source, const Descriptor& referrer, const std::string& what) {
  return Manifest::parse(source.read_document(referrer), referrer.media_type, what);
}

std::string name_of(const ImageSource& source, const Descriptor& referrer) {
  return fmt::format("{}: referrer {}", source.name(), referrer.digest.short_text());
}

}  // namespace

ReferrerManifest make_referrer(const Descriptor& subject, std::string_view artifact_type,
                               std::string_view content_type, std::string_view content,
                               const std::map<std::string, std::string>& annotations) {
  return make_referrer(std::optional(subject), artifact_type, {describe(content_type, content)}, annotations);
}

ReferrerManifest make_referrer(const std::optional<Descriptor>& subject, std::string_view artifact_type,
                               const std::vector<Descriptor>& contents,
                               const std::map<std::string, std::string>& annotations) {
  const Descriptor config = describe(media_type::kOciEmpty, kEmptyDocument);
  Json json = Json::object();
  json["schemaVersion"] = 2;
  json["mediaType"] = media_type::kOciManifest;
  json["artifactType"] = artifact_type;
  json["config"] = config.to_json();
  json["layers"] = Json::array();
  for (const Descriptor& content : contents)
    json["layers"].push_back(content.to_json());
  if (subject) {
    json["subject"] =
        Descriptor{subject->media_type, subject->digest, subject->size, std::nullopt, {}, {}}.to_json();
  }
  for (const auto& [key, value] : annotations)
    json["annotations"][key] = value;
  std::string text = dump_json(json);
  Descriptor descriptor = describe(media_type::kOciManifest, text);
  descriptor.annotations = annotations;
  descriptor.artifact_type = artifact_type;
  return {std::move(descriptor), std::move(text), config, contents.front()};
}

bool put_referrer(ImageDestination& destination, const ReferrerManifest& manifest, std::string_view content) {
  if (!destination.holds_referrers()) return false;
  destination.put(manifest.config, kEmptyDocument);
  destination.put(manifest.content, content);
  destination.put(manifest.descriptor, manifest.text);
  return destination.publish_referrer(manifest.descriptor);
}

bool copy_referrer(const ImageSource& source, const Descriptor& referrer, ImageDestination& destination) {
  if (!destination.holds_referrers()) return false;
  const Manifest manifest = read_manifest(source, referrer, name_of(source, referrer));
  const auto copy = [&](const Descriptor& descriptor) {
    if (!destination.has(descriptor)) destination.copy(descriptor, *source.open(descriptor));
  };
  copy(manifest.config);
  for (const LayerDescriptor& layer : manifest.layers)
    copy(layer.descriptor);
  copy(referrer);
  return destination.publish_referrer(referrer);
}

std::string read_referrer(const ImageSource& source, const Descriptor& referrer, std::uint64_t limit) {
  const std::string what = name_of(source, referrer);
  const Manifest manifest = read_manifest(source, referrer, what);
  if (manifest.layers.size() != 1) {
    throw_bad_image(fmt::format("{}: has {} layers instead of one", what, manifest.layers.size()));
  }
  return source.read_document(manifest.layers.front().descriptor, limit);
}

}  // namespace imgslim
