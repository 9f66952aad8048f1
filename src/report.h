// SPDX-License-Identifier: Apache-2.0
// What a run of optimize found and did: the data behind the table on the terminal and the JSON of
// imgslim-report(5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/json.h"
#include "registry/transfers.h"
#include "src/debug_info/debug_info.h"
#include "src/decisions/form.h"

namespace imgslim {

struct BeforeAfter {
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};

struct LayerReport {
  std::string source_digest;
  std::string result_digest;  // empty: removed, or not known in a dry run
  std::string result_diff_id;
  std::string created_by;  // the history's build step
  std::string action;      // "copied", "rewritten", "removed"
  BeforeAfter compressed;
  BeforeAfter unpacked;  // bytes of the plain tar
  BeforeAfter entries;
};

struct RuleReport {
  std::string id;
  std::string reason;
  std::uint64_t entries = 0;
  std::uint64_t unpacked = 0;    // tar bytes that went
  std::uint64_t compressed = 0;  // their share of the layers' compressed bytes
};

struct RootReport {
  std::string origin;
  std::vector<std::string> argv;
  std::string program;
};

// What became of the debug information of one file.
struct DebugFileReport {
  std::string path;
  std::vector<std::string> links;  // its other names
  std::string left_alone;          // why it stayed as it is, empty: it did not
  std::string detail;
  BeforeAfter size;
  std::string source_digest;
  std::string result_digest;
  std::string loaded_digest;  // over the loaded bytes, equal before and after
  std::vector<TakenSection> sections;
  std::string companion;  // ".build-id/xx/yyyy.debug", empty: dropped
};

struct DebugInfoReport {
  std::string mode = "keep";
  bool symbols = false;
  std::vector<DebugFileReport> files;  // of a mode other than keep, by path
  std::string artifact_digest;         // of the manifest that holds the companions
  // With keep: what another mode could take.
  std::uint64_t candidates = 0;  // files
  std::uint64_t bytes = 0;
  std::uint64_t compressed = 0;  // their share of the layers' compressed bytes, estimated
};

// The BuildKit cache that was published beside the result.
struct BuildkitCacheReport {
  std::string source;
  std::string source_digest;
  std::string source_form;  // "inline", "index", "manifest"
  std::string destination;  // empty in a dry run
  std::string digest;
  std::string form;
  BeforeAfter records;
  BeforeAfter layers;
  std::uint64_t blobs = 0;  // of its layers, each once
  std::uint64_t bytes = 0;
  std::vector<std::string> problems;  // of the source's cache
};

// What earlier runs had found or written already.
struct CacheReport {
  struct Layer {
    std::string digest;
    std::string origin;  // "local", or the artifact's name
    std::uint64_t bytes = 0;
  };
  std::vector<Layer> layers;  // of the source, that were not read: facts about them came from there
  std::uint64_t outputs = 0;  // layers that were not written again
  std::uint64_t output_bytes = 0;
  bool whole_run = false;  // an earlier run did the same, and its result is still there
};

struct PlatformReport {
  std::string platform;
  std::string source_digest;
  std::string result_digest;
  std::string kind;  // "application", "no command", "bare shell"
  std::vector<LayerReport> layers;
  std::vector<RuleReport> rules;
  std::vector<RootReport> roots;
  DebugInfoReport debug_info;
  std::vector<std::string> findings;  // about roots and spared leftovers
  std::vector<std::string> warnings;  // input that was accepted though appliers may differ
  bool lost_inline_cache = false;
  bool lost_shell = false;        // the source has /bin/sh, the result does not
  std::uint32_t base_layers = 0;  // that stayed as they were, as asked for
  std::uint64_t above_base = 0;   // compressed bytes of the layers above them
  BeforeAfter compressed() const;
  BeforeAfter unpacked() const;
};

struct Report {
  std::string source;
  std::string source_digest;
  std::string destination;  // empty in a dry run
  std::string result_digest;
  Form form = Form::kLossless;
  std::string stopped_by;  // why auto did not reach a stronger form; empty if a form was asked for
  bool changed = false;
  bool dry_run = false;
  std::vector<PlatformReport> platforms;
  std::vector<std::string> left_out;  // platforms
  std::uint64_t attestations_dropped = 0;
  std::string proof;  // the certificate; empty in a dry run
  std::string
      proof_referrer;  // digest of its manifest beside the result; empty: the destination has no place
  std::optional<BuildkitCacheReport> buildkit_cache;
  TransferReport transfers;
  CacheReport cache;
};

Json to_json(const Report& report);
// The table, at most `width` columns.
std::string to_text(const Report& report, int width);

}  // namespace imgslim
