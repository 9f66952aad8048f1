// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "src/explanation.h"
#include "tests/support/sample_proof.h"
#include "tests/support/tree_builder.h"

using namespace imgslim;
using imgslim::testing::sample_proof;

namespace {

std::string text_of(const ProofPlatform& platform, std::string_view pattern) {
  return to_text(explain({platform}, pattern));
}

}  // namespace

TEST_CASE("explain: a kept path has its chain down to the command") {
  const Proof proof = sample_proof();
  CHECK(text_of(proof.platforms[0], "/lib/libx.so.1") ==
        "/lib/libx.so.1: kept\n"
        "  /lib/libx.so.1 by needed, because of /app/run (known): DT_NEEDED libx.so.1\n"
        "  /app/run by command, because of ENTRYPOINT (exact): started by it\n");
  // However it is spelled.
  for (const char* spelling : {"lib/libx.so.1", "//lib/./libx.so.1", "/app/../lib/libx.so.1/"})
    CHECK(text_of(proof.platforms[0], spelling) == text_of(proof.platforms[0], "/lib/libx.so.1"));
}

TEST_CASE("explain: a file without debug information says what went and how it comes back") {
  const Proof proof = sample_proof();
  const ProofPlatform& platform = proof.platforms[0];
  CHECK(text_of(platform, "/app/run") ==
        "/app/run: kept\n"
        "  /app/run by command, because of ENTRYPOINT (exact): started by it\n"
        "  without its debug information, 460 B: .debug_info, .debug_\\xff\n"
        "  loaded bytes as in the source, " +
            platform.debug_files[0].loaded_digest +
            "\n"
            "  imgslim debug-info brings it back as .build-id/01/234567.debug\n");
  const Json json = to_json(explain({platform}, "/app/run"))[0]["debug_info"];
  CHECK(json["bytes"] == 460);
  CHECK(json["sections"][1]["name"] == ".debug_\\xff");
  CHECK(json["companion"] == ".build-id/01/234567.debug");
  CHECK(json["before"]["digest"] == platform.debug_files[0].source_digest);
  CHECK_FALSE(to_json(explain({platform}, "/lib"))[0].contains("debug_info"));
  // In the forms that list no paths; dropped, not split.
  ProofPlatform tidy = platform;
  tidy.paths.clear();
  tidy.debug_files[0].companion.clear();
  const Tree tree = imgslim::testing::tree_of({"d app\nf app/run : x\n"});
  const std::string text = to_text(explain({tidy, nullptr, &tree}, "/app/run"));
  CHECK(text.find("kept, no rule drops it\n") != std::string::npos);
  CHECK(text.find("it was dropped; --debug-info split keeps it") != std::string::npos);
}

TEST_CASE("explain: a path that is gone has its rule and what brings it back") {
  const Proof proof = sample_proof();
  CHECK(text_of(proof.platforms[0], "/usr/doc/a") ==
        "/usr/doc/a: gone by the rule documentation: read by people\n"
        "  with 2 entries below /usr/doc, 1.0 kB\n"
        "  --keep /usr/doc/a brings it back\n");
  CHECK(text_of(proof.platforms[0], "/etc/a") == "/etc/a: neither in the image nor gone from it\n");
  CHECK(text_of(proof.platforms[0], "/usr/bin/a").find("not-reached") != std::string::npos);
}

TEST_CASE("explain: a pattern takes what matches it and not what is below") {
  const Proof proof = sample_proof();
  const auto paths = [&](std::string_view pattern) {
    std::string out;
    for (const Explanation& explanation : explain({proof.platforms[0]}, pattern))
      out += explanation.path + " ";
    return out;
  };
  CHECK(paths("/*") == "/app /lib ");
  CHECK(paths("**/lib*.so*") == "/lib/libx.so.1 ");
  CHECK(paths("/app/**").find("/app/run ") != std::string::npos);
  CHECK(paths("/none*").empty());
}

TEST_CASE("explain: links in folders are followed") {
  Proof proof = sample_proof();
  ProofPlatform& platform = proof.platforms[0];
  platform.paths.push_back({"/opt", 2, 3, 0, 0, "lib"});
  const auto found = explain({platform}, "/opt/libx.so.1");
  REQUIRE(found.size() == 1);
  CHECK(found[0].path == "/lib/libx.so.1");
  CHECK(found[0].asked == "/opt/libx.so.1");
  CHECK(found[0].state == Explanation::State::kKept);
  // The link itself is a path of its own, and a circle ends.
  CHECK(explain({platform}, "/opt")[0].path == "/opt");
  platform.paths.back().link = "opt";
  CHECK(explain({platform}, "/opt/x")[0].state == Explanation::State::kUnknown);
}

TEST_CASE("explain: JSON says the same") {
  const Proof proof = sample_proof();
  const Json json = to_json(explain({proof.platforms[0]}, "/lib/libx.so.1"));
  CHECK(json[0]["state"] == "kept");
  CHECK(json[0]["chain"].size() == 2);
  CHECK(json[0]["chain"][0]["because"] == "/app/run");
  const Json gone = to_json(explain({proof.platforms[0]}, "/usr/x"));
  CHECK(gone[0]["rule"] == "not-reached");
  CHECK(gone[0]["keep"] == "--keep /usr/x");
  CHECK(to_json(explain({proof.platforms[0]}, "/x"))[0]["state"] == "unknown");
}
