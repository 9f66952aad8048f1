// SPDX-License-Identifier: Apache-2.0
// The part of ImageWork that states what was done: the certificate of one image.
#include <algorithm>
#include <map>

#include "layers/tar.h"
#include "src/image_work.h"
#include "src/proof_builder.h"

namespace imgslim {

ProofPlatform ImageWork::prove(Form form) const {
  ProofPlatform platform;
  platform.platform = image_.config.platform.text();
  platform.source_digest = image_.descriptor.digest.text();
  platform.result_digest = platform.source_digest;
  for (const Root& root : roots_.roots)
    platform.roots.push_back({root.command.origin, root.command.argv, root.program});
  if (form == Form::kDistroless) {
    const Tree result = result_tree();
    if (slim_) {
      prove_dropped_slim(platform, result);
    } else {
      prove_dropped(platform);
    }
    add_kept(platform, result, tree_, *closure_);
  } else {
    prove_dropped(platform);
  }
  prove_debug_info(platform);
  platform.not_covered = not_covered_by(form, platform);
  return platform;
}

void ImageWork::prove_debug_info(ProofPlatform& platform) const {
  for (const DebugFileReport& file : debug_info_.files) {
    if (!file.left_alone.empty()) continue;
    ProofDebugFile row{file.path,        file.source_digest, file.result_digest, file.loaded_digest,
                       file.size.before, file.size.after,    file.sections,      file.companion};
    platform.debug_files.push_back(row);
    for (const std::string& link : file.links) {
      row.path = link;
      platform.debug_files.push_back(row);
    }
  }
  std::sort(platform.debug_files.begin(), platform.debug_files.end(),
            [](const ProofDebugFile& a, const ProofDebugFile& b) { return path_less(a.path, b.path); });
}

std::vector<GoneBy> ImageWork::with_debug_info(EntryRef entry, std::vector<GoneBy> gone) const {
  if (entry.layer >= replaced_.size() || replaced_[entry.layer] == nullptr) return gone;
  const std::uint64_t before = source_tables_[entry.layer]->entries[entry.entry].tar_bytes;
  const std::uint64_t after = tables_[entry.layer]->entries[entry.entry].tar_bytes;
  if (after < before)
    gone.push_back({std::string(kDebugInfoRule), debug_info_reason(), before - after, kNone});
  // A sparse file is not sparse any more without its debug information, and may take more.
  for (GoneBy& other : gone)
    other.bytes = std::min(other.bytes, before);
  return gone;
}

Tree ImageWork::result_tree() const {
  Tree result;
  if (slim_) {
    for (const LayerTablePtr& table : base_tables())
      result.apply(table);
    for (const SlimLayer& layer : slim_->layers)
      result.apply(layer.layer.table);
  } else {
    for (const PlannedLayer& layer : plan_.layers) {
      if (!layer.empty()) result.apply(layer.table);
    }
  }
  return result;
}

void ImageWork::prove_dropped(ProofPlatform& platform) const {
  std::map<EntryRef, std::vector<GoneBy>> gone;
  std::map<std::string, std::string> reasons;
  for (const RuleReport& report : rule_reports())
    reasons.emplace(report.id, report.reason);
  for (const GoneEntry& entry : plan_.gone) {
    const bool dropped = entry.reason == Gone::kDropped;
    const std::string rule = dropped ? rule_of_.at(entry.node) : std::string(name_of(entry.reason));
    gone[entry.entry].push_back({rule, reasons[rule], entry.bytes, dropped ? entry.node : kNone});
  }
  add_dropped(platform, tree_, source_tables_, [&](EntryRef entry) {
    const auto found = gone.find(entry);
    return with_debug_info(entry, found == gone.end() ? std::vector<GoneBy>() : found->second);
  });
}

void ImageWork::prove_dropped_slim(ProofPlatform& platform, const Tree& result) const {
  // Whether a node of the source is in the result; what was made anew is not the source's, even if it has the
  // same name, unless it is the same.
  const auto stays = [&](NodeId node) {
    const NodeId after = result.lookup(tree_.path(node));
    if (after == kNone) return false;
    const EntryRef shown = result.inode_of(after).attributes;
    if (!shown || result.type(after) == EntryType::kDirectory) return true;
    if (shown.layer < base_layers_) return true;
    const PlannedLayer& layer = slim_->layers[shown.layer - base_layers_].layer;
    if (layer.contents[shown.entry].layer != tables_.size()) return true;
    const Entry* was = tree_.attributes(node);
    const Entry* is = result.attributes(after);
    return was != nullptr && is != nullptr && was->size == is->size && was->crc == is->crc;
  };
  std::vector<bool> kept(tree_.node_limit(), false);
  std::vector<bool> replaced(tree_.node_limit(), false);
  tree_.walk([&](NodeId node) {
    kept[node] = node == Tree::kRoot || stays(node);
    replaced[node] = !kept[node] && result.lookup(tree_.path(node)) != kNone;
  });
  add_dropped(platform, tree_, source_tables_, [&](EntryRef ref) {
    const Entry& entry = tree_.entry(ref);
    const NodeId node = tree_.node_of(ref);
    std::vector<GoneBy> gone;
    if (ref.layer < base_layers_) return gone;
    if (node == kNone) {
      const bool deleted = tree_.lookup(entry.path) == kNone;
      gone.push_back({deleted ? "deleted" : "replaced",
                      deleted ? "a later layer deleted it" : "a later layer shows something else there",
                      entry.tar_bytes, kNone});
    } else if (kept[node]) {
      return with_debug_info(ref, std::move(gone));
    } else if (replaced[node]) {
      gone.push_back({"generated", "made anew for what is kept", entry.tar_bytes, node});
    } else if (const Leftover* leftover = leftovers_.find(node)) {
      const LeftoverRule& rule = leftover_rules()[leftover->rule];
      gone.push_back({std::string(rule.id), std::string(rule.reason), entry.tar_bytes, node});
    } else {
      gone.push_back(
          {"not-reached", "nothing that the image starts loads, starts or reads it", entry.tar_bytes, node});
    }
    return with_debug_info(ref, std::move(gone));
  });
}

}  // namespace imgslim
