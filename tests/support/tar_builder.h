// SPDX-License-Identifier: Apache-2.0
// Layers for tests: tar bytes made entry by entry, every header field under control, or from lines of
// text. It shares no code with the codec under test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/layer_table.h"
#include "layers/stream.h"
#include "layers/tar.h"

namespace imgslim::testing {

// PAX records in the order they are written.
using PaxRecords = std::vector<std::pair<std::string, std::string>>;

// What an entry is, apart from its name and content.
struct TarAttributes {
  std::uint64_t mode = 0644;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::int64_t mtime = 1700000000;
  PaxRecords pax;  // "SCHILY.xattr.user.a", "mtime", ...
};

// One header block; every field as it will stand there.
struct RawHeader {
  std::string name;
  std::string prefix;
  std::string link;
  char type = '0';
  std::string mode = "0000644";
  std::string uid = "0000000";
  std::string gid = "0000000";
  std::string size = "00000000000";
  std::string mtime = "00000000000";
  std::string magic{"ustar\00000", 8};
  std::string device_major;
  std::string device_minor;
  int checksum_off_by = 0;
  std::vector<std::pair<std::size_t, std::string>> patches;  // (offset, bytes), before the checksum
};

inline std::string tar_octal(std::uint64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

// A base-256 number as GNU tar writes it.
inline std::string tar_base256(std::int64_t value, std::size_t length) {
  std::string text(length, value < 0 ? '\xff' : '\0');
  for (std::size_t i = 0; i < 8 && i < length; ++i) {
    text[length - 1 - i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
  text[0] = static_cast<char>(text[0] | '\x80');
  return text;
}

inline std::string tar_block(const RawHeader& header) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t offset, std::size_t length, const std::string& text) {
    if (text.size() > length) throw std::logic_error("a field of a test's header is too long");
    block.replace(offset, text.size(), text);
  };
  put(0, 100, header.name);
  put(100, 8, header.mode);
  put(108, 8, header.uid);
  put(116, 8, header.gid);
  put(124, 12, header.size);
  put(136, 12, header.mtime);
  put(148, 8, "        ");
  block[156] = header.type;
  put(157, 100, header.link);
  put(257, 8, header.magic);
  put(329, 8, header.device_major);
  put(337, 8, header.device_minor);
  put(345, 155, header.prefix);
  for (const auto& [offset, bytes] : header.patches)
    block.replace(offset, bytes.size(), bytes);
  int sum = header.checksum_off_by;
  for (const char c : block)
    sum += static_cast<unsigned char>(c);
  put(148, 8, tar_octal(static_cast<std::uint64_t>(sum), 6) + std::string("\0 ", 2));
  return block;
}

inline std::string tar_padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512);
  return content;
}

inline std::string pax_record(const std::string& key, const std::string& value) {
  std::size_t length = key.size() + value.size() + 3;
  while (length != key.size() + value.size() + 3 + std::to_string(length).size()) {
    length = key.size() + value.size() + 3 + std::to_string(length).size();
  }
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

class TarBuilder {
 public:
  TarBuilder& file(const std::string& path, const std::string& content, TarAttributes attributes = {}) {
    return entry('0', path, "", attributes, content);
  }
  TarBuilder& dir(const std::string& path, TarAttributes attributes = directory_attributes()) {
    return entry('5', path, "", attributes);
  }
  TarBuilder& symlink(const std::string& path, const std::string& target, TarAttributes attributes = {}) {
    attributes.mode = 0777;
    return entry('2', path, target, attributes);
  }
  TarBuilder& hard_link(const std::string& path, const std::string& target, TarAttributes attributes = {}) {
    return entry('1', path, target, attributes);
  }
  TarBuilder& fifo(const std::string& path, TarAttributes attributes = {}) {
    return entry('6', path, "", attributes);
  }
  TarBuilder& device(const std::string& path, char type, std::uint32_t major, std::uint32_t minor,
                     TarAttributes attributes = {}) {
    return entry(type, path, "", attributes, "", major, minor);
  }
  // Hides `path` of the layers below.
  TarBuilder& whiteout(const std::string& path) {
    const std::size_t name = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
    return file(path.substr(0, name) + ".wh." + path.substr(name), "");
  }
  // Hides what the layers below have in a directory.
  TarBuilder& opaque(const std::string& directory) {
    return file(directory.empty() ? ".wh..wh..opq" : directory + "/.wh..wh..opq", "");
  }
  // An entry of any type; PAX records are added for names that are too long.
  TarBuilder& entry(char type, const std::string& path, const std::string& link, TarAttributes attributes,
                    const std::string& content = "", std::uint32_t major = 0, std::uint32_t minor = 0) {
    RawHeader header;
    header.type = type;
    header.name = path.substr(0, 100);
    header.link = link.substr(0, 100);
    header.mode = tar_octal(attributes.mode, 7);
    header.uid = attributes.uid > 07777777 ? tar_base256(static_cast<std::int64_t>(attributes.uid), 8)
                                           : tar_octal(attributes.uid, 7);
    header.gid = attributes.gid > 07777777 ? tar_base256(static_cast<std::int64_t>(attributes.gid), 8)
                                           : tar_octal(attributes.gid, 7);
    header.mtime = attributes.mtime < 0 ? tar_base256(attributes.mtime, 12)
                                        : tar_octal(static_cast<std::uint64_t>(attributes.mtime), 11);
    header.size = tar_octal(content.size(), 11);
    header.device_major = tar_octal(major, 7);
    header.device_minor = tar_octal(minor, 7);
    if (path.size() > 100) attributes.pax.emplace_back("path", path);
    if (link.size() > 100) attributes.pax.emplace_back("linkpath", link);
    if (!attributes.pax.empty()) pax(attributes.pax);
    return raw(header).bytes(tar_padded(content));
  }
  // An extended header; 'g' makes a global one.
  TarBuilder& pax(const PaxRecords& records, char type = 'x') {
    std::string payload;
    for (const auto& [key, value] : records)
      payload += pax_record(key, value);
    return extended(type, payload);
  }
  // An extended header of any kind ('x', 'g', 'L', 'K') with any payload.
  TarBuilder& extended(char type, const std::string& payload) {
    RawHeader header;
    header.type = type;
    header.name = "extended";
    header.size = tar_octal(payload.size(), 11);
    return raw(header).bytes(tar_padded(payload));
  }
  TarBuilder& raw(const RawHeader& header) { return bytes(tar_block(header)); }
  TarBuilder& bytes(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  // The bytes so far, without an end-of-archive.
  const std::string& open() const { return bytes_; }
  // With it.
  std::string closed() const { return bytes_ + std::string(1024, '\0'); }

  static TarAttributes directory_attributes() {
    TarAttributes attributes;
    attributes.mode = 0755;
    return attributes;
  }

 private:
  std::string bytes_;
};

// Indexes the plain bytes of a layer, `piece` bytes at a time (0: all at once).
inline LayerTablePtr index_tar(std::string_view bytes, std::size_t piece = 0, Observers observers = {},
                               TarLimits limits = {}) {
  TarIndexer indexer(std::move(observers), limits);
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece == 0 ? bytes.size() : piece);
    indexer.write(as_bytes(part));
    bytes.remove_prefix(part.size());
  }
  return indexer.finish();
}

// A layer from lines "KIND PATH [ATTRIBUTE=VALUE ...] [-> TARGET] [: CONTENT]". KIND is f(ile), d(irectory),
// l (symlink), h(ard link), p (fifo), c and b (device, major= minor=), w(hiteout of PATH), o(paque PATH).
// Attributes: mode (octal), uid, gid, mtime, xattr.NAME. PATH "." is the root; empty lines are skipped.
inline std::string tar_of_lines(std::string_view lines) {
  TarBuilder builder;
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    std::string line(lines.substr(0, end));
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    line.erase(0, line.find_first_not_of(' '));
    if (line.empty()) continue;
    std::string content;
    std::string target;
    if (const std::size_t at = line.find(" : "); at != std::string::npos) {
      content = line.substr(at + 3);
      line.resize(at);
    }
    if (const std::size_t at = line.find(" -> "); at != std::string::npos) {
      target = line.substr(at + 4);
      line.resize(at);
    }
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t space = std::min(line.find(' ', at), line.size());
      if (space != at) words.push_back(line.substr(at, space - at));
      at = space + 1;
    }
    if (words.size() < 2 || words[0].size() != 1) throw std::logic_error("malformed test layer: " + line);
    const std::string& path = words[1];
    TarAttributes attributes;
    if (words[0] == "d") attributes.mode = 0755;
    if (words[0] == "l") attributes.mode = 0777;
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    for (std::size_t i = 2; i < words.size(); ++i) {
      const std::string key = words[i].substr(0, words[i].find('='));
      const std::string value = words[i].substr(key.size() + 1);
      if (key == "mode") {
        attributes.mode = std::stoul(value, nullptr, 8);
      } else if (key == "uid") {
        attributes.uid = std::stoul(value);
      } else if (key == "gid") {
        attributes.gid = std::stoul(value);
      } else if (key == "mtime") {
        attributes.mtime = std::stoll(value);
      } else if (key == "major") {
        major = static_cast<std::uint32_t>(std::stoul(value));
      } else if (key == "minor") {
        minor = static_cast<std::uint32_t>(std::stoul(value));
      } else if (key.substr(0, 6) == "xattr.") {
        attributes.pax.emplace_back("SCHILY." + key, value);
      } else {
        throw std::logic_error("unknown attribute in a test layer: " + key);
      }
    }
    switch (words[0][0]) {
      case 'f':
        builder.entry('0', path, "", attributes, content);
        break;
      case 'd':
        builder.entry('5', path == "." ? "./" : path + "/", "", attributes);
        break;
      case 'l':
        builder.entry('2', path, target, attributes);
        break;
      case 'h':
        builder.entry('1', path, target, attributes);
        break;
      case 'p':
        builder.entry('6', path, "", attributes);
        break;
      case 'c':
      case 'b':
        builder.entry(words[0] == "c" ? '3' : '4', path, "", attributes, "", major, minor);
        break;
      case 'w':
        builder.whiteout(path);
        break;
      case 'o':
        builder.opaque(path == "." ? "" : path);
        break;
      default:
        throw std::logic_error("unknown kind in a test layer: " + line);
    }
  }
  return builder.closed();
}

inline LayerTablePtr layer_of_lines(std::string_view lines) {
  return index_tar(tar_of_lines(lines));
}

// The entries of a table as lines, everything that shows in a file system; for comparisons.
inline std::string dump_table(const LayerTable& table) {
  std::string out;
  for (const Entry& entry : table.entries) {
    char head[160];
    std::snprintf(head, sizeof head, "%d %o %u:%u %lld.%09u %llu dev %u,%u crc %llx head %llx ",
                  static_cast<int>(entry.type), entry.mode, entry.uid, entry.gid,
                  static_cast<long long>(entry.mtime), entry.mtime_nanoseconds,
                  static_cast<unsigned long long>(entry.size), entry.device_major, entry.device_minor,
                  static_cast<unsigned long long>(entry.crc), static_cast<unsigned long long>(entry.head));
    out += head;
    out += std::string(entry.path) + " -> " + std::string(entry.link);
    for (const auto& [name, value] : table.xattr_sets.at(entry.xattrs))
      out += " " + name + "=" + value;
    out += '\n';
  }
  return out;
}

}  // namespace imgslim::testing
