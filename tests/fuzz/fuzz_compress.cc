// SPDX-License-Identifier: Apache-2.0
// gzip and zstd framing: any bytes decode or fail; from every checkpoint, with buffers of any size and at
// any offset the plain bytes are the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "layers/compression.h"
#include "layers/error.h"

namespace {

using namespace imgslim;

constexpr DecodeLimits kLimits{.max_plain_bytes = 4 << 20, .max_window_log = 23, .max_members = 1000};

void require(bool holds) {
  if (!holds) std::abort();
}

// The plain bytes before the end or an error.
std::string decode(Decoder& decoder, std::size_t step, bool& failed) {
  std::string plain;
  std::vector<std::byte> buffer(step);
  try {
    while (const std::size_t count = decoder.read(buffer))
      plain += as_text(std::span(buffer).first(count));
    failed = false;
  } catch (const Error&) {
    failed = true;
  }
  return plain;
}

void check(const BlobPtr& blob, Compression compression) {
  bool failed = false;
  bool failed_too = false;
  Decoder straight(blob, compression, kLimits, nullptr, 1000);
  const std::string plain = decode(straight, 1 << 16, failed);
  Decoder in_pieces(blob, compression, kLimits);
  const std::string pieces = decode(in_pieces, 1009, failed_too);
  require(failed == failed_too);
  // What comes right before an error depends on the buffer.
  if (!failed) require(plain == pieces);
  if (failed) return;
  const std::vector<Checkpoint> checkpoints = straight.take_checkpoints();
  for (std::size_t i = 0; i < checkpoints.size(); i += 1 + checkpoints.size() / 16) {
    Decoder resumed(blob, compression, checkpoints[i], kLimits);
    require(decode(resumed, 5000, failed) == plain.substr(checkpoints[i].plain_offset) && !failed);
  }
  const PlainBlob random(blob, compression, checkpoints, plain.size(), 1 << 20);
  for (std::size_t i = 0; i < 8 && !plain.empty(); ++i) {
    const std::size_t offset = plain.size() * ((i * 5) % 8) / 8;
    std::string part(std::min<std::size_t>(plain.size() - offset, 3000), '\0');
    random.read_at(offset, std::as_writable_bytes(std::span<char>(part)));
    require(part == plain.substr(offset, part.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BlobPtr blob = memory_blob(std::string(reinterpret_cast<const char*>(data), size));
  check(blob, Compression::kGzip);
  check(blob, Compression::kZstd);
  return 0;
}
