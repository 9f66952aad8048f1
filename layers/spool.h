// SPDX-License-Identifier: Apache-2.0
// A file without a name that grows: what was written to it can be read back at once, without being held in
// memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "layers/stream.h"

namespace imgslim {

class Spool : public Sink {
 public:
  // In `directory`; throws Error{kIo}.
  explicit Spool(const std::string& directory);
  void write(std::span<const std::byte> bytes) override;
  std::uint64_t size() const { return size_; }
  // Empties it. Blobs handed out before must not be read any more.
  void clear();
  // What was written at `offset`; lives as long as anyone holds it.
  BlobPtr range(std::uint64_t offset, std::uint64_t length) const;

 private:
  struct File;
  std::shared_ptr<File> file_;
  std::uint64_t size_ = 0;
};

}  // namespace imgslim
