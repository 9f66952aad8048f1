// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <zlib.h>

#include <ctime>
#include <fstream>

#include "layers/compression.h"
#include "tests/support/compressed.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

using namespace std::string_literals;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Peak memory is the sanitizer's own. clang says so by __has_feature, g++ by a macro.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// Peak resident memory in bytes since the last reset, 0 where it cannot be told.
std::uint64_t peak_memory() {
  if (kSanitized) return 0;
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) << 10;
  }
  return 0;
}

void reset_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

// Decodes `bomb`, which must be refused within 2 s of CPU time and 64 MiB, and returns the error.
std::string refused(const std::string& bomb, Compression compression) {
  reset_peak_memory();
  const std::uint64_t memory = peak_memory();
  const std::clock_t start = std::clock();
  std::string message = decode_error(bomb, compression);
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 2.0);
  CHECK(peak_memory() - memory < std::uint64_t{64} << 20);
  return message;
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

}  // namespace

TEST_CASE("decoder: a gzip bomb is refused early") {
  const std::string head("\x1f\x8b\x08\0\0\0\0\0\0\xff"s);
  // 8 GiB of zeros; the bomb itself is small beside the memory that decoding may take.
  const std::string zeros = deflate_raw(std::string(16 << 20, '\0'), 9, Z_FULL_FLUSH);
  CHECK(contains(refused(head + repeat(zeros, 512), Compression::kGzip), "grows by more than 1000 to 1"));
}

TEST_CASE("decoder: zstd bombs are refused early") {
  // RFC 8878 section 3.1.1: windows of 2 MiB, and RLE blocks of 128 KiB in four bytes.
  const std::string head("\x28\xb5\x2f\xfd\0\x58"s);
  const std::string block("\x02\0\x10\0"s);
  CHECK(contains(refused(head + repeat(block, 100000), Compression::kZstd), "grows by more than 1000 to 1"));
  // A window of 2 GiB.
  const std::string wide("\x28\xb5\x2f\xfd\0\xa8"s);
  CHECK(
      contains(refused(wide + repeat(block, 10), Compression::kZstd), "zstd window larger than 2^27 bytes"));
}

TEST_CASE("decoder: a million empty members are refused") {
  const std::string gzip = repeat(gzip_member(""), 1000000);
  CHECK(contains(refused(gzip, Compression::kGzip), "more than 100000 compressed members"));
  const std::string skippable = repeat("\x50\x2a\x4d\x18\0\0\0\0"s, 1000000);
  CHECK(contains(refused(skippable, Compression::kZstd), "more than 100000 compressed members"));
  CHECK(decode_all(repeat(gzip_member("a"), 5000), Compression::kGzip) == std::string(5000, 'a'));
}

TEST_CASE("decoder: plain bytes are limited") {
  const std::string text = sample_text(100000);
  const DecodeLimits exact{.max_plain_bytes = text.size()};
  const DecodeLimits less{.max_plain_bytes = text.size() - 1};
  for (const auto& [bytes, compression] :
       {std::pair{gzip_member(text), Compression::kGzip}, std::pair{zstd_frame(text), Compression::kZstd},
        std::pair{text, Compression::kNone}}) {
    CHECK(decode_all(bytes, compression, exact) == text);
    CHECK(contains(decode_error(bytes, compression, less), "grows beyond 99999 bytes"));
  }
}

TEST_CASE("decoder: small blobs may grow by any ratio") {
  const std::string zeros(std::size_t{32} << 20, '\0');
  CHECK(decode_all(gzip_member(zeros, 9), Compression::kGzip) == zeros);
  CHECK(decode_all(zstd_frame(zeros), Compression::kZstd) == zeros);
}
