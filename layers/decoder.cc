// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>

#include "layers/compression.h"
#include "layers/decode_engine.h"
#include "layers/error.h"

namespace imgslim {
namespace {

using namespace std::string_view_literals;

// Formats that are recognised only to be named.
struct Unsupported {
  std::string_view magic;
  std::string_view name;
};
constexpr Unsupported kUnsupported[] = {
    {"\xfd\x37zXZ\0"sv, "xz"},
    {"\x04\x22\x4d\x18"sv, "lz4"},
    {"\x02\x21\x4c\x18"sv, "lz4"},
    {"LZIP\x01"sv, "lzip"},
    {"\x1f\x9d"sv, "compress"},
    {"\xff\x06\0\0sNaPpY"sv, "snappy"},
    {"\x5d\0\0\x80\0\xff\xff"sv, "lzma"},
};

bool is_bzip2(std::string_view head) {
  // A tar may begin with a file named BZh1...; what follows in bzip2 is a block or the end of the stream.
  return head.size() >= 10 && head.starts_with("BZh") && head[3] >= '1' && head[3] <= '9' &&
         (head.substr(4, 6) == "\x31\x41\x59\x26\x53\x59"sv ||
          head.substr(4, 6) == "\x17\x72\x45\x38\x50\x90"sv);
}

bool is_zstd(std::string_view head) {
  if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return true;
  // Skippable frames may come first (RFC 8878 section 3.1.2).
  return head.size() >= 4 && (head[0] & 0xf0) == 0x50 && head.substr(1, 3) == "\x2a\x4d\x18"sv;
}

class PlainEngine : public DecodeEngine {
 public:
  PlainEngine(BlobPtr blob, const DecodeLimits& limits, Sink* tap, std::uint64_t offset)
      : DecodeEngine(CompressedInput(blob, nullptr, offset), without_ratio(limits), offset, 0),
        blob_(std::move(blob)),
        tap_(tap) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::uint64_t left = blob_->size() - plain_offset();
    const auto bytes = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size())));
    blob_->read_at(plain_offset(), bytes);
    if (tap_ != nullptr) tap_->write(bytes);
    produced(bytes.size());
    return bytes.size();
  }

 private:
  static DecodeLimits without_ratio(DecodeLimits limits) {
    limits.ratio_floor = limits.max_plain_bytes;
    return limits;
  }

  BlobPtr blob_;
  Sink* tap_;
};

}  // namespace

std::string_view name_of(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    case Compression::kNone:
      break;
  }
  return "none";
}

Compression sniff_compression(std::span<const std::byte> head) {
  const std::string_view text = as_text(head);
  if (text.starts_with("\x1f\x8b"sv)) return Compression::kGzip;
  if (is_zstd(text)) return Compression::kZstd;
  for (const Unsupported& format : kUnsupported) {
    if (text.starts_with(format.magic)) {
      throw_bad_image(std::string(format.name) + "-compressed layers are not supported, only gzip and zstd");
    }
  }
  if (is_bzip2(text)) throw_bad_image("bzip2-compressed layers are not supported, only gzip and zstd");
  return Compression::kNone;
}

struct Decoder::State {
  std::unique_ptr<DecodeEngine> engine;
  // A decoder that has thrown does not go on behind the error.
  bool failed = false;
};

namespace {

std::unique_ptr<DecodeEngine> make_engine(BlobPtr blob, Compression compression, const DecodeLimits& limits,
                                          Sink* tap, const Checkpoint& from, std::uint64_t checkpoint_every) {
  if (from.blob_offset > blob->size()) throw Error(Failure::kIo, "checkpoint is of another blob");
  switch (compression) {
    case Compression::kGzip:
      return make_gzip_engine(CompressedInput(std::move(blob), tap, from.blob_offset), limits, from,
                              checkpoint_every);
    case Compression::kZstd:
      return make_zstd_engine(CompressedInput(std::move(blob), tap, from.blob_offset), limits, from,
                              checkpoint_every);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainEngine>(std::move(blob), limits, tap, from.blob_offset);
}

}  // namespace

Decoder::Decoder(BlobPtr blob, Compression compression, DecodeLimits limits, Sink* tap,
                 std::uint64_t checkpoint_every)
    : state_(std::make_unique<State>()) {
  state_->engine = make_engine(std::move(blob), compression, limits, tap, {}, checkpoint_every);
}

Decoder::Decoder(BlobPtr blob, Compression compression, const Checkpoint& from, DecodeLimits limits)
    : state_(std::make_unique<State>()) {
  state_->engine = make_engine(std::move(blob), compression, limits, nullptr, from, 0);
}

Decoder::~Decoder() = default;

std::size_t Decoder::read(std::span<std::byte> into) {
  if (into.empty()) return 0;
  if (state_->failed) throw std::logic_error("decoder was used after an error");
  state_->failed = true;
  const std::size_t count = state_->engine->read(into);
  state_->failed = false;
  return count;
}

std::uint64_t Decoder::plain_offset() const {
  return state_->engine->plain_offset();
}

std::vector<Checkpoint> Decoder::take_checkpoints() {
  return state_->engine->take_checkpoints();
}

std::uint64_t Decoder::trailing_zeros() const {
  return state_->engine->trailing_zeros();
}

}  // namespace imgslim
