// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "layers/error.h"
#include "layers/manifest.h"

using namespace imgslim;

namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;
const std::string kConfigText =
    R"({"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" + kDigest + R"(","size":2})";
const std::string kLayerText =
    R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" + kDigest + R"(","size":7})";

std::string refused(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "accepted";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string manifest_with(const std::string& config, const std::string& layers,
                          const std::string& more = "") {
  return R"({"schemaVersion":2,"config":)" + config + R"(,"layers":)" + layers + more + "}";
}

std::string refused_manifest(const std::string& text, std::string_view type = "") {
  return refused([&] { Manifest::parse(text, type, "image a"); });
}

std::string refused_descriptor(const std::string& text) {
  return refused([&] { Descriptor::from_json(parse_json(text, "x"), "image a: layer 1"); });
}

std::string descriptor_with(const std::string& digest, const std::string& size,
                            const std::string& more = "") {
  return R"({"mediaType":"a/b","digest":")" + digest + R"(","size":)" + size + more + "}";
}

}  // namespace

TEST_CASE("manifest: what is read and what is kept") {
  const std::string text = manifest_with(
      kConfigText, "[" + kLayerText + "," + kLayerText + "]",
      R"(,"annotations":{"b":"1","a":"2"},"x-new":{"n":1.50,"big":123456789012345678901234567890})");
  const Manifest manifest = Manifest::parse(text, "", "image a");
  CHECK(manifest.media_type == media_type::kOciManifest);
  CHECK(manifest.config.size == 2);
  CHECK(manifest.layers.size() == 2);
  CHECK(manifest.layers[1].descriptor.size == 7);
  CHECK(manifest.is_image());
  CHECK(dump_json(manifest.json) == text);
}

TEST_CASE("manifest: families, artifacts and foreign layers") {
  std::string docker = kConfigText;
  docker.replace(docker.find("application/vnd.oci.image.config.v1+json"), 40, media_type::kDockerConfig);
  CHECK(Manifest::parse(manifest_with(docker, "[]"), "", "x").is_docker());
  CHECK_FALSE(Manifest::parse(manifest_with(docker, "[]"), media_type::kOciManifest, "x").is_docker());

  std::string other = kConfigText;
  other.replace(other.find("image.config"), 12, "empty.config");
  CHECK_FALSE(Manifest::parse(manifest_with(other, "[]"), "", "x").is_image());
  std::string statement = kLayerText;
  statement.replace(statement.find("application/vnd.oci.image.layer.v1.tar+gzip"), 43,
                    "application/vnd.in-toto+json");
  CHECK_FALSE(Manifest::parse(manifest_with(kConfigText, "[" + statement + "]"), "", "x").is_image());

  std::string foreign = kLayerText;
  foreign.replace(foreign.find("layer.v1"), 8, "layer.nondistributable.v1");
  const Manifest manifest =
      Manifest::parse(manifest_with(kConfigText, "[" + foreign + "," + kLayerText + "]"), "", "x");
  CHECK(manifest.layers[0].foreign);
  CHECK_FALSE(manifest.layers[1].foreign);
  CHECK(manifest.is_image());
}

TEST_CASE("manifest: layer media types by family and compression") {
  CHECK(layer_media_type(media_type::kOciManifest, Compression::kGzip) == media_type::kOciLayerGzip);
  CHECK(layer_media_type(media_type::kDockerManifest, Compression::kGzip) == media_type::kDockerLayerGzip);
  CHECK(layer_media_type(media_type::kDockerManifest, Compression::kNone) == media_type::kDockerLayer);
  CHECK(layer_media_type(media_type::kDockerManifest, Compression::kZstd) == media_type::kOciLayerZstd);
}

TEST_CASE("manifest: descriptors survive a round trip") {
  const std::string text =
      R"({"mediaType":"a/b","digest":")" + kDigest +
      R"(","size":9223372036854775807,"annotations":{"k":"v"},)"
      R"("platform":{"architecture":"arm","os":"linux","variant":"v7"},"artifactType":"c/d"})";
  const Descriptor descriptor = Descriptor::from_json(parse_json(text, "x"), "x");
  CHECK(descriptor.platform->text() == "linux/arm/v7");
  CHECK(dump_json(descriptor.to_json()) == text);
  CHECK(Descriptor::from_json(
            parse_json(descriptor_with(kDigest, "0", R"(,"annotations":null,"platform":null)"), "x"), "x")
            .annotations.empty());
}

TEST_CASE("manifest: the content in a descriptor must be what it describes") {
  const std::string hello = digest_of("hello").text();
  CHECK(refused_descriptor(descriptor_with(hello, "5", R"(,"data":"aGVsbG8=")")) == "accepted");
  CHECK(
      contains(refused_descriptor(descriptor_with(hello, "5", R"(,"data":"aGVsbG9v")")), "not the content"));
  CHECK(
      contains(refused_descriptor(descriptor_with(hello, "6", R"(,"data":"aGVsbG8=")")), "not the content"));
  CHECK(contains(refused_descriptor(descriptor_with(hello, "5", R"(,"data":"aGVsbG8")")), "not base64"));
  CHECK(contains(refused_descriptor(descriptor_with(hello, "5", R"(,"data":" aGVsbG8=   ")")), "not base64"));
}

TEST_CASE("manifest: platforms") {
  CHECK(Platform::parse("linux/arm64/v8") == Platform{"linux", "arm64", ""});
  CHECK(Platform{"linux", "arm64", "v8"}.matches(Platform::parse("linux/arm64")));
  CHECK(Platform{"linux", "arm", "v7"}.matches(Platform::parse("linux/arm")));
  CHECK_FALSE(Platform{"linux", "arm", "v6"}.matches(Platform::parse("linux/arm")));
  CHECK_FALSE(Platform{"windows", "amd64", ""}.matches(Platform::parse("linux/amd64")));
  for (const char* bad : {"", "linux", "linux/", "/amd64", "a/b/c/d", "linux/a b"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(Platform::parse(bad), Error);
  }
}

TEST_CASE("manifest: attestations are told from images") {
  Descriptor entry = Descriptor::from_json(
      parse_json(descriptor_with(kDigest, "1", R"(,"platform":{"os":"unknown","architecture":"unknown"})"),
                 "x"),
      "x");
  CHECK_FALSE(is_attestation(entry));
  entry.annotations["vnd.docker.reference.type"] = "attestation-manifest";
  CHECK(is_attestation(entry));
  entry.platform = Platform{"linux", "amd64", ""};
  CHECK_FALSE(is_attestation(entry));
}

TEST_CASE("bad input 50: manifests beside layers or config are refused") {
  for (const char* member : {R"("layers":[])", R"("config":{})", R"("layers":null)"}) {
    const std::string text = fmt::format(R"({{"schemaVersion":2,"manifests":[],{}}})", member);
    CHECK(contains(refused_manifest(text), "beside"));
    CHECK(contains(refused([&] { Index::parse(text, "", "x"); }), "beside"));
  }
  CHECK(contains(refused_manifest(R"({"schemaVersion":2,"Manifests":[],"layers":[]})"), "mistaken"));
  CHECK(contains(refused_manifest(R"({"schemaVersion":2})"), "neither"));
}

TEST_CASE("bad input 51: a media type that contradicts its descriptor or its content is refused") {
  const std::string text =
      manifest_with(kConfigText, "[]", R"(,"mediaType":"application/vnd.oci.image.manifest.v1+json")");
  CHECK(Manifest::parse(text, media_type::kOciManifest, "x").layers.empty());
  CHECK(contains(refused_manifest(text, media_type::kDockerManifest), "says that it is"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[]"), media_type::kOciIndex),
                 "holds an image manifest"));
  const std::string index = R"({"schemaVersion":2,"manifests":[]})";
  CHECK(contains(refused([&] { Index::parse(index, media_type::kOciManifest, "x"); }), "holds an index"));
  CHECK(contains(refused_manifest(index), "is an index where"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[]", R"(,"mediaType":7)")), "not a string"));
}

TEST_CASE("bad input 52: digests that are none are refused") {
  for (const std::string digest : {"sha256:../../etc/passwd", "sha256:",
                                   "md5:d41d8cd98f00b204e9800998ecf8427e", "", "SHA256:aa", "latest"}) {
    CAPTURE(digest);
    CHECK(contains(refused_descriptor(descriptor_with(digest, "1")), "is not a digest"));
  }
  CHECK(contains(refused_descriptor(descriptor_with("sha256:" + std::string(64, 'A'), "1")),
                 "is not a digest"));
  CHECK(contains(refused_descriptor(descriptor_with(kDigest + "a", "1")), "is not a digest"));
  CHECK(contains(refused_descriptor(R"({"mediaType":"a/b","size":1})"), "is not a digest"));
}

TEST_CASE("bad input 53: sizes that are none are refused") {
  for (const char* size :
       {"-1", "9223372036854775808", "18446744073709551616", "1.5", "1e3", "\"7\"", "[]", "true"}) {
    CAPTURE(size);
    CHECK(contains(refused_descriptor(descriptor_with(kDigest, size)), "\"size\" is not an integer"));
  }
  CHECK(contains(refused_descriptor(descriptor_with(kDigest, "null")), "\"size\" is missing"));
  const std::string huge = descriptor_with(kDigest, "9223372036854775807");
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[" + huge + "," + huge + "]")), "exceed"));
}

TEST_CASE("bad input 56: a manifest of more than four megabytes is refused") {
  const std::string text = manifest_with(kConfigText, "[]", R"(,"x":")" + std::string(5u << 20, 'x') + "\"");
  CHECK(contains(refused_manifest(text), "larger than 4194304 bytes"));
}

TEST_CASE("bad input 57: nesting, keys twice, bytes that are no UTF-8, null for lists are refused") {
  const std::string deep = std::string(10000, '[') + std::string(10000, ']');
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[]", ",\"x\":" + deep)),
                 "nested deeper than 64"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[]", ",\"layers\":[]")),
                 "key \"layers\" appears twice"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[]", ",\"x\":\"\xff\"")), "invalid UTF-8"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "null")), "\"layers\" is not a list"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "{}")), "\"layers\" is not a list"));
  CHECK(contains(refused_manifest(manifest_with(kConfigText, "[null]")), "layer 1: not a JSON object"));
  CHECK(contains(refused_manifest(manifest_with("null", "[]")), "\"config\" is missing"));
  CHECK(contains(refused_manifest("[]"), "not a JSON object"));
  CHECK(contains(refused([] { Index::parse(R"({"schemaVersion":2,"manifests":null})", "", "x"); }),
                 "not a list"));
}

TEST_CASE("bad input 58: an index of more entries than anyone has is refused") {
  std::string entries;
  for (int i = 0; i < 10001; ++i)
    entries += fmt::format("{}{}", i == 0 ? "" : ",", descriptor_with(kDigest, "1"));
  const std::string text = R"({"schemaVersion":2,"manifests":[)" + entries + "]}";
  CHECK(contains(refused([&] { Index::parse(text, "", "x"); }), "more than 10000"));
}

TEST_CASE("bad input 61: schema 1 is refused with the way out") {
  for (const char* text :
       {R"({"schemaVersion":1,"name":"a","fsLayers":[],"history":[]})", R"({"fsLayers":[]})"}) {
    CHECK(contains(refused_manifest(text), "skopeo copy --format oci"));
  }
  CHECK(contains(refused_manifest("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
                 "schema 1"));
  CHECK(contains(refused_manifest(R"({"schemaVersion":3,"layers":[]})"), "is not 2"));
}
