// SPDX-License-Identifier: Apache-2.0
#include "src/image_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/buildkit_cache/cache_source.h"

namespace imgslim {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxDocuments = 10000;
// All documents are held at once, and take about ten times their text.
constexpr std::size_t kMaxDocumentBytes = std::size_t{64} << 20;
// Docker stops at 127.
constexpr std::size_t kMaxLayers = 1000;

class Reader {
 public:
  Reader(const ImageSource& source, const std::vector<Platform>& platforms)
      : source_(source), wanted_(platforms) {}

  ImageSet read() {
    ImageSet set{read_document(source_.root(), 0), std::move(images_), std::move(left_out_)};
    if (set.images.empty()) {
      if (!wanted_.empty()) {
        throw_usage(fmt::format(
            "{} has no image for {}; it has {}", source_.name(), join(wanted_),
            set.left_out.empty() ? "no platform" : fmt::format("{}", fmt::join(set.left_out, ", "))));
      }
      throw_bad_image(source_.name() + ": there is no image in it, only artifacts or attestations");
    }
    for (const Platform& platform : wanted_) {
      if (std::none_of(set.images.begin(), set.images.end(),
                       [&](const SourceImage& image) { return image.config.platform.matches(platform); })) {
        throw_usage(fmt::format("{} has no image for {}", source_.name(), platform.text()));
      }
    }
    return set;
  }

 private:
  static std::string join(const std::vector<Platform>& platforms) {
    std::vector<std::string> texts;
    for (const Platform& platform : platforms)
      texts.push_back(platform.text());
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  // An index may name one large document many times, so that their number alone says little.
  std::string read_text(const Descriptor& descriptor) {
    std::string text = source_.read_document(descriptor);
    document_bytes_ += text.size();
    if (document_bytes_ > kMaxDocumentBytes) {
      throw_bad_image(fmt::format("{}: the manifests and configs are larger than {} bytes in all",
                                  source_.name(), kMaxDocumentBytes));
    }
    return text;
  }

  SourceDocument read_document(const Descriptor& descriptor, int depth) {
    if (depth > kMaxDepth) {
      throw_bad_image(fmt::format("{}: indexes are nested more than {} deep", source_.name(), kMaxDepth));
    }
    if (++documents_ > kMaxDocuments) {
      throw_bad_image(fmt::format("{}: more than {} manifests", source_.name(), kMaxDocuments));
    }
    SourceDocument document{descriptor, SourceDocument::Role::kOther, 0, {}, {}};
    if (is_attestation(descriptor)) {
      document.role = SourceDocument::Role::kAttestation;
      return document;
    }
    const std::string what = source_.name() + ", " + descriptor.digest.short_text();
    const std::string text = read_text(descriptor);
    const Json json = parse_json(text, what);
    if (classify_document(json, descriptor.media_type, what) == DocumentKind::kIndex) {
      document.role = SourceDocument::Role::kIndex;
      document.index = Index::parse(text, descriptor.media_type, what);
      for (const Descriptor& child : document.index->manifests) {
        document.children.push_back(read_document(child, depth + 1));
      }
      return document;
    }
    Manifest manifest = Manifest::parse(text, descriptor.media_type, what);
    if (!manifest.is_image()) return document;
    if (manifest.layers.size() > kMaxLayers) {
      throw_bad_image(fmt::format("{}: {} layers, more than {}", what, manifest.layers.size(), kMaxLayers));
    }
    const std::string config_text = read_text(manifest.config);
    ImageConfig config = ImageConfig::parse(config_text, manifest.layers.size(), what + ", config");
    if (config.platform.os == "windows") return document;
    if (!wanted_.empty() && std::none_of(wanted_.begin(), wanted_.end(), [&](const Platform& platform) {
          return config.platform.matches(platform);
        })) {
      document.role = SourceDocument::Role::kLeftOut;
      left_out_.push_back(config.platform.text());
      return document;
    }
    document.role = SourceDocument::Role::kImage;
    document.image = images_.size();
    images_.push_back(SourceImage{descriptor, std::move(manifest), std::move(config), "", false});
    images_.back().what = source_.name() + ", " + images_.back().config.platform.text();
    return document;
  }

  const ImageSource& source_;
  const std::vector<Platform>& wanted_;
  std::vector<SourceImage> images_;
  std::vector<std::string> left_out_;
  std::size_t documents_ = 0;
  std::size_t document_bytes_ = 0;
};

bool is_build_cache(const ImageSource& source) {
  try {
    return separate_cache_form(source).has_value();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

ImageSet read_image_set(const ImageSource& source, const std::vector<Platform>& platforms) {
  try {
    return Reader(source, platforms).read();
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage || !is_build_cache(source)) throw;
    throw_bad_image(source.name() +
                    ": this is a cache of BuildKit's, no image; imgslim cache report says what it holds");
  }
}

}  // namespace imgslim
