// SPDX-License-Identifier: Apache-2.0
// zstd (RFC 8878): frames and skippable frames, one after the other.
#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <stdexcept>

#include "layers/bytes.h"
#include "layers/decode_engine.h"
#include "layers/error.h"

namespace imgslim {
namespace {

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdEngine : public DecodeEngine {
 public:
  ZstdEngine(CompressedInput input, const DecodeLimits& limits, const Checkpoint& from,
             std::uint64_t checkpoint_every)
      : DecodeEngine(std::move(input), limits, from.plain_offset, checkpoint_every),
        context_(ZSTD_createDCtx()) {
    if (!context_) throw std::bad_alloc();
    const std::size_t result =
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, limits.max_window_log);
    if (ZSTD_isError(result)) throw std::invalid_argument("zstd window log");
  }

  std::size_t read(std::span<std::byte> into) override {
    while (in_frame_ || start_frame()) {
      if (const std::size_t count = decode(into)) return count;
    }
    return 0;
  }

 private:
  // False at the end of the blob.
  bool start_frame() {
    while (input_.available().size() < sizeof(std::uint32_t) && input_.fill()) {
    }
    if (input_.available().empty()) {
      if (!seen_frame_) fail("zstd frame is missing");
      return false;
    }
    // Looked at here because libzstd may also be built to take formats older than the standard.
    const auto magic = read_integer<std::uint32_t>(as_text(input_.available()), 0);
    if (!magic || (*magic != ZSTD_MAGICNUMBER &&
                   (*magic & ZSTD_MAGIC_SKIPPABLE_MASK) != std::uint32_t{ZSTD_MAGIC_SKIPPABLE_START})) {
      fail(seen_frame_ ? "garbage after the compressed data" : "no zstd frame");
    }
    count_member();
    if (checkpoint_due()) add_checkpoint({});
    seen_frame_ = true;
    in_frame_ = true;
    at_header_ = true;
    return true;
  }

  std::size_t decode(std::span<std::byte> into) {
    if (input_.available().empty()) input_.fill();
    // With room for a whole frame libzstd decodes it at one go, by checks of its own. The header is read
    // without any room, so that what is accepted does not depend on the caller's buffer.
    while (at_header_ && input_.available().size() < kMaxFrameHeader && input_.fill()) {
    }
    const auto bytes = input_.available();
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out{into.data(), at_header_ ? 0 : std::min(into.size(), kMaxStep), 0};
    at_header_ = false;
    const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(result)) {
      if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge) {
        fail(fmt::format("zstd window larger than 2^{} bytes", limits_.max_window_log));
      }
      fail(fmt::format("invalid zstd data ({}) after the byte", ZSTD_getErrorName(result)));
    }
    input_.consume(in.pos);
    produced(out.pos);
    if (result == 0) {
      in_frame_ = false;
    } else if (out.pos == 0 && in.pos == 0) {
      fail(bytes.empty() ? "zstd data is cut" : "invalid zstd data");
    }
    return out.pos;
  }

  static constexpr std::size_t kMaxFrameHeader = 18;  // RFC 8878 section 3.1.1.1
  static constexpr std::size_t kMaxStep = std::size_t{1} << 20;

  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  bool in_frame_ = false;
  bool at_header_ = false;
  bool seen_frame_ = false;
};

}  // namespace

std::unique_ptr<DecodeEngine> make_zstd_engine(CompressedInput input, const DecodeLimits& limits,
                                               const Checkpoint& from, std::uint64_t checkpoint_every) {
  return std::make_unique<ZstdEngine>(std::move(input), limits, from, checkpoint_every);
}

}  // namespace imgslim
