// SPDX-License-Identifier: Apache-2.0
// The layers of a cache against their blobs: digest, size, DiffID, compression, and that they are tar
// archives.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "layers/compression.h"
#include "src/buildkit_cache/cache_source.h"

namespace imgslim {

// What is known of a blob that was read and compared with its digest.
struct LayerFacts {
  std::uint64_t size = 0;
  Digest diff_id;
  Compression compression = Compression::kNone;
  const ImageSource* source = nullptr;  // where it is
};
using KnownLayers = std::map<Digest, LayerFacts>;

struct ExaminedLayer {
  // As a cache manifest names it: OCI media type by the blob's own bytes, DiffID, time if it is one.
  Descriptor descriptor;
  const ImageSource* source = nullptr;
};

struct Examination {
  std::map<Digest, ExaminedLayer> layers;  // those that can be results
  std::vector<CacheProblem> problems;
  std::uint64_t blobs_read = 0;
  std::uint64_t bytes_read = 0;
};

struct ExaminationOptions {
  KnownLayers known;  // not read again
  unsigned threads = 1;
  bool read = true;  // false: only what the manifest says is looked at, and that the blobs are there
  // Bytes of blobs read so far, and of all. Called from any thread, one at a time.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// What is wrong with the records of a cache that can be read: keys that cannot be hit, or keep BuildKit from
// importing.
std::vector<CacheProblem> record_problems(const BuildkitCache& cache);

// Reads each blob that a result of `cache` needs. What speaks against one becomes a problem; Error{kNetwork,
// kIo} are thrown.
Examination examine_layers(const ImageSource& source, const BuildkitCache& cache,
                           const ExaminationOptions& options);

}  // namespace imgslim
