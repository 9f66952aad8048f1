// SPDX-License-Identifier: Apache-2.0
// What a run moved over the network.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>

#include "layers/digest.h"

namespace imgslim {

struct TransferCount {
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;
};

struct TransferReport {
  TransferCount pulled;   // blobs and manifests that came; bytes as they came, those of failed tries too
  TransferCount pushed;   // that went, likewise
  TransferCount mounted;  // that the registry took over from another repository
  TransferCount skipped;  // that were there already
  bool any() const { return pulled.blobs + pushed.blobs + mounted.blobs + skipped.blobs > 0; }
};

// Thread safe. Bytes are counted as they move, each blob once.
class Transfers {
 public:
  void came(std::uint64_t bytes) { add(report_.pulled, 0, bytes); }
  void came_whole() { add(report_.pulled, 1, 0); }
  void went(std::uint64_t bytes) { add(report_.pushed, 0, bytes); }
  void went_whole() { add(report_.pushed, 1, 0); }
  void was_mounted(std::uint64_t bytes) { add(report_.mounted, 1, bytes); }
  void was_there(const Digest& digest, std::uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    if (!seen_.insert(digest).second) return;
    ++report_.skipped.blobs;
    report_.skipped.bytes += bytes;
  }
  TransferReport report() const {
    const std::lock_guard guard(mutex_);
    return report_;
  }

 private:
  void add(TransferCount& count, std::uint64_t blobs, std::uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    count.blobs += blobs;
    count.bytes += bytes;
  }
  mutable std::mutex mutex_;
  TransferReport report_;
  std::set<Digest> seen_;
};

}  // namespace imgslim
