// SPDX-License-Identifier: Apache-2.0
// A separate cache as the documents that a registry or layout holds.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "layers/manifest.h"
#include "src/buildkit_cache/cache_config.h"
#include "src/buildkit_cache/cache_source.h"

namespace imgslim {

struct CacheDocuments {
  std::string config;
  Descriptor config_descriptor;
  std::string manifest;  // or index
  Descriptor root;
};

// `form` is that of a separate cache; `layers` has a descriptor for each blob of the config. Throws
// Error{kBadImage} naming `what` if BuildKit would not import it: larger than it reads, or without any
// result.
CacheDocuments make_cache_documents(const CacheConfig& config, const std::map<Digest, Descriptor>& layers,
                                    CacheForm form, std::string_view what);

}  // namespace imgslim
