// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/scan.h"
#include "tests/support/compressed.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

// A layer with a large file between two others, and its table.
struct LargeLayer {
  explicit LargeLayer(Compression compression) {
    TarBuilder tar;
    tar.file("a", sample_text(300001)).file("b", large).file("c", "end");
    const std::string plain = tar.closed();
    blob = compression == Compression::kGzip ? gzip_member(plain, 1) : plain;
    ScanOptions options;
    options.checkpoint_every = std::uint64_t{1} << 20;
    table =
        scan_layers({{memory_blob(blob), digest_of(blob), blob.size(), digest_of(plain), "layer"}}, options)
            .at(0);
  }
  std::string large = sample_text((std::size_t{19} << 20) + 7, 5);
  std::string blob;
  LayerTablePtr table;
};

}  // namespace

TEST_CASE("contents: a large file that several threads decode is the same") {
  for (const Compression compression : {Compression::kGzip, Compression::kNone}) {
    const LargeLayer layer(compression);
    if (compression == Compression::kGzip) CHECK(layer.table->checkpoints.size() > 10);
    for (const unsigned threads : {1u, 2u, 3u, 16u}) {
      Contents contents({layer.table}, {memory_blob(layer.blob)}, 1 << 20);
      contents.set_threads(threads);
      CAPTURE(threads);
      CHECK(contents.read({0, 1}, layer.large.size()) == layer.large);
      CHECK(contents.read({0, 2}, 9) == "end");
      CHECK_THROWS_AS(contents.read({0, 1}, layer.large.size() - 1), Error);
    }
  }
}

TEST_CASE("contents: a large file of a cut blob is an error, whatever the threads") {
  const LargeLayer layer(Compression::kGzip);
  for (const unsigned threads : {1u, 4u}) {
    const std::string cut = layer.blob.substr(0, layer.blob.size() / 2);
    Contents contents({layer.table}, {memory_blob(cut)}, 1 << 20);
    contents.set_threads(threads);
    CHECK_THROWS_AS(contents.read({0, 1}, layer.large.size()), Error);
  }
}
