// SPDX-License-Identifier: Apache-2.0
// gzip (RFC 1952). The deflate data goes through ISA-L; headers and trailers are read here.
#include <fmt/format.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "layers/decode_engine.h"
#include "layers/deflate_checkpoint.h"
#include "layers/error.h"

namespace imgslim {
namespace {

// RFC 1952 section 2.3.1.
constexpr unsigned char kMagic1 = 0x1f;
constexpr unsigned char kMagic2 = 0x8b;
constexpr unsigned char kDeflate = 8;
constexpr unsigned kHeaderCrc = 2;
constexpr unsigned kExtra = 4;
constexpr unsigned kName = 8;
constexpr unsigned kComment = 16;
constexpr unsigned kReserved = 0xe0;

enum class Phase { kMember, kBody, kTrailer, kNext, kEnd };

class GzipEngine : public DecodeEngine {
 public:
  GzipEngine(CompressedInput input, const DecodeLimits& limits, const Checkpoint& from,
             std::uint64_t checkpoint_every)
      : DecodeEngine(std::move(input), limits, from.plain_offset, checkpoint_every),
        inflate_(std::make_unique<inflate_state>()) {
    if (!from.state.empty()) restore(from.state);
  }

  std::size_t read(std::span<std::byte> into) override {
    while (true) {
      switch (phase_) {
        case Phase::kMember:
          read_header();
          isal_inflate_init(inflate_.get());
          inflate_->crc_flag = ISAL_DEFLATE;
          crc_ = 0;
          size_ = 0;
          phase_ = Phase::kBody;
          break;
        case Phase::kBody:
          if (const std::size_t count = inflate(into)) return count;
          break;
        case Phase::kTrailer:
          read_trailer();
          phase_ = Phase::kNext;
          break;
        case Phase::kNext:
          next_member();
          break;
        case Phase::kEnd:
          return 0;
      }
    }
  }

 private:
  unsigned header_byte() {
    const auto byte = input_.next_byte();
    if (!byte) fail("gzip header is cut");
    header_crc_ = crc32_gzip_refl(header_crc_, &*byte, 1);
    return *byte;
  }

  void skip_text() {
    while (header_byte() != 0) {
    }
  }

  void read_header() {
    count_member();
    header_crc_ = 0;
    if (header_byte() != kMagic1 || header_byte() != kMagic2) fail("no gzip header before the byte");
    if (header_byte() != kDeflate) fail("unknown gzip method before the byte");
    const unsigned flags = header_byte();
    if ((flags & kReserved) != 0) fail("unknown gzip flags before the byte");
    for (int i = 0; i < 6; ++i)
      header_byte();  // time, XFL, OS
    if ((flags & kExtra) != 0) {
      unsigned length = header_byte();
      length |= header_byte() << 8;
      while (length-- > 0)
        header_byte();
    }
    if ((flags & kName) != 0) skip_text();
    if ((flags & kComment) != 0) skip_text();
    if ((flags & kHeaderCrc) != 0) {
      const unsigned computed = header_crc_ & 0xffff;
      unsigned stored = header_byte();
      stored |= header_byte() << 8;
      if (stored != computed) fail("wrong gzip header checksum before the byte");
    }
  }

  std::size_t inflate(std::span<std::byte> into) {
    if (input_.available().empty()) input_.fill();
    const auto bytes = input_.available();
    const auto target = into.first(room(into));
    const bool is_due = checkpoint_due();
    const InflateStep step =
        is_due ? search_.step(*inflate_, bytes, target) : inflate_step(*inflate_, bytes, target);
    input_.consume(step.consumed);
    if (step.result < 0) fail(fmt::format("invalid deflate data ({}) before the byte", reason(step.result)));
    const std::size_t count = step.produced;
    crc_ = crc32_gzip_refl(crc_, reinterpret_cast<const unsigned char*>(into.data()), count);
    size_ += static_cast<std::uint32_t>(count);
    produced(count);
    if (inflate_->block_state == ISAL_BLOCK_FINISH) {
      // Whole bytes that are still in the bit buffer belong to the trailer.
      if (inflate_->read_in_length > 0) {
        input_.unread(static_cast<std::size_t>(inflate_->read_in_length) / 8);
      }
      phase_ = Phase::kTrailer;
    } else if (count == 0 && step.consumed == 0) {
      fail(bytes.empty() ? "gzip data is cut" : "invalid deflate data");
    } else if (is_due) {
      if (const auto back = bits_back_to_boundary(*inflate_)) add_boundary(*back);
    }
    return count;
  }

  void add_boundary(std::size_t bits_back) {
    const std::size_t bytes_back = (bits_back + 7) / 8;
    const auto bit = static_cast<unsigned>(bytes_back * 8 - bits_back);
    add_checkpoint(pack_checkpoint(*inflate_, bit, crc_, size_), bytes_back);
  }

  static std::string_view reason(int result) {
    switch (result) {
      case ISAL_INVALID_BLOCK:
        return "block";
      case ISAL_INVALID_SYMBOL:
        return "symbol";
      case ISAL_INVALID_LOOKBACK:
        return "distance";
      default:
        return "format";
    }
  }

  std::uint32_t trailer_word() {
    std::uint32_t word = 0;
    for (unsigned shift = 0; shift < 32; shift += 8) {
      const auto byte = input_.next_byte();
      if (!byte) fail("gzip trailer is cut");
      word |= std::uint32_t{*byte} << shift;
    }
    return word;
  }

  void read_trailer() {
    const std::uint32_t crc = trailer_word();
    const std::uint32_t size = trailer_word();
    if (crc != crc_) fail(fmt::format("gzip crc is {:08x}, content has {:08x}, before the byte", crc, crc_));
    if (size != size_) fail(fmt::format("gzip size is {}, content has {}, before the byte", size, size_));
  }

  void next_member() {
    if (input_.available().empty() && !input_.fill()) {
      phase_ = Phase::kEnd;
      return;
    }
    const auto first = static_cast<unsigned char>(input_.available()[0]);
    if (first == 0) {
      skip_zeros();
      phase_ = Phase::kEnd;
    } else if (first == kMagic1) {
      if (checkpoint_due()) add_checkpoint({});
      phase_ = Phase::kMember;
    } else {
      fail("garbage after the compressed data");
    }
  }

  void restore(const std::string& state) {
    auto checkpoint = unpack_checkpoint(state);
    if (!checkpoint) throw Error(Failure::kIo, "checkpoint is damaged");
    unsigned char first = 0;
    if (checkpoint->bit != 0) {
      const auto byte = input_.next_byte();
      if (!byte) throw Error(Failure::kIo, "checkpoint is damaged");
      first = *byte;
    }
    restore_checkpoint(*inflate_, *checkpoint, first);
    crc_ = checkpoint->crc;
    size_ = checkpoint->size;
    phase_ = Phase::kBody;
  }

  std::unique_ptr<inflate_state> inflate_;
  BoundarySearch search_;
  Phase phase_ = Phase::kMember;
  std::uint32_t header_crc_ = 0;
  std::uint32_t crc_ = 0;   // of the member so far
  std::uint32_t size_ = 0;  // of the member so far, modulo 2^32
};

}  // namespace

std::unique_ptr<DecodeEngine> make_gzip_engine(CompressedInput input, const DecodeLimits& limits,
                                               const Checkpoint& from, std::uint64_t checkpoint_every) {
  return std::make_unique<GzipEngine>(std::move(input), limits, from, checkpoint_every);
}

}  // namespace imgslim
