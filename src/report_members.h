// SPDX-License-Identifier: Apache-2.0
// A Report as bytes and back (layers/packed.h).
#pragma once

#include "layers/packed.h"
#include "src/report.h"

namespace imgslim {

void members(auto& io, BeforeAfter& value) {
  io(value.before, value.after);
}

void members(auto& io, LayerReport& layer) {
  io(layer.source_digest, layer.result_digest, layer.result_diff_id, layer.created_by, layer.action,
     layer.compressed, layer.unpacked, layer.entries);
}

void members(auto& io, RuleReport& rule) {
  io(rule.id, rule.reason, rule.entries, rule.unpacked, rule.compressed);
}

void members(auto& io, RootReport& root) {
  io(root.origin, root.argv, root.program);
}

void members(auto& io, TakenSection& section) {
  io(section.name, section.bytes);
}

void members(auto& io, DebugFileReport& file) {
  io(file.path, file.links, file.left_alone, file.detail, file.size, file.source_digest, file.result_digest,
     file.loaded_digest, file.sections, file.companion);
}

void members(auto& io, DebugInfoReport& report) {
  io(report.mode, report.symbols, report.files, report.artifact_digest, report.candidates, report.bytes,
     report.compressed);
}

void members(auto& io, PlatformReport& platform) {
  io(platform.platform, platform.source_digest, platform.result_digest, platform.kind, platform.layers,
     platform.rules, platform.roots, platform.debug_info, platform.findings, platform.warnings,
     platform.lost_inline_cache, platform.lost_shell, platform.base_layers, platform.above_base);
}

// All but what another run moved and took from a cache.
void members(auto& io, Report& report) {
  io(report.source, report.source_digest, report.destination, report.result_digest, report.stopped_by,
     report.changed, report.dry_run, report.platforms, report.left_out, report.attestations_dropped,
     report.proof, report.proof_referrer);
  io.choice(report.form, Form::kDistroless);
}

}  // namespace imgslim
