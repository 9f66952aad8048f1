// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <stdexcept>

#include "layers/compression.h"
#include "layers/error.h"
#include "layers/gzip_encoder.h"

namespace imgslim {
namespace {

constexpr int kMaxZstdWindowLog = 27;  // what decoders take without being asked to
constexpr std::size_t kZstdStep = std::size_t{128} << 10;

class PlainEncoder : public Encoder {
 public:
  explicit PlainEncoder(Sink& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override { out_.write(bytes); }
  void finish() override {}

 private:
  Sink& out_;
};

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdEncoder : public Encoder {
 public:
  ZstdEncoder(int level, unsigned threads, Sink& out)
      : out_(out), context_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    if (!context_) throw std::bad_alloc();
    set(ZSTD_c_compressionLevel, level);
    const ZSTD_bounds bounds = ZSTD_cParam_getBounds(ZSTD_c_nbWorkers);
    if (bounds.upperBound < 1) throw Error(Failure::kIo, "libzstd was built without threads");
    // Even one thread is a worker: libzstd cuts its jobs alike for any number of workers, but without
    // any it does not cut at all.
    set(ZSTD_c_nbWorkers, std::clamp(static_cast<int>(threads), 1, bounds.upperBound));
    set(ZSTD_c_checksumFlag, 1);
    if (level >= ZSTD_maxCLevel()) set(ZSTD_c_windowLog, kMaxZstdWindowLog);
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      ZSTD_inBuffer in{bytes.data(), std::min(bytes.size(), kZstdStep), 0};
      while (in.pos < in.size)
        step(in, ZSTD_e_continue);
      bytes = bytes.subspan(in.size);
    }
  }

  void finish() override {
    // Only once all input is taken: an end asked for before would cut a job by the time it took.
    ZSTD_inBuffer in{nullptr, 0, 0};
    while (step(in, ZSTD_e_end) != 0) {
    }
  }

 private:
  void set(ZSTD_cParameter parameter, int value) {
    check(ZSTD_CCtx_setParameter(context_.get(), parameter, value));
  }

  static std::size_t check(std::size_t result) {
    if (ZSTD_isError(result)) {
      throw Error(Failure::kIo, std::string("zstd cannot compress: ") + ZSTD_getErrorName(result));
    }
    return result;
  }

  std::size_t step(ZSTD_inBuffer& in, ZSTD_EndDirective directive) {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    const std::size_t left = check(ZSTD_compressStream2(context_.get(), &out, &in, directive));
    if (out.pos > 0) out_.write(std::span(buffer_).first(out.pos));
    return left;
  }

  Sink& out_;
  std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
  std::vector<std::byte> buffer_;
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(Compression compression, int level, unsigned threads, Sink& out) {
  switch (compression) {
    case Compression::kGzip:
      if (level < 0 || level > Z_BEST_COMPRESSION) throw_usage("gzip levels are 1 to 9");
      return make_gzip_encoder(level == 0 ? kDefaultGzipLevel : level, threads, out);
    case Compression::kZstd:
      if (level < 0 || level > ZSTD_maxCLevel()) {
        throw_usage("zstd levels are 1 to " + std::to_string(ZSTD_maxCLevel()));
      }
      return std::make_unique<ZstdEncoder>(level == 0 ? kDefaultZstdLevel : level, threads, out);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainEncoder>(out);
}

std::string encoder_versions() {
  return std::string("zlib ") + zlibVersion() + ", zstd " + ZSTD_versionString();
}

}  // namespace imgslim
