// SPDX-License-Identifier: Apache-2.0
// A blob that is being written to a file and hashed on the way.
#pragma once

#include <functional>
#include <string>

#include "layers/durable_file.h"
#include "layers/image_store.h"

namespace imgslim {

// Writes to `fd`; commit() compares digest and size, syncs if `sync`, and hands the file to `take`.
class FileBlobWriter : public BlobWriter {
 public:
  using Take = std::function<void(UniqueFd fd, const Digest& digest, std::uint64_t size)>;
  FileBlobWriter(UniqueFd fd, std::string path, bool sync, Take take);
  void write(std::span<const std::byte> bytes) override;
  void commit(const Digest& digest, std::uint64_t size) override;

 private:
  UniqueFd fd_;
  std::string path_;
  bool sync_;
  Take take_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
};

// Hashes all of a blob with the algorithm of `like`.
Digest hash_blob(const Blob& blob, const Digest& like);

}  // namespace imgslim
