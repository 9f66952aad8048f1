// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "layers/tar.h"
#include "layers/tar_header.h"
#include "layers/utf8.h"

namespace imgslim {
namespace {

constexpr std::size_t kNameBytes = 100;
constexpr std::size_t kPrefixBytes = 155;
constexpr std::uint64_t kMaxId = 07777777;        // seven octal digits
constexpr std::uint64_t kMaxSize = 077777777777;  // eleven
constexpr std::uint64_t kMaxDevice = 07777777;

using Records = std::map<std::string, std::string>;

// What stands in one header block.
struct Block {
  char type = '0';
  std::string name;
  std::string prefix;
  std::string link;
  std::uint32_t mode = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::uint64_t size = 0;
  std::uint64_t mtime = 0;
  std::uint64_t device_major = 0;
  std::uint64_t device_minor = 0;
};

void append_block(const Block& block, std::string* out) {
  std::string bytes(kTarBlock, '\0');
  const auto text = [&](std::size_t offset, std::size_t length, std::string_view value) {
    bytes.replace(offset, std::min(length, value.size()), value.substr(0, length));
  };
  const auto number = [&](std::size_t offset, std::size_t digits, std::uint64_t value) {
    text(offset, digits, fmt::format("{:0{}o}", value, digits));
  };
  text(0, kNameBytes, block.name);
  number(100, 7, block.mode);
  number(108, 7, block.uid);
  number(116, 7, block.gid);
  number(124, 11, block.size);
  number(136, 11, block.mtime);
  text(148, 8, "        ");
  bytes[156] = block.type;
  text(157, kNameBytes, block.link);
  text(257, 8, std::string_view("ustar\00000", 8));
  number(329, 7, block.device_major);
  number(337, 7, block.device_minor);
  text(345, kPrefixBytes, block.prefix);
  std::uint32_t sum = 0;
  for (const char c : bytes)
    sum += static_cast<unsigned char>(c);
  text(148, 8, std::string_view(fmt::format("{:06o}", sum)).substr(0, 6));
  bytes[154] = '\0';
  *out += bytes;
}

// "LENGTH KEY=VALUE\n", where the length counts its own digits.
void append_record(std::string_view key, std::string_view value, std::string* out) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (rest + fmt::formatted_size("{}", length) != length)
    length = rest + fmt::formatted_size("{}", length);
  *out += fmt::format("{} {}=", length, key);
  *out += value;
  *out += '\n';
}

// Splits a name that is too long for one field at a slash; false if no slash is in the right place.
bool split_name(std::string_view path, Block* block) {
  // The slash behind a directory's name is no place to split.
  const std::size_t slash = path.substr(0, path.size() - 1).rfind('/', kPrefixBytes);
  if (slash == std::string_view::npos || slash == 0 || path.size() - slash - 1 > kNameBytes) return false;
  block->prefix = path.substr(0, slash);
  block->name = path.substr(slash + 1);
  return true;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string name_in_tar(const Entry& entry) {
  const std::string_view path = entry.path;
  const std::size_t slash = path.rfind('/');
  switch (entry.type) {
    case EntryType::kDirectory:
      return path.empty() ? "./" : std::string(path) + "/";
    case EntryType::kOpaqueWhiteout:
      return path.empty() ? ".wh..wh..opq" : std::string(path) + "/.wh..wh..opq";
    case EntryType::kWhiteout:
      if (slash == std::string_view::npos) return fmt::format(".wh.{}", path);
      return fmt::format("{}/.wh.{}", path.substr(0, slash), path.substr(slash + 1));
    default:
      return std::string(path);
  }
}

bool is_whiteout(const Entry& entry) {
  return entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout;
}

void set_names(const Entry& entry, Block* block, Records* records) {
  const std::string name = name_in_tar(entry);
  block->name = name;
  if (name.size() > kNameBytes && !split_name(name, block)) (*records)["path"] = name;
  if (entry.type == EntryType::kHardLink || entry.type == EntryType::kSymlink) {
    block->link = entry.link;
    if (entry.link.size() > kNameBytes) (*records)["linkpath"] = entry.link;
  }
  // Without this, PAX text is UTF-8 by definition (POSIX pax, "hdrcharset").
  const auto binary = [&](const char* key) {
    const auto found = records->find(key);
    return found != records->end() && !is_utf8(found->second);
  };
  if (binary("path") || binary("linkpath")) (*records)["hdrcharset"] = "BINARY";
}

// Sets a number, in a record if the field is too small for it.
void set_number(std::uint64_t value, std::uint64_t limit, const char* key, std::uint64_t* field,
                Records* records) {
  *field = value <= limit ? value : 0;
  if (value > limit) (*records)[key] = fmt::format("{}", value);
}

std::string encode_headers(const Entry& entry, const LayerTable& table) {
  Block block;
  Records records;
  block.type = type_in_tar(entry.type);
  set_names(entry, &block, &records);
  if (!is_whiteout(entry)) {
    block.mode = entry.mode;
    set_number(entry.uid, kMaxId, "uid", &block.uid, &records);
    set_number(entry.gid, kMaxId, "gid", &block.gid, &records);
    if (entry.type == EntryType::kRegular) set_number(entry.size, kMaxSize, "size", &block.size, &records);
    const bool fits = entry.mtime >= 0 && static_cast<std::uint64_t>(entry.mtime) <= kMaxSize;
    if (fits) block.mtime = static_cast<std::uint64_t>(entry.mtime);
    if (!fits || entry.mtime_nanoseconds != 0) {
      records["mtime"] = format_pax_time({entry.mtime, entry.mtime_nanoseconds});
    }
    for (const auto& [name, value] : table.xattr_sets.at(entry.xattrs))
      records["SCHILY.xattr." + name] = value;
  }
  if (entry.type == EntryType::kCharacterDevice || entry.type == EntryType::kBlockDevice) {
    if (entry.device_major > kMaxDevice || entry.device_minor > kMaxDevice) {
      throw std::logic_error("a device number that no tar header holds");
    }
    block.device_major = entry.device_major;
    block.device_minor = entry.device_minor;
  }

  std::string out;
  if (!records.empty()) {
    std::string payload;
    for (const auto& [key, value] : records)
      append_record(key, value, &payload);
    Block extended;
    extended.type = 'x';
    extended.name = "././@PaxHeader";
    extended.mode = 0644;
    extended.size = payload.size();
    append_block(extended, &out);
    out += payload;
    out.append(tar_padding(payload.size()), '\0');
  }
  append_block(block, &out);
  return out;
}

std::uint64_t content_size(const Entry& entry) {
  return entry.type == EntryType::kRegular ? entry.size : 0;
}

}  // namespace

char type_in_tar(EntryType type) {
  switch (type) {
    case EntryType::kHardLink:
      return '1';
    case EntryType::kSymlink:
      return '2';
    case EntryType::kCharacterDevice:
      return '3';
    case EntryType::kBlockDevice:
      return '4';
    case EntryType::kDirectory:
      return '5';
    case EntryType::kFifo:
      return '6';
    default:
      return '0';
  }
}

TarWriter::TarWriter(Sink& out) : out_(out) {}

void TarWriter::header(const Entry& entry, const LayerTable& table) {
  if (left_ != 0) throw std::logic_error("tar: an entry before the content of the last one is complete");
  out_.write(as_bytes(encode_headers(entry, table)));
  left_ = content_size(entry);
  padding_ = tar_padding(left_);
}

void TarWriter::content(std::span<const std::byte> bytes) {
  if (bytes.size() > left_) throw std::logic_error("tar: more content than the entry's size");
  if (bytes.empty()) return;
  out_.write(bytes);
  left_ -= bytes.size();
  if (left_ == 0 && padding_ != 0) {
    const std::string zeros(padding_, '\0');
    out_.write(as_bytes(zeros));
  }
}

void TarWriter::finish() {
  if (left_ != 0) throw std::logic_error("tar: the end before the content of the last entry is complete");
  const std::string zeros(2 * kTarBlock, '\0');
  out_.write(as_bytes(zeros));
}

std::uint64_t TarWriter::bytes_of(const Entry& entry, const LayerTable& table) {
  const std::uint64_t size = content_size(entry);
  return encode_headers(entry, table).size() + size + tar_padding(size);
}

}  // namespace imgslim
