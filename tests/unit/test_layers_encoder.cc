// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "layers/compression.h"
#include "layers/digest.h"
#include "layers/error.h"
#include "tests/support/compressed.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::string run_tool(const std::string& command, const std::string& input) {
  std::string folder = (std::filesystem::temp_directory_path() / "imgslim-encoder-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::ofstream(folder + "/in", std::ios::binary) << input;
  CHECK(std::system((command + " < " + folder + "/in > " + folder + "/out").c_str()) == 0);
  std::ifstream out(folder + "/out", std::ios::binary);
  std::string result((std::istreambuf_iterator<char>(out)), {});
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace

TEST_CASE("encoder: gzip comes back from zlib, whatever the size") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kMiB - 1, kMiB, kMiB + 1, 2 * kMiB, 3 * kMiB + 12345}) {
    const std::string text = sample_text(size);
    for (const unsigned threads : {1u, 3u}) {
      const std::string bytes = encode(text, Compression::kGzip, 0, threads);
      CHECK(zlib_decode(bytes) == text);
      CHECK(decode_all(bytes, Compression::kGzip) == text);
    }
  }
}

TEST_CASE("encoder: the bytes depend on content and level alone") {
  const std::string text = sample_text(9 * kMiB + 77);
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    for (const int level : {1, 6}) {
      const std::string bytes = encode(text, compression, level, 1);
      CHECK(bytes.size() < text.size());
      CHECK(encode(text, compression, level, 2, 4096) == bytes);
      CHECK(encode(text, compression, level, 8, text.size()) == bytes);
      CHECK(encode(text, compression, level, 2, 3 * kMiB) == bytes);
    }
  }
}

TEST_CASE("encoder: zstd comes back from libzstd") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, 5 * kMiB}) {
    const std::string text = sample_text(size);
    const std::string bytes = encode(text, Compression::kZstd, 0, 2);
    CHECK(zstd_decode(bytes) == text);
    CHECK(decode_all(bytes, Compression::kZstd) == text);
    // RFC 8878 section 3.1.1.1.1: the frame header says that a checksum follows.
    CHECK((bytes[4] & 0x04) == 0x04);
  }
}

TEST_CASE("encoder: gzip and zstd tools agree") {
  const std::string text = sample_text(2 * kMiB + 5);
  CHECK(run_tool("gzip -dc", encode(text, Compression::kGzip, 0, 2)) == text);
  CHECK(decode_all(run_tool("gzip -c", text), Compression::kGzip) == text);
  CHECK(run_tool("zstd -qdc", encode(text, Compression::kZstd, 0, 2)) == text);
  CHECK(decode_all(run_tool("zstd -qc -19", text), Compression::kZstd) == text);
}

TEST_CASE("encoder: the gzip header says nothing of time and place") {
  const std::string text = sample_text(1000);
  CHECK(encode(text, Compression::kGzip, 0).substr(0, 10) ==
        std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10));
  CHECK(encode(text, Compression::kGzip, 9)[8] == 2);
  CHECK(encode(text, Compression::kGzip, 1)[8] == 4);
}

TEST_CASE("encoder: blocks are primed with what came before") {
  // The same 20 KiB of noise over and over: only a dictionary finds the repeat across a block's border.
  std::string noise;
  std::uint64_t state = 5;
  while (noise.size() < 20000) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    noise += static_cast<char>(state >> 40);
  }
  std::string text;
  while (text.size() < 8 * kMiB)
    text += noise;
  CHECK(encode(text, Compression::kGzip).size() <
        encode(text.substr(0, kMiB), Compression::kGzip).size() + 7 * 12000);
}

TEST_CASE("encoder: levels outside the format are refused") {
  const auto sink = sink_to([](std::span<const std::byte>) {});
  CHECK_THROWS_AS(make_encoder(Compression::kGzip, 10, 1, *sink), Error);
  CHECK_THROWS_AS(make_encoder(Compression::kGzip, -1, 1, *sink), Error);
  CHECK_THROWS_AS(make_encoder(Compression::kZstd, 23, 1, *sink), Error);
}

TEST_CASE("encoder: an encoder that is not finished ends its threads") {
  const auto sink = sink_to([](std::span<const std::byte>) {});
  const auto encoder = make_encoder(Compression::kGzip, 9, 4, *sink);
  encoder->write(as_bytes(sample_text(6 * kMiB)));
}

TEST_CASE("encoder: errors of the sink come through") {
  const auto sink = sink_to([](std::span<const std::byte>) { throw Error(Failure::kIo, "no space"); });
  const std::string text = sample_text(9 * kMiB);
  const auto write = [&] {
    const auto encoder = make_encoder(Compression::kGzip, 1, 2, *sink);
    encoder->write(as_bytes(text));
    encoder->finish();
  };
  CHECK_THROWS_WITH_AS(write(), "no space", Error);
}

TEST_CASE("encoder: no compression copies") {
  CHECK(encode("abc", Compression::kNone) == "abc");
  CHECK(encoder_versions().starts_with("zlib 1."));
  CHECK(encoder_versions().find(", zstd 1.") != std::string::npos);
}
