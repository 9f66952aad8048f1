// SPDX-License-Identifier: Apache-2.0
// Any bytes as an outer archive, read as docker-archive and as oci-archive: an image or an error, and
// every blob that the image names can be opened or is an error.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "layers/archive_store.h"
#include "layers/error.h"

using namespace imgslim;

namespace {

// Members as the files of a layout.
class Files : public LayoutFiles {
 public:
  explicit Files(std::shared_ptr<const ArchiveMembers> members) : members_(std::move(members)) {}
  BlobPtr open(const std::string& path) const override { return members_->open(path, false); }

 private:
  std::shared_ptr<const ArchiveMembers> members_;
};

template <class Body>
void expect_image_or_error(Body body) {
  try {
    const std::unique_ptr<ImageSource> source = body();
    const Descriptor root = source->root();
    const Manifest manifest = Manifest::parse(source->read_document(root), root.media_type, "input");
    source->read_document(manifest.config);
    for (const LayerDescriptor& layer : manifest.layers)
      read_all(*source->open(layer.descriptor), 1 << 20, "layer");
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage && error.failure() != Failure::kUsage) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::shared_ptr<const ArchiveMembers> members;
  try {
    members = std::make_shared<const ArchiveMembers>(
        memory_blob(std::string(reinterpret_cast<const char*>(data), size)), "input");
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) std::abort();
    return 0;
  }
  if (members->has("manifest.json")) {
    expect_image_or_error([&] { return make_docker_archive_source("input", members, ""); });
  }
  expect_image_or_error([&] { return make_layout_source("input", std::make_unique<Files>(members), ""); });
  return 0;
}
