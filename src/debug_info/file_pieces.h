// SPDX-License-Identifier: Apache-2.0
// A file described as ranges of another file, zeros and new bytes: large files are changed without being
// held.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layers/stream.h"

namespace imgslim {

class FilePieces {
 public:
  // `length` bytes of the source file from `offset`.
  void copy(std::uint64_t offset, std::uint64_t length);
  void zeros(std::uint64_t length);
  void text(std::string bytes);
  // Zeros up to the next multiple of `alignment`, a power of two.
  void align(std::uint64_t alignment);
  // All of another file made of the same source.
  void append(FilePieces more);

  std::uint64_t size() const { return size_; }
  // Writes all of it. `source` must hold every range that copy() named.
  void write_to(const Blob& source, Sink& out) const;
  std::string read(const Blob& source) const;

 private:
  struct Piece {
    enum class Kind : std::uint8_t { kCopy, kZeros, kText } kind = Kind::kZeros;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::string text;
  };
  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
};

// Hands `length` bytes of `blob` from `offset` to `take`, in pieces.
template <class Take>
void for_each_chunk(const Blob& blob, std::uint64_t offset, std::uint64_t length, Take&& take) {
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(length, std::uint64_t{256} << 10)));
  while (length > 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(length, buffer.size()));
    blob.read_at(offset, std::span(buffer).first(step));
    take(std::span<const std::byte>(buffer).first(step));
    offset += step;
    length -= step;
  }
}

}  // namespace imgslim
