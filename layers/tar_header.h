// SPDX-License-Identifier: Apache-2.0
// One 512-byte tar header block (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar
// Format") and the records of extended headers. For the codec in tar.h only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "layers/layer_table.h"

namespace imgslim {

inline constexpr std::uint64_t kTarBlock = 512;

// Bytes from `size` to the end of its last block.
constexpr std::uint64_t tar_padding(std::uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

// The header as it stands, nothing checked but its checksum and numbers. Views point into the block.
struct TarHeader {
  enum class Format : std::uint8_t { kV7, kUstar, kStar, kGnu };
  Format format = Format::kV7;
  char type = '0';
  std::string_view prefix;  // goes before `name` with a slash, if not empty
  std::string_view name;
  std::string_view link;
  std::int64_t mode = 0;
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t size = 0;
  std::int64_t mtime = 0;
  // Only read for devices: old writers leave anything there.
  std::int64_t device_major = 0;
  std::int64_t device_minor = 0;
};

// A number of a header: octal with spaces and NULs around it, or base-256. Nothing if it is neither or
// does not fit. An empty field is 0.
std::optional<std::int64_t> parse_tar_number(std::string_view field);

// Whether the checksum (of unsigned or, as old writers did, of signed bytes) holds.
bool tar_checksum_holds(std::string_view block);

// `block` has 512 bytes. Throws Error{kBadImage} naming the field that is malformed.
TarHeader parse_tar_header(std::string_view block);

// Calls `take` for each "LENGTH KEY=VALUE\n" record. Throws Error{kBadImage} where a record is malformed.
void parse_pax_records(std::string_view text,
                       const std::function<void(std::string_view key, std::string_view value)>& take);

// A decimal number of a PAX record, nothing if there is anything but digits or it does not fit.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

struct TarTime {
  std::int64_t seconds = 0;  // rounded down
  std::uint32_t nanoseconds = 0;
  bool operator==(const TarTime&) const = default;
};
// "[-]SECONDS[.FRACTION]"; digits beyond nanoseconds are cut off.
std::optional<TarTime> parse_pax_time(std::string_view text);
// The shortest text that parse_pax_time() reads as the same time.
std::string format_pax_time(const TarTime& time);

// CRC-64 (ECMA-182, reflected) of what `crc` was made of followed by `bytes`, or by `count` zero bytes;
// the latter takes time logarithmic in `count`.
std::uint64_t crc64_of(std::uint64_t crc, std::string_view bytes);
std::uint64_t crc64_of_zeros(std::uint64_t crc, std::uint64_t count);

}  // namespace imgslim
