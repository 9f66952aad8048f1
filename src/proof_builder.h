// SPDX-License-Identifier: Apache-2.0
// Makes the certificate of one image from what its run decided.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/layer_table.h"
#include "layers/tree.h"
#include "src/decisions/keep.h"
#include "src/facts/roots.h"
#include "src/proof.h"

namespace imgslim {

// By which rule an entry of the source is gone; nothing if it is kept. `shown`: the node it still shows, the
// path goes with it; kNone for what no container saw.
struct GoneBy {
  std::string rule;
  std::string reason;
  std::uint64_t bytes = 0;
  NodeId shown = kNone;
};

// Fills rules, groups and bytes. `gone_by` is asked for each entry of `tables`, the source's layers from the
// bottom up, merged in `source`.
void add_dropped(ProofPlatform& platform, const Tree& source, const std::vector<LayerTablePtr>& tables,
                 const std::function<std::vector<GoneBy>(EntryRef)>& gone_by);

// Fills paths, attributes, witnesses and findings of the form distroless from the result's merged tree. What
// `kept` has no witness for was made for the result.
void add_kept(ProofPlatform& platform, const Tree& result, const Tree& source, const KeepResult& kept);

// Type, mode, owner and xattrs of a node, as a certificate records them.
ProofAttributes proof_attributes(const Tree& tree, NodeId node);

// What no certificate of a form covers, then what this one in particular does not.
std::vector<std::string> not_covered_by(Form form, const ProofPlatform& platform);

// Digest of the texts of all rules and of the knowledge base.
std::string rules_digest();

}  // namespace imgslim
