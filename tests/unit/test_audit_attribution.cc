// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <random>

#include "layers/compression.h"
#include "src/audit/words.h"
#include "tests/support/audited_image.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

void check_sums(const ImageAudit& image) {
  for (std::uint32_t i = 0; i < image.tables.size(); ++i) {
    CHECK(attributed(image, i) == image.tables[i]->plain_size);
    CHECK(image.layers[i].unpacked.sum() == image.tables[i]->plain_size);
    CHECK(attributed_compressed(image, i) == image.tables[i]->blob_size);
    CHECK(image.layers[i].unpacked.unknown == 0);
  }
  Bytes packages;
  for (const NamedSum& sum : image.package_sums)
    packages += sum.bytes;
  Bytes root;
  for (const NamedSum& sum : image.directory_sums) {
    if (sum.name.empty()) root = sum.bytes;
  }
  CHECK(packages.files == image.entries());
  CHECK(root.files == image.entries());
  CHECK(packages.unpacked == root.unpacked);
}

// A layer of files, links, directories, whiteouts with names of all lengths.
std::string random_layer(std::mt19937& random) {
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  std::string lines;
  std::vector<std::string> files;
  for (unsigned i = 0, count = 1 + below(30); i < count; ++i) {
    std::string path = "d" + std::to_string(below(5)) + "/";
    if (below(4) == 0) path += "e" + std::to_string(below(3)) + "/";
    path += std::string(1 + below(3) * 90, 'n') + std::to_string(below(8));
    switch (below(8)) {
      case 0:
        lines += "w d" + std::to_string(below(5)) + "\n";
        break;
      case 1:
        lines += "o d" + std::to_string(below(5)) + "\n";
        break;
      case 2:
        lines += "l l" + path + " -> somewhere\n";
        break;
      case 3:
        if (!files.empty())
          lines +=
              "h h" + std::to_string(i) + " -> " + files[below(static_cast<unsigned>(files.size()))] + "\n";
        break;
      default:
        files.push_back(path);
        lines += "f " + path + " mode=0" + std::to_string(600 + below(8) * 10) + " : " +
                 std::string(below(3) * 300, static_cast<char>('a' + below(4))) + "\n";
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("audit attribution: rows add up to the bytes of each layer") {
  const std::string long_name(180, 'n');
  check_sums(audit_of(
      layers_of_lines({"f a : 12345\nd b\nl c -> a\nh e -> a", "w a\no b\nf " + long_name + " : 1"})));
}

TEST_CASE("audit attribution: rows add up on generated images") {
  std::mt19937 random(7);
  for (int image = 0; image < 20; ++image) {
    std::vector<LayerText> layers;
    for (unsigned i = 0, count = 1 + static_cast<unsigned>(random() % 5); i < count; ++i)
      layers.push_back({tar_of_lines(random_layer(random)), "RUN x"});
    INFO("image " << image);
    check_sums(audit_of(layers));
  }
}

TEST_CASE("audit attribution: every file that is not visible names what hid it") {
  const ImageAudit image = audit_of(layers_of_lines({"f a : 1\nf d/x : 1\nf o/x : 1\nf s : 1\nl link -> a",
                                                     "w a\nw d\no o", "f s : 2\nf link : 1", "f a : 2"}));
  const auto row = [&](std::uint32_t layer, std::uint32_t entry) { return image.layers[layer].rows[entry]; };
  CHECK(row(0, 0).visibility == Visibility::kDeleted);
  CHECK(row(0, 0).hidden_by == 1);
  CHECK(row(0, 1).visibility == Visibility::kDeleted);
  CHECK(row(0, 2).visibility == Visibility::kOpaque);
  CHECK(row(0, 3).visibility == Visibility::kReplaced);
  CHECK(row(0, 3).hidden_by == 2);
  CHECK(row(0, 4).visibility == Visibility::kReplaced);
  CHECK(row(1, 0).visibility == Visibility::kMarker);
  CHECK(row(3, 0).visibility == Visibility::kVisible);
}

TEST_CASE("audit attribution: build steps are read as people wrote them") {
  CHECK(step_text("/bin/sh -c apt-get update") == "RUN apt-get update");
  CHECK(step_text("RUN /bin/sh -c make all # buildkit") == "RUN make all");
  CHECK(step_text("/bin/sh -c #(nop) ADD file:abc in / ") == "ADD file:abc in / ");
  CHECK(step_text("COPY . . # buildkit") == "COPY . .");
  CHECK(step_text("RUN /bin/sh -c a \\t&&\n\tb # buildkit") == "RUN a \\x5ct&& b");
  CHECK(step_text("") == "");
}

TEST_CASE("audit: equal content under other names and across images") {
  std::vector<ImageAudit> images;
  images.push_back(
      audit_of(layers_of_lines({"f a : 1234567890\nf b : 1234567890\nf c : 12345"}), {}, {}, "one"));
  images.push_back(audit_of(layers_of_lines({"f x : 12345\nf y : other"}), {}, {}, "two"));
  const Audit audit = combine(std::move(images));
  REQUIRE(audit.equal.size() == 2);
  CHECK(audit.equal[0].saving == 10);
  CHECK(!audit.equal[0].across_images);
  CHECK(audit.equal[1].saving == 5);
  CHECK(audit.equal[1].across_images);
}

TEST_CASE("audit: a layer that images share is stored once") {
  const std::vector<LayerText> base = layers_of_lines({"f a : 1234567890"});
  std::vector<LayerText> more = base;
  more.push_back({tar_of_lines("f b : 1"), "COPY b"});
  std::vector<ImageAudit> images;
  images.push_back(audit_of(base, {}, {}, "one"));
  images.push_back(audit_of(more, {}, {}, "two"));
  const Audit audit = combine(std::move(images));
  CHECK(audit.equal.empty());
  CHECK(audit.shared_layer_bytes == base[0].tar.size());
}
