// SPDX-License-Identifier: Apache-2.0
// OCI image layouts (image-spec image-layout.md), in a directory or as the members of an archive.
#pragma once

#include <memory>
#include <string>

#include "layers/image_store.h"

namespace imgslim {

// The files of a layout by their path inside it ("index.json", "blobs/sha256/ab..").
class LayoutFiles {
 public:
  virtual ~LayoutFiles() = default;
  // Nothing if there is no such file. Throws Error{kBadImage} if it is no regular file.
  virtual BlobPtr open(const std::string& path) const = 0;
};

inline constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{4} << 20;

// "blobs/sha256/ab..".
std::string blob_path(const Digest& digest);
// Throws Error{kBadImage} unless the oci-layout file is there and of version 1.
void check_layout_version(const LayoutFiles& files, const std::string& name);

// A source over `files`. `reference` as in ImageName: a REF, "@DIGEST", or empty for `latest` or else the
// only image. Throws Error{kUsage} that lists what is there if that decides nothing.
std::unique_ptr<ImageSource> make_layout_source(std::string name, std::unique_ptr<LayoutFiles> files,
                                                const std::string& reference);

std::unique_ptr<ImageSource> open_layout_source(const ImageName& name);
std::unique_ptr<ImageDestination> open_layout_destination(const ImageName& name);

}  // namespace imgslim
