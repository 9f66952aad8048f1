// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "layers/hash_states.h"
#include "tests/support/compressed.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

struct Hashed {
  Digest digest;
  std::vector<HashState> states;
};

Hashed hash(std::string_view text, std::size_t step) {
  BlobHasher hasher("sha256");
  for (std::size_t at = 0; at < text.size(); at += step)
    hasher.update(as_bytes(text.substr(at, step)));
  Digest digest = hasher.finish();
  return {std::move(digest), hasher.take_states()};
}

std::string read(const Blob& blob, std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  blob.read_at(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace

TEST_CASE("hash states: one at each span that more bytes follow, however the bytes come") {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kHashSpan - 1, kHashSpan,
                                   kHashSpan + 1, 3 * kHashSpan, 3 * kHashSpan + 17}) {
    const std::string text = sample_text(static_cast<std::size_t>(size));
    const Hashed whole = hash(text, text.size() + 1);
    CHECK(whole.digest == digest_of(text));
    CHECK(whole.states.size() == hash_states_of(size));
    for (const std::size_t step : {std::size_t{1000}, std::size_t{65536}, std::size_t{300000}}) {
      const Hashed pieces = hash(text, step);
      CHECK(pieces.digest == whole.digest);
      CHECK(pieces.states == whole.states);
    }
  }
}

TEST_CASE("hash states: SHA-512 has none") {
  BlobHasher hasher("sha512");
  hasher.update(as_bytes(sample_text(600000)));
  Hasher other("sha512");
  other.update(sample_text(600000));
  CHECK(hasher.finish() == other.finish());
  CHECK(hasher.take_states().empty());
}

TEST_CASE("hash states: a checked blob gives what the digest names, and nothing else") {
  const std::string text = sample_text(static_cast<std::size_t>(4 * kHashSpan + 999));
  const Hashed hashed = hash(text, 100000);
  const BlobPtr good = checked_blob(memory_blob(text), hashed.digest, hashed.states);
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{5}, kHashSpan - 3, 2 * kHashSpan, 4 * kHashSpan})
    CHECK(read(*good, offset, 900) == text.substr(static_cast<std::size_t>(offset), 900));
  CHECK(read(*good, 0, text.size()) == text);
  CHECK_THROWS_AS(read(*good, text.size(), 1), Error);
  for (std::size_t span = 0; span < 5; ++span) {
    std::string bad = text;
    bad[span * static_cast<std::size_t>(kHashSpan) + 500] ^= 1;
    const BlobPtr blob = checked_blob(memory_blob(bad), hashed.digest, hashed.states);
    for (std::size_t other = 0; other < 5; ++other) {
      const std::uint64_t at = other * kHashSpan + 10;
      if (other == span)
        CHECK_THROWS_AS(read(*blob, at, 10), Error);
      else
        CHECK(read(*blob, at, 10) == text.substr(static_cast<std::size_t>(at), 10));
    }
  }
}

TEST_CASE("hash states: states of another blob are refused") {
  const std::string text = sample_text(static_cast<std::size_t>(3 * kHashSpan));
  const Hashed hashed = hash(text, 100000);
  auto fewer = hashed.states;
  fewer.pop_back();
  CHECK_THROWS_AS(checked_blob(memory_blob(text), hashed.digest, fewer), Error);
  auto wrong = hashed.states;
  wrong[0][3] ^= 1;
  const BlobPtr blob = checked_blob(memory_blob(text), hashed.digest, wrong);
  CHECK_THROWS_AS(read(*blob, 0, 1), Error);
  CHECK_THROWS_AS(read(*blob, kHashSpan, 1), Error);
  CHECK(read(*blob, 2 * kHashSpan, 9) == text.substr(static_cast<std::size_t>(2 * kHashSpan), 9));
}
