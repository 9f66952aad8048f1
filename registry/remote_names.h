// SPDX-License-Identifier: Apache-2.0
// The parts of a docker:// name, and what is a manifest there.
#pragma once

#include <string>
#include <string_view>

#include "layers/image_name.h"
#include "layers/manifest.h"

namespace imgslim {

std::string host_of(const ImageName& name);
std::string repository_of(const ImageName& name);
// Whether a document of that type is served under /manifests/ rather than /blobs/.
inline bool is_manifest_type(std::string_view media_type) {
  return is_document_type(media_type);
}

}  // namespace imgslim
