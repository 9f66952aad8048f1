// SPDX-License-Identifier: Apache-2.0
#include "layers/blob_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "layers/error.h"

namespace imgslim {

FileBlobWriter::FileBlobWriter(UniqueFd fd, std::string path, bool sync, Take take)
    : fd_(std::move(fd)), path_(std::move(path)), sync_(sync), take_(std::move(take)) {}

void FileBlobWriter::write(std::span<const std::byte> bytes) {
  write_fully(fd_.get(), bytes, path_);
  hasher_.update(bytes);
  size_ += bytes.size();
}

void FileBlobWriter::commit(const Digest& digest, std::uint64_t size) {
  if (size != size_) {
    throw_bad_image(fmt::format("{}: the blob has {} bytes instead of {}", digest.text(), size_, size));
  }
  Digest found = hasher_.finish();
  if (found.algorithm() != digest.algorithm()) {
    const int copy = ::dup(fd_.get());
    if (copy < 0) throw_io("cannot read " + printable(path_), errno);
    found = hash_blob(*fd_blob(UniqueFd(copy), path_), digest);
  }
  if (found != digest) {
    throw_bad_image(fmt::format("{}: the content has the digest {}", digest.text(), found.text()));
  }
  if (sync_) sync_file(fd_.get(), path_);
  take_(std::move(fd_), digest, size_);
}

Digest hash_blob(const Blob& blob, const Digest& like) {
  Hasher hasher(like.algorithm());
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(std::uint64_t{1} << 20, blob.size())));
  for (std::uint64_t at = 0; at < blob.size();) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size() - at)));
    blob.read_at(at, part);
    hasher.update(part);
    at += part.size();
  }
  return hasher.finish();
}

}  // namespace imgslim
