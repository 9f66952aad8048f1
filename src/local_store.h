// SPDX-License-Identifier: Apache-2.0
// What names in registries led to, kept on this machine: documents, not layers. With it --offline reads what an
// earlier run saw.
#pragma once

#include <memory>
#include <string>

#include "layers/image_name.h"
#include "layers/image_store.h"

namespace imgslim {

// `source`, whose documents are kept as they are read. `directory` is this machine's cache.
std::unique_ptr<ImageSource> keep_documents(std::unique_ptr<ImageSource> source, const ImageName& name,
                                            const std::string& directory);

// The image as it was when it was read last. Throws Error{kNetwork} if it was not; blobs that are needed and not
// kept are errors when they are read.
std::unique_ptr<ImageSource> open_offline(const ImageName& name, const std::string& directory);

}  // namespace imgslim
