// SPDX-License-Identifier: Apache-2.0
#include "layers/tar_header.h"

#include <fmt/format.h>
#include <isa-l/crc64.h>

#include <limits>

#include "layers/error.h"

namespace imgslim {
namespace {

std::string_view text_field(std::string_view block, std::size_t offset, std::size_t length) {
  const std::string_view field = block.substr(offset, length);
  return field.substr(0, field.find('\0'));
}

std::int64_t number_field(std::string_view block, std::size_t offset, std::size_t length, const char* name) {
  const auto value = parse_tar_number(block.substr(offset, length));
  if (!value) throw_bad_image(fmt::format("the header's {} is no number", name));
  return *value;
}

std::optional<std::int64_t> parse_base256(std::string_view field) {
  const bool negative = (static_cast<unsigned char>(field[0]) & 0x40) != 0;
  const unsigned char flip = negative ? 0xff : 0;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < field.size(); ++i) {
    auto byte = static_cast<unsigned char>(static_cast<unsigned char>(field[i]) ^ flip);
    if (i == 0) byte &= 0x7f;  // the mark of the format
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | byte;
  }
  if (value >> 63 != 0) return std::nullopt;
  const auto number = static_cast<std::int64_t>(value);
  return negative ? -number - 1 : number;
}

// Product of two polynomials modulo that of the CRC; bit 63 is the coefficient of x^0.
std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kPolynomial = 0xc96c5795d7870f42u;
  std::uint64_t product = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 63; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1) != 0 ? (b >> 1) ^ kPolynomial : b >> 1;
  }
  return product;
}

}  // namespace

std::optional<std::int64_t> parse_tar_number(std::string_view field) {
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80) != 0) return parse_base256(field);
  const auto blank = [](char c) { return c == ' ' || c == '\0'; };
  while (!field.empty() && blank(field.front()))
    field.remove_prefix(1);
  while (!field.empty() && blank(field.back()))
    field.remove_suffix(1);
  field = field.substr(0, field.find('\0'));
  std::uint64_t value = 0;
  for (const char c : field) {
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value << 3 | static_cast<std::uint64_t>(c - '0');
  }
  return static_cast<std::int64_t>(value);
}

bool tar_checksum_holds(std::string_view block) {
  constexpr std::size_t kOffset = 148;
  constexpr std::size_t kLength = 8;
  const auto wanted = parse_tar_number(block.substr(kOffset, kLength));
  if (!wanted) return false;
  std::int64_t of_unsigned = 0;
  std::int64_t of_signed = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char c = i - kOffset < kLength ? ' ' : block[i];
    of_unsigned += static_cast<unsigned char>(c);
    of_signed += static_cast<signed char>(c);
  }
  return *wanted == of_unsigned || *wanted == of_signed;
}

TarHeader parse_tar_header(std::string_view block) {
  if (!tar_checksum_holds(block)) throw_bad_image("the header's checksum is wrong");
  TarHeader header;
  const std::string_view magic = block.substr(257, 8);
  if (magic == std::string_view("ustar  \0", 8)) {
    header.format = TarHeader::Format::kGnu;
  } else if (magic.substr(0, 6) == std::string_view("ustar\0", 6)) {
    const bool star = block.substr(508, 4) == std::string_view("tar\0", 4);
    header.format = star ? TarHeader::Format::kStar : TarHeader::Format::kUstar;
  }
  header.type = block[156];
  header.name = text_field(block, 0, 100);
  header.link = text_field(block, 157, 100);
  if (header.format == TarHeader::Format::kUstar) header.prefix = text_field(block, 345, 155);
  if (header.format == TarHeader::Format::kStar) header.prefix = text_field(block, 345, 131);
  header.mode = number_field(block, 100, 8, "mode");
  header.uid = number_field(block, 108, 8, "uid");
  header.gid = number_field(block, 116, 8, "gid");
  header.size = number_field(block, 124, 12, "size");
  header.mtime = number_field(block, 136, 12, "mtime");
  if (header.type == '3' || header.type == '4') {
    header.device_major = number_field(block, 329, 8, "device number");
    header.device_minor = number_field(block, 337, 8, "device number");
  }
  return header;
}

void parse_pax_records(std::string_view text,
                       const std::function<void(std::string_view key, std::string_view value)>& take) {
  while (!text.empty()) {
    const std::size_t space = text.substr(0, 21).find(' ');
    const auto length = parse_decimal(text.substr(0, space));
    // The shortest record is "5 k=\n" without its value.
    if (space == std::string_view::npos || !length || *length > text.size() || *length < space + 4) {
      throw_bad_image("a record of the extended header has a wrong length");
    }
    const std::string_view record = text.substr(space + 1, *length - space - 1);
    const std::size_t equals = record.find('=');
    if (record.back() != '\n' || equals == std::string_view::npos || equals == 0) {
      throw_bad_image("a record of the extended header is malformed");
    }
    const std::string_view key = record.substr(0, equals);
    if (key.find('\0') != std::string_view::npos) {
      throw_bad_image("a key of the extended header holds a NUL byte");
    }
    take(key, record.substr(equals + 1, record.size() - equals - 2));
    text.remove_prefix(*length);
  }
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<TarTime> parse_pax_time(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const auto whole = parse_decimal(text.substr(0, point));
  if (!whole || *whole >= std::uint64_t{1} << 62) return std::nullopt;
  std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  std::uint32_t nanoseconds = 0;
  for (std::size_t i = 0; i < fraction.size() || i < 9; ++i) {
    const char c = i < fraction.size() ? fraction[i] : '0';
    if (c < '0' || c > '9') return std::nullopt;
    if (i < 9) nanoseconds = nanoseconds * 10 + static_cast<std::uint32_t>(c - '0');
  }
  TarTime time{static_cast<std::int64_t>(*whole), nanoseconds};
  if (negative) {
    time.seconds = -time.seconds;
    if (nanoseconds != 0) {
      time.seconds -= 1;
      time.nanoseconds = 1000000000 - nanoseconds;
    }
  }
  return time;
}

std::string format_pax_time(const TarTime& time) {
  std::int64_t seconds = time.seconds;
  std::uint32_t nanoseconds = time.nanoseconds;
  const bool negative = seconds < 0;
  if (negative) {
    if (nanoseconds != 0) {
      seconds += 1;
      nanoseconds = 1000000000 - nanoseconds;
    }
    seconds = -seconds;
  }
  std::string text = fmt::format("{}{}", negative ? "-" : "", seconds);
  if (nanoseconds != 0) {
    text += fmt::format(".{:09}", nanoseconds);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

std::uint64_t crc64_of(std::uint64_t crc, std::string_view bytes) {
  return crc64_ecma_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::uint64_t crc64_of_zeros(std::uint64_t crc, std::uint64_t count) {
  std::uint64_t factor = std::uint64_t{1} << 63;  // 1
  std::uint64_t power = std::uint64_t{1} << 55;   // x^8: one zero byte
  for (; count != 0; count >>= 1) {
    if ((count & 1) != 0) factor = multiply(factor, power);
    power = multiply(power, power);
  }
  return ~multiply(~crc, factor);
}

}  // namespace imgslim
