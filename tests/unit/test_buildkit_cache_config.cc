// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "src/buildkit_cache/cache_config.h"
#include "tests/support/buildkit_cache.h"

using namespace imgslim;

namespace {

std::string key(const std::string& name) {
  return test_key(name);
}

// Why a config of these members is refused.
std::string refused(const std::string& layers, const std::string& records) {
  const std::string text = fmt::format(R"({{"layers":[{}],"records":[{}]}})", layers, records);
  return message_of([&] { parse_cache_config(text, "config"); });
}

std::string layer(const std::string& more) {
  return fmt::format(R"({{"blob":"{}"{}}})", key("blob"), more);
}

std::string record(const std::string& more) {
  return fmt::format(R"({{"digest":"{}"{}}})", key("record"), more);
}

}  // namespace

TEST_CASE("buildkit cache config: what was parsed is written the same") {
  const TestCache cache;
  const std::string text = dump_json(cache.config);
  const CacheConfig config = parse_cache_config(text, "config");
  CHECK(dump_cache_config(config) == text);
  CHECK(config.layers[0].parent == kNoParent);
  // Left out, it is 0.
  CHECK(config.layers[1].parent == 0);
  CHECK(config.records[5].inputs[1][0].selector == key("selector"));
  CHECK(config.records[5].results[0].created_at == kTestTime);
}

TEST_CASE("buildkit cache config: chains and missing times survive") {
  const std::string text = fmt::format(
      R"({{"layers":[{}],"records":[{{"chains":[{{"layers":[0],"createdAt":"0001-01-01T00:00:00Z"}}],)"
      R"("digest":"{}"}},{{"layers":[{{"layer":0}}],"digest":"{}"}}]}})",
      layer(R"(,"parent":-1)"), key("a"), key("b"));
  CHECK(dump_cache_config(parse_cache_config(text, "config")) == text);
  CHECK(dump_cache_config(parse_cache_config(R"({"layers":null})", "config")) == "{}");
}

TEST_CASE("buildkit cache config: broken layers are refused") {
  CHECK(refused("1", "") == "config: layer 0: not a JSON object");
  CHECK(refused(R"({"parent":-1})", "") == "config: layer 0: \"\" is not a digest");
  CHECK(refused(R"({"blob":"sha256:12"})", "") == "config: layer 0: \"sha256:12\" is not a digest");
  CHECK(refused(layer(R"(,"Parent":-1)"), "") ==
        "config: layer 0: \"Parent\" can be mistaken for \"parent\"");
  // A root that does not say so stands on itself.
  CHECK(refused(layer(""), "") == "config: layer 0 is below itself");
  CHECK(refused(layer(R"(,"parent":1)") + "," + layer(""), "") == "config: layer 0 is below itself");
  CHECK(refused(layer(R"(,"parent":-1)") + "," + layer(R"(,"parent":2)") + "," + layer(R"(,"parent":1)"),
                "") == "config: layer 1 is below itself");
  CHECK(refused(layer(R"(,"parent":1)"), "") == "config: layer 0: \"parent\" names none of the 1 there are");
  CHECK(refused(layer(R"(,"parent":-2)"), "") == "config: layer 0: \"parent\" names none of the 1 there are");
  CHECK(refused(layer(R"(,"parent":"0")"), "") ==
        "config: layer 0: \"parent\" names none of the 1 there are");
  CHECK(refused(layer(R"(,"parent":1.0)"), "") ==
        "config: layer 0: \"parent\" names none of the 1 there are");
  CHECK(refused(layer(R"(,"parent":99999999999999999999)"), "") ==
        "config: layer 0: \"parent\" names none of the 1 there are");
}

TEST_CASE("buildkit cache config: broken records are refused") {
  const std::string root = layer(R"(,"parent":-1)");
  CHECK(refused(root, "[]") == "config: record 0: not a JSON object");
  CHECK(refused(root, "{}") == "config: record 0: \"\" is not a digest");
  CHECK(refused(root, R"({"digest":"sha256:XYZ"})") == "config: record 0: \"sha256:XYZ\" is not a digest");
  CHECK(refused(root, R"({"digest":7})") == "config: record 0: \"digest\" is not a string");
  CHECK(refused(root, record(R"(,"layers":[{"layer":1}])")) ==
        "config: record 0, result: \"layer\" names none of the 1 there are");
  CHECK(refused(root, record(R"(,"layers":[{}])")) == "config: record 0, result: \"layer\" is missing");
  CHECK(refused(root, record(R"(,"layers":[{"layer":0,"createdAt":"yesterday"}])")) ==
        "config: record 0, result: \"createdAt\" is no time: yesterday");
  CHECK(refused(root, record(R"(,"chains":[{"layers":[]}])")) == "config: record 0, chain: has no layers");
  CHECK(refused(root, record(R"(,"chains":[{"layers":[0,-1]}])")) ==
        "config: record 0, chain: \"layers\" names none of the 1 there are");
  CHECK(refused(root, record(R"(,"inputs":{})")) == "config: record 0: \"inputs\" is not a list");
  CHECK(refused(root, record(R"(,"inputs":[{}])")) == "config: record 0, input 1: is not a list");
  CHECK(refused(root, record(R"(,"inputs":[[{"link":1}]])")) ==
        "config: record 0, input 1: \"link\" names none of the 1 there are");
  CHECK(refused(root, record(R"(,"inputs":[[{"selector":"x"}]])")) ==
        "config: record 0, input 1: \"link\" is missing");
  CHECK(refused(root, record(R"(,"inputs":[[{"link":0}]])")) == "config: record 0 needs itself");
  CHECK(refused(root, record("") + "," + record(R"(,"inputs":[[{"link":0}],[{"link":2}]])") + "," +
                          record(R"(,"inputs":[[{"link":1}]])")) == "config: record 1 needs itself");
  CHECK(contains(message_of([] { parse_cache_config(R"({"records":[)", "config"); }), "config: "));
  CHECK(message_of([] { parse_cache_config("[]", "config"); }) == "config: not a JSON object");
}

TEST_CASE("buildkit cache config: inline records name layers by their position") {
  const std::vector<Digest> layers{digest_of("a"), digest_of("empty"), digest_of("empty")};
  const std::string text = fmt::format(R"([{{"layers":[{{"layer":2}}],"digest":"{}"}}])", key("x"));
  const CacheConfig config = parse_inline_records(text, layers, "inline");
  CHECK(config.layers.size() == 3);
  CHECK(config.layers[2].blob == digest_of("empty"));
  CHECK(config.layers[2].parent == 1);
  CHECK(config.layers[0].parent == kNoParent);
  CHECK(message_of([&] { parse_inline_records(text, {digest_of("a")}, "inline"); }) ==
        "inline: record 0, result: \"layer\" names none of the 1 there are");
  CHECK(message_of([&] { parse_inline_records("{}", layers, "inline"); }) == "inline: not a list of records");
  CHECK(parse_inline_records("null", layers, "inline").records.empty());
}

TEST_CASE("buildkit cache config: times are those that Go reads") {
  for (const char* good : {"2026-11-22T10:00:00Z", "2026-11-22T10:00:00.1Z", "0001-01-01T00:00:00Z",
                           "2024-02-29T23:59:59.123456789+02:00", "2000-02-29T00:00:00-00:30"}) {
    CAPTURE(good);
    CHECK(is_rfc3339(good));
  }
  for (const char* bad :
       {"", "2026-11-22", "2026-11-22 10:00:00Z", "2026-11-22T10:00:00", "2026-11-22T10:00:00.Z",
        "2026-11-22T24:00:00Z", "2026-13-22T10:00:00Z", "2026-02-29T10:00:00Z", "2026-11-31T10:00:00Z",
        "1900-02-29T10:00:00Z", "2026-11-22T10:00:60Z", "2026-11-22T10:00:00z", "2026-11-22T10:00:00+2:00",
        "2026-11-22T10:00:00+24:00", "2026-11-22T10:00:00Z ", "2026-11-00T10:00:00Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_rfc3339(bad));
  }
}
