// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <zlib.h>

#include "layers/compression.h"
#include "layers/digest.h"
#include "layers/error.h"
#include "tests/support/compressed.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

using namespace std::string_literals;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("decoder: gzip of every level and size comes back") {
  for (const std::size_t size : {0, 1, 7, 1000, 32768, 65536, 262144, 3000001}) {
    const std::string text = sample_text(size);
    for (const int level : {0, 1, 6, 9}) {
      CHECK(decode_all(gzip_member(text, level), Compression::kGzip) == text);
    }
  }
}

TEST_CASE("decoder: output buffers of any size give the same bytes") {
  const std::string text = sample_text(100000);
  for (const auto& [bytes, compression] :
       {std::pair{gzip_member(text), Compression::kGzip}, std::pair{zstd_frame(text), Compression::kZstd},
        std::pair{text, Compression::kNone}}) {
    for (const std::size_t step : {1, 3, 511, 32768, 99999, 200000}) {
      Decoder decoder(memory_blob(bytes), compression);
      CHECK(decode_all(decoder, step) == text);
      CHECK(decoder.plain_offset() == text.size());
    }
  }
}

TEST_CASE("decoder: members and frames follow each other at any offset") {
  // Members end at all places relative to the decoder's own input buffer.
  std::string gzip;
  std::string zstd;
  std::string text;
  for (std::size_t i = 0; gzip.size() < 600000; ++i) {
    const std::string piece = sample_text(i * 37 % 20000, i);
    text += piece;
    gzip += i % 5 == 0 ? gzip_member_with_header_fields(piece) : gzip_member(piece);
    zstd += zstd_frame(piece);
    if (i % 7 == 0) zstd += "\x5a\x2a\x4d\x18\x05\0\0\0skip!"s;
  }
  CHECK(decode_all(gzip, Compression::kGzip) == text);
  CHECK(decode_all(zstd, Compression::kZstd) == text);
}

TEST_CASE("decoder: the tap sees each byte of the blob once") {
  const std::string text = sample_text(2000000);
  for (const auto& [bytes, compression] :
       {std::pair{gzip_member(text) + std::string(3000, '\0'), Compression::kGzip},
        std::pair{zstd_frame(text) + zstd_frame(""), Compression::kZstd},
        std::pair{text, Compression::kNone}}) {
    std::string seen;
    const auto tap = sink_to([&](std::span<const std::byte> part) { seen += as_text(part); });
    Decoder decoder(memory_blob(bytes), compression, {}, tap.get());
    CHECK(decode_all(decoder) == text);
    CHECK(seen == bytes);
    CHECK(decoder.trailing_zeros() == (compression == Compression::kGzip ? 3000 : 0));
  }
}

TEST_CASE("decoder: decoding goes on from every checkpoint") {
  const std::string text = sample_text(3000000);
  std::string members;
  for (std::size_t at = 0; at < text.size(); at += 70000)
    members += gzip_member(text.substr(at, 70000));
  std::string frames;
  for (std::size_t at = 0; at < text.size(); at += 70000)
    frames += zstd_frame(text.substr(at, 70000));
  for (const auto& [bytes, compression, least] :
       // A checkpoint comes with the first block or member that ends after so many bytes.
       {std::tuple{gzip_member(text), Compression::kGzip, 15},
        std::tuple{gzip_member(text, 0), Compression::kGzip, 15}, std::tuple{members, Compression::kGzip, 15},
        std::tuple{frames, Compression::kZstd, 15}, std::tuple{zstd_frame(text), Compression::kZstd, 0}}) {
    const BlobPtr blob = memory_blob(bytes);
    Decoder decoder(blob, compression, {}, nullptr, 100000);
    CHECK(decode_all(decoder) == text);
    const std::vector<Checkpoint> checkpoints = decoder.take_checkpoints();
    CHECK(checkpoints.size() >= static_cast<std::size_t>(least));
    for (const Checkpoint& checkpoint : checkpoints) {
      Decoder resumed(blob, compression, checkpoint);
      CHECK(resumed.plain_offset() == checkpoint.plain_offset);
      CHECK(decode_all(resumed) == text.substr(checkpoint.plain_offset));
    }
  }
}

TEST_CASE("decoder: a checkpoint may lie behind the last byte of deflate data") {
  // ISA-L reads ahead: here all input is taken, trailer included, before the first checkpoint.
  const std::string text(9000, 'x');
  for (const std::string& bytes : {gzip_member(text), gzip_member(text) + gzip_member(text)}) {
    const BlobPtr blob = memory_blob(bytes);
    Decoder decoder(blob, Compression::kGzip, {}, nullptr, 1000);
    const std::string plain = decode_all(decoder);
    for (const Checkpoint& checkpoint : decoder.take_checkpoints()) {
      Decoder resumed(blob, Compression::kGzip, checkpoint);
      CHECK(decode_all(resumed) == plain.substr(checkpoint.plain_offset));
    }
  }
}

TEST_CASE("decoder: a damaged checkpoint is refused") {
  const BlobPtr blob = memory_blob(gzip_member(sample_text(300000)));
  Decoder decoder(blob, Compression::kGzip, {}, nullptr, 100000);
  decode_all(decoder);
  const Checkpoint checkpoint = decoder.take_checkpoints().at(0);
  Checkpoint bit = checkpoint;
  bit.state[0] = 8;
  CHECK_THROWS_AS(Decoder(blob, Compression::kGzip, bit), Error);
  Checkpoint cut = checkpoint;
  cut.state.resize(8);
  CHECK_THROWS_AS(Decoder(blob, Compression::kGzip, cut), Error);
  Checkpoint window = checkpoint;
  window.state += '\0';
  CHECK_THROWS_AS(Decoder(blob, Compression::kGzip, window), Error);
  window.state = checkpoint.state.substr(0, 9) + zstd_frame(std::string(32768, 'x'));
  CHECK_NOTHROW(Decoder(blob, Compression::kGzip, window));
  window.state = checkpoint.state.substr(0, 9) + zstd_frame(std::string(32769, 'x'));
  CHECK_THROWS_AS(Decoder(blob, Compression::kGzip, window), Error);
  CHECK_THROWS_AS(Decoder(blob, Compression::kGzip, Checkpoint{blob->size() + 1, 0, {}}), Error);
}

TEST_CASE("decoder: whatever a checkpoint says, decoding ends") {
  const std::string text = sample_text(300000);
  const BlobPtr blob = memory_blob(gzip_member(text));
  Decoder decoder(blob, Compression::kGzip, {}, nullptr, 100000);
  decode_all(decoder);
  const Checkpoint good = decoder.take_checkpoints().at(0);
  const std::string window = text.substr(good.plain_offset - 32768, 32768);
  int wrong = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    Checkpoint bad = good;
    bad.blob_offset = (good.blob_offset + i * 37) % blob->size();
    bad.state[0] = static_cast<char>(i % 8);
    bad.state.replace(9, std::string::npos, zstd_frame(window.substr(0, i * 81)));
    try {
      Decoder resumed(blob, Compression::kGzip, bad);
      if (decode_all(resumed) != text.substr(good.plain_offset)) ++wrong;
    } catch (const Error&) {
      ++wrong;
    }
  }
  CHECK(wrong > 390);
}

TEST_CASE("decoder: truncation at every byte is an error") {
  const std::string text = sample_text(3000);
  for (const auto& [bytes, compression] :
       {std::pair{gzip_member_with_header_fields(text), Compression::kGzip},
        std::pair{zstd_frame(text), Compression::kZstd}}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::string message = decode_error(bytes.substr(0, size), compression);
      CAPTURE(size);
      CAPTURE(message);
      // A zstd frame header that is cut looks like no frame.
      CHECK((contains(message, " is cut at offset " + std::to_string(size)) ||
             contains(message, "no zstd frame at offset 0") ||
             contains(message, "frame is missing at offset 0")));
    }
  }
}

TEST_CASE("decoder: flipped bits do not pass") {
  const std::string text = sample_text(2000);
  const std::string gzip = gzip_member(text);
  // Behind the gzip header, whose time, XFL and OS mean nothing.
  for (std::size_t at = 10; at < gzip.size(); ++at) {
    std::string bytes = gzip;
    bytes[at] ^= 1;
    CHECK(decode_error(bytes, Compression::kGzip) != "none");
  }
  std::string crc = gzip;
  crc[crc.size() - 8] ^= 1;
  CHECK(contains(decode_error(crc, Compression::kGzip), "gzip crc is"));
  std::string size = gzip;
  size[size.size() - 1] ^= 1;
  CHECK(contains(decode_error(size, Compression::kGzip), "gzip size is"));
  std::string zstd = zstd_frame(text);
  zstd[zstd.size() - 1] ^= 1;
  CHECK(contains(decode_error(zstd, Compression::kZstd), "checksum"));
  std::string header = gzip_member_with_header_fields(text);
  header[4] ^= 1;
  CHECK(contains(decode_error(header, Compression::kGzip), "header checksum"));
}

TEST_CASE("decoder: what follows the last member") {
  const std::string gzip = gzip_member("abc");
  CHECK(decode_all(gzip + std::string(100000, '\0'), Compression::kGzip) == "abc");
  CHECK(decode_error(gzip + "x", Compression::kGzip) == "garbage after the compressed data at offset 23");
  CHECK(decode_error(gzip + "\0\0x"s, Compression::kGzip) ==
        "garbage after the compressed data at offset 25");
  CHECK(contains(decode_error(gzip + "\x1f", Compression::kGzip), "gzip header is cut at offset 24"));
  CHECK(contains(decode_error(gzip + "\0"s + gzip, Compression::kGzip), "garbage"));
  const std::string zstd = zstd_frame("abc");
  CHECK(contains(decode_error(zstd + "x", Compression::kZstd), "garbage after the compressed data"));
  CHECK(contains(decode_error(zstd + "\0\0\0\0"s, Compression::kZstd), "garbage after the compressed data"));
}

TEST_CASE("decoder: empty and foreign blobs are errors") {
  CHECK(decode_error("", Compression::kGzip) == "gzip header is cut at offset 0");
  CHECK(decode_error("", Compression::kZstd) == "zstd frame is missing at offset 0");
  CHECK(contains(decode_error("not compressed", Compression::kGzip), "no gzip header"));
  CHECK(contains(decode_error("not compressed", Compression::kZstd), "no zstd frame"));
  CHECK(contains(decode_error("\x1f\x8b\x07\0\0\0\0\0\0\0"s, Compression::kGzip), "unknown gzip method"));
  CHECK(contains(decode_error("\x1f\x8b\x08\x80\0\0\0\0\0\0"s, Compression::kGzip), "unknown gzip flags"));
  // zstd 0.1, which libzstd may still know.
  CHECK(contains(decode_error("\xfd\x2f\xb5\x1e\0\0\0\0"s, Compression::kZstd), "no zstd frame"));
  CHECK(decode_error("", Compression::kNone) == "none");
}

TEST_CASE("decoder: a decoder does not go on behind an error") {
  Decoder decoder(memory_blob("xxxx"), Compression::kGzip);
  std::byte buffer[16];
  CHECK_THROWS_AS(decoder.read(buffer), Error);
  CHECK_THROWS_AS(decoder.read(buffer), std::logic_error);
}

TEST_CASE("decoder: compression is told by the first bytes") {
  const auto sniff = [](std::string_view head) { return sniff_compression(as_bytes(head)); };
  CHECK(sniff(gzip_member("")) == Compression::kGzip);
  CHECK(sniff(zstd_frame("")) == Compression::kZstd);
  CHECK(sniff("\x50\x2a\x4d\x18") == Compression::kZstd);
  CHECK(sniff("") == Compression::kNone);
  CHECK(sniff("etc/passwd\0\0\0\0"s) == Compression::kNone);
  CHECK(sniff("BZh9readme\0\0"s) == Compression::kNone);
  for (const auto& [head, name] : {std::pair{"\xfd\x37zXZ\0\0"s, "xz"}, std::pair{"BZh91AY&SY..."s, "bzip2"},
                                   std::pair{"\x04\x22\x4d\x18"s, "lz4"}}) {
    CHECK_THROWS_WITH_AS(sniff(head),
                         (name + "-compressed layers are not supported, only gzip and zstd"s).c_str(), Error);
  }
}
