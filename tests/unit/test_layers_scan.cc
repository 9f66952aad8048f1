// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "layers/error.h"
#include "layers/scan.h"
#include "tests/support/compressed.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// A layer with files of `sizes` bytes.
std::string layer_tar(const std::vector<std::size_t>& sizes, std::uint64_t seed = 1) {
  TarBuilder tar;
  tar.dir("data");
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    tar.file("data/" + std::to_string(i), sample_text(sizes[i], seed + i));
  }
  return tar.closed();
}

ScanJob job_of(const std::string& tar, const std::string& blob, const std::string& what = "layer") {
  return {memory_blob(blob), digest_of(blob), blob.size(), digest_of(tar), what};
}

ScanJob gzip_job(const std::string& tar, const std::string& what = "layer") {
  return job_of(tar, gzip_member(tar), what);
}

std::string scan_error(const std::vector<ScanJob>& jobs, unsigned threads) {
  ScanOptions options;
  options.threads = threads;
  try {
    scan_layers(jobs, options);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "none";
}

// Keeps the length of each file's content.
class LengthObserver : public EntryObserver {
 public:
  std::string_view kind() const override { return "length"; }
  bool wants(const Entry&) override { return length_ = 0, true; }
  void data(std::span<const std::byte> bytes) override { length_ += bytes.size(); }
  std::optional<std::string> end(const Entry&) override { return std::to_string(length_); }

 private:
  std::size_t length_ = 0;
};

}  // namespace

TEST_CASE("scan: tables are the same for any number of threads") {
  std::vector<ScanJob> jobs;
  std::vector<std::string> tars;
  for (std::size_t i = 0; i < 7; ++i) {
    tars.push_back(layer_tar({i * 100000, 5, 3000000 / (i + 1), 700000}, i));
    const std::string blob = i % 3 == 0 ? gzip_member(tars[i]) : i % 3 == 1 ? zstd_frame(tars[i]) : tars[i];
    jobs.push_back(job_of(tars[i], blob));
  }
  for (const unsigned threads : {1u, 2u, 3u, 8u, 0u}) {
    ScanOptions options;
    options.threads = threads;
    options.checkpoint_every = 500000;
    const auto tables = scan_layers(jobs, options);
    REQUIRE(tables.size() == jobs.size());
    for (std::size_t i = 0; i < tables.size(); ++i) {
      const LayerTable& table = *tables[i];
      CHECK(table.digest == jobs[i].digest);
      CHECK(table.diff_id == jobs[i].diff_id);
      CHECK(table.blob_size == jobs[i].size);
      CHECK(table.plain_size == tars[i].size());
      CHECK(table.compression == (i % 3 == 0   ? Compression::kGzip
                                  : i % 3 == 1 ? Compression::kZstd
                                               : Compression::kNone));
      REQUIRE(table.entries.size() == 5);
      CHECK(table.entries[3].path == "data/2");
      CHECK(table.entries[3].size == 3000000 / (i + 1));
      // Each at the end of a block, the first after so many bytes.
      if (i % 3 == 0) CHECK(table.checkpoints.size() + 1 >= tars[i].size() / 800000);
      const PlainBlob plain(jobs[i].blob, table.compression, table.checkpoints, table.plain_size);
      const Entry& last = table.entries[4];
      CHECK(read_all(*sub_blob(std::make_shared<PlainBlob>(jobs[i].blob, table.compression, table.checkpoints,
                                                           table.plain_size),
                               last.data_offset, last.size),
                     last.size, "file") == sample_text(700000, i + 3));
    }
  }
}

TEST_CASE("scan: nothing to scan is no error") {
  CHECK(scan_layers({}).empty());
}

TEST_CASE("scan: the layers together are bounded, whatever the number of threads") {
  std::vector<ScanJob> jobs;
  for (std::size_t i = 0; i < 4; ++i)
    jobs.push_back(gzip_job(layer_tar({10, 20, 30}, i)));
  for (const unsigned threads : {1u, 3u}) {
    ScanOptions options;
    options.threads = threads;
    options.what = "oci:x";
    options.max_entries = 16;
    CHECK(scan_layers(jobs, options).size() == 4);
    const auto refusal = [&] {
      try {
        scan_layers(jobs, options);
      } catch (const Error& error) {
        CHECK(error.failure() == Failure::kBadImage);
        return std::string(error.what());
      }
      return std::string("accepted");
    };
    options.max_entries = 15;
    CHECK(refusal() == "oci:x: the layers have more than 15 entries in all");
    options.max_entries = 16;
    options.max_text_bytes = 100;
    CHECK(refusal() == "oci:x: the names in the layers take more than 100 bytes in all");
  }
}

TEST_CASE("scan: size, digest and DiffID must hold") {
  const std::string tar = layer_tar({1000});
  const std::string other = digest_of("other").text();
  for (const unsigned threads : {1u, 2u}) {
    ScanJob size = gzip_job(tar, "layer a");
    size.size += 1;
    CHECK(scan_error({size}, threads) ==
          "layer a: blob has " + std::to_string(size.size - 1) + " bytes, not " + std::to_string(size.size));
    ScanJob digest = gzip_job(tar, "layer b");
    const std::string is = digest.digest.text();
    digest.digest = *Digest::parse(other);
    CHECK(scan_error({digest}, threads) == "layer b: blob has digest " + is + ", not " + other);
    ScanJob diff_id = gzip_job(tar, "layer c");
    diff_id.diff_id = Digest::parse(other);
    CHECK(scan_error({diff_id}, threads) ==
          "layer c: plain bytes have digest " + digest_of(tar).text() + ", not the DiffID " + other);
    diff_id.diff_id.reset();
    CHECK(scan_error({diff_id}, threads) == "none");
  }
}

TEST_CASE("scan: damage on the way is told from malformed layers") {
  const std::string tar = layer_tar({1000});
  const std::string good = gzip_member(tar);
  std::string bad = good;
  bad[bad.size() / 2] ^= 0x55;
  // The manifest names the bytes as they are: they are malformed.
  CHECK_FALSE(contains(scan_error({job_of(tar, bad)}, 2), "digest"));
  // It names others: they are damaged.
  ScanJob damaged = job_of(tar, bad);
  damaged.digest = digest_of(good);
  CHECK(contains(scan_error({damaged}, 2), "blob has digest " + digest_of(bad).text() + ", not"));
  CHECK(contains(scan_error({job_of(tar, good.substr(0, good.size() - 9))}, 2), "gzip"));
  CHECK(contains(scan_error({job_of(tar,
                                    "\xfd"
                                    "7zXZ\0\0" +
                                        tar)},
                            2),
                 "layer: "));
}

TEST_CASE("scan: the first job that fails gives the error") {
  std::vector<ScanJob> jobs;
  for (int i = 0; i < 12; ++i) {
    // The later, the larger, so that later ones are begun first.
    jobs.push_back(
        gzip_job(layer_tar({static_cast<std::size_t>(i + 1) * 100000}), "layer " + std::to_string(i)));
  }
  for (const std::size_t bad : {3, 7, 11}) {
    jobs[bad].diff_id = digest_of("other");
  }
  for (const unsigned threads : {1u, 2u, 8u}) {
    CHECK(scan_error(jobs, threads).starts_with("layer 3: plain bytes"));
  }
}

TEST_CASE("scan: of two errors in a layer the first in the stream counts") {
  const std::string tar = layer_tar({3000000});
  std::string twice = tar;
  twice[512] ^= 1;  // in the header of the file
  const std::string blob = gzip_member(twice);
  const ScanJob cut = job_of(twice, blob.substr(0, blob.size() - 1000));
  const std::string message = scan_error({cut}, 1);
  CHECK_FALSE(contains(message, "is cut"));
  for (int i = 0; i < 20; ++i)
    CHECK(scan_error({cut}, 3) == message);
}

TEST_CASE("scan: observers are made per layer and see contents") {
  const std::vector<ScanJob> jobs{gzip_job(layer_tar({10, 20})), gzip_job(layer_tar({30}))};
  ScanOptions options;
  options.threads = 2;
  std::vector<std::size_t> made;
  options.observers = [&](std::size_t job) {
    made.push_back(job);
    Observers observers;
    observers.push_back(std::make_unique<LengthObserver>());
    return observers;
  };
  const auto tables = scan_layers(jobs, options);
  CHECK(made.size() == 2);
  REQUIRE(tables[0]->observations.size() == 2);
  CHECK(tables[0]->observations[1].data == "20");
  REQUIRE(tables[1]->observations.size() == 1);
  CHECK(tables[1]->observations[0].data == "30");
}

TEST_CASE("scan: progress ends with all bytes, and its errors come through") {
  const std::vector<ScanJob> jobs{gzip_job(layer_tar({300000})), gzip_job(layer_tar({200000}))};
  ScanOptions options;
  options.threads = 2;
  std::uint64_t last = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done >= last);
    CHECK(done <= total);
    CHECK(total == jobs[0].size + jobs[1].size);
    last = done;
  };
  scan_layers(jobs, options);
  CHECK(last == jobs[0].size + jobs[1].size);
  options.observers = [](std::size_t) -> Observers { throw std::runtime_error("no observers"); };
  CHECK_THROWS_WITH_AS(scan_layers(jobs, options), "no observers", std::runtime_error);
}

TEST_CASE("scan: zero bytes after the gzip data are noted") {
  const std::string tar = layer_tar({10});
  const auto tables = scan_layers({job_of(tar, gzip_member(tar) + std::string(700000, '\0'))});
  REQUIRE(tables[0]->warnings.size() == 1);
  CHECK(tables[0]->warnings[0] == "700000 zero bytes follow the compressed data");
}

TEST_CASE("scan: blobs that decode to little are hashed in bounded memory") {
  // Far more bytes of the blob than of the layer: the pieces between threads run full.
  const std::string tar = layer_tar({10});
  std::string blob;
  for (int i = 0; i < 40; ++i) {
    blob += std::string("\x50\x2a\x4d\x18\x00\x00\x10\x00", 8) + std::string(1 << 20, 'x');
  }
  blob += zstd_frame(tar);
  for (const unsigned threads : {1u, 2u, 4u}) {
    ScanOptions options;
    options.threads = threads;
    CHECK(scan_layers({job_of(tar, blob)}, options)[0]->entries.size() == 2);
  }
}
