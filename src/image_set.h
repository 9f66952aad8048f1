// SPDX-License-Identifier: Apache-2.0
// The documents behind an image name: one manifest, or an index with several, nested or not.
#pragma once

#include <string>
#include <vector>

#include "layers/image_store.h"
#include "layers/manifest.h"

namespace imgslim {

// One image of the source: a manifest and its config.
struct SourceImage {
  Descriptor descriptor;
  Manifest manifest;
  ImageConfig config;
  std::string what;  // for messages: "oci:dir:tag, linux/amd64"
  // `manifest` is the source's in OCI's media types, and is written even if nothing else changes.
  bool to_oci = false;
};

// A document of the source, in the order of the indexes.
struct SourceDocument {
  enum class Role {
    kIndex,
    kImage,        // `image` is its number
    kLeftOut,      // an image of a platform that was not asked for
    kAttestation,  // describes the manifest in its vnd.docker.reference.digest annotation
    kOther,        // an artifact, or an image we do not slim (windows): copied as it is
  };
  Descriptor descriptor;
  Role role = Role::kOther;
  std::size_t image = 0;
  std::optional<Index> index;
  std::vector<SourceDocument> children;
};

struct ImageSet {
  SourceDocument root;
  std::vector<SourceImage> images;
  std::vector<std::string> left_out;  // platforms, as text
};

// Reads all documents, verified. `platforms` empty: all. Throws Error{kUsage} if a platform that was asked
// for is not there (naming those that are), Error{kBadImage} for everything malformed.
ImageSet read_image_set(const ImageSource& source, const std::vector<Platform>& platforms);

}  // namespace imgslim
