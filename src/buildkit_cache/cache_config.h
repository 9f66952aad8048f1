// SPDX-License-Identifier: Apache-2.0
// The graph of a BuildKit cache (moby/buildkit, cache/remotecache/v1/types): records with a key and
// alternatives for each of their inputs, and the layers that are their results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layers/digest.h"
#include "layers/json.h"

namespace imgslim {

namespace media_type {
inline constexpr std::string_view kBuildkitCacheConfig = "application/vnd.buildkit.cacheconfig.v0";
}  // namespace media_type

// BuildKit reads no larger config, nor manifest of a separate cache.
inline constexpr std::uint64_t kMaxImportedBytes = std::uint64_t{1} << 20;

inline constexpr std::int32_t kNoParent = -1;

// A blob above the layer `parent`. One blob may be several layers, as empty ones are.
struct CacheLayer {
  Digest blob;
  std::int32_t parent = kNoParent;
};

// A layer with all those below it.
struct CacheResult {
  std::uint32_t layer = 0;
  std::string created_at;  // RFC 3339 as it stood; empty: it did not
};

// Exactly these layers, in this order.
struct CacheChain {
  std::vector<std::uint32_t> layers;
  std::string created_at;
};

// A record that serves as an input, as a whole or, with a selector, in a part.
struct CacheInput {
  std::uint32_t link = 0;
  std::string selector;
};

struct CacheRecord {
  std::string digest;  // of an operation's output; or "random:...", which never comes again
  std::vector<CacheResult> results;
  std::vector<CacheChain> chains;
  std::vector<std::vector<CacheInput>> inputs;  // for each input, its alternatives
  bool is_random() const { return digest.starts_with("random:"); }
};

struct CacheConfig {
  std::vector<CacheLayer> layers;
  std::vector<CacheRecord> records;
};

// A config of a separate cache. Throws Error{kBadImage}: syntax, types, digests, times, links and layers that
// are not there, layers or records that are below themselves, limits.
CacheConfig parse_cache_config(std::string_view text, std::string_view what);
// The records of an inline cache, of an image with these layers from the bottom up. Throws the same.
CacheConfig parse_inline_records(std::string_view text, const std::vector<Digest>& layers,
                                 std::string_view what);

// As BuildKit writes it: compact, its order of members, what is left out for nothing.
std::string dump_cache_config(const CacheConfig& config);

// The records in an order in which those that others need come first. Throws Error{kBadImage} if one needs
// itself.
std::vector<std::uint32_t> records_by_need(const CacheConfig& config, std::string_view what);

// Whether that is a time as BuildKit reads it (RFC 3339).
bool is_rfc3339(std::string_view text);

}  // namespace imgslim
