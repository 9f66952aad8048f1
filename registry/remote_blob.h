// SPDX-License-Identifier: Apache-2.0
// A blob in a registry as one that can be read anywhere. Either all of it was fetched, verified and kept in
// an unlinked file, or parts are fetched as they are read.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "layers/durable_file.h"
#include "layers/manifest.h"
#include "layers/stream.h"
#include "registry/client.h"

namespace imgslim {

class RemoteBlob : public Blob {
 public:
  RemoteBlob(std::shared_ptr<const RegistryClient> client, Descriptor descriptor,
             std::string spool_directory);

  std::uint64_t size() const override { return descriptor_.size; }
  // Throws Error{kNetwork}, and Error{kBadImage} if the whole blob has another digest.
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override;
  // Fetches all of it, unless that is done or under way in another thread. Ends with an Error when `stop`
  // becomes true.
  void fetch(const std::atomic<bool>* stop = nullptr) const;
  // From now on a read of any part fetches all of it.
  void want_all() const;
  // What fetch() left; null if it was not called.
  BlobPtr whole() const;

 private:
  void fetch_locked(const std::atomic<bool>* stop) const;
  bool read_part(std::uint64_t offset, std::span<std::byte> into) const;

  std::shared_ptr<const RegistryClient> client_;
  Descriptor descriptor_;
  std::string spool_directory_;
  mutable std::mutex mutex_;
  mutable BlobPtr whole_;
  // What was fetched in parts: spans of kSpan bytes, by number, in the file.
  mutable UniqueFd parts_;
  mutable std::set<std::uint64_t> spans_;
  mutable bool no_ranges_ = false;
  mutable std::atomic<bool> wants_all_ = false;
};

}  // namespace imgslim
