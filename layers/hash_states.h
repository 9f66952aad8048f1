// SPDX-License-Identifier: Apache-2.0
// SHA-256 of a blob with its state on the way (FIPS 180-4 section 6.2): from the states at two places it can
// be shown that the bytes between them belong to the blob, without reading the rest.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "layers/digest.h"
#include "layers/stream.h"

namespace imgslim {

using HashState = std::array<std::uint32_t, 8>;
// Bytes between two states.
inline constexpr std::uint64_t kHashSpan = std::uint64_t{256} << 10;

// How many states a blob of that size has: one at each whole span that more bytes follow.
constexpr std::uint64_t hash_states_of(std::uint64_t size) {
  return size == 0 ? 0 : (size - 1) / kHashSpan;
}

class BlobHasher {
 public:
  // `algorithm`: "sha256" or "sha512"; the latter leaves no states.
  explicit BlobHasher(std::string_view algorithm);
  BlobHasher(BlobHasher&&) noexcept;
  ~BlobHasher();
  void update(std::span<const std::byte> bytes);
  // Ends the hash; the object must not be used after, but for take_states().
  Digest finish();
  std::vector<HashState> take_states();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `blob`, of which no byte is given out before it was shown to belong to the digest. Reads whole spans and
// keeps the last few. Throws Error{kBadImage} if one does not belong. `states` are those of BlobHasher over
// the blob.
BlobPtr checked_blob(BlobPtr blob, Digest digest, std::vector<HashState> states);

}  // namespace imgslim
