// SPDX-License-Identifier: Apache-2.0
// Where a cache comes from or goes to, in buildx's syntax.
#pragma once

#include <string>

#include "layers/image_name.h"

namespace imgslim {

struct CacheSpec {
  ImageName name;            // of an artifact in a registry or layout
  bool with_layers = false;  // mode=max: the layers written too, not their names alone
  bool ignore_error = false;
};

// "type=registry,ref=REF", "type=local,src=DIR[,tag=TAG]", or REF alone. Throws Error{kUsage}.
CacheSpec parse_cache_from(const std::string& text);
// "type=registry,ref=REF", "type=local,dest=DIR[,tag=TAG]", both with mode=min|max and
// ignore-error=true|false, or REF.
CacheSpec parse_cache_to(const std::string& text);

}  // namespace imgslim
