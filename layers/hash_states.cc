// SPDX-License-Identifier: Apache-2.0
#include "layers/hash_states.h"

// EVP does not show the state of a hash; these functions do, and use the same code.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>

#include "layers/error.h"
#include "layers/hex.h"

namespace imgslim {
namespace {

HashState state_of(const SHA256_CTX& context) {
  HashState state;
  std::copy(std::begin(context.h), std::end(context.h), state.begin());
  return state;
}

Digest end(SHA256_CTX& context) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> value;
  SHA256_Final(value.data(), &context);
  return *Digest::parse("sha256:" + hex_of(value));
}

// A hash that stands at `offset`, a whole number of blocks.
SHA256_CTX context_at(const HashState& state, std::uint64_t offset) {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::copy(state.begin(), state.end(), std::begin(context.h));
  const std::uint64_t bits = offset * 8;
  context.Nl = static_cast<SHA_LONG>(bits & 0xffffffff);
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
  return context;
}

}  // namespace

struct BlobHasher::State {
  std::optional<Hasher> other;  // not SHA-256
  SHA256_CTX context;
  std::uint64_t size = 0;
  std::vector<HashState> states;
};

BlobHasher::BlobHasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
  if (algorithm != "sha256") state_->other.emplace(algorithm);
  SHA256_Init(&state_->context);
}

BlobHasher::BlobHasher(BlobHasher&&) noexcept = default;
BlobHasher::~BlobHasher() = default;

void BlobHasher::update(std::span<const std::byte> bytes) {
  State& s = *state_;
  if (s.other) return s.other->update(bytes);
  while (!bytes.empty()) {
    if (s.size > 0 && s.size % kHashSpan == 0) s.states.push_back(state_of(s.context));
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), kHashSpan - s.size % kHashSpan));
    SHA256_Update(&s.context, bytes.data(), count);
    s.size += count;
    bytes = bytes.subspan(count);
  }
}

Digest BlobHasher::finish() {
  return state_->other ? state_->other->finish() : end(state_->context);
}

std::vector<HashState> BlobHasher::take_states() {
  return std::move(state_->states);
}

namespace {

class CheckedBlob : public Blob {
 public:
  CheckedBlob(BlobPtr blob, Digest digest, std::vector<HashState> states)
      : blob_(std::move(blob)), digest_(std::move(digest)), states_(std::move(states)) {
    SHA256_CTX context;
    SHA256_Init(&context);
    states_.insert(states_.begin(), state_of(context));
  }

  std::uint64_t size() const override { return blob_->size(); }

  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size() || into.size() > size() - offset)
      throw Error(Failure::kIo, digest_.text() + ": read behind the end");
    while (!into.empty()) {
      const std::uint64_t number = offset / kHashSpan;
      const auto bytes = span(number);
      const auto start = static_cast<std::size_t>(offset - number * kHashSpan);
      const std::size_t count = std::min(into.size(), bytes->size() - start);
      std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(start), count, into.begin());
      into = into.subspan(count);
      offset += count;
    }
  }

 private:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;
  static constexpr std::size_t kKept = 4;

  Bytes span(std::uint64_t number) const {
    {
      const std::lock_guard lock(mutex_);
      const auto known =
          std::find_if(kept_.begin(), kept_.end(), [&](const auto& k) { return k.first == number; });
      if (known != kept_.end()) {
        kept_.splice(kept_.begin(), kept_, known);
        return known->second;
      }
    }
    const std::uint64_t offset = number * kHashSpan;
    auto bytes = std::make_shared<std::vector<std::byte>>(
        static_cast<std::size_t>(std::min(kHashSpan, size() - offset)));
    blob_->read_at(offset, *bytes);
    SHA256_CTX context = context_at(states_[number], offset);
    SHA256_Update(&context, bytes->data(), bytes->size());
    const bool is_last = number + 1 == states_.size();
    if (is_last ? end(context) != digest_ : state_of(context) != states_[number + 1]) {
      throw_bad_image(
          fmt::format("blob {}: the bytes from {} are not those of the digest; --no-cache reads all of it",
                      digest_.text(), offset));
    }
    const std::lock_guard lock(mutex_);
    kept_.emplace_front(number, bytes);
    if (kept_.size() > kKept) kept_.pop_back();
    return bytes;
  }

  BlobPtr blob_;
  Digest digest_;
  std::vector<HashState> states_;  // at the start of each span
  mutable std::mutex mutex_;
  mutable std::list<std::pair<std::uint64_t, Bytes>> kept_;
};

}  // namespace

BlobPtr checked_blob(BlobPtr blob, Digest digest, std::vector<HashState> states) {
  if (digest.algorithm() != "sha256" || states.size() != hash_states_of(blob->size()))
    throw Error(Failure::kIo,
                digest.text() + ": the states of its hash are not those of a blob of that size");
  return std::make_shared<CheckedBlob>(std::move(blob), std::move(digest), std::move(states));
}

}  // namespace imgslim
