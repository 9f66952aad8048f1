// SPDX-License-Identifier: Apache-2.0
// What a layer's compression may be, and what is refused, through a whole scan of the layer.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <zlib.h>

#include "layers/error.h"
#include "layers/scan.h"
#include "tests/support/compressed.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

using namespace std::string_literals;

const std::string& small_tar() {
  static const std::string tar = TarBuilder().file("a", "content").closed();
  return tar;
}

// What scanning a blob ends with, "accepted" if it ends well. Without `plain` the DiffID is not compared.
std::string scan(const std::string& blob, const std::string& plain = {}) {
  std::optional<Digest> diff_id;
  if (!plain.empty()) diff_id = digest_of(plain);
  try {
    scan_layers({{memory_blob(blob), digest_of(blob), blob.size(), diff_id, "layer 1"}});
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    const std::string message = error.what();
    CHECK(message.starts_with("layer 1: "));
    CHECK(message.find('\n') == std::string::npos);
    return message.substr(9);
  }
  return "accepted";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

// A file of zeros in a gzip layer, of as many MiB.
std::string gzip_zeros(int mebibytes) {
  const std::string header = TarBuilder().file("zeros", std::string(1 << 20, '\0')).open().substr(0, 512);
  std::string big = header;
  // The size and the checksum of what is claimed.
  const std::string size = fmt::format("{:011o}", std::uint64_t(mebibytes) << 20);
  big.replace(124, 11, size);
  big.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : big)
    sum += static_cast<unsigned char>(c);
  big.replace(148, 8, fmt::format("{:06o}", sum) + "\0 "s);
  const std::string block = deflate_raw(std::string(1 << 20, '\0'), 9, Z_FULL_FLUSH);
  return "\x1f\x8b\x08\0\0\0\0\0\0\xff"s + deflate_raw(big, 9, Z_FULL_FLUSH) + repeat(block, mebibytes);
}

}  // namespace

TEST_CASE("bad input 41: a gzip bomb of 1000 to 1 is refused") {
  CHECK(contains(scan(gzip_zeros(4096)), "grows by more than 1000 to 1 at offset "));
}

TEST_CASE("bad input 41: a layer of 200 MiB of zeros is accepted") {
  // It is cut, since its end is not what this is about: it is read to there.
  CHECK(contains(scan(gzip_zeros(200)), "gzip data is cut"));
}

TEST_CASE("bad input 42: zstd bombs and windows of 2 GiB are refused") {
  // RFC 8878 section 3.1.1: RLE blocks of 128 KiB in four bytes.
  const std::string block("\x02\0\x10\0"s);
  const std::string header = TarBuilder().file("zeros", "").open().substr(0, 512);
  CHECK(contains(scan(zstd_frame(header) + "\x28\xb5\x2f\xfd\0\x58"s + repeat(block, 10000)),
                 "grows by more than 1000 to 1 at offset "));
  CHECK(contains(scan("\x28\xb5\x2f\xfd\0\xa8"s + repeat(block, 10)), "zstd window larger than 2^27 bytes"));
}

TEST_CASE("bad input 43: a wrong checksum is refused") {
  std::string gzip = gzip_member(small_tar());
  gzip[gzip.size() - 8] ^= 1;
  CHECK(contains(scan(gzip), "gzip crc is "));
  std::string zstd = zstd_frame(small_tar());
  zstd[zstd.size() - 1] ^= 1;
  CHECK(contains(scan(zstd), "checksum"));
}

TEST_CASE("bad input 44: a stream that is cut is refused") {
  const std::string gzip = gzip_member(small_tar());
  CHECK(contains(scan(gzip.substr(0, gzip.size() - 9)), "gzip data is cut"));
  CHECK(contains(scan(gzip.substr(0, gzip.size() - 1)), "gzip trailer is cut"));
  const std::string zstd = zstd_frame(small_tar());
  CHECK(contains(scan(zstd.substr(0, zstd.size() - 1)), "zstd data is cut"));
}

TEST_CASE("bad input 45: garbage behind the stream is refused, zeros are accepted") {
  CHECK(contains(scan(gzip_member(small_tar()) + "x"), "garbage after the compressed data"));
  CHECK(contains(scan(zstd_frame(small_tar()) + "x"), "garbage after the compressed data"));
  CHECK(scan(gzip_member(small_tar()) + std::string(512, '\0'), small_tar()) == "accepted");
}

TEST_CASE("bad input 46: compression is told by the bytes, so that any media type is accepted") {
  CHECK(scan(gzip_member(small_tar()), small_tar()) == "accepted");
  CHECK(scan(zstd_frame(small_tar()), small_tar()) == "accepted");
  CHECK(scan(small_tar(), small_tar()) == "accepted");
}

TEST_CASE("bad input 47: a blob of no bytes is accepted as an empty layer") {
  CHECK(scan("") == "accepted");
  // Half of a magic number is no layer.
  CHECK(scan("\x1f") != "accepted");
}

TEST_CASE("bad input 48: a million empty gzip members are refused") {
  CHECK(contains(scan(repeat(gzip_member(""), 1000000)), "more than 100000 compressed members"));
}

TEST_CASE("bad input 49: xz and bzip2 are named and refused") {
  CHECK(
      contains(scan("\xfd\x37zXZ\0\0\0\0\0"s), "xz-compressed layers are not supported, only gzip and zstd"));
  CHECK(contains(scan("BZh91AY&SY\0\0"s), "bzip2-compressed layers are not supported"));
}

TEST_CASE("bad input 60: a DiffID that is not that of the content is refused") {
  CHECK(contains(scan(gzip_member(small_tar()), "another layer"), "not the DiffID sha256:"));
}
