// SPDX-License-Identifier: Apache-2.0
#include "src/cache/cache_artifact.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/packed.h"
#include "layers/referrer.h"
#include "src/buildkit_cache/cache_source.h"
#include "src/cache/code_id.h"

namespace imgslim {
namespace {

constexpr std::string_view kRecordType = "application/vnd.imgslim.cache.layer.v1+zstd";
constexpr std::string_view kOutputsType = "application/vnd.imgslim.cache.outputs.v1";
constexpr const char* kLayer = "org.imgslim.cache.layer";
constexpr std::uint64_t kMaxRecord = std::uint64_t{512} << 20;
constexpr std::uint64_t kMaxOutputs = std::uint64_t{16} << 20;

Descriptor describe(std::string_view type, std::string_view bytes) {
  return {std::string(type), digest_of(bytes), bytes.size(), std::nullopt, {}, {}};
}

}  // namespace

std::string pack_outputs(const OutputNames& outputs) {
  Packer packer;
  packer(code_id(), outputs.size());
  for (const auto& [key, layer] : outputs) {
    packer(key.text(), layer.digest.text(), layer.diff_id.text(), layer.size, layer.plain_size);
    packer.choice(layer.compression, Compression::kZstd);
  }
  return packer.take();
}

std::optional<OutputNames> unpack_outputs(std::string_view text) {
  try {
    Unpacker unpacker(text);
    if (unpacker.text() != code_id()) return std::nullopt;
    const auto digest = [&] {
      const auto found = Digest::parse(unpacker.text());
      if (!found) Unpacker::fail();
      return *found;
    };
    OutputNames outputs;
    for (std::uint64_t left = unpacker.number(); left > 0; --left) {
      const Digest key = digest();
      const Digest blob = digest();
      WrittenLayer layer{blob, digest()};
      unpacker(layer.size, layer.plain_size);
      unpacker.choice(layer.compression, Compression::kZstd);
      outputs.emplace(key, layer);
    }
    if (!unpacker.at_end()) return std::nullopt;
    return outputs;
  } catch (const Error&) {
    return std::nullopt;
  }
}

CacheArtifact::CacheArtifact(std::unique_ptr<ImageSource> source) : source_(std::move(source)) {
  refuse_buildkit_cache(*source_, "--cache-from");
  const std::string what = source_->name();
  const Descriptor root = source_->root();
  const std::string text = source_->read_document(root);
  const Json json = parse_json(text, what);
  if (classify_document(json, root.media_type, what) != DocumentKind::kManifest ||
      string_member(json, "artifactType", what) != kCacheArtifactType) {
    throw_usage(fmt::format("--cache-from {}: this is no cache of imgslim's, which --cache-to writes", what));
  }
  const Manifest manifest = Manifest::parse(text, root.media_type, what);
  for (const LayerDescriptor& layer : manifest.layers) {
    const Descriptor& part = layer.descriptor;
    if (part.media_type == kRecordType) {
      const auto name = part.annotations.find(kLayer);
      const auto digest = name == part.annotations.end() ? std::nullopt : Digest::parse(name->second);
      if (digest && part.size <= kMaxRecord) records_.emplace(*digest, part);
    } else if (part.media_type == kOutputsType) {
      if (auto outputs = unpack_outputs(source_->read_document(part, kMaxOutputs)))
        outputs_ = std::move(*outputs);
    } else {
      written_.emplace(part.digest, part);
    }
  }
}

std::optional<LayerRecord> CacheArtifact::layer(const Digest& digest) const {
  const auto known = records_.find(digest);
  if (known == records_.end()) return std::nullopt;
  return unpack_record(source_->read_document(known->second, kMaxRecord), digest);
}

const Descriptor* CacheArtifact::written(const Digest& digest) const {
  const auto known = written_.find(digest);
  return known == written_.end() ? nullptr : &known->second;
}

void write_cache_artifact(const CacheContents& contents, ImageDestination& destination) {
  std::vector<Descriptor> parts;
  for (const auto& [layer, record] : contents.records) {
    Descriptor part = describe(kRecordType, record);
    part.annotations.emplace(kLayer, layer.text());
    destination.put(part, record);
    parts.push_back(std::move(part));
  }
  const std::string outputs = pack_outputs(contents.outputs);
  parts.push_back(describe(kOutputsType, outputs));
  destination.put(parts.back(), outputs);
  for (const auto& [descriptor, blob] : contents.written) {
    if (!destination.has(descriptor)) destination.copy(descriptor, *blob);
    parts.push_back(descriptor);
  }
  const ReferrerManifest manifest = make_referrer(std::optional<Descriptor>(), kCacheArtifactType, parts);
  destination.put(manifest.config, kEmptyDocument);
  destination.put(manifest.descriptor, manifest.text);
  destination.publish(manifest.descriptor);
}

}  // namespace imgslim
