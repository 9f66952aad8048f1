// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "layers/image_edit.h"

using namespace imgslim;

namespace {

const std::string kConfigText =
    R"({"architecture":"amd64","x-new":1.50,"os":"linux","moby.buildkit.cache.v0":"eA==","rootfs":)"
    R"({"type":"layers","diff_ids":["sha256:)" +
    std::string(64, 'a') + R"(","sha256:)" + std::string(64, 'b') +
    R"("]},"history":[{"created_by":"one"},)"
    R"({"created_by":"ENV","empty_layer":true},{"created_by":"two"}]})";

std::string layer_text(std::string_view type, char digit) {
  return fmt::format(R"({{"mediaType":"{}","digest":"sha256:{}","size":7,"x-of-the-layer":"stays"}})", type,
                     std::string(64, digit));
}

Manifest docker_manifest() {
  return Manifest::parse(
      fmt::format(
          R"({{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","size":{},"digest":"{}"}},)"
          R"("layers":[{},{}],"x-new":true}})",
          media_type::kDockerManifest, media_type::kDockerConfig, kConfigText.size(),
          digest_of(kConfigText).text(), layer_text(media_type::kDockerLayer, 'c'),
          layer_text(media_type::kDockerLayerGzip, 'd')),
      "", "image a");
}

ImageConfig config() {
  return ImageConfig::parse(kConfigText, 2, "image a");
}

LayerChange rewritten(Compression compression) {
  LayerChange change;
  change.kind = LayerChange::Kind::kRewritten;
  change.written = WrittenLayer{digest_of("blob"), digest_of("plain"), 4, 5, compression};
  return change;
}

}  // namespace

TEST_CASE("image edit: a Docker manifest in OCI media types is otherwise the same") {
  const Manifest before = docker_manifest();
  Json expected = before.json;
  expected["mediaType"] = media_type::kOciManifest;
  expected["config"]["mediaType"] = media_type::kOciConfig;
  expected["layers"][0]["mediaType"] = media_type::kOciLayer;
  expected["layers"][1]["mediaType"] = media_type::kOciLayerGzip;
  const Manifest after = to_oci(before);
  CHECK(dump_json(after.json) == dump_json(expected));
  CHECK(after.media_type == media_type::kOciManifest);
  CHECK(!after.is_docker());
}

TEST_CASE("image edit: what BuildKit said of the old layers goes, in any case of its letters") {
  Json json = config().json;
  json["Moby.BuildKit.Cache.V0"] = "eA==";
  json["moby.buildkit.buildinfo.v1"] = "e30=";
  json["moby.buildkit.other"] = "stays";
  const ImageConfig before = ImageConfig::parse(dump_json(json), 2, "image a");
  LayerChange copied;
  const EditedImage edited = edit_image(docker_manifest(), before, {copied, rewritten(Compression::kGzip)}, {});
  CHECK(edited.lost_inline_cache);
  const Json after = parse_json(edited.config, "edited");
  for (const char* gone : {"moby.buildkit.cache.v0", "Moby.BuildKit.Cache.V0", "moby.buildkit.buildinfo.v1"})
    CHECK_FALSE(after.contains(gone));
  CHECK(after.contains("moby.buildkit.other"));
}

TEST_CASE("image edit: Docker media types stay unless a layer is zstd") {
  struct Row {
    Manifest before;
    Compression compression;
    std::string_view manifest, config, copied, written;
  };
  const Row rows[] = {
      {docker_manifest(), Compression::kGzip, media_type::kDockerManifest, media_type::kDockerConfig,
       media_type::kDockerLayer, media_type::kDockerLayerGzip},
      {to_oci(docker_manifest()), Compression::kGzip, media_type::kOciManifest, media_type::kOciConfig,
       media_type::kOciLayer, media_type::kOciLayerGzip},
      {docker_manifest(), Compression::kZstd, media_type::kOciManifest, media_type::kOciConfig,
       media_type::kOciLayer, media_type::kOciLayerZstd},
  };
  for (const Row& row : rows) {
    const EditedImage edited =
        edit_image(row.before, config(), {LayerChange{}, rewritten(row.compression)}, std::nullopt);
    CHECK(edited.manifest_media_type == row.manifest);
    CHECK(edited.config_media_type == row.config);
    const Json manifest = parse_json(edited.manifest, "edited");
    CHECK(manifest["mediaType"] == row.manifest);
    CHECK(manifest["config"]["mediaType"] == row.config);
    CHECK(manifest["layers"][0]["mediaType"] == row.copied);
    CHECK(manifest["layers"][0]["x-of-the-layer"] == "stays");
    CHECK(manifest["layers"][1]["mediaType"] == row.written);
    CHECK(!manifest["layers"][1].contains("x-of-the-layer"));
    CHECK(manifest["x-new"] == true);
  }
}

TEST_CASE("image edit: DiffIDs and history follow the layers") {
  LayerChange removed;
  removed.kind = LayerChange::Kind::kRemoved;
  const EditedImage edited = edit_image(docker_manifest(), config(), {removed, rewritten(Compression::kGzip)},
                                        "2026-11-22T00:00:00Z");
  CHECK(edited.lost_inline_cache);
  CHECK(
      edited.config ==
      R"({"architecture":"amd64","x-new":1.50,"os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
          digest_of("plain").text() +
          R"("]},"history":[{"created_by":"one","empty_layer":true},{"created_by":"ENV","empty_layer":true},)"
          R"({"created_by":"two"}],"created":"2026-11-22T00:00:00Z"})");
  const Json manifest = parse_json(edited.manifest, "edited");
  CHECK(manifest["layers"].size() == 1);
  CHECK(manifest["config"]["digest"] == digest_of(edited.config).text());
  CHECK(manifest["config"]["size"] == edited.config.size());
}
