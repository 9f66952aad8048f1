// SPDX-License-Identifier: Apache-2.0
// What a BuildKit cache holds, for people and for programs (imgslim-cache(1)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/json.h"
#include "src/buildkit_cache/cache_examination.h"
#include "src/buildkit_cache/cache_source.h"

namespace imgslim {

struct CacheLayerLine {
  std::string platform;  // of an inline cache
  Digest blob;
  std::uint64_t size = 0;  // as stated
  std::string media_type;
  std::string diff_id;
  std::string created_at;
  std::string step;         // what built it, where that is known
  std::size_t records = 0;  // whose result it is
};

struct CacheDescription {
  std::string name;
  std::string digest;
  CacheForm form = CacheForm::kInline;
  std::uint64_t manifest_bytes = 0;  // 0 if the cache is inline
  std::uint64_t config_bytes = 0;
  std::size_t records = 0;
  std::size_t roots = 0;    // without inputs
  std::size_t results = 0;  // records that have one
  std::vector<CacheLayerLine> layers;
  std::uint64_t blobs = 0;  // of the layers, each once
  std::uint64_t bytes = 0;
  // What optimize would publish of it.
  std::size_t useful_records = 0;
  std::size_t useful_layers = 0;
  std::uint64_t useful_config_bytes = 0;
  std::vector<CacheProblem> problems;
  bool verified = false;  // blobs were read
  std::uint64_t blobs_read = 0;
  std::uint64_t bytes_read = 0;
  bool ok() const;
};

CacheDescription describe_cache(const BuildkitCache& cache, const Examination& examination, bool verified);
Json to_json(const CacheDescription& cache);
// At most `width` columns.
std::string to_text(const CacheDescription& cache, int width);

}  // namespace imgslim
