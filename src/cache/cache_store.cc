// SPDX-License-Identifier: Apache-2.0
#include "src/cache/cache_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "layers/digest.h"
#include "layers/durable_file.h"
#include "layers/error.h"

namespace imgslim {
namespace {

namespace fs = std::filesystem;

// In front of a text stands the digest of all that follows, its key first.
constexpr std::size_t kHead = 7 + 64 + 1;
constexpr std::uintmax_t kMaxFile = std::uintmax_t{1} << 30;

}  // namespace

CacheStore::CacheStore(std::string directory, std::string_view kind)
    : folder_(directory.empty() ? "" : std::move(directory) + "/" + std::string(kind)) {}

std::string CacheStore::file_of(std::string_view key) const {
  return folder_ + "/" + std::string(digest_of(key).hex());
}

bool CacheStore::holds(std::string_view key) const {
  std::error_code error;
  return !folder_.empty() && fs::exists(file_of(key), error);
}

std::optional<std::string> CacheStore::find(std::string_view key) const {
  if (folder_.empty()) return std::nullopt;
  const std::string file = file_of(key);
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error || size > kMaxFile) return std::nullopt;
  std::string all(static_cast<std::size_t>(size), '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in.read(all.data(), static_cast<std::streamsize>(all.size()))) return std::nullopt;
  const std::string_view body = std::string_view(all).substr(std::min(all.size(), kHead));
  if (all.size() < kHead || digest_of(body).text() + "\n" != all.substr(0, kHead) || !body.starts_with(key) ||
      body.substr(key.size(), 1) != "\n") {
    return std::nullopt;
  }
  // Used now: trim() spares it.
  fs::last_write_time(file, fs::file_time_type::clock::now(), error);
  // A record of a large layer is some MB: moved, not copied.
  all.erase(0, kHead + key.size() + 1);
  return all;
}

void CacheStore::store(std::string_view key, std::string_view text) const {
  if (folder_.empty()) return;
  try {
    make_directories(folder_);
    const std::string file = file_of(key);
    std::string all;
    all.reserve(kHead + key.size() + 1 + text.size());
    all.append(kHead, ' ').append(key).append("\n").append(text);
    all.replace(0, kHead, digest_of(std::string_view(all).substr(kHead)).text() + "\n");
    // Not synced: a text that a crash cut is found to be damaged.
    Scratch scratch(Scratch::Kind::kFile, folder_, last_part_of(file));
    write_fully(scratch.fd(), as_bytes(all), scratch.path());
    rename_file(scratch.path(), file);
    scratch.keep();
  } catch (const Error&) {
  }
}

void CacheStore::trim(std::uint64_t max_bytes, std::uint64_t max_files) const {
  if (folder_.empty()) return;
  struct File {
    fs::file_time_type used;
    fs::path path;
    std::uint64_t size = 0;
  };
  std::vector<File> files;
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    File file{entry.last_write_time(error), entry.path(), entry.file_size(error)};
    if (error) continue;
    bytes += file.size;
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  std::uint64_t count = files.size();
  for (const File& file : files) {
    if (bytes <= max_bytes && count <= max_files) return;
    fs::remove(file.path, error);
    bytes -= file.size;
    --count;
  }
}

}  // namespace imgslim
