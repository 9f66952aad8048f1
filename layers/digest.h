// SPDX-License-Identifier: Apache-2.0
// Content digests (OCI image-spec, descriptor.md, "Digests"). A Digest can only be made by parsing
// one or by hashing, so that a value of this type is always well formed and safe as a file name.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace imgslim {

class Digest {
 public:
  Digest() = delete;
  // "sha256:<64 lower-case hex digits>" or "sha512:<128>"; anything else is nothing.
  static std::optional<Digest> parse(std::string_view text);

  const std::string& text() const { return text_; }  // "sha256:ab.."
  std::string_view algorithm() const;                // "sha256"
  std::string_view hex() const;                      // "ab.."
  std::string short_text() const;                    // "sha256:" and 12 digits, for people

  auto operator<=>(const Digest&) const = default;

 private:
  friend class Hasher;
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// An incremental hash over OpenSSL's EVP interface. Throws Error{kIo} if OpenSSL refuses.
class Hasher {
 public:
  // `algorithm`: "sha256" or "sha512".
  explicit Hasher(std::string_view algorithm = "sha256");
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes);
  // Ends the hash; the object must not be used after.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-256 of `bytes`.
Digest digest_of(std::string_view bytes);

}  // namespace imgslim

template <>
struct std::hash<imgslim::Digest> {
  std::size_t operator()(const imgslim::Digest& digest) const noexcept {
    return std::hash<std::string>{}(digest.text());
  }
};
