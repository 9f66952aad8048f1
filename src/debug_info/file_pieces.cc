// SPDX-License-Identifier: Apache-2.0
#include "src/debug_info/file_pieces.h"

#include <array>

namespace imgslim {

void FilePieces::copy(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return;
  pieces_.push_back({Piece::Kind::kCopy, offset, length, {}});
  size_ += length;
}

void FilePieces::zeros(std::uint64_t length) {
  if (length == 0) return;
  pieces_.push_back({Piece::Kind::kZeros, 0, length, {}});
  size_ += length;
}

void FilePieces::text(std::string bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  const std::uint64_t length = bytes.size();
  pieces_.push_back({Piece::Kind::kText, 0, length, std::move(bytes)});
}

void FilePieces::align(std::uint64_t alignment) {
  if (alignment > 1) zeros((alignment - size_ % alignment) % alignment);
}

void FilePieces::append(FilePieces more) {
  for (Piece& piece : more.pieces_)
    pieces_.push_back(std::move(piece));
  size_ += more.size_;
}

void FilePieces::write_to(const Blob& source, Sink& out) const {
  static constexpr std::array<std::byte, 4096> kZeros{};
  for (const Piece& piece : pieces_) {
    switch (piece.kind) {
      case Piece::Kind::kCopy:
        for_each_chunk(source, piece.offset, piece.length,
                       [&](std::span<const std::byte> bytes) { out.write(bytes); });
        break;
      case Piece::Kind::kZeros:
        for (std::uint64_t left = piece.length; left > 0;) {
          const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(left, kZeros.size()));
          out.write(std::span(kZeros).first(step));
          left -= step;
        }
        break;
      case Piece::Kind::kText:
        out.write(as_bytes(piece.text));
        break;
    }
  }
}

std::string FilePieces::read(const Blob& source) const {
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(size_));
  write_to(source, *sink_to([&](std::span<const std::byte> more) { bytes += as_text(more); }));
  return bytes;
}

}  // namespace imgslim
