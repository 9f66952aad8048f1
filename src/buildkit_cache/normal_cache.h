// SPDX-License-Identifier: Apache-2.0
// A cache in its normal form: what can give a hit and nothing else, each record once, in an order that is its
// own. Keys and selectors stay as they are. The same cache gives the same bytes, and so does its normal form.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "src/buildkit_cache/cache_config.h"

namespace imgslim {

struct NormalCache {
  CacheConfig config;
  // What is not in it.
  std::size_t random_records = 0;      // whose key never comes again
  std::size_t incomplete_records = 0;  // an input of which has no alternative
  std::size_t idle_records = 0;        // that have no result, nor has one that needs them
  std::size_t repeated_records = 0;    // of the same key and inputs as another
  std::size_t lost_results = 0;        // of which a layer was not usable
};

// The blobs of all layers that are part of a result.
std::set<Digest> needed_blobs(const CacheConfig& config);

// One cache of all `parts`; `usable` says of which blobs layers may be.
NormalCache make_normal(const std::vector<const CacheConfig*>& parts,
                        const std::function<bool(const Digest&)>& usable);

}  // namespace imgslim
