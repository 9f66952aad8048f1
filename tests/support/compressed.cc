// SPDX-License-Identifier: Apache-2.0
#include "tests/support/compressed.h"

#include <doctest/doctest.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "layers/error.h"

namespace imgslim::testing {
namespace {

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

std::string deflate_with(std::string_view text, int level, int window_bits, int flush, gz_header* header) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  if (header != nullptr) REQUIRE(deflateSetHeader(&stream, header) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = bytes_of(text);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = bytes_of(out);
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, flush);
  CHECK(result == (flush == Z_FINISH ? Z_STREAM_END : Z_OK));
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string sample_text(std::size_t size, std::uint64_t seed) {
  std::string text;
  text.reserve(size + 64);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  while (text.size() < size) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t pick = state >> 33;
    if (pick % 4 != 0 && text.size() > 100) {
      const std::size_t distance = 1 + pick % std::min<std::size_t>(text.size() - 50, 60000);
      text.append(std::string(text, text.size() - std::min(distance, text.size()), 5 + pick % 37));
    } else {
      text.append(reinterpret_cast<const char*>(&state), sizeof state);
    }
  }
  text.resize(size);
  return text;
}

std::string gzip_member(std::string_view text, int level) {
  return deflate_with(text, level, 15 + 16, Z_FINISH, nullptr);
}

std::string deflate_raw(std::string_view text, int level, int flush) {
  return deflate_with(text, level, -15, flush, nullptr);
}

std::string gzip_member_with_header_fields(std::string_view text) {
  std::string name = "layer.tar";
  std::string comment = "a comment";
  std::string extra = "\x41\x42\x02\x00\x01\x02";
  gz_header header{};
  header.name = bytes_of(name);
  header.comment = bytes_of(comment);
  header.extra = bytes_of(extra);
  header.extra_len = 6;
  header.hcrc = 1;
  header.time = 12345;
  return deflate_with(text, 6, 15 + 16, Z_FINISH, &header);
}

std::string zstd_frame(std::string_view text, int level) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size());
  ZSTD_freeCCtx(context);
  REQUIRE_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

std::string zlib_decode(std::string_view bytes) {
  std::string out;
  std::string buffer(1 << 16, '\0');
  while (!bytes.empty()) {
    z_stream stream{};
    REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
    stream.next_in = bytes_of(bytes);
    stream.avail_in = static_cast<uInt>(bytes.size());
    int result = Z_OK;
    while (result == Z_OK) {
      stream.next_out = bytes_of(buffer);
      stream.avail_out = static_cast<uInt>(buffer.size());
      result = inflate(&stream, Z_NO_FLUSH);
      out.append(buffer, 0, buffer.size() - stream.avail_out);
    }
    bytes.remove_prefix(stream.total_in);
    inflateEnd(&stream);
    REQUIRE(result == Z_STREAM_END);
  }
  return out;
}

std::string zstd_decode(std::string_view bytes) {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::string out;
  std::string buffer(1 << 16, '\0');
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::size_t result = 1;
  while (in.pos < in.size || result != 0) {
    ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
    result = ZSTD_decompressStream(context, &piece, &in);
    REQUIRE_FALSE(ZSTD_isError(result));
    out.append(buffer, 0, piece.pos);
    if (in.pos == in.size && piece.pos == 0) break;
  }
  CHECK(result == 0);
  ZSTD_freeDCtx(context);
  return out;
}

std::string decode_all(Decoder& decoder, std::size_t step) {
  std::string out;
  std::vector<std::byte> buffer(step);
  while (const std::size_t count = decoder.read(buffer))
    out += as_text(std::span(buffer).first(count));
  CHECK(decoder.read(buffer) == 0);
  return out;
}

std::string decode_all(std::string bytes, Compression compression, const DecodeLimits& limits) {
  Decoder decoder(memory_blob(std::move(bytes)), compression, limits);
  return decode_all(decoder);
}

std::string decode_error(std::string bytes, Compression compression, const DecodeLimits& limits) {
  Decoder decoder(memory_blob(std::move(bytes)), compression, limits);
  std::vector<std::byte> buffer(std::size_t{64} << 10);
  try {
    while (decoder.read(buffer) > 0) {
    }
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "none";
}

std::string encode(std::string_view text, Compression compression, int level, unsigned threads,
                   std::size_t step) {
  std::string out;
  const auto sink = sink_to([&](std::span<const std::byte> bytes) { out += as_text(bytes); });
  const auto encoder = make_encoder(compression, level, threads, *sink);
  while (!text.empty()) {
    encoder->write(as_bytes(text.substr(0, step)));
    text.remove_prefix(std::min(step, text.size()));
  }
  encoder->finish();
  return out;
}

}  // namespace imgslim::testing
