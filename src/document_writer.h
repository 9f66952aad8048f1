// SPDX-License-Identifier: Apache-2.0
// Writes the documents of a result, from configs up to the root, with the blobs that stay as they were.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/image_store.h"
#include "src/image_set.h"
#include "src/image_work.h"

namespace imgslim {

class DocumentWriter {
 public:
  // A null destination: a dry run, nothing is written. All must outlive the writer.
  DocumentWriter(const ImageSource& source, ImageDestination* destination,
                 const std::vector<std::unique_ptr<ImageWork>>& works,
                 std::optional<std::int64_t> source_date_epoch);

  // Writes everything but the name. Nothing in a dry run in which layers would be rewritten: digests are then
  // not known.
  std::optional<Descriptor> write(const ImageSet& set);

  bool changed() const { return changed_; }
  std::uint64_t attestations_dropped() const { return attestations_dropped_; }
  std::string result_digest(std::size_t image) const { return result_digests_[image]; }
  // The image's manifest in the result; nothing if it is not in it, or not known.
  const std::optional<Descriptor>& result(std::size_t image) const { return results_[image]; }
  bool lost_inline_cache(std::size_t image) const { return lost_inline_cache_[image]; }

 private:
  std::optional<Descriptor> write_document(const SourceDocument& document);
  Descriptor write_image(const SourceDocument& document);
  Descriptor put_manifest(const SourceDocument& document, std::string_view media_type,
                          const std::string& text);
  std::optional<Descriptor> write_index(const SourceDocument& document);
  void copy_document(const Descriptor& descriptor, int depth);
  void copy_blob(const Descriptor& descriptor);

  const ImageSource& source_;
  ImageDestination* destination_;
  const std::vector<std::unique_ptr<ImageWork>>& works_;
  std::optional<std::string> created_;
  bool changed_ = false;
  std::uint64_t attestations_dropped_ = 0;
  std::vector<std::string> unchanged_;  // digests of manifests that stay
  std::vector<std::string> result_digests_;
  std::vector<std::optional<Descriptor>> results_;
  std::vector<bool> lost_inline_cache_;
};

}  // namespace imgslim
