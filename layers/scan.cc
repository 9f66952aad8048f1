// SPDX-License-Identifier: Apache-2.0
#include "layers/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

#include "layers/error.h"
#include "layers/layer_scan.h"

namespace imgslim {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);
// Pieces of a layer that may wait between two threads.
constexpr std::size_t kWaitingPieces = 4;

constexpr std::uint64_t kNearestCheckpoints = std::uint64_t{1} << 20;

// Threads take steps of layers, those of the largest layer first: it is what takes longest, and its
// decoding is the one thing that cannot be shared.
class Scanner {
 public:
  Scanner(const std::vector<ScanJob>& jobs, const ScanOptions& options)
      : jobs_(jobs),
        options_(options),
        threads_(options.threads != 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency())),
        order_(jobs.size()),
        layers_(jobs.size()),
        first_failed_(jobs.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return jobs[a].size > jobs[b].size; });
    for (const ScanJob& job : jobs)
      total_ += job.size;
    // A checkpoint takes at most some 32 KiB; plain bytes are about three times those of the blobs.
    constexpr std::uint64_t kCheckpoints = 800;
    if (options_.checkpoint_every == 0)
      options_.checkpoint_every = std::max(kNearestCheckpoints, total_ / kCheckpoints * 3);
  }

  std::vector<LayerTablePtr> run() {
    {
      std::vector<std::jthread> helpers;
      // A layer has at most three steps at once.
      const std::size_t useful = std::min<std::size_t>(threads_, 3 * jobs_.size());
      for (std::size_t i = 1; i < useful; ++i)
        helpers.emplace_back([this] { work(); });
      work();
    }
    if (failure_) std::rethrow_exception(failure_);
    if (first_failed_ < jobs_.size()) layers_[first_failed_]->result();  // throws
    std::vector<LayerTablePtr> tables;
    for (const auto& layer : layers_)
      tables.push_back(layer->result());
    if (options_.progress) options_.progress(total_, total_);
    return tables;
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    try {
      while (!finished()) {
        const auto [index, step] = take();
        if (!step) {
          changed_.wait(lock);
          continue;
        }
        LayerScan& layer = *layers_[index];
        lock.unlock();
        const std::uint64_t read = layer.run(*step);
        lock.lock();
        if (*step == LayerScan::Step::kFinish) note_end(index);
        changed_.notify_all();
        report(read, lock);
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      if (!failure_) failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  bool finished() {
    // Layers behind one that failed are not begun.
    while (next_ < order_.size() && order_[next_] > first_failed_)
      ++next_;
    return failure_ != nullptr || (next_ == order_.size() && active_.empty());
  }

  std::pair<std::size_t, std::optional<LayerScan::Step>> take() {
    for (const std::size_t index : active_) {
      if (const auto step = layers_[index]->take()) return {index, step};
    }
    if (next_ == order_.size() || active_.size() >= threads_) return {0, std::nullopt};
    const std::size_t index = order_[next_++];
    // With one thread a piece is used up at once, while it is in the CPU's cache.
    layers_[index] = std::make_unique<LayerScan>(jobs_[index], options_,
                                                 options_.observers ? options_.observers(index) : Observers{},
                                                 threads_ == 1 ? 1 : kWaitingPieces, mutex_, changed_);
    active_.push_back(index);
    return {index, layers_[index]->take()};
  }

  void note_end(std::size_t index) {
    std::erase(active_, index);
    if (!layers_[index]->failed()) {
      check_sums(layers_[index]->table());
      return;
    }
    if (index > first_failed_) return;
    // The first job that fails gives the error, so those before it go on.
    first_failed_ = index;
    std::erase_if(active_, [&](std::size_t other) { return other > index; });
  }

  void check_sums(const LayerTable& table) {
    entries_ += table.entries.size();
    text_bytes_ += table.text_bytes();
    if (entries_ > options_.max_entries) {
      throw_bad_image(fmt::format("{}: the layers have more than {} entries in all", options_.what,
                                  options_.max_entries));
    }
    if (text_bytes_ > options_.max_text_bytes) {
      throw_bad_image(fmt::format("{}: the names in the layers take more than {} bytes in all", options_.what,
                                  options_.max_text_bytes));
    }
  }

  void report(std::uint64_t read, std::unique_lock<std::mutex>& lock) {
    done_ += read;
    const auto now = std::chrono::steady_clock::now();
    if (!options_.progress || reporting_ || now - last_report_ < kProgressInterval) return;
    reporting_ = true;
    last_report_ = now;
    const std::uint64_t done = done_;
    lock.unlock();
    options_.progress(done, total_);
    lock.lock();
    reporting_ = false;
  }

  const std::vector<ScanJob>& jobs_;
  ScanOptions options_;
  const unsigned threads_;
  std::vector<std::size_t> order_;  // of jobs, largest first
  std::uint64_t total_ = 0;

  std::mutex mutex_;  // guards what follows, and the queues of the layers
  std::condition_variable changed_;
  std::vector<std::unique_ptr<LayerScan>> layers_;  // by job; null before it begins
  std::vector<std::size_t> active_;                 // jobs that have begun and not ended, largest first
  std::size_t next_ = 0;                            // in order_
  std::size_t first_failed_;                        // job; their number if none
  std::uint64_t entries_ = 0;                       // of layers that have ended
  std::uint64_t text_bytes_ = 0;
  std::exception_ptr failure_;  // of the callbacks, or a limit
  std::uint64_t done_ = 0;
  bool reporting_ = false;
  std::chrono::steady_clock::time_point last_report_ = std::chrono::steady_clock::now();
};

}  // namespace

std::vector<LayerTablePtr> scan_layers(const std::vector<ScanJob>& jobs, const ScanOptions& options) {
  return Scanner(jobs, options).run();
}

}  // namespace imgslim
