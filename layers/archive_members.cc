// SPDX-License-Identifier: Apache-2.0
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

#include "layers/archive_store.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxMembers = 100000;
constexpr std::size_t kMaxName = 4096;
constexpr std::size_t kReadBytes = std::size_t{64} << 10;

struct ArchiveDeleter {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};

// Feeds libarchive from a blob. An exception must not cross its frames: it is kept.
struct Feed {
  explicit Feed(const Blob& from) : blob(from) {}
  const Blob& blob;
  std::uint64_t at = 0;
  std::vector<std::byte> buffer = std::vector<std::byte>(kReadBytes);
  std::exception_ptr failure;

  static la_ssize_t read(archive* reader, void* self, const void** out) {
    Feed& feed = *static_cast<Feed*>(self);
    try {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(feed.buffer.size(), feed.blob.size() - feed.at));
      feed.blob.read_at(feed.at, std::span(feed.buffer).first(count));
      feed.at += count;
      *out = feed.buffer.data();
      return static_cast<la_ssize_t>(count);
    } catch (...) {
      feed.failure = std::current_exception();
      ::archive_set_error(reader, EIO, "read failed");
      return -1;
    }
  }

  static la_int64_t skip(archive*, void* self, la_int64_t request) {
    Feed& feed = *static_cast<Feed*>(self);
    const std::uint64_t count = std::min<std::uint64_t>(
        static_cast<std::uint64_t>(std::max<la_int64_t>(request, 0)), feed.blob.size() - feed.at);
    feed.at += count;
    return static_cast<la_int64_t>(count);
  }
};

}  // namespace

std::optional<std::string> archive_path(const std::string& directory, const std::string& text) {
  std::vector<std::string> parts;
  for (const std::string& path : {directory, text}) {
    for (std::size_t at = 0; at < path.size();) {
      const std::size_t end = std::min(path.find('/', at), path.size());
      const std::string part = path.substr(at, end - at);
      at = end + 1;
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (parts.empty()) {
        return std::nullopt;
      } else {
        parts.pop_back();
      }
    }
  }
  return fmt::format("{}", fmt::join(parts, "/"));
}

ArchiveMembers::ArchiveMembers(BlobPtr archive_bytes, std::string name)
    : archive_(std::move(archive_bytes)), name_(std::move(name)) {
  const std::unique_ptr<archive, ArchiveDeleter> reader(::archive_read_new());
  if (!reader) throw std::bad_alloc();
  ::archive_read_support_format_tar(reader.get());
  Feed feed(*archive_);
  auto fail = [&] {
    if (feed.failure) std::rethrow_exception(feed.failure);
    const char* reason = ::archive_error_string(reader.get());
    throw_bad_image(fmt::format("{}: no readable tar archive near offset {}: {}", name_, feed.at,
                                printable(reason == nullptr ? "unknown reason" : reason)));
  };
  if (::archive_read_open2(reader.get(), &feed, nullptr, Feed::read, Feed::skip, nullptr) != ARCHIVE_OK)
    fail();
  std::size_t count = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = ::archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail();
    if (++count > kMaxMembers) throw_bad_image(fmt::format("{}: more than {} members", name_, kMaxMembers));
    // A name that the locale cannot hold is none of those that we look for.
    const char* raw = ::archive_entry_pathname(entry);
    if (raw == nullptr) continue;
    const std::string text = raw;
    const std::string shown = fmt::format("{}: member {}", name_, printable(text));
    if (text.size() > kMaxName) throw_bad_image(shown + ": the name is too long");
    const auto path = archive_path("", text);
    const bool climbs = ("/" + text + "/").find("/../") != std::string::npos;
    if (!path || climbs) throw_bad_image(shown + ": the name climbs out of the archive");

    Member member;
    if (const char* hard = ::archive_entry_hardlink(entry)) {
      const auto target = archive_path("", hard);
      if (!target) throw_bad_image(shown + ": the link climbs out of the archive");
      member.kind = Kind::kHardLink;
      member.target = *target;
    } else if (::archive_entry_filetype(entry) == AE_IFLNK) {
      const char* soft = ::archive_entry_symlink(entry);
      const std::string link = soft == nullptr ? "" : soft;
      const std::size_t slash = path->rfind('/');
      const auto target = archive_path(slash == std::string::npos ? "" : path->substr(0, slash), link);
      if (!target || link.empty() || link.front() == '/') {
        throw_bad_image(shown + ": the link climbs out of the archive");
      }
      member.kind = Kind::kSymlink;
      member.target = *target;
    } else if (::archive_entry_filetype(entry) == AE_IFREG) {
      if (::archive_entry_sparse_count(entry) > 0) throw_bad_image(shown + ": is stored sparse");
      const la_int64_t size = ::archive_entry_size(entry);
      const la_int64_t offset = ::archive_filter_bytes(reader.get(), 0);
      const auto end = archive_->size();
      if (size < 0 || offset < 0 || static_cast<std::uint64_t>(offset) > end ||
          static_cast<std::uint64_t>(size) > end - static_cast<std::uint64_t>(offset)) {
        throw_bad_image(shown + ": the archive is truncated");
      }
      member.kind = Kind::kFile;
      member.offset = static_cast<std::uint64_t>(offset);
      member.size = static_cast<std::uint64_t>(size);
    }
    add(*path, std::move(member));
  }
}

void ArchiveMembers::add(const std::string& path, Member member) {
  const auto [place, added] = members_.emplace(path, std::move(member));
  // Readers disagree about which of two members of one name counts.
  if (!added) place->second.repeated = true;
}

const ArchiveMembers::Member* ArchiveMembers::find(const std::string& path, bool follow) const {
  auto found = members_.find(path);
  if (found == members_.end()) return nullptr;
  const std::string shown = fmt::format("{}: member {}", name_, printable(path));
  const Kind kind = found->second.kind;
  if (kind == Kind::kHardLink || (kind == Kind::kSymlink && follow)) {
    const std::string& target = found->second.target;
    found = members_.find(target);
    if (found == members_.end()) {
      throw_bad_image(fmt::format("{}: links to {}, which is missing", shown, printable(target)));
    }
    if (found->second.kind == Kind::kHardLink || found->second.kind == Kind::kSymlink) {
      throw_bad_image(fmt::format("{}: links to {}, which is a link too", shown, printable(target)));
    }
  }
  if (found->second.kind != Kind::kFile) throw_bad_image(shown + ": is not a regular file");
  // Blobs have their digest to be judged by.
  if (found->second.repeated && !found->first.starts_with("blobs/")) {
    throw_bad_image(shown + ": is in the archive twice");
  }
  return &found->second;
}

BlobPtr ArchiveMembers::open(const std::string& path, bool follow) const {
  const Member* member = find(path, follow);
  if (member == nullptr) return nullptr;
  return sub_blob(archive_, member->offset, member->size);
}

std::uint64_t ArchiveMembers::offset_of(const std::string& path) const {
  const Member* member = find(path, true);
  if (member == nullptr) throw_bad_image(fmt::format("{}: {} is missing", name_, printable(path)));
  return member->offset;
}

}  // namespace imgslim
