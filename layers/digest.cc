// SPDX-License-Identifier: Apache-2.0
#include "layers/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "layers/error.h"
#include "layers/hex.h"
#include "layers/stream.h"

namespace imgslim {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

constexpr std::size_t kShortDigits = 12;

// Hex digits of a digest made by `algorithm`, 0 if it is not one we take.
std::size_t hex_length(std::string_view algorithm) {
  if (algorithm == "sha256") return 64;
  if (algorithm == "sha512") return 128;
  return 0;
}

[[noreturn]] void throw_refused() {
  throw Error(Failure::kIo, "openssl cannot compute a digest");
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  const std::size_t length = hex_length(text.substr(0, colon));
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (length == 0 || digits.size() != length || !std::all_of(digits.begin(), digits.end(), is_hex)) {
    return std::nullopt;
  }
  return Digest(std::string(text));
}

std::string_view Digest::algorithm() const {
  return std::string_view(text_).substr(0, text_.find(':'));
}

std::string_view Digest::hex() const {
  return std::string_view(text_).substr(text_.find(':') + 1);
}

std::string Digest::short_text() const {
  return text_.substr(0, text_.find(':') + 1 + kShortDigits);
}

struct Hasher::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context;
  std::string algorithm;
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
  if (hex_length(algorithm) == 0) throw std::invalid_argument("unknown digest algorithm");
  state_->algorithm = algorithm;
  state_->context.reset(EVP_MD_CTX_new());
  const EVP_MD* method = algorithm == "sha512" ? EVP_sha512() : EVP_sha256();
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), method, nullptr) != 1) throw_refused();
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1) throw_refused();
}

void Hasher::update(std::string_view bytes) {
  update(as_bytes(bytes));
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value;
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), value.data(), &length) != 1) throw_refused();
  return Digest(state_->algorithm + ":" + hex_of(std::span(value).first(length)));
}

Digest digest_of(std::string_view bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace imgslim
