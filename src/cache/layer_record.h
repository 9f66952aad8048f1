// SPDX-License-Identifier: Apache-2.0
// All that is known of a layer, as one text: its table and what was found in its files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "layers/digest.h"
#include "layers/layer_table.h"
#include "src/cache/layer_findings.h"

namespace imgslim {

struct LayerRecord {
  LayerTablePtr table;
  std::shared_ptr<LayerFindings> facts;
};

// Compressed (zstd).
std::string pack_record(const LayerRecord& record, unsigned threads);

// Nothing if the text is none, of another build, or of another layer.
std::optional<LayerRecord> unpack_record(std::string text, const Digest& layer);

}  // namespace imgslim
