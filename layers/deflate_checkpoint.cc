// SPDX-License-Identifier: Apache-2.0
#include "layers/deflate_checkpoint.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "layers/bytes.h"

namespace imgslim {
namespace {

constexpr std::size_t kWindow = std::size_t{32} << 10;
// The end of a block is looked for in pieces of the first size, then in smaller ones of that piece. The last
// is shorter than the codes that a block begins with, so that the decoder stops inside them.
constexpr std::array<std::size_t, 3> kPieces = {4096, 256, 8};
constexpr std::size_t kHead = 1 + 4 + 4;  // bit, CRC-32, size
constexpr int kLevel = 1;

bool is_between_blocks(const inflate_state& state) {
  return state.block_state == ISAL_BLOCK_NEW_HDR || state.block_state == ISAL_BLOCK_HDR;
}

// Whether another block has begun, or is about to. Blocks of equal codes are not told apart: then a later end
// is taken.
bool passed_boundary(const inflate_state& before, const inflate_state& after) {
  return is_between_blocks(after) || before.block_state != after.block_state ||
         std::memcmp(&before.lit_huff_code, &after.lit_huff_code, sizeof before.lit_huff_code) != 0;
}

void append_word(std::string& text, std::uint32_t word) {
  for (unsigned shift = 0; shift < 32; shift += 8)
    text += static_cast<char>(word >> shift & 0xff);
}

}  // namespace

InflateStep inflate_step(inflate_state& state, std::span<const std::byte> input, std::span<std::byte> into) {
  // ISA-L takes its input as not const, and leaves it alone.
  state.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(input.data()));
  state.avail_in = static_cast<std::uint32_t>(input.size());
  state.next_out = reinterpret_cast<std::uint8_t*>(into.data());
  state.avail_out = static_cast<std::uint32_t>(into.size());
  InflateStep step;
  step.result = isal_inflate(&state);
  step.consumed = input.size() - state.avail_in;
  step.produced = into.size() - state.avail_out;
  return step;
}

std::optional<std::size_t> bits_back_to_boundary(const inflate_state& state) {
  if (!is_between_blocks(state) || state.bfinal != 0) return std::nullopt;
  if (state.tmp_out_valid != state.tmp_out_processed || state.write_overflow_len != 0 ||
      state.copy_overflow_length != 0) {
    return std::nullopt;
  }
  // Codes that have begun to come are kept as bytes; what the bit buffer held before them counts from there.
  if (state.read_in_length < 0 || state.tmp_in_size < 0) return std::nullopt;
  return static_cast<std::size_t>(state.tmp_in_size) * 8 + static_cast<std::size_t>(state.read_in_length);
}

InflateStep BoundarySearch::step(inflate_state& state, std::span<const std::byte> input,
                                 std::span<std::byte> into) {
  return narrow(state, input.first(std::min(input.size(), kPieces[0])), into, 1);
}

InflateStep BoundarySearch::narrow(inflate_state& state, std::span<const std::byte> input,
                                   std::span<std::byte> into, std::size_t level) {
  // The bytes of a stored block are counted: the next begins right behind them.
  if (state.block_state == ISAL_BLOCK_TYPE0 && state.type0_block_len >= 0) {
    const auto left = static_cast<std::size_t>(state.type0_block_len);
    const auto buffered = static_cast<std::size_t>(std::max(state.read_in_length, 0)) / 8;
    if (left > buffered) input = input.first(std::min(input.size(), left - buffered));
    return inflate_step(state, input, into);
  }
  if (level == kPieces.size()) return inflate_step(state, input, into);
  std::unique_ptr<inflate_state>& before = before_[level - 1];
  if (!before) before = std::make_unique<inflate_state>();
  *before = state;
  InflateStep whole = inflate_step(state, input, into);
  if (whole.result < 0 || !passed_boundary(*before, state)) return whole;
  state = *before;
  InflateStep sum;
  while (sum.consumed < input.size()) {
    const auto piece = input.subspan(sum.consumed, std::min(kPieces[level], input.size() - sum.consumed));
    const InflateStep part = narrow(state, piece, into.subspan(sum.produced), level + 1);
    sum.result = part.result;
    sum.consumed += part.consumed;
    sum.produced += part.produced;
    if (part.result < 0 || bits_back_to_boundary(state)) break;
    if (part.consumed == 0 && part.produced == 0) break;
    if (state.block_state == ISAL_BLOCK_FINISH || sum.produced == into.size()) break;
  }
  return sum;
}

std::string pack_checkpoint(const inflate_state& state, unsigned bit, std::uint32_t crc, std::uint32_t size) {
  std::string text(1, static_cast<char>(bit));
  append_word(text, crc);
  append_word(text, size);
  const auto end = static_cast<std::size_t>(state.tmp_out_processed);
  const std::size_t length = std::min(end, kWindow);
  text.resize(kHead + ZSTD_compressBound(length));
  const std::size_t packed = ZSTD_compress(text.data() + kHead, text.size() - kHead,
                                           state.tmp_out_buffer + (end - length), length, kLevel);
  if (ZSTD_isError(packed) != 0) throw std::bad_alloc();
  text.resize(kHead + packed);
  text.shrink_to_fit();
  return text;
}

std::optional<DeflateCheckpoint> unpack_checkpoint(std::string_view text) {
  if (text.size() < kHead) return std::nullopt;
  DeflateCheckpoint checkpoint;
  checkpoint.bit = static_cast<unsigned char>(text[0]);
  if (checkpoint.bit > 7) return std::nullopt;
  checkpoint.crc = *read_integer<std::uint32_t>(text, 1);
  checkpoint.size = *read_integer<std::uint32_t>(text, 5);
  checkpoint.window.resize(kWindow);
  const std::string_view packed = text.substr(kHead);
  const std::size_t length = ZSTD_decompress(checkpoint.window.data(), kWindow, packed.data(), packed.size());
  if (ZSTD_isError(length) != 0) return std::nullopt;
  checkpoint.window.resize(length);
  return checkpoint;
}

void restore_checkpoint(inflate_state& state, DeflateCheckpoint& checkpoint, unsigned char first) {
  isal_inflate_init(&state);
  state.crc_flag = ISAL_DEFLATE;
  // ISA-L takes it as not const, and leaves it alone.
  isal_inflate_set_dict(&state, reinterpret_cast<std::uint8_t*>(checkpoint.window.data()),
                        static_cast<std::uint32_t>(checkpoint.window.size()));
  if (checkpoint.bit == 0) return;
  state.read_in = static_cast<std::uint64_t>(first) >> checkpoint.bit;
  state.read_in_length = static_cast<std::int32_t>(8 - checkpoint.bit);
}

}  // namespace imgslim
