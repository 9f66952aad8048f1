// SPDX-License-Identifier: Apache-2.0
// The layers of the form distroless, in their fixed order: data that has no architecture, one layer for each
// source package, and last the application with what was generated for this image. Equal kept sets give equal
// layers, whichever image they come from.
#pragma once

#include <string>
#include <vector>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "layers/layer_builder.h"
#include "layers/tree.h"
#include "src/decisions/keep.h"
#include "src/decisions/package_records.h"

namespace imgslim {

struct SlimLayer {
  std::string name;  // "data", "glibc", "other packages", "application"
  PlannedLayer layer;
};

struct SlimPlan {
  std::vector<SlimLayer> layers;
  // Contents of generated files, as one more layer of the source: planned entries that come from it have the number
  // of the source's layers as EntryRef::layer.
  LayerTablePtr generated;
  std::string generated_bytes;
  // Files and links of the source that the layers do not show.
  std::uint64_t dropped = 0;
};

// By InodeId the inode whose storage it may share, given the layer that each name goes to (find_equal_files).
using EqualFiles = std::function<std::vector<InodeId>(const std::function<std::optional<std::uint32_t>(NodeId)>&)>;

// `input` and `kept` as they went into and came out of find_kept. Without `equal_files` no new hard links are made.
// `base`: the source's lowest layers, which stay as they are below the new ones; what they show stays then, whatever
// the keep rule says, and what upper layers deleted of it is deleted again. `repeats`: by InodeId, what shows just
// what it replaced (find_repeats); where that is the base's, the new layers go without it.
SlimPlan plan_slim_layers(const KeepInput& input, const KeepResult& kept, const EqualFiles& equal_files = nullptr,
                          const std::vector<LayerTablePtr>& base = {}, const std::vector<bool>& repeats = {});

}  // namespace imgslim
