// SPDX-License-Identifier: Apache-2.0
// Compressed inputs for tests, made with the libraries themselves rather than with our encoder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "layers/compression.h"

namespace imgslim::testing {

// Text that compresses about as program files do; the same for the same arguments.
std::string sample_text(std::size_t size, std::uint64_t seed = 1);
// One gzip member by zlib.
std::string gzip_member(std::string_view text, int level = 6);
// A raw deflate stream.
std::string deflate_raw(std::string_view text, int level, int flush);
// A gzip member with an optional name and header checksum.
std::string gzip_member_with_header_fields(std::string_view text);
// One zstd frame with checksum by libzstd.
std::string zstd_frame(std::string_view text, int level = 3);
// What zlib makes of all members of a gzip file; fails the test if zlib refuses.
std::string zlib_decode(std::string_view bytes);
// What libzstd makes of all frames.
std::string zstd_decode(std::string_view bytes);

// All that a decoder gives, read in pieces of `step` bytes.
std::string decode_all(Decoder& decoder, std::size_t step = std::size_t{64} << 10);
std::string decode_all(std::string bytes, Compression compression, const DecodeLimits& limits = {});
// The message of the error that decoding ends with, "none" if it does not; the kind is checked.
std::string decode_error(std::string bytes, Compression compression, const DecodeLimits& limits = {});
// What our encoder makes of `text`, written in pieces of `step` bytes.
std::string encode(std::string_view text, Compression compression, int level = 0, unsigned threads = 1,
                   std::size_t step = 100000);

}  // namespace imgslim::testing
