// SPDX-License-Identifier: Apache-2.0
// Waste of crafted images whose answer is known.
#include <doctest/doctest.h>

#include "src/audit/words.h"
#include "tests/support/audited_image.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

ImageAudit audit(std::initializer_list<std::string_view> layers, const AuditOptions& options = {}) {
  return audit_of(layers_of_lines(layers), options);
}

std::string waste_line(const ImageAudit& audit, std::size_t i) {
  return waste_text(audit, audit.waste.groups.at(i));
}

}  // namespace

TEST_CASE("audit waste: an overwritten file") {
  const ImageAudit image = audit({"f a : 1234567890\nf b : 12345", "f a : abc"});
  CHECK(image.waste.copies == 18);
  CHECK(image.waste.visible == 8);
  CHECK(image.waste.bytes == 10);
  CHECK(image.waste.efficiency == doctest::Approx(8.0 / 18));
  REQUIRE(image.waste.groups.size() == 1);
  CHECK(image.waste.groups[0].files == 1);
  CHECK(waste_line(image, 0) == "layer 2 (RUN step-2) replaces what layer 1 brought");
  // dive counts both copies as wasted, and the smaller as what has to be there.
  CHECK(image.dive.wasted_bytes == 13);
  CHECK(image.dive.efficiency == doctest::Approx(8.0 / 18));
  CHECK(image.dive.wasted_percent == doctest::Approx(100 * 13.0 / 3));
}

TEST_CASE("audit waste: a deleted file and a deleted directory") {
  const ImageAudit image =
      audit({"f a : 1234567890\nd d\nf d/x : 12345\nf d/e/y : 123\nf keep : 1", "w a", "w d"});
  CHECK(image.waste.bytes == 18);
  CHECK(image.waste.visible == 1);
  REQUIRE(image.waste.groups.size() == 2);
  CHECK(waste_line(image, 0) == "layer 2 (RUN step-2) deletes what layer 1 brought");
  CHECK(image.waste.groups[0].bytes == 10);
  CHECK(image.waste.groups[1].bytes == 8);
  CHECK(image.waste.groups[1].files == 2);
  // dive takes the whiteout of the directory for as much as it held, but sees its path once, so that it is no
  // waste.
  CHECK(image.dive.wasted_bytes == 10);
  CHECK(image.dive.efficiency == doctest::Approx(17.0 / 27));
}

TEST_CASE("audit waste: an opaque directory, which dive does not see") {
  const ImageAudit image = audit({"d d\nf d/x : 12345\nf d/y : 123\nf z : 1", "d d\no d\nf d/x : 9"});
  CHECK(image.waste.copies == 10);
  CHECK(image.waste.visible == 2);
  CHECK(image.waste.bytes == 8);
  REQUIRE(image.waste.groups.size() == 1);
  CHECK(image.waste.groups[0].how == Visibility::kOpaque);
  CHECK(waste_line(image, 0) == "layer 2 (RUN step-2) hides a directory of layer 1 (opaque)");
  CHECK(image.dive.wasted_bytes == 6);
}

TEST_CASE("audit waste: content written again is labelled by what differs") {
  const ImageAudit image = audit({"f a : 12345\nf b : 1234\nf c : 123\nf d : 12\nf e : 1",
                                  "f a mode=0755 : 12345\nf b uid=5 : 1234\nf c mtime=5 : 123\nf d : 12\n"
                                  "f e mode=0700 gid=7 : 1"});
  CHECK(image.waste.bytes == 15);
  CHECK(image.waste.efficiency == doctest::Approx(0.5));
  REQUIRE(image.waste.groups.size() == 5);
  CHECK(image.waste.groups[0].change == "chmod");
  CHECK(image.waste.groups[1].change == "chown");
  CHECK(image.waste.groups[2].change == "touch");
  CHECK(image.waste.groups[3].change == "nothing changed");
  CHECK(image.waste.groups[4].change == "chmod and chown");
  CHECK(waste_line(image, 0) == "layer 2 (RUN step-2) writes the same content of layer 1 again (chmod)");
}

TEST_CASE("audit waste: content lives while any name of it does") {
  // The first name goes, the hard link stays.
  const ImageAudit image = audit({"f a : 12345\nh b -> a", "w a"});
  CHECK(image.waste.copies == 5);
  CHECK(image.waste.bytes == 0);
  CHECK(image.waste.efficiency == 1);
  // Both go.
  const ImageAudit gone = audit({"f a : 12345\nh b -> a\nf c : 1", "w a\nw b"});
  CHECK(gone.waste.bytes == 5);
}

TEST_CASE("audit waste: one layer") {
  const ImageAudit image = audit({"f a : 12345"});
  CHECK(image.waste.bytes == 0);
  CHECK(image.waste.efficiency == 1);
  CHECK(image.waste.user_percent == 0);
  CHECK(image.base_layers == 0);
  CHECK(!image.dive.has_percent);
  // The same name twice in one layer: only the last is there.
  const ImageAudit twice = audit({"f a : 12345\nf a : 123"});
  CHECK(twice.waste.bytes == 5);
  CHECK(twice.waste.user_percent == doctest::Approx(100 * 5.0 / 8));
}

TEST_CASE("audit waste: an image without content") {
  const ImageAudit image = audit({"d a\nl b -> a"});
  CHECK(image.waste.copies == 0);
  CHECK(image.waste.efficiency == 1);
  CHECK(image.dive.efficiency == 1);
}

TEST_CASE("audit waste: a base of several layers is not billed to the image") {
  const std::vector<LayerText> layers = layers_of_lines(
      {"f a : 1234567890\nf b : 12345", "f a : abcdefghij", "f app : 1234", "f app : 12345678"});
  AuditOptions options;
  options.base_layers = 2;
  options.base_known_by = "--base";
  const ImageAudit told = audit_of(layers, options);
  CHECK(told.waste.bytes == 14);
  CHECK(told.waste.user_bytes == 4);
  CHECK(told.waste.user_copies == 12);
  CHECK(told.waste.user_percent == doctest::Approx(100 * 4.0 / 12));
  // The base's CMD says where it ends.
  const ImageAudit guessed = audit_of(layers, {}, {{2, "CMD [\\\"sh\\\"]"}, {4, "CMD [\\\"/app\\\"]"}});
  CHECK(guessed.base_layers == 2);
  CHECK(guessed.waste.user_bytes == 4);
  // Nothing says: the first layer.
  CHECK(audit_of(layers).base_layers == 1);
}

TEST_CASE("audit waste: a step above the base that hides the base's files is billed") {
  AuditOptions options;
  options.base_layers = 1;
  const ImageAudit image = audit({"f a : 1234567890", "w a\nf b : 1"}, options);
  CHECK(image.waste.user_bytes == 10);
  CHECK(image.waste.user_percent == doctest::Approx(1000));
}

TEST_CASE("audit waste: ignored files are none") {
  AuditOptions options;
  options.ignore = {Glob("var/cache/**")};
  const ImageAudit image = audit({"f var/cache/x : 12345\nf b : 12", "w var/cache/x\nf b : 123"}, options);
  CHECK(image.waste.bytes == 2);
  CHECK(image.waste.visible == 8);
  CHECK(image.waste.groups.size() == 1);
}

TEST_CASE("audit waste: a file in the place of a directory, and a directory in that of a file") {
  const ImageAudit image = audit({"d d\nf d/x : 12345\nf f : 123", "f d : 12\nd f\nf f/y : 1"});
  CHECK(image.waste.copies == 11);
  CHECK(image.waste.visible == 3);
  REQUIRE(image.waste.groups.size() == 1);
  CHECK(image.waste.groups[0].how == Visibility::kReplaced);
  CHECK(image.waste.groups[0].files == 2);
}
