// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "src/image_set.h"
#include "src/image_work.h"
#include "src/optimize.h"
#include "src/scanned_layers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_image.h"

using namespace imgslim;

namespace {

// What is written into it comes back with one byte changed.
class DamagingDestination : public ImageDestination {
 public:
  DamagingDestination(std::unique_ptr<ImageDestination> to, bool damages)
      : to_(std::move(to)), damages_(damages) {}
  std::string name() const override { return to_->name(); }
  bool has(const Descriptor& descriptor) const override { return to_->has(descriptor); }
  BlobPtr open(const Descriptor& descriptor) const override {
    const BlobPtr blob = to_->open(descriptor);
    if (!damages_) return blob;
    std::string bytes = read_all(*blob, blob->size(), "blob");
    bytes[bytes.size() / 2] ^= 1;
    return memory_blob(std::move(bytes));
  }
  std::unique_ptr<BlobWriter> start_blob() override { return to_->start_blob(); }
  void publish(const Descriptor& root) override { to_->publish(root); }
  bool holds_referrers() const override { return to_->holds_referrers(); }
  bool publish_referrer(const Descriptor& manifest) override { return to_->publish_referrer(manifest); }

 private:
  std::unique_ptr<ImageDestination> to_;
  bool damages_;
};

// Two files in the first layer, of which the second deletes one.
TestImage image_with_a_deleted_file() {
  return make_image_of_layers(
      {tar_with_file("a").substr(0, 512) + tar_with_file("b"), tar_with_file(".wh.a")});
}

}  // namespace

TEST_CASE("image work: a layer that does not read back as it was planned is found, whatever the threads") {
  const TemporaryDirectory dir;
  write_image("oci:" + (dir / "in"), image_with_a_deleted_file());
  const auto from = source("oci:" + (dir / "in"));
  const ImageSet set = read_image_set(*from, {});
  Progress progress(Progress::Detail::kQuiet);
  for (const unsigned threads : {1u, 4u}) {
    for (const bool damages : {false, true}) {
      CAPTURE(threads);
      CAPTURE(damages);
      DamagingDestination to(destination("oci:" + (dir / "out")), damages);
      OptimizeOptions options;
      options.threads = threads;
      const ScannedLayers layers(*from, set, threads, progress);
      ImageWork work(set.images.at(0), options);
      work.merge(layers);
      work.find_facts();
      work.plan(Form::kLossless);
      WrittenLayers written;
      const auto rewrite = [&] {
        work.rewrite(&to, written);
        work.await_checks();
      };
      if (damages) {
        CHECK(contains(message_of(rewrite, Failure::kVerification), "sha256:"));
      } else {
        CHECK_NOTHROW(rewrite());
        CHECK(work.changes().at(0).kind == LayerChange::Kind::kRewritten);
        CHECK(written.size() == 1);
      }
    }
  }
}
