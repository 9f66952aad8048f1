// SPDX-License-Identifier: Apache-2.0
#include "layers/manifest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>

#include "layers/error.h"
#include "layers/json_fields.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxIndexEntries = 10000;
constexpr std::size_t kMaxMediaType = 255;

constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
constexpr std::string_view kSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";

constexpr std::array<std::string_view, 4> kForeignLayers = {
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
};

constexpr std::array<std::string_view, 6> kTarLayers = {
    media_type::kOciLayer,        media_type::kOciLayerGzip,
    media_type::kOciLayerZstd,    media_type::kDockerLayer,
    media_type::kDockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.zstd",
};

bool is_foreign(std::string_view type) {
  return std::find(kForeignLayers.begin(), kForeignLayers.end(), type) != kForeignLayers.end();
}

bool is_tar_layer(std::string_view type) {
  return is_foreign(type) || std::find(kTarLayers.begin(), kTarLayers.end(), type) != kTarLayers.end();
}

bool is_index_type(std::string_view type) {
  return type == media_type::kOciIndex || type == media_type::kDockerIndex;
}

bool is_manifest_type(std::string_view type) {
  return type == media_type::kOciManifest || type == media_type::kDockerManifest;
}

bool is_media_type(std::string_view text) {
  if (text.empty() || text.size() > kMaxMediaType) return false;
  if (text.find('/') == std::string_view::npos || text.front() == '/' || text.back() == '/') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::optional<std::string> decode_base64(const std::string& text) {
  if (text.size() % 4 != 0) return std::nullopt;
  // EVP_DecodeBlock would skip blanks at both ends.
  for (const char c : text) {
    const bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!digit && c != '+' && c != '/' && c != '=') return std::nullopt;
  }
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
    ++padding;
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

// The content that a descriptor carries itself must be what it describes (descriptor.md, "data").
void check_data(const Json& json, const Descriptor& descriptor, std::string_view what) {
  if (find_member(json, "data") == nullptr) return;
  const auto bytes = decode_base64(string_member(json, "data", what));
  if (!bytes) throw_bad_image(fmt::format("{}: \"data\" is not base64", what));
  Hasher hasher(descriptor.digest.algorithm());
  hasher.update(*bytes);
  if (bytes->size() != descriptor.size || hasher.finish() != descriptor.digest) {
    throw_bad_image(fmt::format("{}: \"data\" is not the content of {}", what, descriptor.digest.text()));
  }
}

Platform platform_from(const Json& json, std::string_view what) {
  require_object(json, what);
  return {string_member(json, "os", what), string_member(json, "architecture", what),
          string_member(json, "variant", what)};
}

// The media type that a document has: the descriptor's, or its own field's, which must not disagree.
std::string declared_type(const Json& document, std::string_view media_type, std::string_view what) {
  const std::string own = string_member(document, "mediaType", what);
  if (!own.empty() && !media_type.empty() && own != media_type) {
    throw_bad_image(fmt::format("{}: is described as {} but says that it is {}", what, printable(media_type),
                                printable(own)));
  }
  return own.empty() ? std::string(media_type) : own;
}

void refuse_schema1(const Json& document, std::string_view type, std::string_view what) {
  const Json* version = find_member(document, "schemaVersion");
  const bool first = version != nullptr && version->is_number_integer() && *version == 1;
  if (first || type == kSchema1 || type == kSchema1Signed || document.contains("fsLayers")) {
    throw_bad_image(fmt::format(
        "{}: Docker schema 1 manifests are not supported, convert it with skopeo copy --format oci", what));
  }
  if (version != nullptr && !(version->is_number_integer() && *version == 2)) {
    throw_bad_image(fmt::format("{}: \"schemaVersion\" is not 2", what));
  }
}

// What an architecture is when no variant is named.
std::string_view default_variant(std::string_view architecture) {
  if (architecture == "arm64") return "v8";
  if (architecture == "arm") return "v7";
  if (architecture == "amd64") return "v1";
  return {};
}

bool is_platform_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

std::string Platform::text() const {
  std::string out = os + "/" + architecture;
  if (!variant.empty()) out += "/" + variant;
  return out;
}

Platform Platform::parse(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  const bool fits =
      parts.size() >= 2 && parts.size() <= 3 &&
      std::all_of(parts.begin(), parts.end(), [](const std::string& part) { return is_platform_word(part); });
  if (!fits) {
    throw_usage(fmt::format("platform \"{}\" is not OS/ARCHITECTURE[/VARIANT], such as linux/arm64",
                            printable(text)));
  }
  Platform out{parts[0], parts[1], parts.size() == 3 ? parts[2] : std::string()};
  if (out.architecture == "arm64" && out.variant == "v8") out.variant.clear();
  return out;
}

bool Platform::matches(const Platform& wanted) const {
  if (os != wanted.os || architecture != wanted.architecture) return false;
  const std::string_view fallback = default_variant(architecture);
  const std::string_view mine = variant.empty() ? fallback : std::string_view(variant);
  const std::string_view theirs = wanted.variant.empty() ? fallback : std::string_view(wanted.variant);
  return mine == theirs;
}

Descriptor Descriptor::from_json(const Json& json, std::string_view what) {
  require_object(json, what);
  refuse_other_case(json, {"mediaType", "digest", "size", "urls", "data", "platform", "annotations"}, what);
  const std::string type = string_member(json, "mediaType", what);
  if (!is_media_type(type)) {
    throw_bad_image(fmt::format("{}: \"mediaType\" is missing or no media type", what));
  }
  const std::string digest_text = string_member(json, "digest", what);
  const auto digest = Digest::parse(digest_text);
  if (!digest) throw_bad_image(fmt::format("{}: \"{}\" is not a digest", what, printable(digest_text)));
  const auto size = size_member(json, "size", what);
  if (!size) throw_bad_image(fmt::format("{}: \"size\" is missing", what));

  Descriptor out{type, *digest, *size, std::nullopt, {}, string_member(json, "artifactType", what)};
  if (const Json* platform = find_member(json, "platform")) {
    out.platform = platform_from(*platform, fmt::format("{}: platform", what));
  }
  if (const Json* annotations = find_member(json, "annotations")) {
    require_object(*annotations, fmt::format("{}: annotations", what));
    for (const auto& item : annotations->items()) {
      if (!item.value().is_string()) {
        throw_bad_image(fmt::format("{}: annotation \"{}\" is not a string", what, printable(item.key())));
      }
      out.annotations.emplace(item.key(), item.value().get<std::string>());
    }
  }
  strings_member(json, "urls", what);
  check_data(json, out, what);
  return out;
}

Json Descriptor::to_json() const {
  Json out = Json::object();
  out["mediaType"] = media_type;
  out["digest"] = digest.text();
  out["size"] = size;
  if (!annotations.empty()) {
    Json map = Json::object();
    for (const auto& [key, value] : annotations)
      map[key] = value;
    out["annotations"] = std::move(map);
  }
  if (platform) {
    Json fields = Json::object();
    fields["architecture"] = platform->architecture;
    fields["os"] = platform->os;
    if (!platform->variant.empty()) fields["variant"] = platform->variant;
    out["platform"] = std::move(fields);
  }
  if (!artifact_type.empty()) out["artifactType"] = artifact_type;
  return out;
}

bool is_attestation(const Descriptor& descriptor) {
  if (descriptor.annotations.count("vnd.docker.reference.type") == 0) return false;
  return !descriptor.platform ||
         (descriptor.platform->os == "unknown" && descriptor.platform->architecture == "unknown");
}

bool is_document_type(std::string_view media_type) {
  return is_index_type(media_type) || is_manifest_type(media_type);
}

DocumentKind classify_document(const Json& document, std::string_view media_type, std::string_view what) {
  require_object(document, what);
  refuse_other_case(
      document, {"schemaVersion", "mediaType", "manifests", "layers", "config", "fsLayers", "subject"}, what);
  const std::string type = declared_type(document, media_type, what);
  refuse_schema1(document, type, what);
  const bool index = document.contains("manifests");
  const bool manifest = document.contains("layers") || document.contains("config");
  if (index && manifest) {
    throw_bad_image(fmt::format("{}: has \"manifests\" beside \"layers\" or \"config\"", what));
  }
  if (!index && !manifest)
    throw_bad_image(fmt::format("{}: is neither an image manifest nor an index", what));
  if ((index && is_manifest_type(type)) || (manifest && is_index_type(type))) {
    throw_bad_image(fmt::format("{}: is described as {} but holds {}", what, type,
                                index ? "an index" : "an image manifest"));
  }
  return index ? DocumentKind::kIndex : DocumentKind::kManifest;
}

bool Manifest::is_image() const {
  if (config.media_type != media_type::kOciConfig && config.media_type != media_type::kDockerConfig) {
    return false;
  }
  return std::all_of(layers.begin(), layers.end(),
                     [](const LayerDescriptor& layer) { return is_tar_layer(layer.descriptor.media_type); });
}

Manifest Manifest::parse(std::string_view text, std::string_view media_type, std::string_view what) {
  Json document = parse_json(text, what);
  if (classify_document(document, media_type, what) != DocumentKind::kManifest) {
    throw_bad_image(fmt::format("{}: is an index where an image manifest is expected", what));
  }
  std::string type = declared_type(document, media_type, what);
  const Json* config = find_member(document, "config");
  if (config == nullptr) throw_bad_image(fmt::format("{}: \"config\" is missing", what));
  const Json* layers = find_member(document, "layers");
  if (layers == nullptr || !layers->is_array()) {
    throw_bad_image(fmt::format("{}: \"layers\" is not a list", what));
  }
  Descriptor config_descriptor = Descriptor::from_json(*config, fmt::format("{}: config", what));
  std::vector<LayerDescriptor> parsed;
  std::uint64_t left = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const Json& layer : *layers) {
    auto descriptor = Descriptor::from_json(layer, fmt::format("{}: layer {}", what, parsed.size() + 1));
    // Whoever adds sizes up must not overflow.
    if (descriptor.size > left) throw_bad_image(fmt::format("{}: the layers' sizes exceed 2^63-1", what));
    left -= descriptor.size;
    const bool foreign = is_foreign(descriptor.media_type);
    parsed.push_back({std::move(descriptor), foreign});
  }
  if (const Json* subject = find_member(document, "subject")) {
    Descriptor::from_json(*subject, fmt::format("{}: subject", what));
  }
  if (!is_manifest_type(type)) {
    type = config_descriptor.media_type == media_type::kDockerConfig ? media_type::kDockerManifest
                                                                     : media_type::kOciManifest;
  }
  return {std::move(document), std::move(type), std::move(config_descriptor), std::move(parsed)};
}

Index Index::parse(std::string_view text, std::string_view media_type, std::string_view what) {
  Json document = parse_json(text, what);
  if (classify_document(document, media_type, what) != DocumentKind::kIndex) {
    throw_bad_image(fmt::format("{}: is an image manifest where an index is expected", what));
  }
  std::string type = declared_type(document, media_type, what);
  const Json& entries = document["manifests"];
  if (!entries.is_array()) throw_bad_image(fmt::format("{}: \"manifests\" is not a list", what));
  if (entries.size() > kMaxIndexEntries) {
    throw_bad_image(fmt::format("{}: has {} entries, more than {}", what, entries.size(), kMaxIndexEntries));
  }
  std::vector<Descriptor> manifests;
  for (const Json& entry : entries) {
    manifests.push_back(
        Descriptor::from_json(entry, fmt::format("{}: entry {}", what, manifests.size() + 1)));
  }
  if (!is_index_type(type)) {
    const bool docker =
        !manifests.empty() && std::all_of(manifests.begin(), manifests.end(), [](const auto& m) {
          return m.media_type == media_type::kDockerManifest;
        });
    type = docker ? media_type::kDockerIndex : media_type::kOciIndex;
  }
  return {std::move(document), std::move(type), std::move(manifests)};
}

std::string_view layer_media_type(std::string_view manifest_media_type, Compression compression) {
  const bool docker =
      manifest_media_type == media_type::kDockerManifest || manifest_media_type == media_type::kDockerIndex;
  switch (compression) {
    case Compression::kNone:
      return docker ? media_type::kDockerLayer : media_type::kOciLayer;
    case Compression::kGzip:
      return docker ? media_type::kDockerLayerGzip : media_type::kOciLayerGzip;
    case Compression::kZstd:
      return media_type::kOciLayerZstd;
  }
  return media_type::kOciLayer;
}

}  // namespace imgslim
