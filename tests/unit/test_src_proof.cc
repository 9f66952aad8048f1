// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <functional>

#include "layers/error.h"
#include "layers/json.h"
#include "src/proof.h"
#include "tests/support/sample_proof.h"

using namespace imgslim;
using imgslim::testing::sample_proof;

namespace {

std::string message_of(const std::string& text) {
  try {
    read_proof(text, "proof");
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "no error";
}

// The sample's document after a change.
std::string changed(const std::function<void(Json& document, Json& platform)>& change) {
  Json json = parse_json(write_proof(sample_proof()), "sample");
  change(json, json["platforms"][0]);
  return message_of(dump_json(json));
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("proof: a document read back is the same value and the same bytes") {
  const Proof proof = sample_proof();
  const std::string text = write_proof(proof);
  const Proof back = read_proof(text, "proof");
  CHECK(back == proof);
  CHECK(write_proof(back) == text);
  CHECK(text.back() == '\n');
  for (const char c : text)
    CHECK(static_cast<unsigned char>(c) != 0xff);
}

TEST_CASE("proof: bytes that are no text survive") {
  std::string all;
  for (int i = 0; i < 256; ++i)
    all += static_cast<char>(i);
  CHECK(unescape_bytes(escape_bytes(all)) == all);
  CHECK(escape_bytes(std::string(5000, 'a')).size() == 5000);
  CHECK(escape_bytes("a\\b\n") == "a\\x5cb\\x0a");
  for (const char* wrong : {"\\", "\\x", "\\x1", "\\xG0", "\\n00", "\\XFF0"})
    CHECK_FALSE(unescape_bytes(wrong).has_value());
}

TEST_CASE("proof: paths, groups and platforms are found") {
  const Proof proof = sample_proof();
  const ProofPlatform& platform = proof.platforms[0];
  REQUIRE(platform.find("/lib") != nullptr);
  CHECK(platform.find("/lib")->path == "/lib");
  CHECK(platform.find("/") == &platform.paths[0]);
  CHECK(platform.find("/li") == nullptr);
  CHECK(platform.find("/zzz") == nullptr);
  REQUIRE(platform.group_of("/usr/bin/x") != nullptr);
  CHECK(platform.group_of("/usr/bin/x")->path == "/usr");
  CHECK(platform.group_of("/usr/doc/a/b")->path == "/usr/doc");
  CHECK(platform.group_of("/usr/doc")->path == "/usr/doc");
  CHECK(platform.group_of("/etc/x") == nullptr);
  CHECK(platform.group_of("/") == nullptr);
  CHECK(proof.find(proof.result_digest) == &platform);
  CHECK(proof.find("sha256:other") == nullptr);
}

TEST_CASE("proof: a chain goes from a path to what it begins with, and ends in a circle too") {
  Proof proof = sample_proof();
  ProofPlatform& platform = proof.platforms[0];
  const auto chain = witness_chain(platform, platform.paths[5].path);
  REQUIRE(chain.size() == 3);
  CHECK(chain[1]->path == "/lib/libx.so.1");
  CHECK(chain[2]->path == "/app/run");
  CHECK(witness_chain(platform, "/none").empty());
  platform.witnesses[2].path = 5;
  CHECK(witness_chain(platform, "/app/run").size() == 3);
}

TEST_CASE("proof: documents that are none are refused") {
  CHECK(has(message_of(""), "proof"));
  CHECK(has(message_of("[]"), "object"));
  CHECK(has(message_of("{}"), "version"));
  CHECK(has(changed([](Json& d, Json&) { d["version"] = 2; }), "version is not 1"));
  CHECK(has(changed([](Json& d, Json&) { d.erase("tool"); }), "\"tool\" is missing"));
  CHECK(has(changed([](Json& d, Json&) { d["form"] = "tiny"; }), "no such form"));
  CHECK(has(changed([](Json& d, Json&) { d["accept"] = "sure"; }), "class of evidence"));
  CHECK(has(changed([](Json& d, Json&) { d["result"] = "sha256:1"; }), "no digest"));
  CHECK(has(changed([](Json& d, Json&) { d["platforms"] = Json::array(); }), "no platform"));
  CHECK(has(changed([](Json& d, Json&) { d["options"] = Json::array({1}); }), "no string"));
}

TEST_CASE("proof: numbers point into their tables") {
  CHECK(has(changed([](Json&, Json& p) { p["paths"][1][2] = 3; }), "points behind its table"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][1][3] = 6; }), "points behind its table"));
  CHECK(has(changed([](Json&, Json& p) { p["witnesses"][1][2] = 6; }), "points behind its table"));
  CHECK(has(changed([](Json&, Json& p) { p["witnesses"][1][2] = -1; }), "a number is none"));
  CHECK(has(changed([](Json&, Json& p) { p["dropped"][0][1] = 3; }), "points behind its table"));
  CHECK(has(changed([](Json&, Json& p) { p["findings"][0]["path"] = 6; }), "points behind its table"));
  CHECK(has(changed([](Json&, Json& p) { p["findings"][0]["found"][0] = 1.5; }), "a number is none"));
}

TEST_CASE("proof: rows are rows of paths in the order of a walk") {
  CHECK(has(changed([](Json&, Json& p) { p["paths"][1].push_back(1); }), "number of elements"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][2].erase(5); }), "number of elements"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][1][0] = 2; }), "no directory"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][0][0] = 1; }), "no directory"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][3][1] = "aaa"; }), "not in its place"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][3] = p["paths"][1]; }), "not in its place"));
  for (const char* name : {"", ".", "..", "a/b", "a\\x00b"}) {
    CAPTURE(name);
    CHECK(has(changed([&](Json&, Json& p) { p["paths"][3][1] = name; }), "no name"));
  }
  CHECK(has(changed([](Json&, Json& p) { p["paths"][3][1] = std::string(300, 'a'); }), "too long"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][2][5] = "fedc"; }), "16 hexadecimal digits"));
  CHECK(has(changed([](Json&, Json& p) { p["paths"][2][5] = "fedcba987654321X"; }), "16 hexadecimal digits"));
  for (const char* text : {"", "d", "d 0755 0", "x 0755 0 0", "d 755 0 0", "d 0855 0 0", "d 17777 0 0",
                           "d 0755 4294967296 0", "d 0755 0 0 a b", "d  0755 0 0", "d 0755 00 0"}) {
    CAPTURE(text);
    CHECK(has(changed([&](Json&, Json& p) { p["attributes"][0] = text; }), "are no attributes"));
  }
  CHECK(has(changed([](Json&, Json& p) { p["witnesses"][0][3] = "\\q"; }), "wrongly escaped"));
}

TEST_CASE("proof: bytes add up") {
  CHECK(has(changed([](Json&, Json& p) { p["bytes"]["kept"] = 2999; }), "not the source's"));
  CHECK(has(changed([](Json&, Json& p) { p["bytes"]["kept"] = 9223372036854775807; }), "too large"));
  CHECK(has(changed([](Json&, Json& p) { p["dropped"][0][3] = 5001; }), "than it says"));
  CHECK(has(changed([](Json&, Json& p) { p["dropped"][1][2] = 3; }), "than it says"));
  CHECK(has(changed([](Json&, Json& p) { p["dropped"][1][0] = "/a"; }), "not in its place"));
  CHECK(has(changed([](Json&, Json& p) { p["dropped"][0][0] = "usr"; }), "not in its place"));
  CHECK(has(changed([](Json&, Json& p) { p["findings"][0]["kind"] = "open"; }), "neither dlopen nor exec"));
}

TEST_CASE("proof: files without debug information are found and doubted") {
  const Proof proof = sample_proof();
  const ProofPlatform& platform = proof.platforms[0];
  REQUIRE(platform.find_debug_file("/app/run") == &platform.debug_files[0]);
  CHECK(platform.find_debug_file("/app/run")->section_bytes() == 460);
  CHECK(platform.find_debug_file("/app") == nullptr);
  const auto file = [](const std::function<void(Json&)>& change) {
    return changed([&](Json&, Json& p) { change(p["debug_info"][0]); });
  };
  CHECK(file([](Json&) {}) == "no error");
  CHECK(changed([](Json&, Json& p) { p.erase("debug_info"); }) == "no error");
  CHECK(has(changed([](Json&, Json& p) { p["rules"][0]["id"] = "x"; }), "no rule debug-info"));
  CHECK(has(changed([](Json&, Json& p) { p["debug_info"][1]["path"] = "/a"; }), "not in its place"));
  CHECK(has(changed([](Json&, Json& p) { p["debug_info"] = 1; }), "no list"));
  CHECK(has(file([](Json& f) { f["path"] = "opt"; }), "not in its place"));
  CHECK(has(file([](Json& f) { f["path"] = 6; }), "points behind its table"));
  CHECK(has(file([](Json& f) { f["before"]["digest"] = "sha256:0"; }), "no digest"));
  CHECK(has(file([](Json& f) { f["after"].erase("size"); }), "missing"));
  CHECK(has(file([](Json& f) { f["after"]["size"] = 600; }), "lost nothing"));
  CHECK(has(file([](Json& f) { f["loaded"] = nullptr; }), "loaded"));
  CHECK(has(file([](Json& f) { f["sections"] = Json::array(); }), "no section went"));
  CHECK(has(file([](Json& f) { f["sections"][0][1] = 541; }), "or more than there was"));
  CHECK(has(file([](Json& f) { f["sections"][0][1] = 9223372036854775807; }), "too large"));
  CHECK(has(file([](Json& f) { f["sections"][0].push_back(1); }), "number of elements"));
  CHECK(has(file([](Json& f) { f["sections"][0][0] = std::string(300, 'a'); }), "too long"));
  for (const char* path : {"", "a", ".build-id/01/234567", "../.build-id/01/23.debug", ".build-id/01/.debug",
                           ".build-id/0g/23.debug", ".build-id/01/../23.debug"}) {
    CAPTURE(path);
    CHECK(has(file([&](Json& f) { f["companion"] = path; }), "no such path"));
  }
}

TEST_CASE("proof: paths that unfold to more than there is room for are refused") {
  // A folder of 4000 bytes, and very many names in it.
  std::string rows = R"([0,"",0,0])";
  for (int depth = 1; depth <= 16; ++depth)
    rows += ",[" + std::to_string(depth) + ",\"" + std::string(249, 'a') + "\",0,0]";
  for (int i = 0; i < 40000; ++i)
    rows += ",[17,\"" + std::to_string(100000 + i) + "\",0,0]";
  Json json = parse_json(write_proof(sample_proof()), "sample");
  Json& platform = json["platforms"][0];
  platform["paths"] = parse_json("[" + rows + "]", "rows");
  platform["findings"] = Json::array();
  CHECK(has(message_of(dump_json(json)), "too long together"));
}
