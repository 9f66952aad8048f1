// SPDX-License-Identifier: Apache-2.0
// Trees of embed.FS (cmd/compile/internal/staticdata/embed.go): a slice header that points just behind
// itself, then one record of name, content and hash for each file. No symbol is needed to find them.
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

constexpr std::size_t kHashSize = 16;
constexpr std::uint64_t kMaxNameLength = 4096;
constexpr std::uint64_t kSmallFile = 1024;  // up to here the compiler reads the file at once

using Hash = std::array<unsigned char, kHashSize>;

Hash sha256(std::string_view prefix, std::string_view content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), prefix.data(), prefix.size()) != 1 ||
      EVP_DigestUpdate(context.get(), content.data(), content.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    return {};
  }
  Hash hash;
  std::copy_n(digest.begin(), kHashSize, hash.begin());
  return hash;
}

// 20 of "go1.20.3"; nothing for development versions.
std::optional<unsigned> minor_version(const GoFacts& facts) {
  if (!facts.build || !facts.build->go_version.starts_with("go1.")) return std::nullopt;
  unsigned minor = 0;
  for (const char digit : std::string_view(facts.build->go_version).substr(4, 3)) {
    if (digit < '0' || digit > '9') break;
    minor = minor * 10 + static_cast<unsigned>(digit - '0');
  }
  return minor;
}

// Whether a hash is what some release of Go computes of a content: up to 1.18 SHA-256; up to 1.23 its
// complement; since then SHA-256 behind a byte 1 for larger files, and with another first byte (xor 1 in
// 1.24, xor 0xff later) for small ones.
bool hash_is_of(const Hash& hash, std::string_view content, std::optional<unsigned> minor) {
  const auto plain = [&] {
    const Hash sum = sha256("", content);
    if (hash == sum) return true;
    const auto is_changed_sum = [&](unsigned char first, unsigned char others) {
      for (std::size_t i = 0; i < kHashSize; ++i) {
        if (hash[i] != (sum[i] ^ (i == 0 ? first : others))) return false;
      }
      return true;
    };
    return is_changed_sum(0xff, 0xff) || is_changed_sum(0xff, 0) || is_changed_sum(1, 0);
  };
  const auto prefixed = [&] { return hash == sha256("\x01", content); };
  const bool prefixed_first = content.size() > kSmallFile && (!minor || *minor >= 24);
  return prefixed_first ? prefixed() || plain() : plain() || prefixed();
}

// Whether `name` is a path of io/fs (ValidPath), a directory with its final '/'.
bool is_embedded_name(std::string_view name) {
  if (name.ends_with('/')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxNameLength) return false;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return name.find_first_of(std::string_view("\0\\", 2)) == std::string_view::npos;
}

// The order of the records: by directory, then by last part (embed.split).
std::pair<std::string_view, std::string_view> sort_key(std::string_view name) {
  if (name.ends_with('/')) name.remove_suffix(1);
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {".", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

class EmbedReader {
 public:
  EmbedReader(const GoMemory& memory, std::string_view bytes, GoFacts& facts)
      : memory_(memory),
        facts_(facts),
        minor_(minor_version(facts)),
        word_(memory.word_size()),
        record_(4 * word_ + kHashSize),
        records_left_(bytes.size() / record_),
        name_bytes_left_(bytes.size()),
        hash_bytes_left_(2 * std::uint64_t{bytes.size()}) {}

  void read() {
    for (const GoMemory::Area& area : memory_.areas()) {
      const std::uint64_t first = (word_ - area.address % word_) % word_;
      for (std::uint64_t at = first; at + 3 * word_ + record_ <= area.bytes.size(); at += word_) {
        const char* header = area.bytes.data() + at;
        const std::uint64_t address = area.address + at;
        if (memory_.load_word(header) != address + 3 * word_) continue;
        const std::uint64_t count = memory_.load_word(header + word_);
        if (count == 0 || memory_.load_word(header + 2 * word_) != count) continue;
        const std::string_view records = area.bytes.substr(at + 3 * word_);
        if (count > records.size() / record_) continue;
        read_tree(address, records.substr(0, count * record_));
      }
    }
    std::sort(facts_.embeds.begin(), facts_.embeds.end(),
              [](const GoEmbedTree& a, const GoEmbedTree& b) { return a.address < b.address; });
    if (exhausted_) facts_.problems.push_back("embedded files are too many or too large for this file");
  }

 private:
  void read_tree(std::uint64_t address, std::string_view records) {
    GoEmbedTree tree;
    tree.address = address;
    for (std::uint64_t at = 0; at < records.size(); at += record_) {
      if (records_left_ == 0) {
        exhausted_ = true;
        return;
      }
      --records_left_;
      const char* record = records.data() + at;
      const std::uint64_t name_size = memory_.load_word(record + word_);
      if (name_size == 0 || name_size > kMaxNameLength + 1) return;
      if (name_size > name_bytes_left_) {
        exhausted_ = true;
        return;
      }
      const auto name = memory_.at(memory_.load_word(record), name_size);
      if (!name || !is_embedded_name(*name)) return;
      name_bytes_left_ -= name_size;
      GoEmbeddedFile file;
      file.name = std::string(*name);
      file.address = memory_.load_word(record + 2 * word_);
      file.size = memory_.load_word(record + 3 * word_);
      std::memcpy(file.hash.data(), record + 4 * word_, kHashSize);
      const bool is_directory = name->ends_with('/');
      if (is_directory && (file.address != 0 || file.size != 0)) return;
      if (!is_directory && !memory_.at(file.address, file.size)) return;
      if (!tree.files.empty() && sort_key(tree.files.back().name) >= sort_key(file.name)) return;
      tree.files.push_back(std::move(file));
    }
    for (GoEmbeddedFile& file : tree.files) {
      if (!file.name.ends_with('/')) file.hash_matches = matches(file);
    }
    facts_.embeds.push_back(std::move(tree));
  }

  bool matches(const GoEmbeddedFile& file) {
    // One file in several trees has one copy of its content.
    const auto known = results_.find({file.address, file.size, file.hash});
    if (known != results_.end()) return known->second;
    if (file.size > hash_bytes_left_) {
      exhausted_ = true;
      return false;
    }
    hash_bytes_left_ -= file.size;
    const bool result = hash_is_of(file.hash, *memory_.at(file.address, file.size), minor_);
    results_.emplace(std::tuple(file.address, file.size, file.hash), result);
    return result;
  }

  const GoMemory& memory_;
  GoFacts& facts_;
  std::optional<unsigned> minor_;
  std::size_t word_;
  std::size_t record_;
  std::uint64_t records_left_;
  std::uint64_t name_bytes_left_;
  std::uint64_t hash_bytes_left_;
  std::map<std::tuple<std::uint64_t, std::uint64_t, Hash>, bool> results_;
  bool exhausted_ = false;
};

}  // namespace

void read_go_embeds(const GoMemory& memory, std::string_view bytes, GoFacts& facts) {
  EmbedReader(memory, bytes, facts).read();
}

}  // namespace imgslim
