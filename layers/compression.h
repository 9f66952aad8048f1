// SPDX-License-Identifier: Apache-2.0
// Layer compression: gzip (RFC 1952) and zstd (RFC 8878), decoded as a stream with checkpoints from
// which decoding can go on later, and encoded to the same bytes on any CPU and with any number of
// threads. Decoding is ISA-L's and libzstd's, encoding zlib's and libzstd's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "layers/stream.h"

namespace imgslim {

enum class Compression : std::uint8_t { kNone, kGzip, kZstd };
std::string_view name_of(Compression compression);  // "none", "gzip", "zstd"

// By the first bytes of a blob. Throws Error{kBadImage} for xz, bzip2, lz4 and other known
// compressions that layers may not have ("xz-compressed layers are not supported, ...").
Compression sniff_compression(std::span<const std::byte> head);

// What a stream of hostile bytes may cost.
struct DecodeLimits {
  std::uint64_t max_plain_bytes = std::uint64_t{64} << 30;
  // Above `ratio_floor` plain bytes, a blob may not grow by more than this.
  std::uint64_t max_ratio = 1000;
  std::uint64_t ratio_floor = std::uint64_t{256} << 20;
  int max_window_log = 27;             // zstd: 128 MiB
  std::uint32_t max_members = 100000;  // gzip members or zstd frames
};

// A place to go on decoding from: the position in the blob and in the plain bytes, and what the decoder needs
// to know there. Any text may be tried as `state`: a wrong one gives an Error or wrong bytes.
struct Checkpoint {
  std::uint64_t blob_offset = 0;
  std::uint64_t plain_offset = 0;
  std::string state;  // empty: a fresh member or frame starts here
};

// Decodes a blob from its start, or from a checkpoint. Multi-member gzip and multi-frame zstd (with
// skippable frames) are one stream. Checks CRCs; errors are Error{kBadImage} naming the offset.
class Decoder : public Source {
 public:
  // A null `tap` is allowed; otherwise it sees every byte of the blob once, in order, to its end.
  // With `checkpoint_every` > 0, checkpoints are collected about that many plain bytes apart.
  Decoder(BlobPtr blob, Compression compression, DecodeLimits limits = {}, Sink* tap = nullptr,
          std::uint64_t checkpoint_every = 0);
  Decoder(BlobPtr blob, Compression compression, const Checkpoint& from, DecodeLimits limits = {});
  ~Decoder() override;

  std::size_t read(std::span<std::byte> into) override;
  std::uint64_t plain_offset() const;
  std::vector<Checkpoint> take_checkpoints();
  // After the end: bytes behind the last member that are no member, 0 if none. Zero bytes are
  // allowed there (counted); anything else throws while reading.
  std::uint64_t trailing_zeros() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Random access to the plain bytes of a compressed blob through its checkpoints. Reading onwards from
// where the last read stopped never decodes a byte twice; memory is bounded by `cache_bytes`.
// Thread safe; several threads decode at a time where they read far from each other.
class PlainBlob : public Blob {
 public:
  // The plain bytes are cut into spans of this size, each decoded as a whole.
  static constexpr std::uint64_t kSpan = std::uint64_t{256} << 10;
  PlainBlob(BlobPtr blob, Compression compression, std::vector<Checkpoint> checkpoints,
            std::uint64_t plain_size, std::size_t cache_bytes = std::size_t{32} << 20);
  // The same with checkpoints that several share, as the images that have one layer do.
  PlainBlob(BlobPtr blob, Compression compression, std::shared_ptr<const std::vector<Checkpoint>> checkpoints,
            std::uint64_t plain_size, std::size_t cache_bytes);
  ~PlainBlob() override;
  std::uint64_t size() const override;
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override;
  // Gives back the memory of what is kept decoded.
  void forget() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr int kDefaultGzipLevel = 6;
inline constexpr int kDefaultZstdLevel = 3;

class Encoder : public Sink {
 public:
  // Ends the stream and writes what is left. Must be called once; without it the output is void.
  virtual void finish() = 0;
};

// Compresses into `out`, which must outlive the encoder.
// gzip: one member, mtime 0, OS 255, 1 MiB blocks compressed by `threads` threads, each primed with
// the 32 KiB before it (pigz's scheme). zstd: one frame with content checksum, window log at most 27.
// kNone copies. `level` 0 takes the default. The bytes do not depend on `threads`.
std::unique_ptr<Encoder> make_encoder(Compression compression, int level, unsigned threads, Sink& out);

// Versions of the libraries that decide over output bytes ("zlib 1.2.13, zstd 1.5.4"), for reports and keys.
std::string encoder_versions();

}  // namespace imgslim
