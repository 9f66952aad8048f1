// SPDX-License-Identifier: Apache-2.0
// Contents of files against the source and against a certificate of files without debug information.
#include <doctest/doctest.h>

#include "layers/contents.h"
#include "layers/digest.h"
#include "src/debug_info/debug_info.h"
#include "src/proof.h"
#include "src/verification_parts.h"
#include "tests/support/section_builder.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

LayerTablePtr table_of(const std::string& bytes) {
  TarIndexer indexer;
  indexer.write(as_bytes(bytes));
  const std::shared_ptr<LayerTable> table = indexer.finish();
  table->plain_size = table->blob_size = bytes.size();
  return table;
}

// One layer and what its files hold.
struct OneLayer {
  explicit OneLayer(const TarBuilder& tar)
      : bytes(tar.closed()),
        table(table_of(bytes)),
        contents({table}, {memory_blob(bytes)}, std::size_t{1} << 20),
        files{tree, contents, "/tmp"} {
    tree.apply(table);
  }
  std::string bytes;
  LayerTablePtr table;
  Tree tree;
  Contents contents;
  FileContents files;
};

std::string findings_of(const OneLayer& image, const OneLayer* source, const ProofPlatform* proof) {
  Verification result;
  FindingList findings(result.findings);
  verify_contents(image.files, source == nullptr ? nullptr : &source->files, proof, result, findings);
  std::string out;
  for (const Finding& finding : result.findings) {
    out += (finding.severity == Finding::Severity::kNote ? "note " : "") + std::string(finding.check) + " " +
           finding.line() + "\n";
  }
  return out;
}

std::string loaded_of(const std::string& bytes) {
  return loaded_digest(*memory_blob(bytes)).value().text();
}

// A program before and after, and what a certificate says of it.
struct Slimmed {
  Slimmed() {
    const BlobPtr file = memory_blob(before);
    const DebugInfoPlan plan = take_out_debug_info(*file, {false, true});
    REQUIRE_FALSE(plan.left_alone);
    after = plan.slim.read(*file);
    proof.debug_files = {{"/app", digest_of(before).text(), digest_of(after).text(), plan.loaded->text(),
                          before.size(), after.size(), plan.sections, plan.companion_path()}};
  }
  std::string before = debug_program().build();
  std::string after;
  ProofPlatform proof;
};

// The same program with another byte in its code.
std::string patched(std::string bytes) {
  const std::size_t code = bytes.find("\x90\x90\x90\x90");
  REQUIRE(code != std::string::npos);
  bytes[code + 5] = '\xcc';
  return bytes;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("verify contents: a certificate names files that lost debug information, and they are the same") {
  const Slimmed program;
  const OneLayer source(TarBuilder().file("app", program.before).file("etc/conf", "words"));
  const OneLayer image(TarBuilder().file("app", program.after).file("etc/conf", "words"));
  CHECK(findings_of(image, nullptr, &program.proof) == "");
  CHECK(findings_of(image, &source, &program.proof) == "");
  Verification result;
  FindingList findings(result.findings);
  verify_contents(image.files, &source.files, &program.proof, result, findings);
  CHECK(result.debug_files == 1);
  // The source is not what was left.
  CHECK(has(findings_of(source, nullptr, &program.proof), "proof /app: its content is sha256:"));
}

TEST_CASE("verify contents: each digest of a certificate is held against the files") {
  const Slimmed program;
  const OneLayer source(TarBuilder().file("app", program.before));
  const OneLayer image(TarBuilder().file("app", program.after));
  const std::string other = digest_of("other").text();
  const auto forged = [&](const std::function<void(ProofDebugFile&)>& change, bool with_source = true) {
    ProofPlatform proof = program.proof;
    change(proof.debug_files[0]);
    return findings_of(image, with_source ? &source : nullptr, &proof);
  };
  CHECK(forged([&](ProofDebugFile& file) { file.result_digest = other; }, false) ==
        "proof /app: its content is " + digest_of(program.after).text() + "; in the certificate " + other +
            "\n");
  CHECK(forged([&](ProofDebugFile& file) { file.loaded_digest = other; }, false) ==
        "proof /app: its loaded bytes are " + loaded_of(program.after) + "; in the certificate " + other +
            "\n");
  CHECK(forged([&](ProofDebugFile& file) { file.source_digest = other; }, false) == "");
  CHECK(has(forged([&](ProofDebugFile& file) { file.source_digest = other; }),
            "proof /app: the source's content is " + digest_of(program.before).text()));
  CHECK(has(forged([&](ProofDebugFile& file) { file.loaded_digest = other; }),
            "proof /app: the source's loaded bytes are " + loaded_of(program.before)));
  CHECK(forged([](ProofDebugFile& file) { file.sections.pop_back(); }) ==
        "proof /app: its section .debug_line went; the certificate does not say so\n");
  CHECK(has(forged([](ProofDebugFile& file) { ++file.sections[0].bytes; }),
            "its section .debug_info has 0 bytes"));
  CHECK(has(forged([](ProofDebugFile& file) { file.sections[0].name = ".text"; }), "its section .text has"));
  CHECK(has(forged([](ProofDebugFile& file) { file.path = "/none"; }), "proof /none: no file is there"));
}

TEST_CASE("verify contents: another byte in a segment is found though every digest is forged") {
  const Slimmed program;
  const OneLayer source(TarBuilder().file("app", program.before));
  const std::string bad = patched(program.after);
  const OneLayer image(TarBuilder().file("app", bad));
  ProofPlatform proof = program.proof;
  proof.debug_files[0].result_digest = digest_of(bad).text();
  CHECK(has(findings_of(image, nullptr, &proof), "proof /app: its loaded bytes are " + loaded_of(bad)));
  proof.debug_files[0].loaded_digest = loaded_of(bad);
  CHECK(findings_of(image, nullptr, &proof) == "");
  CHECK(
      has(findings_of(image, &source, &proof), "against /app: its loaded bytes are not those of the source"));
}

TEST_CASE("verify contents: without a certificate the loaded bytes decide, and it is said") {
  const Slimmed program;
  const OneLayer source(TarBuilder().file("app", program.before));
  const OneLayer image(TarBuilder().file("app", program.after));
  CHECK(findings_of(image, &source, nullptr) ==
        "note against /app: its content is not that of the source, its loaded bytes are; no certificate says "
        "why\n");
  const OneLayer bad(TarBuilder().file("app", patched(program.after)));
  CHECK(findings_of(bad, &source, nullptr) == "against /app: its loaded bytes are not those of the source\n");
  // One that does not name it is worse than none.
  const ProofPlatform silent;
  CHECK(findings_of(image, &source, &silent) ==
        "against /app: its content is not that of the source, and the certificate does not name it\n");
}

TEST_CASE("verify contents: files that are no programs are as they were") {
  const OneLayer source(TarBuilder().file("a", "words").file("b", "more").file("etc/ld.so.cache", "old"));
  CHECK(findings_of(OneLayer(TarBuilder().file("a", "words").file("etc/ld.so.cache", "new").file("c", "new")),
                    &source, nullptr) == "");
  CHECK(findings_of(OneLayer(TarBuilder().file("a", "other")), &source, nullptr) ==
        "against /a: its content is not that of the source\n");
  CHECK(findings_of(OneLayer(TarBuilder().file("b", debug_program().build())), &source, nullptr) ==
        "against /b: its content is not that of the source\n");
}
