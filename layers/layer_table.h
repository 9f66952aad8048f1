// SPDX-License-Identifier: Apache-2.0
// What pass 1 leaves of a layer: one serialisable value. It holds every tar entry, where its content
// lies in the plain bytes, the checkpoints to get there, and what observers found while the layer
// streamed. It can be made by scanning a blob or come from a cache; nothing else of a layer is needed
// to plan, and contents are read through a Blob afterwards.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layers/compression.h"
#include "layers/digest.h"
#include "layers/hash_states.h"

namespace imgslim {

enum class EntryType : std::uint8_t {
  kRegular,
  kHardLink,
  kSymlink,
  kCharacterDevice,
  kBlockDevice,
  kDirectory,
  kFifo,
  kWhiteout,        // .wh.NAME: path is that of NAME (image-spec layer.md, "Whiteouts")
  kOpaqueWhiteout,  // .wh..wh..opq: path is that of the directory
};

// Extended attributes as PAX records carry them (SCHILY.xattr.NAME), values byte for byte,
// sorted by name.
using Xattrs = std::vector<std::pair<std::string, std::string>>;

// One tar entry. Text views point into the owning LayerTable.
struct Entry {
  std::string_view path;  // cleaned: no leading, trailing or double slash, no "." or ".."; "" = root
  std::string_view link;  // symlink: text as is; hard link: cleaned path in the image
  std::uint64_t header_offset = 0;  // first byte of the entry, its PAX headers included
  std::uint64_t data_offset = 0;    // first byte of the content in the plain stream
  std::uint64_t stored_size = 0;    // content bytes in the stream (differs from size if sparse)
  std::uint64_t size = 0;           // of the file
  std::uint64_t tar_bytes = 0;      // headers, content and padding: what the entry costs, unpacked
  std::uint64_t crc = 0;            // CRC-64 of the content, holes included: finds candidates, proves nothing
  std::uint64_t head = 0;           // first 8 bytes of the content, little endian, zero padded
  std::int64_t mtime = 0;           // seconds since the epoch, rounded down
  std::uint32_t mtime_nanoseconds = 0;
  std::uint32_t mode = 0;  // permission bits with setuid, setgid, sticky (07777)
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint32_t xattrs = 0;  // index into LayerTable::xattr_sets; 0 = none
  std::uint32_t sparse = 0;  // index into LayerTable::sparse_maps; 0 = not sparse
  EntryType type = EntryType::kRegular;
};

// A sparse file's data: (offset in the file, length), in order, stored back to back from data_offset.
using SparseMap = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

// What an observer kept of an entry: `kind` names the observer.
struct Observation {
  std::uint32_t entry = 0;
  std::string kind;
  std::string data;
};

struct LayerTable {
  std::vector<Entry> entries;  // in stream order
  std::vector<Xattrs> xattr_sets{Xattrs{}};
  std::vector<SparseMap> sparse_maps{SparseMap{}};
  std::vector<Observation> observations;  // by entry, then kind
  std::vector<std::string> warnings;      // oddities that were accepted, one line each, in order

  std::optional<Digest> digest;   // of the blob; unset while not known
  std::optional<Digest> diff_id;  // of the plain bytes
  std::uint64_t blob_size = 0;
  std::uint64_t plain_size = 0;
  Compression compression = Compression::kNone;
  std::vector<Checkpoint> checkpoints;
  std::vector<HashState> hash_states;  // of the blob, by which parts of it can be checked

  // Keeps a copy of `text` as long as the table lives.
  std::string_view keep(std::string_view text);
  // What the texts kept and the xattrs take.
  std::uint64_t text_bytes() const;

 private:
  std::deque<std::string> arena_;  // blocks of text; views into them stay valid
};
using LayerTablePtr = std::shared_ptr<const LayerTable>;

// Sees entries while a layer streams past. Made anew for each layer.
class EntryObserver {
 public:
  virtual ~EntryObserver() = default;
  virtual std::string_view kind() const = 0;
  // Whether it wants the content of this regular file. Called once the header is read.
  virtual bool wants(const Entry& entry) = 0;
  // The content, in order, in pieces; then end(), whose result (if any) becomes an Observation.
  virtual void data(std::span<const std::byte> bytes) = 0;
  virtual std::optional<std::string> end(const Entry& entry) = 0;
};
using Observers = std::vector<std::unique_ptr<EntryObserver>>;

}  // namespace imgslim
