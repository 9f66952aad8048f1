// SPDX-License-Identifier: Apache-2.0
// Turns a planned layer into a blob, and reads it back.
#pragma once

#include <string>

#include "layers/compression.h"
#include "layers/contents.h"
#include "layers/digest.h"
#include "layers/image_store.h"
#include "layers/layer_plan.h"

namespace imgslim {

struct WrittenLayer {
  Digest digest;   // of the blob
  Digest diff_id;  // of its plain bytes
  std::uint64_t size = 0;
  std::uint64_t plain_size = 0;
  Compression compression = Compression::kGzip;
};

struct LayerFormat {
  Compression compression = Compression::kGzip;
  int level = 0;  // 0: the default
  unsigned threads = 1;
};

// Digest over all that decides a planned layer's bytes: entries, where their contents come from (the
// source layers' DiffIDs and offsets), format and library versions. Equal keys give equal blobs.
Digest layer_key(const PlannedLayer& layer, const std::vector<LayerTablePtr>& tables,
                 const LayerFormat& format);

// Writes the layer into `out`; digest, sizes and DiffID are computed on the way.
WrittenLayer write_layer(const PlannedLayer& layer, const Contents& contents, const LayerFormat& format,
                         Sink& out);

// Reads a written blob again: digest, size and DiffID, and entry by entry that it says what was planned.
// Throws Error{kVerification} naming the first difference.
void check_written_layer(const BlobPtr& blob, const WrittenLayer& written, const PlannedLayer& planned);

}  // namespace imgslim
