// SPDX-License-Identifier: Apache-2.0
// A certificate of a small image, for tests.
#pragma once

#include "layers/digest.h"
#include "src/proof.h"

namespace imgslim::testing {

// /app/run needs /lib/libx.so.1, a link; /usr was not reached but for what lay in /usr/doc, which is
// documentation.
inline Proof sample_proof() {
  Proof proof;
  proof.version = "1.2.3";
  proof.rules = digest_of("rules").text();
  proof.libraries = {{"zlib", "1"}, {"zstd", "2"}};
  proof.form = Form::kDistroless;
  proof.accept = Evidence::kKnown;
  proof.options = {"--keep /etc/\xff"};
  proof.source_digest = digest_of("source").text();
  proof.result_digest = digest_of("result").text();
  ProofPlatform platform;
  platform.platform = "linux/amd64";
  platform.source_digest = proof.source_digest;
  platform.result_digest = proof.result_digest;
  platform.weakest = Evidence::kKnown;
  platform.source_bytes = 10000;
  platform.kept_bytes = 2500;
  platform.padding_bytes = 1000;
  platform.roots = {{"ENTRYPOINT", {"/app/run", "a b"}, "/app/run"}};
  platform.attributes = {
      {'d', 0755, 0, 0, ""}, {'f', 04755, 33, 4294967294, digest_of("xattrs").text()}, {'l', 0777, 0, 0, ""}};
  platform.witnesses = {{"directory", {}, "the root", "", Evidence::kExact},
                        {"directory", 2, "", "above a kept path", Evidence::kExact},
                        {"command", {}, "ENTRYPOINT", "started by it", Evidence::kExact},
                        {"directory", 4, "", "above a kept path", Evidence::kExact},
                        {"needed", 2, "", "DT_NEEDED libx.so.1", Evidence::kKnown},
                        {"link", 4, "", "its target", Evidence::kKnown}};
  platform.paths = {{"/", 0, 0, 0, 0, ""},
                    {"/app", 0, 1, 0, 0, ""},
                    {"/app/run", 1, 2, 123, 0xfedcba9876543210, ""},
                    {"/lib", 0, 3, 0, 0, ""},
                    {"/lib/libx.so.1", 2, 4, 0, 0, "n\xc3\xa9\x01\xff\\"},
                    {"/lib/n\xc3\xa9\x01\xff\\", 1, 5, 7, 1, ""}};
  platform.rules = {{"debug-info", "kept beside the image", 1, 500},
                    {"documentation", "read by people", 2, 1000},
                    {"not-reached", "nothing reaches it", 3, 5000}};
  platform.groups = {{"/usr", 2, 2, 4000}, {"/usr/doc", 1, 2, 1000}};
  platform.debug_files = {{"/app/run",
                           digest_of("before").text(),
                           digest_of("after").text(),
                           digest_of("loaded").text(),
                           600,
                           123,
                           {{".debug_info", 400}, {".debug_\xff", 60}},
                           ".build-id/01/234567.debug"},
                          {"/opt/run",
                           digest_of("b").text(),
                           digest_of("a").text(),
                           digest_of("l").text(),
                           9,
                           8,
                           {{".debug_line", 1}},
                           ""}};
  ProofFinding load;
  load.path = "/app/run";
  load.site = 0xffffffffffffffff;
  load.callee = "dlopen";
  load.function = "f";
  load.names = {"liby.so"};
  load.symbols = {"y_*"};
  load.found = {"/lib/libx.so.1", "/not/kept"};
  load.evidence = Evidence::kBounded;
  load.reason = "why";
  ProofFinding start;
  start.kind = ProofFinding::Kind::kStart;
  start.path = "/app/run";
  start.package = "os/exec";
  start.evidence = Evidence::kKnown;
  start.may_be_missing = true;
  platform.findings = {load, start};
  platform.not_covered = {"the rest"};
  proof.platforms = {platform};
  return proof;
}

}  // namespace imgslim::testing
