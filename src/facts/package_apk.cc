// SPDX-License-Identifier: Apache-2.0
#include "src/facts/package_owner_state.h"

namespace imgslim {
namespace {

using State = PackageDatabase::State;

// RFC 4648 base64 as lower-case hex; nothing if it is none.
std::optional<std::string> base64_as_hex(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('='))
    text.remove_suffix(1);
  std::string hex;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    const std::uint32_t byte = bits >> count & 0xff;
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace

// apk-tools v2, "installed": one letter, colon, value; a package ends with an empty line.
void read_apk(const FileSystem& files, const std::string& path, State& state, PathResolver& resolver) {
  std::string_view text = read_held(files, path, state);
  std::optional<PackageId> current;
  std::string_view folder;
  bool in_file = false;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.empty()) {
      current.reset();
      continue;
    }
    if (line.size() < 2 || line[1] != ':') continue;
    const std::string_view value = line.substr(2);
    if (!current) {
      Package package;
      package.kind = PackageKind::kApk;
      package.record = path;
      state.packages.push_back(std::move(package));
      current = static_cast<PackageId>(state.packages.size() - 1);
      folder = {};
      in_file = false;
    }
    Package& package = state.packages[*current];
    const auto add = [&](std::string recorded) {
      OwnedPath owned;
      owned.recorded = state.keep(std::move(recorded));
      owned.path = resolver.resolve(owned.recorded);
      owned.package = *current;
      owned.conffile = owned.recorded.starts_with("/etc/");  // apk's protected paths
      state.paths.push_back(owned);
    };
    switch (line[0]) {
      case 'P':
        package.name = value;
        break;
      case 'V':
        package.version = value;
        break;
      case 'A':
        package.architecture = value;
        break;
      case 'o':
        package.source = value;
        break;
      case 'm':
        package.maintainer = value;
        break;
      case 'U':
        package.origin = value;
        break;
      case 'F':
        folder = value;
        in_file = false;
        if (!folder.empty()) add("/" + std::string(folder));
        if (!folder.empty()) state.paths.back().conffile = false;
        break;
      case 'R':
        add("/" + std::string(folder) + (folder.empty() ? "" : "/") + std::string(value));
        in_file = true;
        break;
      case 'Z': {
        if (!in_file) break;
        OwnedPath& owned = state.paths.back();
        std::optional<std::string> hex;
        if (value.starts_with("Q1")) hex = base64_as_hex(value.substr(2));
        if (hex && hex->size() == 40) {
          owned.checksum_kind = OwnedPath::Checksum::kSha1;
          owned.checksum = state.keep(std::move(*hex));
        } else if (value.size() == 32 && is_hex(value)) {
          owned.checksum_kind = OwnedPath::Checksum::kMd5;
          owned.checksum = value;
        }
        break;
      }
      default:
        break;
    }
  }
}

}  // namespace imgslim
