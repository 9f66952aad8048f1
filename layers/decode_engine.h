// SPDX-License-Identifier: Apache-2.0
// What the gzip and zstd decoders share: the input with its tap, limits, and the list of checkpoints.
// Internal to the room.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layers/compression.h"
#include "layers/stream.h"

namespace imgslim {

// A blob's bytes from an offset on, through one buffer. Each byte passes the tap once.
class CompressedInput {
 public:
  CompressedInput(BlobPtr blob, Sink* tap, std::uint64_t offset);

  // What is in the buffer and not consumed.
  std::span<const std::byte> available() const {
    return std::span<const std::byte>(buffer_).subspan(begin_, end_ - begin_);
  }
  // Reads more behind what is available; false if the blob has ended. Views become invalid.
  bool fill();
  void consume(std::size_t count) { begin_ += count; }
  // Takes back up to kBack bytes that were consumed last.
  void unread(std::size_t count);
  std::optional<unsigned char> next_byte();
  // In the blob, of the first byte that is not consumed.
  std::uint64_t offset() const { return read_offset_ - (end_ - begin_); }

  static constexpr std::size_t kBack = 8;

 private:
  BlobPtr blob_;
  Sink* tap_;
  std::uint64_t read_offset_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class DecodeEngine {
 public:
  DecodeEngine(CompressedInput input, const DecodeLimits& limits, std::uint64_t plain_offset,
               std::uint64_t checkpoint_every);
  virtual ~DecodeEngine() = default;

  // As Source::read; `into` is not empty.
  virtual std::size_t read(std::span<std::byte> into) = 0;

  std::uint64_t plain_offset() const { return plain_offset_; }
  std::uint64_t trailing_zeros() const { return trailing_zeros_; }
  std::vector<Checkpoint> take_checkpoints() { return std::move(checkpoints_); }

 protected:
  [[noreturn]] void fail(std::string_view reason) const;
  // Counts a member or frame that begins.
  void count_member();
  // `count` plain bytes were made.
  void produced(std::size_t count);
  // How much of `into` to fill before the next checkpoint is due.
  std::size_t room(std::span<std::byte> into) const;
  bool checkpoint_due() const;
  // At the input's offset, less so many bytes.
  void add_checkpoint(std::string state, std::size_t bytes_back = 0);
  // What is left of the blob must be zero bytes.
  void skip_zeros();

  CompressedInput input_;
  const DecodeLimits limits_;

 private:
  std::uint64_t plain_offset_;
  std::uint64_t checkpoint_every_;
  std::uint64_t last_checkpoint_;
  std::uint64_t trailing_zeros_ = 0;
  std::uint32_t members_ = 0;
  std::vector<Checkpoint> checkpoints_;
};

std::unique_ptr<DecodeEngine> make_gzip_engine(CompressedInput input, const DecodeLimits& limits,
                                               const Checkpoint& from, std::uint64_t checkpoint_every);
std::unique_ptr<DecodeEngine> make_zstd_engine(CompressedInput input, const DecodeLimits& limits,
                                               const Checkpoint& from, std::uint64_t checkpoint_every);

}  // namespace imgslim
