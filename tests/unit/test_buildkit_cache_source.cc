// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "registry/credentials.h"
#include "tests/support/buildkit_cache.h"

using namespace imgslim;

namespace {

struct InlineImage {
  Manifest manifest;
  ImageConfig config;
};

// An image with the layers of the test cache, the empty one twice, and this inline key.
InlineImage inline_image(const std::string& records, const std::string& history, MemorySource& source) {
  const TestCache cache;
  Json manifest;
  manifest["schemaVersion"] = 2;
  manifest["layers"] = Json::array();
  Json config;
  config["architecture"] = "amd64";
  config["os"] = "linux";
  for (const std::size_t i : {0, 1, 1, 2}) {
    manifest["layers"].push_back(source.add(cache.layers[i], media_type::kOciLayer).to_json());
    config["rootfs"]["diff_ids"].push_back(digest_of(cache.layers[i]).text());
  }
  if (!history.empty()) config["history"] = parse_json(history, "history");
  if (!records.empty()) config["moby.buildkit.cache.v0"] = records;
  const std::string text = dump_json(config);
  manifest["config"] = source.add(text, media_type::kOciConfig).to_json();
  return {Manifest::parse(dump_json(manifest), media_type::kOciManifest, "image"),
          ImageConfig::parse(text, 4, "image, config")};
}

constexpr const char* kHistory =
    R"([{"created":"2026-11-22T10:00:00Z","created_by":"COPY a"},{"created_by":"ENV x","empty_layer":true},)"
    R"({"created":"soon","created_by":"RUN true"},{"created":"2026-11-22T10:00:02Z","created_by":"RUN true"},)"
    R"({"created":"2026-11-22T10:00:03Z","created_by":"COPY b"}])";

std::string records() {
  return encode_base64(dump_json(TestCache().config["records"]));
}

}  // namespace

TEST_CASE("buildkit cache source: the form is told by the documents") {
  TestCache cache;
  CHECK(separate_cache_form(cache.source()) == CacheForm::kManifest);
  cache.form = CacheForm::kIndex;
  CHECK(separate_cache_form(cache.source()) == CacheForm::kIndex);
  CHECK(read_separate_cache(cache.source())->form == CacheForm::kIndex);
  CHECK(name_of(CacheForm::kInline) == "inline");
}

TEST_CASE("buildkit cache source: an image is no separate cache") {
  const TestImage image = make_test_image({"a"});
  MemorySource source;
  source.add(image.config, "");
  source.set_root(source.add(image.manifest, media_type::kOciManifest));
  CHECK_FALSE(separate_cache_form(source));
  CHECK_FALSE(read_separate_cache(source));
  refuse_buildkit_cache(source, "--cache-from");
}

TEST_CASE("buildkit cache source: another option than its own names the right one") {
  const TestCache cache;
  CHECK(message_of([&] { refuse_buildkit_cache(cache.source(), "--cache-from"); }, Failure::kUsage) ==
        "--cache-from memory: this is a cache of BuildKit's, which --buildkit-cache-from takes");
}

TEST_CASE("buildkit cache source: inline layers get DiffIDs, times and steps by position") {
  MemorySource source;
  const InlineImage image = inline_image(records(), kHistory, source);
  const auto part = read_inline_cache(image.manifest, image.config, "image");
  REQUIRE(part);
  CHECK(part->platform == "linux/amd64");
  CHECK(part->config.layers.size() == 4);
  CHECK(part->steps == std::vector<std::string>{"COPY a", "RUN true", "RUN true", "COPY b"});
  // The empty blob has the time of its last layer.
  CHECK(part->layers.at(digest_of(TestCache().layers[1])).created_at == "2026-11-22T10:00:02Z");

  // What is published is the separate cache of the same build.
  BuildkitCache cache{CacheForm::kInline, "image", describe("{}", ""), {}, {*part}, {}};
  const TestPublication result = publish_test_cache(source, cache);
  CHECK(result.documents.config == publish_test_cache(TestCache().source()).documents.config);
  CHECK(result.examination.problems.empty());
}

TEST_CASE("buildkit cache source: swapped layers of an image are no results") {
  MemorySource source;
  InlineImage image = inline_image(records(), kHistory, source);
  std::swap(image.manifest.layers[0], image.manifest.layers[3]);
  BuildkitCache cache{CacheForm::kInline, "image", describe("{}", ""), {}, {}, {}};
  cache.parts.push_back(*read_inline_cache(image.manifest, image.config, "image"));
  CHECK(contains(message_of([&] { publish_test_cache(source, cache); }), "no result"));
  // The empty layer twice, but as two contents.
  image = inline_image(records(), kHistory, source);
  std::swap(image.config.diff_ids[1], image.config.diff_ids[3]);
  CHECK(contains(message_of([&] { read_inline_cache(image.manifest, image.config, "image"); }),
                 "two DiffIDs for the layer"));
}

TEST_CASE("buildkit cache source: an inline key must be base64 of records") {
  MemorySource source;
  const auto read = [&](const std::string& key) {
    const InlineImage image = inline_image(key, "", source);
    return read_inline_cache(image.manifest, image.config, "image");
  };
  CHECK_FALSE(read(""));
  CHECK(read(encode_base64("[]")));
  for (const char* bad : {"e", "eA", "e===", "e\nA=", "====", "eyJ9"}) {
    CAPTURE(bad);
    CHECK(contains(message_of([&] { read(bad); }), "image"));
  }
  const std::string five = fmt::format(R"([{{"digest":"{}","layers":[{{"layer":4}}]}}])", test_key("x"));
  CHECK(contains(message_of([&] { read(encode_base64(five)); }), "names none of the 4"));
}

TEST_CASE("buildkit cache source: caches of several platforms become one") {
  MemorySource source;
  const InlineImage image = inline_image(records(), kHistory, source);
  BuildkitCache cache{CacheForm::kInline, "image", describe("{}", ""), {}, {}, {}};
  cache.parts.push_back(*read_inline_cache(image.manifest, image.config, "image"));
  const TestPublication one = publish_test_cache(source, cache);
  cache.parts.push_back(cache.parts.front());
  for (CacheRecord& record : cache.parts.back().config.records)
    if (record.digest == test_key("run")) record.digest = test_key("run elsewhere");
  const TestPublication both = publish_test_cache(source, cache);
  CHECK(both.normal.config.layers.size() == one.normal.config.layers.size());
  // COPY a and the stage are the same in both; what stands on the other RUN is not.
  CHECK(both.normal.config.records.size() == one.normal.config.records.size() + 3);
}

TEST_CASE("buildkit cache documents: both forms say the same and read back") {
  const MemorySource source = TestCache().source();
  for (const CacheForm form : {CacheForm::kIndex, CacheForm::kManifest}) {
    const TestPublication first = publish_test_cache(source, form);
    MemorySource again;
    for (const std::string& layer : TestCache().layers)
      again.add(layer, "");
    again.add(first.documents.config, "");
    again.set_root(again.add(first.documents.manifest, first.documents.root.media_type));
    CHECK(separate_cache_form(again) == form);
    const TestPublication second = publish_test_cache(again, form);
    CHECK(second.documents.manifest == first.documents.manifest);
    CHECK(second.documents.config == first.documents.config);
    CHECK(second.cache.problems.empty());
    CHECK(second.examination.problems.empty());
  }
}

TEST_CASE("buildkit cache documents: the config comes last in an index and a blob is named with each layer") {
  const TestPublication result = publish_test_cache(TestCache().source(), CacheForm::kIndex);
  const Index index = Index::parse(result.documents.manifest, media_type::kOciIndex, "index");
  REQUIRE(index.manifests.size() == 5);
  CHECK(index.manifests.back().media_type == media_type::kBuildkitCacheConfig);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(index.manifests[i].digest == result.normal.config.layers[i].blob);
    CHECK(index.manifests[i].annotations.size() == 2);
  }
  CHECK(message_of([] { make_cache_documents(CacheConfig(), {}, CacheForm::kIndex, "it"); }) ==
        "it: no result of the BuildKit cache can be used");
}
