// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "layers/error.h"
#include "layers/scan.h"
#include "src/cache/cache_artifact.h"
#include "src/cache/cache_spec.h"
#include "src/cache/cache_store.h"
#include "src/cache/layer_record.h"
#include "tests/support/compressed.h"
#include "tests/support/tar_builder.h"
#include "tests/support/temporary_directory.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

std::string usage_error(CacheSpec (*parse)(const std::string&), const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kUsage);
    return error.what();
  }
  return "none";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cache spec: buildx's spellings") {
  CHECK(parse_cache_from("localhost:5000/team/cache:main").name.text() ==
        "docker://localhost:5000/team/cache:main");
  CHECK(parse_cache_from("type=registry,ref=localhost:5000/a").name.transport == Transport::kDocker);
  const CacheSpec short_to = parse_cache_to("localhost:5000/a:b,ignore-error=true");
  CHECK(short_to.ignore_error);
  CHECK(short_to.name.text() == "docker://localhost:5000/a:b");
  const CacheSpec local = parse_cache_from("type=local,src=some/dir");
  CHECK(local.name.transport == Transport::kOci);
  CHECK(local.name.location == "some/dir");
  const CacheSpec to = parse_cache_to("type=local,dest=d,mode=max,ignore-error=true");
  CHECK(to.with_layers);
  CHECK(to.ignore_error);
  CHECK(!parse_cache_to("type=registry,ref=localhost/a,mode=min,ignore-error=false").ignore_error);
}

TEST_CASE("cache spec: what is not known is said") {
  CHECK(contains(usage_error(parse_cache_from, "type=gha"), "type=gha is not known; registry and local are"));
  CHECK(contains(usage_error(parse_cache_from, "ref=a"), "type=registry or type=local is missing"));
  CHECK(contains(usage_error(parse_cache_from, "type=registry"), "needs ref=REF"));
  CHECK(contains(usage_error(parse_cache_from, "type=local,dest=d"), "needs src=DIR"));
  CHECK(contains(usage_error(parse_cache_from, "type=local,src=d,mode=max"), "'mode' is not known"));
  CHECK(contains(usage_error(parse_cache_to, "type=local,dest=d,mode=all"), "mode is min or max"));
  CHECK(contains(usage_error(parse_cache_to, "type=local,dest=d,dest=e"), "given twice"));
  CHECK(contains(usage_error(parse_cache_to, "type=local,dest"), "'dest' is no KEY=VALUE"));
}

TEST_CASE("cache store: texts by kind and key, damaged ones are gone") {
  const TemporaryDirectory directory;
  const CacheStore store(directory.path() + "/cache", "kind");
  const CacheStore other(directory.path() + "/cache", "other");
  CHECK(!store.find("key"));
  store.store("key", "text");
  store.store("empty", "");
  CHECK(store.find("key") == "text");
  CHECK(store.find("empty") == "");
  CHECK(!other.find("key"));
  store.store("key", "newer");
  CHECK(store.find("key") == "newer");
  for (const auto& file : std::filesystem::directory_iterator(directory.path() + "/cache/kind")) {
    std::fstream text(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    text.seekp(-1, std::ios::end);
    text.put('!');
  }
  CHECK(!store.find("key"));
  CHECK(!store.find("empty"));
}

TEST_CASE("cache store: without a folder nothing is kept") {
  const CacheStore store("", "kind");
  store.store("key", "text");
  CHECK(!store.find("key"));
  store.trim(0, 0);
  CHECK(!std::filesystem::exists("/kind"));
  CHECK(!std::filesystem::exists("kind"));
}

TEST_CASE("cache store: what was not used for longest goes first") {
  const TemporaryDirectory directory;
  const CacheStore store(directory.path(), "kind");
  const auto age = [&](int hours) {
    auto newest = std::filesystem::file_time_type::min();
    std::filesystem::path file;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() + "/kind")) {
      if (entry.last_write_time() < newest) continue;
      newest = entry.last_write_time();
      file = entry.path();
    }
    std::filesystem::last_write_time(file, newest - std::chrono::hours(hours));
  };
  store.store("old", std::string(1000, 'o'));
  age(3);
  store.store("older", std::string(1000, 'p'));
  age(5);
  store.store("new", std::string(1000, 'n'));
  CHECK(store.find("older"));  // and so it is the newest
  store.trim(10000, 2);
  CHECK(store.find("older"));
  CHECK(store.find("new"));
  CHECK(!store.find("old"));
  store.trim(1500, 10);
  CHECK(static_cast<bool>(store.find("older")) != static_cast<bool>(store.find("new")));
}

TEST_CASE("layer record: comes back for its own layer alone") {
  TarBuilder tar;
  tar.file("a", sample_text(5000));
  const std::string plain = tar.closed();
  const std::string blob = gzip_member(plain);
  const LayerTablePtr table =
      scan_layers({{memory_blob(blob), digest_of(blob), blob.size(), digest_of(plain), "layer"}}).at(0);
  const auto findings = std::make_shared<LayerFindings>();
  findings->add(0, "fact", "data");
  findings->add(0, "fact", "later");
  CHECK(findings->find(0, "fact") == "data");
  CHECK(findings->has_grown());
  const std::string text = pack_record({table, findings}, 1);
  const auto again = unpack_record(text, digest_of(blob));
  REQUIRE(again);
  CHECK(again->facts->find(0, "fact") == "data");
  CHECK(!again->facts->find(0, "other"));
  CHECK(!again->facts->has_grown());
  CHECK(!unpack_record(text, digest_of("another")));
  for (std::size_t size = 0; size < text.size(); size += 7)
    CHECK(!unpack_record(text.substr(0, size), digest_of(blob)));
}

TEST_CASE("outputs: names come back, other texts do not") {
  const OutputNames outputs{
      {digest_of("key"), {digest_of("blob"), digest_of("plain"), 10, 20, Compression::kZstd}}};
  const std::string text = pack_outputs(outputs);
  const auto again = unpack_outputs(text);
  REQUIRE(again);
  REQUIRE(again->size() == 1);
  CHECK(again->begin()->second.diff_id == digest_of("plain"));
  CHECK(again->begin()->second.compression == Compression::kZstd);
  for (std::size_t size = 0; size < text.size(); ++size)
    CHECK(!unpack_outputs(text.substr(0, size)));
}
