// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "layers/compression.h"
#include "layers/error.h"
#include "tests/support/compressed.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

// Counts the bytes read through it.
class CountingBlob : public Blob {
 public:
  explicit CountingBlob(std::string bytes) : blob_(memory_blob(std::move(bytes))) {}
  std::uint64_t size() const override { return blob_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    blob_->read_at(offset, into);
    read_ += into.size();
  }
  std::uint64_t read() const { return read_; }

 private:
  BlobPtr blob_;
  mutable std::atomic<std::uint64_t> read_{0};
};

std::vector<Checkpoint> checkpoints_of(const BlobPtr& blob, Compression compression) {
  Decoder decoder(blob, compression, {}, nullptr, 500000);
  decode_all(decoder);
  return decoder.take_checkpoints();
}

std::string read_from(const Blob& blob, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  blob.read_at(offset, std::as_writable_bytes(std::span<char>(bytes)));
  return bytes;
}

std::string zstd_frames(const std::string& text, std::size_t step) {
  std::string frames;
  for (std::size_t at = 0; at < text.size(); at += step)
    frames += zstd_frame(text.substr(at, step));
  return frames;
}

}  // namespace

TEST_CASE("plain blob: reads anywhere equal the text") {
  const std::string text = sample_text(5000000);
  for (const auto& [bytes, compression] :
       {std::pair{gzip_member(text), Compression::kGzip},
        std::pair{zstd_frames(text, 300000), Compression::kZstd},
        std::pair{zstd_frame(text), Compression::kZstd}, std::pair{text, Compression::kNone}}) {
    const BlobPtr blob = memory_blob(bytes);
    const PlainBlob plain(blob, compression, checkpoints_of(blob, compression), text.size(), 1 << 20);
    CHECK(plain.size() == text.size());
    std::uint64_t state = 7;
    for (int i = 0; i < 60; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const std::size_t offset = (state >> 33) % text.size();
      const std::size_t length = std::min<std::size_t>((state >> 20) % 700000, text.size() - offset);
      CHECK(read_from(plain, offset, length) == text.substr(offset, length));
    }
    CHECK(read_from(plain, text.size(), 0).empty());
    CHECK(read_from(plain, 0, text.size()) == text);
    CHECK_THROWS_AS(read_from(plain, text.size() - 3, 4), Error);
    CHECK_THROWS_AS(read_from(plain, ~std::uint64_t{0}, 4), Error);
  }
}

TEST_CASE("plain blob: reading onwards decodes nothing twice") {
  const std::string text = sample_text(8000000);
  const auto blob = std::make_shared<CountingBlob>(gzip_member(text));
  const std::vector<Checkpoint> checkpoints = checkpoints_of(blob, Compression::kGzip);
  REQUIRE(checkpoints.size() > 10);
  const PlainBlob plain(blob, Compression::kGzip, checkpoints, text.size(), 1 << 20);
  const std::uint64_t before = blob->read();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = std::min<std::size_t>(1 + at % 60000, text.size() - at);
    REQUIRE(read_from(plain, at, length) == text.substr(at, length));
    at += length;
  }
  CHECK(blob->read() - before == blob->size());
}

TEST_CASE("plain blob: a far read begins at its checkpoint") {
  const std::string text = sample_text(8000000);
  const auto blob = std::make_shared<CountingBlob>(gzip_member(text));
  const PlainBlob plain(blob, Compression::kGzip, checkpoints_of(blob, Compression::kGzip), text.size());
  const std::uint64_t before = blob->read();
  CHECK(read_from(plain, 7000000, 10) == text.substr(7000000, 10));
  CHECK(blob->read() - before < blob->size() / 4);
}

TEST_CASE("plain blob: what is forgotten is read again") {
  const std::string text = sample_text(3000000, 5);
  const BlobPtr blob = memory_blob(gzip_member(text));
  const PlainBlob plain(blob, Compression::kGzip, checkpoints_of(blob, Compression::kGzip), text.size());
  for (int i = 0; i < 3; ++i) {
    std::string part(1000, '\0');
    plain.read_at(1234567, std::as_writable_bytes(std::span(part)));
    CHECK(part == text.substr(1234567, 1000));
    plain.forget();
  }
}

TEST_CASE("plain blob: two places are read in turn without starting over") {
  const std::string text = sample_text(8000000);
  const auto blob = std::make_shared<CountingBlob>(gzip_member(text));
  const PlainBlob plain(blob, Compression::kGzip, std::vector<Checkpoint>{}, text.size(), 1 << 20);
  const std::uint64_t before = blob->read();
  for (std::size_t at = 0; at < 4000000; at += 50000) {
    REQUIRE(read_from(plain, at, 50000) == text.substr(at, 50000));
    REQUIRE(read_from(plain, 4000000 + at, 50000) == text.substr(4000000 + at, 50000));
  }
  CHECK(blob->read() - before < 2 * blob->size());
}

TEST_CASE("plain blob: threads may read at once") {
  const std::string text = sample_text(3000000);
  const BlobPtr blob = memory_blob(gzip_member(text));
  const PlainBlob plain(blob, Compression::kGzip, checkpoints_of(blob, Compression::kGzip), text.size(),
                        1 << 20);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t at = t * 1000; at + 5000 < text.size(); at += 150000) {
          if (read_from(plain, at, 5000) != text.substr(at, 5000)) ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("plain blob: a size that is not true is an error") {
  const std::string text = sample_text(300000);
  const PlainBlob plain(memory_blob(gzip_member(text)), Compression::kGzip, {}, text.size() + 1);
  CHECK(read_from(plain, 1000, 1000) == text.substr(1000, 1000));
  CHECK_THROWS_AS(read_from(plain, text.size(), 1), Error);
  CHECK(read_from(plain, 2000, 1000) == text.substr(2000, 1000));
}
