// SPDX-License-Identifier: Apache-2.0
// Caches that are broken in one place: each is refused, or what is published of it is whole.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/buildkit_cache.h"

using namespace imgslim;

namespace {

// That of the whole cache, with which a repair must end.
std::string whole() {
  return publish_test_cache(TestCache().source()).documents.manifest;
}

std::string published(const TestCache& cache) {
  return publish_test_cache(cache.source()).documents.manifest;
}

std::string refused(const TestCache& cache) {
  return message_of([&] { publish_test_cache(cache.source()); });
}

// The problems of a cache that is read with its blobs.
std::vector<std::string> problems_of(const TestCache& cache) {
  const MemorySource source = cache.source();
  std::vector<std::string> texts;
  for (const CacheProblem& problem : examine_layers(source, read_separate_cache(source).value(), {}).problems)
    texts.push_back(problem.text);
  return texts;
}

Json& annotations(TestCache& cache, std::size_t layer) {
  return cache.descriptors[layer]["annotations"];
}

constexpr const char* kUncompressed = "containerd.io/uncompressed";

}  // namespace

TEST_CASE("buildkit cache broken: a whole one has no problem, in both forms") {
  TestCache cache;
  CHECK(problems_of(cache).empty());
  cache.form = CacheForm::kIndex;
  CHECK(problems_of(cache).empty());
  CHECK(published(cache) == whole());
}

TEST_CASE("buildkit cache broken: a DiffID that is not that of the blob loses the layer") {
  TestCache cache;
  annotations(cache, 2)[kUncompressed] = test_key("other");
  const TestPublication result = publish_test_cache(cache.source());
  CHECK(result.normal.lost_results == 1);
  CHECK(result.normal.config.layers.size() == 3);
  CHECK(result.examination.problems.size() == 1);
  CHECK_FALSE(contains(result.documents.manifest, digest_of(cache.layers[2]).text()));
  CHECK_FALSE(contains(result.documents.manifest, test_key("other")));
}

TEST_CASE("buildkit cache broken: swapped layers lose all that stands on them") {
  TestCache cache;
  std::swap(annotations(cache, 0)[kUncompressed], annotations(cache, 2)[kUncompressed]);
  CHECK(problems_of(cache).size() == 2);
  CHECK(refused(cache) == "memory: no result of the BuildKit cache can be used");
}

TEST_CASE("buildkit cache broken: an altered blob loses the layer") {
  TestCache cache;
  cache.change_blobs = [&](MemorySource& source) { source.damage(digest_of(cache.layers[2])); };
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
  CHECK(contains(problems_of(cache).at(0), "digest"));
}

TEST_CASE("buildkit cache broken: a missing blob loses the layer") {
  TestCache cache;
  cache.change_blobs = [&](MemorySource& source) { source.remove(digest_of(cache.layers[2])); };
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
  CHECK(contains(problems_of(cache).at(0), "is missing"));
}

TEST_CASE("buildkit cache broken: a layer that the manifest does not name is lost") {
  TestCache cache;
  cache.descriptors.erase(2);
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
  CHECK(contains(problems_of(cache).at(0), "the manifest does not name it"));
}

TEST_CASE("buildkit cache broken: a wrong size loses the layer, or is repaired where the blob is known") {
  TestCache cache;
  cache.descriptors[2]["size"] = 1;
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
  const MemorySource source = cache.source();
  const Digest digest = digest_of(cache.layers[2]);
  ExaminationOptions options;
  options.known.emplace(digest, LayerFacts{cache.layers[2].size(), digest, Compression::kNone, &source});
  const TestPublication result =
      publish_test_cache(source, read_separate_cache(source).value(), CacheForm::kManifest, options);
  CHECK(result.documents.manifest == whole());
  CHECK(contains(result.examination.problems.at(0).text, "instead of 1"));
}

TEST_CASE("buildkit cache broken: a wrong media type is repaired") {
  for (const std::string_view type :
       {std::string_view("application/octet-stream"), media_type::kOciLayerGzip, media_type::kOciLayerZstd}) {
    CAPTURE(type);
    TestCache cache;
    cache.descriptors[2]["mediaType"] = type;
    CHECK(problems_of(cache).size() == 1);
    CHECK(published(cache) == whole());
  }
  TestCache cache;
  cache.descriptors[2]["mediaType"] = media_type::kDockerLayer;
  CHECK(problems_of(cache).empty());
  CHECK(published(cache) == whole());
}

TEST_CASE("buildkit cache broken: a missing DiffID is computed") {
  TestCache cache;
  annotations(cache, 1).erase(kUncompressed);
  CHECK(contains(problems_of(cache).at(0), "containerd.io/uncompressed is missing"));
  CHECK(published(cache) == whole());
}

TEST_CASE("buildkit cache broken: a time that is none is left out") {
  TestCache cache;
  annotations(cache, 1)["buildkit/createdat"] = "yesterday";
  CHECK(contains(problems_of(cache).at(0), "is no time: yesterday"));
  CHECK_FALSE(contains(published(cache), "yesterday"));
  TestCache without;
  annotations(without, 1).erase("buildkit/createdat");
  CHECK(problems_of(without).empty());
  CHECK(published(without) == published(cache));
}

TEST_CASE("buildkit cache broken: other annotations are not passed on") {
  TestCache cache;
  annotations(cache, 1)["containerd.io/snapshot/stargz/toc.digest"] = test_key("toc");
  cache.descriptors[1]["urls"] = Json::array({"https://elsewhere.example/blob"});
  CHECK(published(cache) == whole());
}

TEST_CASE("buildkit cache broken: a blob that is no archive is lost") {
  TestCache cache;
  const std::string text(2000, 'x');
  cache.config["layers"][3]["blob"] = digest_of(text).text();
  Descriptor descriptor = describe(text, media_type::kOciLayer);
  descriptor.annotations.emplace(kUncompressed, digest_of(text).text());
  cache.descriptors[2] = descriptor.to_json();
  cache.layers.push_back(text);
  CHECK(problems_of(cache).size() == 1);
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
}

TEST_CASE("buildkit cache broken: a layer that may not be distributed is lost") {
  TestCache cache;
  cache.descriptors[2]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar";
  CHECK(publish_test_cache(cache.source()).normal.config.layers.size() == 3);
}

TEST_CASE("buildkit cache broken: a config that is missing, altered or described wrongly is refused") {
  TestCache cache;
  cache.change_blobs = [&](MemorySource& source) { source.remove(digest_of(dump_json(cache.config))); };
  CHECK(contains(refused(cache), "is missing"));
  cache.change_blobs = [&](MemorySource& source) { source.damage(digest_of(dump_json(cache.config))); };
  CHECK(contains(refused(cache), "the content has another digest"));
  cache.change_blobs = nullptr;
  cache.change_manifest = [](Json& manifest) { manifest["config"]["size"] = 7; };
  CHECK(contains(refused(cache), "another size"));
  cache.change_manifest = [](Json& manifest) { manifest["config"]["digest"] = "sha256:7"; };
  CHECK(contains(message_of([&] {
                   cache.source();
                   read_separate_cache(cache.source());
                 }),
                 "is not a digest"));
  cache.change_manifest = nullptr;
  CHECK(contains(message_of([&] { read_separate_cache(cache.source("{\"layers\":")); }), "config sha256:"));
}

TEST_CASE("buildkit cache broken: an index with two configs is refused") {
  TestCache cache;
  cache.form = CacheForm::kIndex;
  cache.change_manifest = [](Json& manifest) {
    Json other = manifest["manifests"].back();
    other["digest"] = test_key("other");
    manifest["manifests"].push_back(other);
  };
  CHECK(contains(message_of([&] { read_separate_cache(cache.source()); }), "names two configs"));
}

TEST_CASE("buildkit cache broken: records and parents that lead nowhere are refused") {
  TestCache cache;
  cache.config["records"][1]["inputs"][0][0]["link"] = 99;
  CHECK(contains(refused(cache), "names none of the 7"));
  cache = TestCache();
  cache.config["records"][1]["layers"][0]["layer"] = 4;
  CHECK(contains(refused(cache), "names none of the 4"));
  cache = TestCache();
  cache.config["records"][1]["digest"] = "sha256:short";
  CHECK(contains(refused(cache), "is not a digest"));
  cache = TestCache();
  cache.config["records"][0]["inputs"] = Json::array({Json::array({Json{{"link", 5}}})});
  CHECK(contains(refused(cache), "needs itself"));
  cache = TestCache();
  cache.config["layers"][0].erase("parent");
  CHECK(contains(refused(cache), "is below itself"));
  cache = TestCache();
  cache.config["layers"][1]["parent"] = 3;
  CHECK(contains(refused(cache), "is below itself"));
}

TEST_CASE("buildkit cache broken: records that BuildKit stumbles over are named and left out") {
  TestCache cache;
  cache.config["records"][6]["inputs"] = Json::array({nullptr});
  const MemorySource source = cache.source();
  const auto problems = record_problems(read_separate_cache(source).value());
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].failure);
  CHECK(contains(problems[0].text, "record 6: an input has no key"));
  CHECK(publish_test_cache(source).normal.config.records.size() == 6);

  TestCache random;
  random.config["records"][4]["digest"] = "random:12";
  const auto found = record_problems(read_separate_cache(random.source()).value());
  REQUIRE(found.size() == 2);
  CHECK(contains(found[0].text, "whose key never comes again"));
  const TestPublication result = publish_test_cache(random.source());
  CHECK_FALSE(contains(result.documents.config, "random"));
}

TEST_CASE("buildkit cache broken: 1,6 MB of records become what can be hit, or are refused") {
  TestCache cache;
  for (int i = 0; i < 19000; ++i)
    cache.config["records"].push_back(Json{{"digest", test_key(std::to_string(i))}});
  const MemorySource source = cache.source();
  const BuildkitCache read = read_separate_cache(source).value();
  CHECK(read.config->size > 1600000);
  REQUIRE(read.problems.size() == 1);
  CHECK(read.problems[0].failure);
  const TestPublication result = publish_test_cache(source);
  CHECK(result.documents.manifest == whole());
  CHECK(result.normal.idle_records == 19000);

  // Where all of them lead to a result nothing may go.
  for (std::size_t i = 7; i < cache.config["records"].size(); ++i)
    cache.config["records"][i]["layers"] = Json::array({Json{{"layer", 0}}});
  CHECK(contains(refused(cache), "BuildKit imports none of more than 1048576"));
}

TEST_CASE("buildkit cache broken: with blobs unread, what the manifest says is looked at") {
  TestCache cache;
  cache.descriptors[0]["mediaType"] = "application/octet-stream";
  annotations(cache, 1)[kUncompressed] = "sha256:no";
  cache.change_blobs = [&](MemorySource& source) { source.remove(digest_of(cache.layers[2])); };
  const MemorySource source = cache.source();
  ExaminationOptions options;
  options.read = false;
  const Examination seen = examine_layers(source, read_separate_cache(source).value(), options);
  CHECK(seen.problems.size() == 3);
  CHECK(seen.layers.size() == 2);
  CHECK(seen.blobs_read == 0);
}
