// SPDX-License-Identifier: Apache-2.0
// One layer of pass 1, cut into steps that several threads can take. Internal to the room.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "layers/hash_states.h"
#include "layers/scan.h"

namespace imgslim {

// Three kinds of steps, each kind taken by one thread at a time: decode fills a piece of plain bytes,
// index hashes and indexes the oldest piece, hash hashes the oldest piece of the blob. Pieces are few, so
// that memory is bounded; a thread that decodes and finds no room for the blob's bytes hashes some itself.
class LayerScan {
 public:
  enum class Step { kDecode, kIndex, kHash, kFinish };

  // `mutex` guards the queues of all layers; `changed` is notified when more steps may be possible.
  // `pieces` is how many pieces of each kind may wait.
  LayerScan(const ScanJob& job, const ScanOptions& options, Observers observers, std::size_t pieces,
            std::mutex& mutex, std::condition_variable& changed);

  // With the lock held: a step that can be taken now, marked as taken.
  std::optional<Step> take();
  // Without the lock. Errors are kept for result(). Returns bytes of the blob that were decoded.
  std::uint64_t run(Step step);
  // After the last step, which is kFinish.
  bool failed() const { return error_ != nullptr; }
  // The table, after the last step and if it did not fail.
  const LayerTable& table() const { return *table_; }
  // Takes the table, after the last step; throws the error there was.
  LayerTablePtr result();

 private:
  using Piece = std::vector<std::byte>;
  struct Queue {
    std::deque<Piece> full;
    std::vector<Piece> free;
    bool busy = false;  // a thread works on what was its oldest piece
  };

  std::uint64_t decode();  // bytes of the blob that were
  void index();
  void hash();
  void finish();
  void take_blob_bytes(std::span<const std::byte> bytes);
  void pass_blob_piece();
  void hash_oldest(std::unique_lock<std::mutex>& lock);
  Piece free_piece(Queue& queue);
  std::exception_ptr better_reason(const std::exception_ptr& error) const;
  void check_digests(const Digest& blob_digest, const Digest& diff_id) const;

  const ScanJob& job_;
  const std::size_t pieces_;
  std::mutex& mutex_;
  std::condition_variable& changed_;

  Compression compression_ = Compression::kNone;
  std::unique_ptr<Sink> tap_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<TarIndexer> indexer_;
  BlobHasher blob_hasher_;
  Hasher plain_hasher_;
  Piece blob_piece_;              // being filled by the thread that decodes
  std::uint64_t blob_bytes_ = 0;  // that passed the tap in this step
  std::uint64_t plain_size_ = 0;
  std::shared_ptr<LayerTable> table_;
  std::exception_ptr error_;

  // Guarded by mutex_.
  Queue plain_;
  Queue blob_;
  bool decoding_ = false;
  bool decoded_ = false;
  bool finishing_ = false;
  bool done_ = false;
  std::exception_ptr decode_error_;
  std::exception_ptr index_error_;
};

}  // namespace imgslim
