// SPDX-License-Identifier: Apache-2.0
// The three ways bytes move: read in order, written in order, read at an offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace imgslim {

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// Bytes in order. Not thread safe.
class Source {
 public:
  virtual ~Source() = default;
  // Fills the front of `into` and returns how many bytes; 0 means the end. Short reads are allowed.
  virtual std::size_t read(std::span<std::byte> into) = 0;
};

// Takes bytes in order. Not thread safe.
class Sink {
 public:
  virtual ~Sink() = default;
  // Takes all of `bytes` or throws.
  virtual void write(std::span<const std::byte> bytes) = 0;
};

// Bytes at offsets: a file, a member of an archive, later ranges over HTTP. Thread safe: any number
// of threads may read at once.
class Blob {
 public:
  virtual ~Blob() = default;
  virtual std::uint64_t size() const = 0;
  // Fills all of `into` from `offset`; throws Error{kIo} if the blob is shorter or cannot be read.
  virtual void read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
  // Of a file of this machine: device, inode, size and times. Equal texts are equal bytes; empty where
  // nothing tells that without reading them.
  virtual std::string identity() const;
};
using BlobPtr = std::shared_ptr<const Blob>;

// A blob that is a regular file, read with pread(2). Refuses (Error{kBadImage}) anything that is not
// a regular file and does not follow a symbolic link in the last component.
BlobPtr open_file_blob(const std::string& path);
// `length` bytes of `blob` from `offset`. Throws Error{kBadImage} if they are not inside.
BlobPtr sub_blob(BlobPtr blob, std::uint64_t offset, std::uint64_t length);
// A blob over bytes in memory.
BlobPtr memory_blob(std::string bytes);
// All of a blob; throws Error{kBadImage} "`name` is larger than `limit` bytes" rather than reading more.
std::string read_all(const Blob& blob, std::uint64_t limit, std::string_view name);
// A Source over a whole blob.
std::unique_ptr<Source> read_blob(BlobPtr blob);
// A Sink that calls `take`.
std::unique_ptr<Sink> sink_to(std::function<void(std::span<const std::byte>)> take);

}  // namespace imgslim
