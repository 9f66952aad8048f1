// SPDX-License-Identifier: Apache-2.0
// Documents that refer to an image: an artifact manifest whose `subject` is the image and whose one layer is
// the document (image-spec manifest.md, "Guidelines for Artifact Usage").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/image_store.h"
#include "layers/manifest.h"

namespace imgslim {

namespace media_type {
inline constexpr std::string_view kOciEmpty = "application/vnd.oci.empty.v1+json";
}  // namespace media_type

inline constexpr std::string_view kEmptyDocument = "{}";

struct ReferrerManifest {
  Descriptor descriptor;  // of `text`, with artifactType and annotations as a list of referrers shows them
  std::string text;
  Descriptor config;   // of kEmptyDocument
  Descriptor content;  // of the document
};

// The manifest for a document of `content_type`. Only type, digest and size of `subject` go into it, so that
// the same document on the same image is the same manifest.
ReferrerManifest make_referrer(const Descriptor& subject, std::string_view artifact_type,
                               std::string_view content_type, std::string_view content,
                               const std::map<std::string, std::string>& annotations = {});

// The same for contents that are blobs already, one a layer; `content` of the result is the first. Without a
// subject it is an artifact that stands for itself.
ReferrerManifest make_referrer(const std::optional<Descriptor>& subject, std::string_view artifact_type,
                               const std::vector<Descriptor>& contents,
                               const std::map<std::string, std::string>& annotations = {});

// Writes the document and its manifest, to appear with the destination's next publish(). False, and nothing
// written, if the destination holds no referrers.
bool put_referrer(ImageDestination& destination, const ReferrerManifest& manifest, std::string_view content);

// A referrer of whatever kind as it is, with config and layers. False as for put_referrer().
bool copy_referrer(const ImageSource& source, const Descriptor& referrer, ImageDestination& destination);

// The document of a referrer with one layer, digest verified. Throws Error{kBadImage}: several layers or
// none, more than `limit` bytes.
std::string read_referrer(const ImageSource& source, const Descriptor& referrer, std::uint64_t limit);

}  // namespace imgslim
