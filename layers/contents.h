// SPDX-License-Identifier: Apache-2.0
// Pass 2: contents of entries, read through each layer's checkpoints.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/layer_table.h"
#include "layers/stream.h"
#include "layers/tree.h"

namespace imgslim {

// Digests of files that need not be read for them. Thread safe.
class KnownDigests {
 public:
  virtual ~KnownDigests() = default;
  virtual std::optional<Digest> find_digest(EntryRef file) const = 0;
  // Of a file that was read.
  virtual void add_digest(EntryRef file, const Digest& digest) const = 0;
};

// Contents of small files that need not be read from the layer. Thread safe.
class KnownContents {
 public:
  virtual ~KnownContents() = default;
  virtual std::optional<std::string> find(EntryRef file) const = 0;
  // Of a file that was read.
  virtual void add(EntryRef file, std::string_view content) const = 0;
};

// The contents of an image's layers. Thread safe.
class Contents {
 public:
  // Tables and blobs of the layers, from the bottom up; both are shared. `cache_bytes` bounds what is kept
  // decoded for each layer. `replaced` may hold, by layer, contents that are not in the layer's stream: those
  // of entries with a data_offset of plain_size or more, from there on. `digests` and `known`, if given, must
  // outlive it.
  Contents(std::vector<LayerTablePtr> tables, std::vector<BlobPtr> blobs, std::size_t cache_bytes,
           std::vector<BlobPtr> replaced = {}, const KnownDigests* digests = nullptr,
           const KnownContents* known = nullptr);
  // How many may decode one large file that is read whole; 1 unless it is said.
  void set_threads(unsigned threads) { threads_ = threads; }

  // Writes all of a regular file to `out`, holes as zeros. Throws Error{kBadImage, kIo}.
  void write_to(EntryRef file, Sink& out) const;
  // All of a regular file; throws Error{kBadImage} if it is larger than `limit`.
  std::string read(EntryRef file, std::uint64_t limit) const;
  // Its first `length` bytes, all if it is shorter.
  std::string read_front(EntryRef file, std::uint64_t length) const;
  // SHA-256 of each file, in the order given. Reads in the order of the layers' bytes.
  std::vector<Digest> hash(const std::vector<EntryRef>& files) const;
  // Gives back the memory of what is kept decoded, until something is read again.
  void forget() const;

 private:
  const Entry& entry(EntryRef file) const;
  void read_into(EntryRef file, Sink& out) const;
  std::string read_in_parts(EntryRef file) const;
  // Where a file's bytes are, and their offset there.
  std::pair<const Blob*, std::uint64_t> place_of(EntryRef file) const;
  std::vector<LayerTablePtr> tables_;
  std::vector<std::unique_ptr<PlainBlob>> plain_;
  std::vector<BlobPtr> replaced_;
  const KnownDigests* digests_;
  const KnownContents* known_;
  unsigned threads_ = 1;
};

}  // namespace imgslim
