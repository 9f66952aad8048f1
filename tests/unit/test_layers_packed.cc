// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <limits>

#include "layers/error.h"
#include "layers/packed.h"
#include "layers/packed_layer.h"
#include "layers/scan.h"
#include "layers/tree.h"
#include "tests/support/compressed.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

enum class Colour : std::uint8_t { kRed, kGreen, kBlue };

}  // namespace

namespace imgslim {

struct Sample {
  std::uint64_t large = 0;
  std::int64_t negative = 0;
  bool flag = false;
  std::string text;
  std::optional<std::string> maybe;
  std::vector<std::pair<std::string, std::uint32_t>> list;
  std::map<std::uint16_t, std::vector<std::string>> map;
  Colour colour = Colour::kRed;
  bool operator==(const Sample&) const = default;
};

void members(auto& io, Sample& sample) {
  io(sample.large, sample.negative, sample.flag, sample.text, sample.maybe, sample.list, sample.map);
  io.choice(sample.colour, Colour::kBlue);
}

}  // namespace imgslim

namespace {

LayerTablePtr scanned(const std::string& tar) {
  const std::string blob = gzip_member(tar);
  ScanOptions options;
  options.checkpoint_every = 100000;
  options.threads = 1;
  return scan_layers({{memory_blob(blob), digest_of(blob), blob.size(), digest_of(tar), "layer"}}, options)
      .at(0);
}

std::string varied_tar() {
  TarBuilder tar;
  tar.dir("etc");
  tar.file("etc/conf", sample_text(3000));
  tar.dir("usr");
  tar.file("usr/large", sample_text(900000, 2));
  tar.file("usr/.wh.gone", "");
  return tar.closed();
}

}  // namespace

TEST_CASE("packed: values come back as they were") {
  for (const std::int64_t negative :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1234567}, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max()}) {
    Sample sample{std::numeric_limits<std::uint64_t>::max(),
                  negative,
                  true,
                  std::string("a\0b", 3),
                  "c",
                  {{"x", 7}, {"", 0}},
                  {{3, {"p", "q"}}, {65535, {}}},
                  Colour::kBlue};
    const std::string bytes = packed(sample);
    CHECK(unpacked<Sample>(bytes) == sample);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(!unpacked<Sample>(bytes.substr(0, size)));
    CHECK(!unpacked<Sample>(bytes + '\0'));
  }
}

TEST_CASE("packed: what does not fit is refused") {
  CHECK(!unpacked<std::uint8_t>(packed(std::uint32_t{256})));
  CHECK(!unpacked<std::int8_t>(packed(std::int32_t{-129})));
  CHECK(!unpacked<bool>(packed(std::uint32_t{2})));
  CHECK(!unpacked<std::string>(packed(std::uint64_t{1} << 60)));
  CHECK(!unpacked<std::vector<std::string>>(packed(std::uint64_t{1} << 60)));
  CHECK(!unpacked<std::uint64_t>(std::string(10, '\xff')));
  CHECK(!unpacked<std::uint64_t>(std::string(9, '\x80') + '\x02'));
}

TEST_CASE("packed layer: a table comes back as it was") {
  const LayerTablePtr table = scanned(varied_tar());
  REQUIRE(table->checkpoints.size() > 3);
  REQUIRE(table->hash_states.size() > 0);
  const std::string bytes = pack_layer(*table);
  const auto again = unpack_layer(bytes);
  CHECK(pack_layer(*again) == bytes);
  CHECK(again->digest == table->digest);
  CHECK(again->hash_states == table->hash_states);
  REQUIRE(again->entries.size() == table->entries.size());
  for (std::size_t i = 0; i < table->entries.size(); ++i) {
    CHECK(again->entries[i].path == table->entries[i].path);
    CHECK(again->entries[i].type == table->entries[i].type);
    CHECK(again->entries[i].data_offset == table->entries[i].data_offset);
    CHECK(again->entries[i].crc == table->entries[i].crc);
  }
}

TEST_CASE("packed layer: cut or changed bytes are refused, or a table that can be used") {
  TarBuilder tar;
  tar.dir("a");
  tar.file("a/b", "content");
  tar.file("a/.wh.c", "");
  const std::string bytes = pack_layer(*scanned(tar.closed()));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_THROWS_AS(unpack_layer(bytes.substr(0, size)), Error);
  int taken = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int change : {1, 0x7f, 0x80, 0xff}) {
      std::string bad = bytes;
      bad[at] = static_cast<char>(bad[at] ^ change);
      try {
        Tree tree;
        tree.apply(LayerTablePtr(unpack_layer(bad)));
        ++taken;
      } catch (const Error&) {
      }
    }
  }
  CHECK(taken > 0);
}
