// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>

#include "layers/error.h"
#include "layers/referrer.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_image.h"

using namespace imgslim;
namespace fs = std::filesystem;

namespace {

constexpr const char* kType = "application/vnd.example.proof.v1+json";

// Writes an image with one referrer.
ReferrerManifest write(const std::string& name, const TestImage& image, const std::string& content) {
  const ReferrerManifest manifest = make_referrer(image.root(), kType, kType, content);
  auto to = destination(name);
  put_test_image(*to, image);
  CHECK(put_referrer(*to, manifest, content));
  to->publish(image.root());
  return manifest;
}

// Appends an entry to a layout's index.json, and puts its blob.
void add_entry(const std::string& layout, const std::string& text, Descriptor entry) {
  write_test_file(layout + "/" + "blobs/sha256/" + std::string(digest_of(text).hex()), text);
  Json index = parse_json(read_test_file(layout + "/index.json"), "index");
  index["manifests"].push_back(entry.to_json());
  write_test_file(layout + "/index.json", dump_json(index));
}

}  // namespace

TEST_CASE("referrer: the manifest is what the specification shows") {
  const TestImage image = make_test_image({"a"});
  Descriptor subject = image.root();
  subject.annotations = {{"org.opencontainers.image.ref.name", "x"}};
  const ReferrerManifest manifest =
      make_referrer(subject, kType, "application/json", "{\"a\":1}", {{"k", "v"}});
  CHECK(manifest.text ==
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("artifactType":"application/vnd.example.proof.v1+json",)"
        R"("config":{"mediaType":"application/vnd.oci.empty.v1+json",)"
        R"("digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},)"
        R"("layers":[{"mediaType":"application/json","digest":")" +
            digest_of("{\"a\":1}").text() + R"(","size":7}],"subject":)" + descriptor_text(image.root()) +
            R"(,"annotations":{"k":"v"}})");
  CHECK(manifest.descriptor.digest == digest_of(manifest.text));
  CHECK(manifest.descriptor.size == manifest.text.size());
  CHECK(manifest.descriptor.artifact_type == kType);
  CHECK(manifest.descriptor.annotations.at("k") == "v");
  CHECK_FALSE(Manifest::parse(manifest.text, media_type::kOciManifest, "m").is_image());
}

TEST_CASE("referrer: layouts and archives give it back, and the image is still the image") {
  for (const std::string transport : {"oci:", "oci-archive:"}) {
    CAPTURE(transport);
    const TemporaryDirectory dir;
    const std::string name = transport + (dir / "out");
    const TestImage image = make_test_image({"a"});
    const ReferrerManifest manifest = write(name, image, "content");
    const auto from = source(name);
    CHECK(from->root().digest == image.root().digest);
    CHECK(from->referrers(digest_of("another"), kType).empty());
    CHECK(from->referrers(image.root().digest, "application/x").empty());
    CHECK(from->referrers(image.root().digest, "").size() == 1);
    const auto found = from->referrers(image.root().digest, kType);
    REQUIRE(found.size() == 1);
    CHECK(found[0].digest == manifest.descriptor.digest);
    CHECK(found[0].artifact_type == kType);
    CHECK(read_referrer(*from, found[0], 100) == "content");
    CHECK(message_of([&] { read_referrer(*from, found[0], 3); }).find("larger than 3") != std::string::npos);
  }
}

TEST_CASE("referrer: each image of a layout has its own") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage one = make_test_image({"a"});
  const TestImage two = make_test_image({"b"});
  write("oci:" + out + ":one", one, "of one");
  write("oci:" + out + ":two", two, "of two");
  write("oci:" + out + ":two", two, "of two, newer");
  const auto from = source("oci:" + out + ":two");
  const auto found = from->referrers(two.root().digest, kType);
  REQUIRE(found.size() == 2);
  CHECK(read_referrer(*from, found[0], 100) == "of two");
  CHECK(read_referrer(*from, found[1], 100) == "of two, newer");
  REQUIRE(from->referrers(one.root().digest, kType).size() == 1);
  // A name that an artifact has too is the image's.
  const ReferrerManifest named = make_referrer(one.root(), kType, kType, "named");
  Descriptor entry = named.descriptor;
  entry.annotations["org.opencontainers.image.ref.name"] = "two";
  add_entry(out, named.text, entry);
  CHECK(source("oci:" + out + ":two")->root().digest == two.root().digest);
  CHECK(source("oci:" + out + ":one")->referrers(one.root().digest, kType).size() == 2);
}

TEST_CASE("referrer: copied to another place as it is") {
  const TemporaryDirectory dir;
  const std::string in = "oci:" + (dir / "in");
  const TestImage image = make_test_image({"a"});
  const ReferrerManifest manifest = write(in, image, "content");
  const auto from = source(in);
  for (const std::string& name : {"oci:" + (dir / "out"), "oci-archive:" + (dir / "out.tar")}) {
    CAPTURE(name);
    auto to = destination(name);
    put_test_image(*to, image);
    CHECK(copy_referrer(*from, manifest.descriptor, *to));
    to->publish(image.root());
    const auto copy = source(name);
    const auto found = copy->referrers(image.root().digest, kType);
    REQUIRE(found.size() == 1);
    CHECK(found[0].digest == manifest.descriptor.digest);
    CHECK(read_referrer(*copy, found[0], 100) == "content");
  }
}

TEST_CASE("referrer: a docker-archive has no place for one and stays as it would be") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a"});
  const ReferrerManifest manifest = make_referrer(image.root(), kType, kType, "content");
  for (const bool with : {false, true}) {
    auto to = destination("docker-archive:" + (dir / (with ? "with.tar" : "without.tar")));
    put_test_image(*to, image);
    CHECK_FALSE(to->holds_referrers());
    if (with) CHECK_FALSE(put_referrer(*to, manifest, "content"));
    to->publish(image.root());
  }
  CHECK(read_test_file(dir / "with.tar") == read_test_file(dir / "without.tar"));
}

TEST_CASE("referrer: entries without a type are looked into, damaged ones refused") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage image = make_test_image({"a"});
  write("oci:" + out, image, "content");
  const ReferrerManifest other = make_referrer(image.root(), kType, kType, "other");
  Descriptor entry = other.descriptor;
  entry.artifact_type.clear();
  add_entry(out, other.text, entry);
  auto found = source("oci:" + out)->referrers(image.root().digest, kType);
  REQUIRE(found.size() == 2);
  CHECK(found[1].artifact_type == kType);
  CHECK(source("oci:" + out)->root().digest == image.root().digest);

  const ReferrerManifest damaged = make_referrer(image.root(), kType, kType, "damaged");
  add_entry(out, damaged.text, damaged.descriptor);
  const std::string path = out + "/blobs/sha256/" + std::string(damaged.descriptor.digest.hex());
  std::string text = read_test_file(path);
  text.back() = ' ';
  write_test_file(path, text);
  const auto from = source("oci:" + out);
  CHECK(message_of([&] { from->referrers(image.root().digest, kType); }).find("another digest") !=
        std::string::npos);
  fs::remove(path);
  CHECK(message_of([&] { from->referrers(image.root().digest, kType); }).find("is missing") !=
        std::string::npos);
  CHECK(from->referrers(image.root().digest, "application/x").empty());
}

TEST_CASE("referrer: a document has one layer") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage image = make_test_image({"a"});
  const TestImage two_layers = make_test_image({"a", "b"});
  Json json = parse_json(two_layers.manifest, "manifest");
  json["subject"] = image.root().to_json();
  json["artifactType"] = kType;
  const std::string text = dump_json(json);
  auto to = destination("oci:" + out);
  put_test_image(*to, image);
  put_test_image(*to, two_layers);
  to->put(describe(text, media_type::kOciManifest), text);
  CHECK(to->publish_referrer(describe(text, media_type::kOciManifest)));
  to->publish(image.root());
  const auto from = source("oci:" + out);
  const auto found = from->referrers(image.root().digest, kType);
  REQUIRE(found.size() == 1);
  CHECK(message_of([&] { read_referrer(*from, found[0], 100); }).find("2 layers instead of one") !=
        std::string::npos);
}
