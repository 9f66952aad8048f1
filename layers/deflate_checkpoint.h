// SPDX-License-Identifier: Apache-2.0
// Places between two deflate blocks (RFC 1951 section 3.2.3), where decoding can go on with nothing but the
// 32 KiB of plain bytes before them: no state of a library, so that a checkpoint that comes from elsewhere
// can be wrong but not harmful, and serves any build. Internal to the room.
#pragma once

#include <isa-l/igzip_lib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace imgslim {

// What one call of the decoder did.
struct InflateStep {
  int result = 0;            // ISA-L's
  std::size_t consumed = 0;  // of the input
  std::size_t produced = 0;
};
InflateStep inflate_step(inflate_state& state, std::span<const std::byte> input, std::span<std::byte> into);

// Where the next block begins: this many bits before the first byte that the decoder did not consume. Nothing
// unless it stands between two blocks and all that came before is given out.
std::optional<std::size_t> bits_back_to_boundary(const inflate_state& state);

// Decodes up to the end of the block it is in, or some KiB of the input if that end is further.
class BoundarySearch {
 public:
  InflateStep step(inflate_state& state, std::span<const std::byte> input, std::span<std::byte> into);

 private:
  InflateStep narrow(inflate_state& state, std::span<const std::byte> input, std::span<std::byte> into,
                     std::size_t level);

  std::unique_ptr<inflate_state> before_[2];
};

// A checkpoint's state: the bit of the blob's byte at which the block begins, the member's CRC-32 and size so
// far, the window. Packed, the window is a zstd frame: a layer of a GB has some hundred of them.
struct DeflateCheckpoint {
  unsigned bit = 0;
  std::uint32_t crc = 0;
  std::uint32_t size = 0;
  std::string window;
};
std::string pack_checkpoint(const inflate_state& state, unsigned bit, std::uint32_t crc, std::uint32_t size);
// Nothing if the text is none.
std::optional<DeflateCheckpoint> unpack_checkpoint(std::string_view text);
// Makes `state` stand there; `first` is the blob's byte in which the block begins, for a bit other than 0.
void restore_checkpoint(inflate_state& state, DeflateCheckpoint& checkpoint, unsigned char first);

}  // namespace imgslim
