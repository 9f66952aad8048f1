// SPDX-License-Identifier: Apache-2.0
// Which entries each layer of the result has: the source's layers, less what no container can see and what
// the caller drops. Pure: it reads tables and trees, and no contents. The plan is applied to a second
// tree as it is made, and that tree is compared with what was asked for before the plan is handed out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/layer_builder.h"
#include "layers/layer_table.h"
#include "layers/tree.h"

namespace imgslim {

struct PlanRequest {
  // By NodeId: non-directories that are not to be in the result. Ignored in pinned layers.
  std::vector<bool> dropped;
  // By InodeId: shows exactly what the inode it replaces showed (see find_repeats). May be empty.
  std::vector<bool> repeats;
  // By InodeId: the inode to share storage with (see find_equal_files). May be empty.
  std::vector<InodeId> same_as;
  // By layer: to be copied as it is.
  std::vector<bool> pinned;
  // By layer: to be written even if nothing goes from it, as contents of it were replaced. May be empty. Not for
  // layers that are pinned or tied.
  std::vector<bool> replaced;
  // Entries that are written lose the attributes that are overlayfs' own.
  bool drop_overlay_xattrs = false;
};

// By layer: whether a hard link to a file of a lower layer ties it to another one; such layers are copied as they
// are.
std::vector<bool> tied_layers(const std::vector<LayerTablePtr>& tables);

enum class Gone : std::uint8_t {
  kReplaced,  // a later layer shows something else under the name
  kDeleted,   // a later layer deleted it
  kRepeated,  // lower layers already show exactly this
  kLinked,    // its content is stored once, under another name
  kDropped,   // the caller's choice
  kEmptied,   // a directory entry or whiteout with nothing left to do
};
std::string_view name_of(Gone gone);

// A source entry that is not in the result as it was, and the bytes of the plain layer that it cost.
struct GoneEntry {
  EntryRef entry;
  Gone reason = Gone::kReplaced;
  NodeId node = kNone;  // for kDropped and kLinked
  std::uint64_t bytes = 0;
};

struct ImagePlan {
  std::vector<PlannedLayer> layers;
  std::vector<GoneEntry> gone;  // by layer and entry; only of rewritten layers
  bool changes() const;
};

// Throws std::logic_error if the plan does not show the tree that was asked for.
ImagePlan plan_layers(const Tree& source, const std::vector<LayerTablePtr>& tables,
                      const PlanRequest& request);

}  // namespace imgslim
