// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "src/buildkit_cache/normal_cache.h"
#include "tests/support/buildkit_cache.h"

using namespace imgslim;

namespace {

NormalCache normal_of(const std::vector<CacheConfig>& parts, const std::set<Digest>& unusable = {}) {
  std::vector<const CacheConfig*> pointers;
  for (const CacheConfig& part : parts)
    pointers.push_back(&part);
  return make_normal(pointers, [&](const Digest& blob) { return unusable.count(blob) == 0; });
}

CacheConfig test_config() {
  return parse_cache_config(dump_json(TestCache().config), "test");
}

CacheRecord keyed(const std::string& name, std::vector<std::vector<CacheInput>> inputs = {},
                  std::vector<CacheResult> results = {}) {
  return {test_key(name), std::move(results), {}, std::move(inputs)};
}

std::set<std::string> keys_of(const CacheConfig& config) {
  std::set<std::string> keys;
  for (const CacheRecord& record : config.records)
    keys.insert(record.digest);
  return keys;
}

std::string text_of(const NormalCache& normal) {
  return dump_cache_config(normal.config);
}

// The same graph with its records and layers in another order.
CacheConfig turned_round(const CacheConfig& config) {
  const auto records = static_cast<std::uint32_t>(config.records.size());
  const auto layers = static_cast<std::int32_t>(config.layers.size());
  CacheConfig out = config;
  std::reverse(out.layers.begin(), out.layers.end());
  std::reverse(out.records.begin(), out.records.end());
  for (CacheLayer& layer : out.layers) {
    if (layer.parent != kNoParent) layer.parent = layers - 1 - layer.parent;
  }
  for (CacheRecord& record : out.records) {
    for (CacheResult& result : record.results)
      result.layer = static_cast<std::uint32_t>(layers) - 1 - result.layer;
    for (auto& alternatives : record.inputs) {
      for (CacheInput& input : alternatives)
        input.link = records - 1 - input.link;
      std::reverse(alternatives.begin(), alternatives.end());
    }
  }
  return out;
}

}  // namespace

TEST_CASE("buildkit cache normal: a whole cache loses nothing and is its own normal form") {
  const CacheConfig config = test_config();
  const NormalCache normal = normal_of({config});
  CHECK(normal.config.records.size() == config.records.size());
  CHECK(normal.config.layers.size() == config.layers.size());
  CHECK(normal.idle_records + normal.repeated_records + normal.random_records + normal.lost_results == 0);
  CHECK(keys_of(normal.config) == keys_of(config));
  CHECK(text_of(normal_of({normal.config})) == text_of(normal));
  // What is written can be read.
  CHECK(dump_cache_config(parse_cache_config(text_of(normal), "normal")) == text_of(normal));
}

TEST_CASE("buildkit cache normal: the order of the source does not show") {
  const CacheConfig config = test_config();
  CHECK(text_of(normal_of({turned_round(config)})) == text_of(normal_of({config})));
}

TEST_CASE("buildkit cache normal: two of the same are one") {
  const CacheConfig config = test_config();
  const NormalCache normal = normal_of({config, turned_round(config)});
  CHECK(text_of(normal) == text_of(normal_of({config})));
  CHECK(normal.repeated_records == config.records.size());
}

TEST_CASE("buildkit cache normal: roots of one key become one and keep what follows from each") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}, {digest_of("b"), kNoParent}};
  config.records = {keyed("root"), keyed("root"), keyed("x", {{{0, ""}}}, {{0, ""}}),
                    keyed("y", {{{1, ""}}}, {{1, ""}})};
  const NormalCache normal = normal_of({config});
  CHECK(normal.repeated_records == 1);
  REQUIRE(normal.config.records.size() == 3);
  std::set<std::uint32_t> roots;
  for (const CacheRecord& record : normal.config.records) {
    for (const auto& alternatives : record.inputs)
      roots.insert(alternatives.at(0).link);
  }
  REQUIRE(roots.size() == 1);
  CHECK(normal.config.records[*roots.begin()].digest == test_key("root"));
}

TEST_CASE("buildkit cache normal: records of one key and other inputs or selectors stay apart") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}};
  config.records = {keyed("r"), keyed("s"), keyed("x", {{{0, ""}}}, {{0, ""}}),
                    keyed("x", {{{1, ""}}}, {{0, ""}}), keyed("x", {{{0, "sel"}}}, {{0, ""}})};
  CHECK(normal_of({config}).config.records.size() == 5);
}

TEST_CASE("buildkit cache normal: only ancestors of results stay") {
  CacheConfig config = test_config();
  config.records.push_back(keyed("idle"));
  config.records.push_back(keyed("idle child", {{{1, ""}}}));
  const NormalCache normal = normal_of({config});
  CHECK(normal.idle_records == 2);
  CHECK(text_of(normal) == text_of(normal_of({test_config()})));
}

TEST_CASE("buildkit cache normal: a layer that cannot be used takes the results above it") {
  const TestCache cache;
  const Digest empty = digest_of(cache.layers[1]);
  const NormalCache normal = normal_of({test_config()}, {empty});
  // What stands on COPY a alone is left.
  REQUIRE(normal.config.layers.size() == 1);
  CHECK(normal.config.layers[0].blob == digest_of(cache.layers[0]));
  CHECK(normal.lost_results == 3);
  CHECK(keys_of(normal.config) == std::set<std::string>{test_key("local"), test_key("copy")});
  CHECK(normal_of({test_config()}, {digest_of(cache.layers[0])}).config.records.empty());
}

TEST_CASE("buildkit cache normal: a lost result in the middle stays as a key") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}, {digest_of("b"), kNoParent}};
  config.records = {keyed("r", {}, {{0, ""}}), keyed("x", {{{0, ""}}}, {{1, ""}})};
  const NormalCache normal = normal_of({config}, {digest_of("a")});
  CHECK(normal.config.records.size() == 2);
  CHECK(normal.config.layers.size() == 1);
}

TEST_CASE("buildkit cache normal: random keys go with those that need them alone") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}};
  config.records = {{"random:abc", {}, {}, {}},
                    keyed("root"),
                    keyed("needs it", {{{0, ""}}}, {{0, ""}}),
                    keyed("other way", {{{0, ""}, {1, ""}}}, {{0, ""}})};
  const NormalCache normal = normal_of({config});
  CHECK(normal.random_records == 1);
  CHECK(normal.incomplete_records == 1);
  CHECK(keys_of(normal.config) == std::set<std::string>{test_key("root"), test_key("other way")});
  for (const CacheRecord& record : normal.config.records) {
    for (const auto& alternatives : record.inputs)
      CHECK(alternatives.size() == 1);
  }
}

TEST_CASE("buildkit cache normal: an input without alternatives makes a record useless") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}};
  config.records = {keyed("x", {{}}, {{0, ""}}), keyed("y", {}, {{0, ""}})};
  const NormalCache normal = normal_of({config});
  CHECK(normal.incomplete_records == 1);
  CHECK(keys_of(normal.config) == std::set<std::string>{test_key("y")});
}

TEST_CASE("buildkit cache normal: chains stand on their own layers alone") {
  CacheConfig config;
  config.layers = {{digest_of("a"), kNoParent}, {digest_of("b"), 0}, {digest_of("c"), 1}};
  config.records = {{test_key("x"), {}, {{{0, 2}, "0001-01-01T00:00:00Z"}}, {}}};
  const NormalCache normal = normal_of({config}, {digest_of("b")});
  REQUIRE(normal.config.records.size() == 1);
  REQUIRE(normal.config.records[0].chains.size() == 1);
  CHECK(normal.config.records[0].chains[0].created_at == "0001-01-01T00:00:00Z");
  REQUIRE(normal.config.layers.size() == 2);
  std::vector<Digest> blobs;
  for (const std::uint32_t layer : normal.config.records[0].chains[0].layers)
    blobs.push_back(normal.config.layers[layer].blob);
  CHECK(blobs == std::vector<Digest>{digest_of("a"), digest_of("c")});
  CHECK(normal_of({config}, {digest_of("c")}).config.records.empty());
  CHECK(needed_blobs(config) == std::set<Digest>{digest_of("a"), digest_of("c")});
}

TEST_CASE("buildkit cache normal: empty layers of one blob keep their places") {
  const NormalCache normal = normal_of({test_config()});
  const Digest empty = digest_of(TestCache().layers[1]);
  std::vector<std::uint32_t> places;
  for (std::uint32_t i = 0; i < normal.config.layers.size(); ++i) {
    if (normal.config.layers[i].blob == empty) places.push_back(i);
  }
  REQUIRE(places.size() == 2);
  // The second stands on the first.
  CHECK(normal.config.layers[places[1]].parent == static_cast<std::int32_t>(places[0]));
}

TEST_CASE("buildkit cache normal: long chains and many records take no time") {
  CacheConfig config;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    config.layers.push_back({digest_of("one"), static_cast<std::int32_t>(i) - 1});
    config.records.push_back(keyed(std::to_string(i), {}, {{i, ""}}));
    if (i > 0) config.records.back().inputs = {{{i - 1, ""}}};
  }
  CHECK(normal_of({config}).config.records.size() == 10000);
}
