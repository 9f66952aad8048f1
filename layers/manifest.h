// SPDX-License-Identifier: Apache-2.0
// Image manifests, indexes and configs (image-spec manifest.md, image-index.md, config.md; Docker image
// manifest version 2, schema 2). They stay JSON trees: we read the fields we need and edit in place, so
// that unknown fields, key order and number text survive.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/compression.h"
#include "layers/digest.h"
#include "layers/json.h"

namespace imgslim {

namespace media_type {
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}  // namespace media_type

// "os/architecture[/variant]" (image-index.md, "platform").
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string text() const;
  // "linux/amd64", "linux/arm64/v8"; arm64 and arm64/v8 are the same. Throws Error{kUsage}.
  static Platform parse(std::string_view text);
  // Whether a request for `wanted` takes this one; an empty variant takes the architecture's default.
  bool matches(const Platform& wanted) const;
  bool operator==(const Platform&) const = default;
};

// A reference to content (descriptor.md).
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;
  std::string artifact_type;

  // Checks what descriptor.md demands; throws Error{kBadImage} naming `what`.
  static Descriptor from_json(const Json& json, std::string_view what);
  Json to_json() const;
};

// Whether an index entry is an attestation of BuildKit's (platform unknown/unknown with
// vnd.docker.reference.type), never to be treated as an image.
bool is_attestation(const Descriptor& descriptor);

// Whether content of that media type is an index or an image manifest.
bool is_document_type(std::string_view media_type);

enum class DocumentKind { kIndex, kManifest };
// What a blob that is named as `media_type` (may be empty) is, by its own content. Throws
// Error{kBadImage}: schema 1 ("... convert it with skopeo copy --format oci"), `manifests` beside
// `layers` or `config`, a mediaType field that contradicts the descriptor, neither of both.
DocumentKind classify_document(const Json& document, std::string_view media_type, std::string_view what);

struct LayerDescriptor {
  Descriptor descriptor;
  bool foreign = false;  // non-distributable: never fetched, never uploaded
};

// An image manifest as parsed. `json` is the document; the rest is read from it.
struct Manifest {
  Json json;
  std::string media_type;
  Descriptor config;
  std::vector<LayerDescriptor> layers;
  bool is_docker() const { return media_type == media_type::kDockerManifest; }
  // Whether config and layers are those of a runnable image, not of an artifact.
  bool is_image() const;
  static Manifest parse(std::string_view text, std::string_view media_type, std::string_view what);
};

struct Index {
  Json json;
  std::string media_type;
  std::vector<Descriptor> manifests;
  static Index parse(std::string_view text, std::string_view media_type, std::string_view what);
};

struct HistoryItem {
  std::string created_by;
  bool empty_layer = false;
};

// An image config. `json` is the document; the rest is read from it, absent fields empty.
struct ImageConfig {
  Json json;
  Platform platform;
  std::vector<Digest> diff_ids;
  std::vector<HistoryItem> history;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> healthcheck;  // "Test" as it stands: {"CMD", ...}, {"CMD-SHELL", ...}, {"NONE"}
  std::vector<std::string> shell;
  std::vector<std::string> volumes;
  std::string user;
  std::string working_dir;
  // Throws Error{kBadImage}: wrong types, diff_ids against `layer_count`, history against layers.
  static ImageConfig parse(std::string_view text, std::size_t layer_count, std::string_view what);
};

// The layer media type for a compression, in the family (OCI or Docker) of `manifest_media_type`.
// Docker has none for zstd: the OCI one is returned.
std::string_view layer_media_type(std::string_view manifest_media_type, Compression compression);

}  // namespace imgslim
