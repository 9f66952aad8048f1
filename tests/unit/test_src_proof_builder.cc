// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "src/facts/tree_file_system.h"
#include "src/proof_builder.h"
#include "src/verification_parts.h"
#include "tests/support/tree_builder.h"

using namespace imgslim;
using imgslim::testing::layer_of_lines;
using imgslim::testing::tree_of;

namespace {

NodeId node(const Tree& tree, std::string_view path) {
  const NodeId found = tree.lookup(path);
  REQUIRE(found != kNone);
  return found;
}

// By which rule each file of a tree goes: the first of its name's letters.
ProofPlatform dropped(const std::string& lines) {
  const std::vector<LayerTablePtr> tables{layer_of_lines(lines)};
  Tree tree;
  tree.apply(tables[0]);
  ProofPlatform platform;
  add_dropped(platform, tree, tables, [&](EntryRef ref) {
    const std::string_view path = tree.entry(ref).path;
    const std::string rule(path.substr(path.rfind('/') + 1, 1));
    if (tree.entry(ref).type == EntryType::kDirectory || rule == "k") return std::vector<GoneBy>();
    return std::vector<GoneBy>{{rule, "reason of " + rule, tree.entry(ref).tar_bytes, tree.node_of(ref)}};
  });
  return platform;
}

std::string groups_of(const ProofPlatform& platform) {
  std::string out;
  for (const ProofGroup& group : platform.groups)
    out += group.path + " " + platform.rules[group.rule].id + " " + std::to_string(group.entries) + "\n";
  return out;
}

constexpr const char* kResult =
    "d .\n"
    "d app\n"
    "f app/run mode=0755 uid=7 : program\n"
    "d etc\n"
    "f etc/ld.so.cache : cache\n"
    "d lib\n"
    "l lib/libx.so -> libx.so.1\n"
    "f lib/libx.so.1 xattr.user.a=b : library\n";

// The witnesses of kResult, as the keep rule makes them.
KeepResult kept_of(const Tree& tree) {
  KeepResult kept;
  kept.kept[Tree::kRoot] = {"directory", "/", "the root", Evidence::kExact};
  kept.kept[node(tree, "app")] = {"directory", "/app/run", "above a kept path", Evidence::kExact};
  kept.kept[node(tree, "app/run")] = {"command", "ENTRYPOINT", "started", Evidence::kExact};
  kept.kept[node(tree, "lib")] = {"directory", "/lib/libx.so.1", "above a kept path", Evidence::kExact};
  kept.kept[node(tree, "lib/libx.so")] = {"link", "/app/run", "on the way", Evidence::kKnown};
  kept.kept[node(tree, "lib/libx.so.1")] = {"link", "/lib/libx.so", "its target", Evidence::kKnown};
  LoadFinding load;
  load.path = "/app/run";
  load.finding.site = 16;
  load.finding.names = {"liby.so"};
  load.finding.evidence = Evidence::kKnown;
  load.finding.may_be_missing = true;
  kept.loads = {load, load};
  kept.loads[1].finding.site = 32;
  StartFinding start;
  start.path = "/app/run";
  start.finding.itself = true;
  start.evidence = Evidence::kBounded;
  kept.starts = {start};
  kept.weakest = Evidence::kBounded;
  return kept;
}

// Findings about paths when the certificate of kResult is held against other layers.
std::string held_against(std::initializer_list<std::string_view> layers,
                         const std::function<void(ProofPlatform&)>& change = nullptr) {
  const Tree source = tree_of({kResult});
  ProofPlatform platform;
  add_kept(platform, source, source, kept_of(source));
  if (change) change(platform);
  const Tree tree = tree_of(layers);
  const TreeFileSystem files(tree, [](EntryRef, std::uint64_t) { return std::string(); });
  Verification result;
  FindingList findings(result.findings);
  verify_proof(platform, tree, files, result, findings);
  std::string out;
  for (const Finding& finding : result.findings)
    out += finding.line() + "\n";
  return out;
}

}  // namespace

TEST_CASE("proof builder: a rule is said once for all below a folder") {
  const ProofPlatform platform = dropped(
      "d usr\nd usr/doc\nf usr/doc/a1 : 1\nf usr/doc/a2 : 2\nf usr/doc/a3 : 3\nf usr/doc/b1 : 4\n"
      "d usr/lib\nf usr/lib/b2 : 5\nf usr/lib/keep : 6\nd usr/lib/deep\nf usr/lib/deep/b3 : 7\n");
  CHECK(groups_of(platform) == "/ a 3\n/usr/doc/b1 b 1\n/usr/lib b 2\n");
  for (const char* path : {"/usr/doc/b1", "/usr/lib/b2", "/usr/lib/deep/b3"}) {
    CAPTURE(path);
    REQUIRE(platform.group_of(path) != nullptr);
    CHECK(platform.rules[platform.group_of(path)->rule].id == "b");
  }
  CHECK(platform.rules[platform.group_of("/usr/doc/a2")->rule].id == "a");
  CHECK(platform.rules[0].reason == "reason of a");
}

TEST_CASE("proof builder: every entry counts once and the bytes add up") {
  const ProofPlatform platform = dropped("d a\nf a/a1 : 1\nf a/k1 : 2\nf b1 : 3\nf a1 : 4\n");
  std::uint64_t gone = 0;
  std::uint64_t grouped = 0;
  for (const ProofRule& rule : platform.rules)
    gone += rule.bytes;
  for (const ProofGroup& group : platform.groups)
    grouped += group.bytes;
  CHECK(gone == grouped);
  CHECK(gone == 3 * 1024);
  CHECK(platform.kept_bytes == 1024 + 512);
}

TEST_CASE("proof builder: nothing gone, nothing said") {
  const ProofPlatform platform = dropped("d a\nf a/k1 : 1\n");
  CHECK(platform.rules.empty());
  CHECK(platform.groups.empty());
  CHECK(platform.group_of("/a") == nullptr);
}

TEST_CASE("proof builder: paths have attributes, contents and a witness") {
  const Tree tree = tree_of({kResult});
  ProofPlatform platform;
  add_kept(platform, tree, tree, kept_of(tree));
  CHECK(platform.paths.size() == tree.node_count());
  const ProofPath* run = platform.find("/app/run");
  REQUIRE(run != nullptr);
  const ProofAttributes& attributes = platform.attributes[run->attributes];
  CHECK(attributes.type == 'f');
  CHECK(attributes.mode == 0755);
  CHECK(attributes.uid == 7);
  CHECK(attributes.xattrs.empty());
  CHECK(run->size == 7);
  CHECK(run->crc != 0);
  CHECK(platform.find("/lib/libx.so")->link == "libx.so.1");
  CHECK_FALSE(platform.attributes[platform.find("/lib/libx.so.1")->attributes].xattrs.empty());
  CHECK(platform.witnesses[platform.find("/etc/ld.so.cache")->witness].rule == "ld.so.cache");
  CHECK(platform.witnesses[platform.find("/etc")->witness].rule == "directory");
  CHECK(witness_chain(platform, "/lib/libx.so.1").size() == 3);
  CHECK(platform.weakest == Evidence::kBounded);
  // The same call at two places is one finding.
  REQUIRE(platform.findings.size() == 2);
  CHECK(platform.findings[0].site == 16);
  CHECK(platform.findings[1].names == std::vector<std::string>{"/proc/self/exe"});
  // It can be written.
  Proof proof;
  proof.source_digest = proof.result_digest = digest_of("x").text();
  platform.source_digest = platform.result_digest = proof.source_digest;
  proof.platforms = {platform};
  CHECK(read_proof(write_proof(proof), "proof") == proof);
}

TEST_CASE("proof builder: what is not covered names bounded starts and what is not kept") {
  const Tree tree = tree_of({kResult});
  ProofPlatform platform;
  add_kept(platform, tree, tree, kept_of(tree));
  const std::vector<std::string> lines = not_covered_by(Form::kDistroless, platform);
  CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find("may load liby.so, which is not kept") != std::string::npos;
  }));
  CHECK(not_covered_by(Form::kTidy, platform).empty());
  CHECK(rules_digest() == rules_digest());
}

TEST_CASE("verify proof: the image of the certificate holds every claim") {
  CHECK(held_against({kResult}) == "");
}

TEST_CASE("verify proof: each path taken away is named with its chain") {
  for (const char* path : {"app/run", "etc/ld.so.cache", "lib/libx.so", "lib/libx.so.1", "app"}) {
    CAPTURE(path);
    const std::string found = held_against({kResult, "w " + std::string(path) + "\n"});
    CHECK(found.find("/" + std::string(path) + ": not there; the certificate has it\n") != std::string::npos);
  }
  CHECK(held_against({kResult, "w lib/libx.so.1\n"})
            .find("ENTRYPOINT -> /app/run -> /lib/libx.so -> /lib/libx.so.1: not there") !=
        std::string::npos);
}

TEST_CASE("verify proof: each alteration of a path is named") {
  const auto altered = [](const char* line) { return held_against({kResult, line}); };
  CHECK(altered("f app/run mode=0755 uid=7 : Program\n").find("its content is not that") !=
        std::string::npos);
  CHECK(altered("f app/run mode=0755 uid=7 : programs\n").find("8 bytes; in the certificate 7") !=
        std::string::npos);
  CHECK(altered("f app/run mode=0700 uid=7 : program\n")
            .find("f 0700 of 7:0; in the certificate f 0755 of 7:0") != std::string::npos);
  CHECK(altered("f app/run mode=0755 uid=8 : program\n").find("of 8:0") != std::string::npos);
  CHECK(altered("f app/run mode=0755 uid=7 gid=1 : program\n").find("of 7:1") != std::string::npos);
  CHECK(altered("f lib/libx.so.1 : library\n").find("; in the certificate f") != std::string::npos);
  CHECK(altered("f lib/libx.so.1 xattr.user.a=c : library\n").find("; in the certificate f") !=
        std::string::npos);
  CHECK(
      altered("l lib/libx.so -> libx.so.2\n").find("a link to libx.so.2; in the certificate to libx.so.1") !=
      std::string::npos);
  CHECK(altered("d app mode=0700\n").find("d 0700") != std::string::npos);
  CHECK(altered("d etc/ld.so.cache\n").find("d 0755 of 0:0; in the certificate f") != std::string::npos);
  CHECK(altered("f app/more : x\n") == "/app/more: not in the certificate\n");
}

TEST_CASE("verify proof: claims that the image denies") {
  CHECK(held_against({kResult}, [](ProofPlatform& p) {
          p.witnesses[p.find("/app/run")->witness].path =
              static_cast<std::uint32_t>(p.find("/lib/libx.so.1") - p.paths.data());
        }).find("go in a circle") != std::string::npos);
  CHECK(held_against({kResult}, [](ProofPlatform& p) {
          p.witnesses[p.find("/lib/libx.so.1")->witness].path =
              static_cast<std::uint32_t>(p.find("/app/run") - p.paths.data());
        }).find("not what /app/run leads to") != std::string::npos);
  CHECK(held_against({kResult}, [](ProofPlatform& p) {
          p.witnesses[p.find("/lib")->witness].path =
              static_cast<std::uint32_t>(p.find("/app/run") - p.paths.data());
        }).find("not above /app/run") != std::string::npos);
}
