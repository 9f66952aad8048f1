// SPDX-License-Identifier: Apache-2.0
// One gzip member whose deflate data is made in blocks of 1 MiB by several threads, as pigz does: each
// block starts with the 32 KiB before it as dictionary and ends on a byte (sync flush), so that the
// blocks' outputs, one after the other, are one deflate stream. Where blocks begin depends on the input
// alone, hence so do the bytes.
#include "layers/gzip_encoder.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
constexpr std::size_t kWindow = std::size_t{32} << 10;

// A piece of the input and what becomes of it.
struct Block {
  std::vector<std::byte> text;  // dictionary, then the block
  std::size_t dictionary = 0;
  bool last = false;
  std::vector<std::byte> compressed;
  uLong crc = 0;
  std::exception_ptr error;
  bool done = false;

  std::span<const std::byte> content() const { return std::span(text).subspan(dictionary); }
};

// A raw deflate stream, used for one block after the other.
class Deflater {
 public:
  explicit Deflater(int level) {
    constexpr int kRawWindowBits = -15;
    constexpr int kMemoryLevel = 8;
    if (deflateInit2(&stream_, level, Z_DEFLATED, kRawWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  void compress(Block& block) {
    check(deflateReset(&stream_));
    auto* text = reinterpret_cast<Bytef*>(block.text.data());
    if (block.dictionary > 0) {
      check(deflateSetDictionary(&stream_, text, static_cast<uInt>(block.dictionary)));
    }
    const auto length = static_cast<uInt>(block.content().size());
    stream_.next_in = text + block.dictionary;
    stream_.avail_in = length;
    // Room for all of it, flush marker included, so that the output never has to wait.
    block.compressed.resize(deflateBound(&stream_, length) + 16);
    stream_.next_out = reinterpret_cast<Bytef*>(block.compressed.data());
    stream_.avail_out = static_cast<uInt>(block.compressed.size());
    const int result = deflate(&stream_, block.last ? Z_FINISH : Z_SYNC_FLUSH);
    if (result != (block.last ? Z_STREAM_END : Z_OK) || stream_.avail_in != 0 || stream_.avail_out == 0) {
      throw std::logic_error("deflate did not take a block at once");
    }
    block.compressed.resize(block.compressed.size() - stream_.avail_out);
    block.crc = crc32(0, text + block.dictionary, length);
  }

 private:
  static void check(int result) {
    if (result != Z_OK) throw std::logic_error("zlib stream is in a wrong state");
  }

  z_stream stream_{};
};

class GzipEncoder : public Encoder {
 public:
  GzipEncoder(int level, unsigned threads, Sink& out)
      : level_(level), threads_(std::max(threads, 1u)), out_(out), current_(std::make_unique<Block>()) {}

  ~GzipEncoder() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    workers_.clear();  // joins
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      // A full block is held until more comes, as the last one ends the stream.
      if (current_->content().size() == kBlock) next_block();
      const std::size_t count = std::min(bytes.size(), kBlock - current_->content().size());
      current_->text.insert(current_->text.end(), bytes.begin(),
                            bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
    }
  }

  void finish() override {
    if (!current_) throw std::logic_error("gzip stream was finished before");
    current_->last = true;
    submit(std::move(current_));
    while (!in_order_.empty())
      write_oldest();
    put(static_cast<std::uint32_t>(crc_));
    put(static_cast<std::uint32_t>(size_));
  }

 private:
  void next_block() {
    auto next = std::make_unique<Block>();
    next->text.reserve(kWindow + kBlock);
    next->text.assign(current_->text.end() - kWindow, current_->text.end());
    next->dictionary = kWindow;
    submit(std::exchange(current_, std::move(next)));
  }

  void submit(std::unique_ptr<Block> block) {
    // An input of one block, and a single thread, need no workers.
    if (threads_ == 1 || (block->last && workers_.empty())) {
      if (!deflater_) deflater_.emplace(level_);
      deflater_->compress(*block);
      block->done = true;
      in_order_.push_back(std::move(block));
      write_oldest();
      return;
    }
    while (in_order_.size() >= 2 * std::size_t{threads_})
      write_oldest();
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(block.get());
    }
    in_order_.push_back(std::move(block));
    if (workers_.size() < threads_) workers_.emplace_back([this] { compress_blocks(); });
    work_.notify_one();
  }

  void compress_blocks() {
    std::optional<Deflater> deflater;
    while (true) {
      Block* block = nullptr;
      {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        block = queue_.front();
        queue_.pop_front();
      }
      try {
        if (!deflater) deflater.emplace(level_);
        deflater->compress(*block);
      } catch (...) {
        block->error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        block->done = true;
      }
      done_.notify_one();
    }
  }

  void write_oldest() {
    Block& block = *in_order_.front();
    {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [&] { return block.done; });
    }
    if (block.error) std::rethrow_exception(block.error);
    if (!header_written_) write_header();
    out_.write(block.compressed);
    const std::size_t length = block.content().size();
    crc_ = crc32_combine(crc_, block.crc, static_cast<z_off_t>(length));
    size_ += length;
    in_order_.pop_front();
  }

  // RFC 1952 section 2.3: no time, no name, XFL as Go's compress/gzip sets it, OS "unknown".
  void write_header() {
    const unsigned char xfl = level_ == Z_BEST_COMPRESSION ? 2 : level_ == Z_BEST_SPEED ? 4 : 0;
    const std::array<unsigned char, 10> header{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, xfl, 0xff};
    out_.write(std::as_bytes(std::span(header)));
    header_written_ = true;
  }

  void put(std::uint32_t word) {
    std::array<std::byte, 4> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(word >> (8 * i));
    out_.write(bytes);
  }

  const int level_;
  const unsigned threads_;
  Sink& out_;
  std::unique_ptr<Block> current_;
  std::deque<std::unique_ptr<Block>> in_order_;  // submitted and not written
  std::optional<Deflater> deflater_;
  bool header_written_ = false;
  uLong crc_ = 0;
  std::uint64_t size_ = 0;

  std::mutex mutex_;  // guards what follows, and Block::done
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Block*> queue_;
  bool stopping_ = false;
  std::vector<std::jthread> workers_;  // last, so that they end first
};

}  // namespace

std::unique_ptr<Encoder> make_gzip_encoder(int level, unsigned threads, Sink& out) {
  return std::make_unique<GzipEncoder>(level, threads, out);
}

}  // namespace imgslim
