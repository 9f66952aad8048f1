// SPDX-License-Identifier: Apache-2.0
#include "src/document_writer.h"

#include <algorithm>

#include "layers/error.h"
#include "layers/image_edit.h"

namespace imgslim {
namespace {

constexpr const char* kDescribes = "vnd.docker.reference.digest";
constexpr int kMaxDepth = 8;

}  // namespace

DocumentWriter::DocumentWriter(const ImageSource& source, ImageDestination* destination,
                               const std::vector<std::unique_ptr<ImageWork>>& works,
                               std::optional<std::int64_t> source_date_epoch)
    : source_(source), destination_(destination), works_(works) {
  if (source_date_epoch) created_ = rfc3339(*source_date_epoch);
  result_digests_.resize(works.size());
  results_.resize(works.size());
  lost_inline_cache_.resize(works.size());
  for (const auto& work : works) {
    if (!work->changed()) unchanged_.push_back(work->image().descriptor.digest.text());
    changed_ = changed_ || work->changed();
  }
}

std::optional<Descriptor> DocumentWriter::write(const ImageSet& set) {
  changed_ = changed_ || !set.left_out.empty();
  return write_document(set.root);
}

std::optional<Descriptor> DocumentWriter::write_document(const SourceDocument& document) {
  switch (document.role) {
    case SourceDocument::Role::kIndex:
      return write_index(document);
    case SourceDocument::Role::kImage: {
      if (works_[document.image]->changed() && destination_ == nullptr) return std::nullopt;
      return write_image(document);
    }
    case SourceDocument::Role::kLeftOut:
      return std::nullopt;
    case SourceDocument::Role::kAttestation: {
      // It speaks of one manifest's digest: it goes with that manifest.
      const auto describes = document.descriptor.annotations.find(kDescribes);
      const bool stays =
          describes != document.descriptor.annotations.end() &&
          std::find(unchanged_.begin(), unchanged_.end(), describes->second) != unchanged_.end();
      if (!stays) {
        ++attestations_dropped_;
        return std::nullopt;
      }
      copy_document(document.descriptor, 0);
      return document.descriptor;
    }
    case SourceDocument::Role::kOther:
      copy_document(document.descriptor, 0);
      return document.descriptor;
  }
  return std::nullopt;
}

Descriptor DocumentWriter::write_image(const SourceDocument& document) {
  const ImageWork& work = *works_[document.image];
  const Manifest& manifest = work.image().manifest;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    if (work.changes()[i].kind == LayerChange::Kind::kCopied || !work.changed()) copy_blob(manifest.layers[i].descriptor);
  }
  if (!work.changed()) {
    copy_blob(manifest.config);
    if (work.image().to_oci && destination_ != nullptr) {
      return put_manifest(document, manifest.media_type, dump_json(manifest.json));
    }
    copy_blob(document.descriptor);
    result_digests_[document.image] = document.descriptor.digest.text();
    results_[document.image] = document.descriptor;
    return document.descriptor;
  }
  const EditedImage edited = work.edit(created_);
  lost_inline_cache_[document.image] = edited.lost_inline_cache;
  const Descriptor config{
      edited.config_media_type, digest_of(edited.config), edited.config.size(), {}, {}, {}};
  destination_->put(config, edited.config);
  return put_manifest(document, edited.manifest_media_type, edited.manifest);
}

// The image's new manifest; what else its descriptor says stays.
Descriptor DocumentWriter::put_manifest(const SourceDocument& document, std::string_view media_type,
                                        const std::string& text) {
  Descriptor result = document.descriptor;
  result.media_type = media_type;
  result.digest = digest_of(text);
  result.size = text.size();
  destination_->put(result, text);
  result_digests_[document.image] = result.digest.text();
  results_[document.image] = result;
  return result;
}

std::optional<Descriptor> DocumentWriter::write_index(const SourceDocument& document) {
  std::vector<std::optional<Descriptor>> replacements;
  bool same = true;
  for (const SourceDocument& child : document.children) {
    replacements.push_back(write_document(child));
    same = same && replacements.back() && replacements.back()->digest == child.descriptor.digest;
  }
  if (same) {
    copy_blob(document.descriptor);
    return document.descriptor;
  }
  // In a dry run the digests of changed images are not known, so neither is that of their index. An index
  // of which all images were left out goes.
  const bool empty = std::none_of(replacements.begin(), replacements.end(),
                                  [](const std::optional<Descriptor>& entry) { return entry.has_value(); });
  if (destination_ == nullptr || empty) return std::nullopt;
  const std::string text = edit_index(*document.index, replacements);
  Descriptor result = document.descriptor;
  result.digest = digest_of(text);
  result.size = text.size();
  const Json json = parse_json(text, "the edited index");
  if (const auto type = json.find("mediaType"); type != json.end())
    result.media_type = type->get<std::string>();
  destination_->put(result, text);
  return result;
}

// A document that is not ours to read, with all it refers to.
void DocumentWriter::copy_document(const Descriptor& descriptor, int depth) {
  if (destination_ == nullptr) return;
  if (depth > kMaxDepth) throw_bad_image(source_.name() + ": artifacts are nested too deep");
  const std::string text = source_.read_document(descriptor);
  const std::string what = source_.name() + ", " + descriptor.digest.short_text();
  if (classify_document(parse_json(text, what), descriptor.media_type, what) == DocumentKind::kIndex) {
    for (const Descriptor& child : Index::parse(text, descriptor.media_type, what).manifests) {
      copy_document(child, depth + 1);
    }
  } else {
    const Manifest manifest = Manifest::parse(text, descriptor.media_type, what);
    copy_blob(manifest.config);
    for (const LayerDescriptor& layer : manifest.layers) {
      if (!layer.foreign) copy_blob(layer.descriptor);
    }
  }
  copy_blob(descriptor);
}

void DocumentWriter::copy_blob(const Descriptor& descriptor) {
  if (destination_ != nullptr) destination_->take(source_, descriptor);
}

}  // namespace imgslim
