// SPDX-License-Identifier: Apache-2.0
// What a header and its extensions say of an entry, checked.
#include <algorithm>
#include <limits>

#include "layers/tar_indexer_state.h"

namespace imgslim {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr std::string_view kAufsPrefix = ".wh..wh.";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Whether a component of `path` is one of AUFS's own names (".wh..wh.plnk"), which no applier shows.
bool is_aufs_metadata(std::string_view path) {
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    const bool opaque = part == kOpaqueName && slash == path.size();
    if (starts_with(part, kAufsPrefix) && !opaque) return true;
    at = slash + 1;
  }
  return false;
}

}  // namespace

void TarIndexer::State::take_names(const TarHeader& header) {
  std::string name(header.name);
  if (!header.prefix.empty()) name = fmt::format("{}/{}", header.prefix, header.name);
  if (extensions.path) name = *extensions.path;
  if (extensions.long_name && !extensions.long_name->empty()) name = *extensions.long_name;
  if (extensions.sparse.name) name = *extensions.sparse.name;
  shown_name = name;
  std::string reason;
  const auto path = clean_path(name, &reason, limits);
  if (!path) fail(reason);

  std::string link(header.link);
  if (extensions.link) link = *extensions.link;
  if (extensions.long_link && !extensions.long_link->empty()) link = *extensions.long_link;
  if (header.type == '1') {
    const auto target = clean_path(link, &reason, limits);
    if (!target) fail(fmt::format("hard link to \"{}\": {}", printable(link), reason));
    entry.link = table->keep(*target);
  } else if (header.type == '2') {
    if (link.empty()) fail("a symbolic link to nothing");
    if (link.size() > limits.max_path) fail("the target of the symbolic link is too long");
    entry.link = table->keep(link);
  }
  // Version 7 has no type for directories: a slash says it.
  if (header.type == '\0' && name.back() == '/') entry.type = EntryType::kDirectory;
  if (header.type == '0' && name.back() == '/') {
    warn_entry("a regular file whose name ends with a slash");
  }
  entry.path = table->keep(*path);
}

void TarIndexer::State::take_type(const TarHeader& header) {
  entry.stored_size = extensions.size.value_or(static_cast<std::uint64_t>(header.size));
  if (extensions.size && header.size != 0 && *extensions.size != static_cast<std::uint64_t>(header.size)) {
    warn_entry("the header and the extended header say different sizes: the latter counts");
  }
  switch (header.type) {
    case '\0':
      break;  // take_names() knows
    case '0':
    case '7':
    case 'S':
      entry.type = EntryType::kRegular;
      break;
    case '1':
      entry.type = EntryType::kHardLink;
      break;
    case '2':
      entry.type = EntryType::kSymlink;
      break;
    case '3':
      entry.type = EntryType::kCharacterDevice;
      break;
    case '4':
      entry.type = EntryType::kBlockDevice;
      break;
    case '5':
      entry.type = EntryType::kDirectory;
      break;
    case '6':
      entry.type = EntryType::kFifo;
      break;
    default:
      fail(fmt::format("the type \"{}\" is not known", printable(std::string_view(&header.type, 1))));
  }
  // Nothing but files has content, whatever the size says.
  const bool file = entry.type == EntryType::kRegular;
  if (entry.path.empty() && entry.type != EntryType::kDirectory) {
    fail("the root of the image is not a directory");
  }
  if (!file && entry.type != EntryType::kHardLink) entry.stored_size = 0;
  entry.size = file ? entry.stored_size : 0;
}

void TarIndexer::State::take_attributes(const TarHeader& header) {
  constexpr std::uint64_t kMaxId = std::numeric_limits<std::uint32_t>::max();
  const auto id = [&](const std::optional<std::uint64_t>& record, std::int64_t field, const char* name) {
    if (!record && field < 0) fail(fmt::format("the {} is negative", name));
    const std::uint64_t value = record.value_or(static_cast<std::uint64_t>(field));
    if (value > kMaxId) fail(fmt::format("the {} {} does not fit into 32 bits", name, value));
    if (value == kMaxId) warn_entry(fmt::format("the {} {} means \"unchanged\" to chown(2)", name, value));
    return static_cast<std::uint32_t>(value);
  };
  entry.uid = id(extensions.uid, header.uid, "uid");
  entry.gid = id(extensions.gid, header.gid, "gid");
  if (header.mode < 0) fail("the mode is negative");
  entry.mode = static_cast<std::uint32_t>(header.mode & 07777);
  const TarTime time = extensions.mtime.value_or(TarTime{header.mtime, 0});
  constexpr std::int64_t kMaxTime = std::int64_t{1} << 62;
  if (time.seconds >= kMaxTime || time.seconds < -kMaxTime) fail("the mtime is out of range");
  entry.mtime = time.seconds;
  entry.mtime_nanoseconds = time.nanoseconds;
  take_whiteout();
  if (entry.type != EntryType::kCharacterDevice && entry.type != EntryType::kBlockDevice) return;
  // Linux has 12 and 20 bits; a larger number would be cut, to 0,0 if its author likes.
  if (header.device_major < 0 || header.device_major > 0xfff || header.device_minor < 0 ||
      header.device_minor > 0xfffff) {
    fail(fmt::format("the device number {},{} is out of range", header.device_major, header.device_minor));
  }
  entry.device_major = static_cast<std::uint32_t>(header.device_major);
  entry.device_minor = static_cast<std::uint32_t>(header.device_minor);
  if (entry.type == EntryType::kCharacterDevice && entry.device_major == 0 && entry.device_minor == 0) {
    fail("a character device 0,0 is overlayfs's whiteout, not a file");
  }
}

void TarIndexer::State::take_whiteout() {
  const std::string_view path = entry.path;
  const std::size_t slash = path.rfind('/');
  const std::string_view parent =
      slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (starts_with(parent, kWhiteoutPrefix) || parent.find("/.wh.") != std::string_view::npos) {
    if (!is_aufs_metadata(path)) fail("an entry below a whiteout");
  }
  if (is_aufs_metadata(path)) {
    warn_entry("metadata of AUFS is ignored");
    ignored = true;
    return;
  }
  if (!starts_with(name, kWhiteoutPrefix)) return;
  Entry whiteout;
  whiteout.header_offset = entry.header_offset;
  whiteout.stored_size = entry.stored_size;
  if (name == kOpaqueName) {
    whiteout.type = EntryType::kOpaqueWhiteout;
    whiteout.path = parent;
  } else {
    const std::string_view hidden = name.substr(kWhiteoutPrefix.size());
    if (hidden.empty() || hidden == "." || hidden == "..") fail("a whiteout of no name");
    whiteout.type = EntryType::kWhiteout;
    whiteout.path = hidden;
    if (!parent.empty()) whiteout.path = table->keep(fmt::format("{}/{}", parent, hidden));
  }
  if (entry.type == EntryType::kHardLink) whiteout.stored_size = 0;  // as AUFS made them
  entry = whiteout;
}

void TarIndexer::State::take_xattrs() {
  const bool hidden =
      ignored || entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout;
  if (hidden || extensions.xattrs.empty()) return;
  // Files of one kind often share them ("security.selinux"), so equal sets are kept once.
  std::string key;
  for (const auto& [name, value] : extensions.xattrs) {
    key += fmt::format("{}:{}:", name.size(), value.size());
    key += name;
    key += value;
  }
  const auto [place, added] =
      xattr_index.try_emplace(std::move(key), static_cast<std::uint32_t>(table->xattr_sets.size()));
  if (added) {
    charge(place->first.size() * 2);
    table->xattr_sets.push_back(std::move(extensions.xattrs));
  }
  entry.xattrs = place->second;
}

void TarIndexer::State::charge(std::uint64_t bytes) {
  text_bytes += bytes;
  if (text_bytes > limits.max_text_bytes) {
    fail(fmt::format("the layer's names and attributes take more than {} bytes", limits.max_text_bytes));
  }
}

}  // namespace imgslim
