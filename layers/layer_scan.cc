// SPDX-License-Identifier: Apache-2.0
#include "layers/layer_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kPlainPiece = std::size_t{512} << 10;
constexpr std::size_t kBlobPiece = std::size_t{256} << 10;

Compression sniff(const Blob& blob) {
  std::array<std::byte, 16> head;
  const auto bytes =
      std::span(head).first(static_cast<std::size_t>(std::min<std::uint64_t>(blob.size(), 16)));
  blob.read_at(0, bytes);
  return sniff_compression(bytes);
}

Digest digest_of_blob(const Blob& blob, std::string_view algorithm) {
  Hasher hasher(algorithm);
  std::vector<std::byte> buffer(kBlobPiece);
  for (std::uint64_t at = 0; at < blob.size();) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size() - at));
    blob.read_at(at, std::span(buffer).first(count));
    hasher.update(std::span(buffer).first(count));
    at += count;
  }
  return hasher.finish();
}

void check_digest(const Digest& expected, const Digest& actual) {
  if (actual != expected) throw_bad_image("blob has digest " + actual.text() + ", not " + expected.text());
}

}  // namespace

LayerScan::LayerScan(const ScanJob& job, const ScanOptions& options, Observers observers, std::size_t pieces,
                     std::mutex& mutex, std::condition_variable& changed)
    : job_(job),
      pieces_(pieces),
      mutex_(mutex),
      changed_(changed),
      blob_hasher_(job.digest.algorithm()),
      plain_hasher_(job.diff_id ? job.diff_id->algorithm() : "sha256") {
  try {
    if (job.blob->size() != job.size) {
      throw_bad_image(fmt::format("blob has {} bytes, not {}", job.blob->size(), job.size));
    }
    compression_ = sniff(*job.blob);
    tap_ = sink_to([this](std::span<const std::byte> bytes) { take_blob_bytes(bytes); });
    decoder_ = std::make_unique<Decoder>(job.blob, compression_, options.decode, tap_.get(),
                                         options.checkpoint_every);
    indexer_ = std::make_unique<TarIndexer>(std::move(observers), options.tar);
  } catch (...) {
    decode_error_ = std::current_exception();
    decoded_ = true;
  }
}

std::optional<LayerScan::Step> LayerScan::take() {
  if (done_) return std::nullopt;
  if (!decoded_ && !decoding_ && plain_.full.size() < pieces_) {
    decoding_ = true;
    return Step::kDecode;
  }
  if (!plain_.busy && !plain_.full.empty()) {
    plain_.busy = true;
    return Step::kIndex;
  }
  if (!blob_.busy && !blob_.full.empty()) {
    blob_.busy = true;
    return Step::kHash;
  }
  const bool idle = !decoding_ && !plain_.busy && !blob_.busy && !finishing_;
  if (decoded_ && idle && plain_.full.empty() && blob_.full.empty()) {
    finishing_ = true;
    return Step::kFinish;
  }
  return std::nullopt;
}

std::uint64_t LayerScan::run(Step step) {
  switch (step) {
    case Step::kDecode:
      return decode();
    case Step::kIndex:
      index();
      break;
    case Step::kHash:
      hash();
      break;
    case Step::kFinish:
      finish();
      break;
  }
  return 0;
}

LayerScan::Piece LayerScan::free_piece(Queue& queue) {
  if (queue.free.empty()) return {};
  Piece piece = std::move(queue.free.back());
  queue.free.pop_back();
  return piece;
}

std::uint64_t LayerScan::decode() {
  blob_bytes_ = 0;
  Piece piece;
  {
    const std::lock_guard lock(mutex_);
    piece = free_piece(plain_);
  }
  piece.resize(kPlainPiece);
  std::size_t filled = 0;
  bool ended = false;
  std::exception_ptr error;
  try {
    while (filled < piece.size() && !ended) {
      const std::size_t count = decoder_->read(std::span(piece).subspan(filled));
      filled += count;
      ended = count == 0;
    }
    if (ended) pass_blob_piece();
  } catch (...) {
    error = std::current_exception();
  }
  plain_size_ += filled;
  piece.resize(filled);
  const std::uint64_t read = blob_bytes_;
  const std::lock_guard lock(mutex_);
  // What was decoded before an error is still indexed: whichever fails first in the stream is reported.
  if (filled > 0 && !index_error_) plain_.full.push_back(std::move(piece));
  decode_error_ = error;
  decoded_ = decoded_ || ended || error != nullptr;
  decoding_ = false;
  return read;
}

void LayerScan::take_blob_bytes(std::span<const std::byte> bytes) {
  blob_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kBlobPiece - blob_piece_.size());
    blob_piece_.insert(blob_piece_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (blob_piece_.size() == kBlobPiece) pass_blob_piece();
  }
}

void LayerScan::pass_blob_piece() {
  std::unique_lock lock(mutex_);
  while (blob_.full.size() >= pieces_) {
    if (blob_.busy) {
      changed_.wait(lock);
    } else {
      blob_.busy = true;
      hash_oldest(lock);
    }
  }
  Piece next = free_piece(blob_);
  blob_.full.push_back(std::exchange(blob_piece_, std::move(next)));
  blob_piece_.clear();
  blob_piece_.reserve(kBlobPiece);
  changed_.notify_all();
}

// Hashes the oldest piece, without the lock meanwhile; `busy` is the caller's.
void LayerScan::hash_oldest(std::unique_lock<std::mutex>& lock) {
  Piece piece = std::move(blob_.full.front());
  blob_.full.pop_front();
  lock.unlock();
  blob_hasher_.update(piece);
  lock.lock();
  blob_.free.push_back(std::move(piece));
  blob_.busy = false;
  changed_.notify_all();
}

void LayerScan::hash() {
  std::unique_lock lock(mutex_);
  hash_oldest(lock);
}

void LayerScan::index() {
  Piece piece;
  {
    const std::lock_guard lock(mutex_);
    piece = std::move(plain_.full.front());
    plain_.full.pop_front();
  }
  std::exception_ptr error;
  try {
    plain_hasher_.update(piece);
    indexer_->write(piece);
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  plain_.free.push_back(std::move(piece));
  plain_.busy = false;
  if (error) {
    index_error_ = error;
    decoded_ = true;
    plain_.full.clear();
  }
}

// A blob that cannot be read as a layer and is not the blob it should be is damaged: that is the reason.
std::exception_ptr LayerScan::better_reason(const std::exception_ptr& error) const {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    if (known.failure() != Failure::kBadImage || job_.blob->size() != job_.size) return error;
    try {
      check_digest(job_.digest, digest_of_blob(*job_.blob, job_.digest.algorithm()));
      return error;
    } catch (...) {
      return std::current_exception();
    }
  } catch (...) {
    return error;
  }
}

void LayerScan::finish() {
  const std::exception_ptr failure = index_error_ ? index_error_ : decode_error_;
  try {
    if (failure) std::rethrow_exception(better_reason(failure));
    check_digest(job_.digest, blob_hasher_.finish());
    const Digest diff_id = plain_hasher_.finish();
    if (job_.diff_id && diff_id != *job_.diff_id) {
      throw_bad_image("plain bytes have digest " + diff_id.text() + ", not the DiffID " +
                      job_.diff_id->text());
    }
    table_ = indexer_->finish();
    table_->digest = job_.digest;
    table_->diff_id = diff_id;
    table_->blob_size = job_.size;
    table_->plain_size = plain_size_;
    table_->compression = compression_;
    table_->checkpoints = decoder_->take_checkpoints();
    table_->hash_states = blob_hasher_.take_states();
    if (decoder_->trailing_zeros() > 0) {
      table_->warnings.push_back(
          fmt::format("{} zero bytes follow the compressed data", decoder_->trailing_zeros()));
    }
  } catch (...) {
    error_ = std::current_exception();
  }
  // Readers of blobs and decoders hold buffers that nothing needs any more.
  indexer_.reset();
  decoder_.reset();
  const std::lock_guard lock(mutex_);
  plain_ = {};
  blob_ = {};
  blob_piece_ = {};
  done_ = true;
}

LayerTablePtr LayerScan::result() {
  if (!error_) return std::move(table_);
  return with_context(job_.what, [&]() -> LayerTablePtr { std::rethrow_exception(error_); });
}

}  // namespace imgslim
