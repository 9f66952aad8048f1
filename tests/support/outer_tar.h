// SPDX-License-Identifier: Apache-2.0
// Tar archives for tests, byte by byte, so that a test can have what no writer would write.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

namespace imgslim {

struct TarMember {
  std::string name;
  std::string content = {};
  char type = '0';
  std::string target = {};
  bool pax = false;  // names that are too long: a PAX header, otherwise GNU's
};

inline std::string padded(const std::string& text) {
  return text + std::string((512 - text.size() % 512) % 512, '\0');
}

inline std::string tar_block(const std::string& name, std::size_t size, char type,
                             const std::string& target) {
  std::string block(512, '\0');
  auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  block[156] = type;
  put(157, target.substr(0, 100));
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char c : block)
    sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

inline std::string outer_tar(const std::vector<TarMember>& members) {
  std::string out;
  for (const TarMember& member : members) {
    if (member.name.size() > 100 && member.pax) {
      // " path=NAME\n" and its own length in front.
      const std::size_t rest = member.name.size() + 7;
      const std::string record =
          fmt::format("{} path={}\n", rest + fmt::formatted_size("{}", rest + 3), member.name);
      out += tar_block("pax", record.size(), 'x', "") + padded(record);
    } else if (member.name.size() > 100) {
      out += tar_block("././@LongLink", member.name.size() + 1, 'L', "") + padded(member.name + '\0');
    }
    out += tar_block(member.name, member.content.size(), member.type, member.target) + padded(member.content);
  }
  return out + std::string(1024, '\0');
}

}  // namespace imgslim
