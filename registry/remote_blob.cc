// SPDX-License-Identifier: Apache-2.0
#include "registry/remote_blob.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "layers/error.h"

namespace imgslim {
namespace {

// Below it, two requests cost more than the bytes.
constexpr std::uint64_t kSmall = std::uint64_t{1} << 20;
constexpr std::uint64_t kSpan = std::uint64_t{256} << 10;

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throw_io("cannot keep what was fetched", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
}

void read_from(int fd, std::uint64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw_io("cannot read what was fetched", got < 0 ? errno : EIO);
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

// Into a file, hashed on the way.
class SpoolReceiver : public BlobReceiver {
 public:
  SpoolReceiver(int fd, const Digest& digest, const std::atomic<bool>* stop)
      : fd_(fd), algorithm_(digest.algorithm()), hasher_(algorithm_), stop_(stop) {}
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (stop_ != nullptr && *stop_) throw Error(Failure::kIo, "ended");
    write_at(fd_, offset, bytes);
    if (offset == 0 && hashed_ != 0) {
      hasher_ = Hasher(algorithm_);
      hashed_ = 0;
    }
    hasher_.update(bytes);
    hashed_ += bytes.size();
  }
  Digest digest() { return hasher_.finish(); }

 private:
  int fd_;
  std::string algorithm_;
  Hasher hasher_;
  std::uint64_t hashed_ = 0;
  const std::atomic<bool>* stop_;
};

}  // namespace

RemoteBlob::RemoteBlob(std::shared_ptr<const RegistryClient> client, Descriptor descriptor,
                       std::string spool_directory)
    : client_(std::move(client)),
      descriptor_(std::move(descriptor)),
      spool_directory_(std::move(spool_directory)) {}

void RemoteBlob::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > descriptor_.size || into.size() > descriptor_.size - offset) {
    throw Error(Failure::kIo, descriptor_.digest.text() + ": read behind the end");
  }
  if (into.empty()) return;
  BlobPtr whole;
  {
    const std::lock_guard guard(mutex_);
    if (!whole_) {
      if (read_part(offset, into)) return;
      fetch_locked(nullptr);
    }
    whole = whole_;
  }
  whole->read_at(offset, into);
}

// Whether `into` was filled from parts. Readers of most of a blob are better served with all of it.
bool RemoteBlob::read_part(std::uint64_t offset, std::span<std::byte> into) const {
  if (descriptor_.size <= kSmall || no_ranges_ || wants_all_) return false;
  const std::uint64_t first = offset / kSpan;
  const std::uint64_t last = (offset + into.size() - 1) / kSpan;
  const std::uint64_t all = (descriptor_.size + kSpan - 1) / kSpan;
  std::uint64_t missing = 0;
  for (std::uint64_t span = first; span <= last; ++span)
    missing += spans_.count(span) == 0 ? 1 : 0;
  if (missing > 0 && (spans_.size() + missing) * 2 > all) return false;
  if (!parts_) {
    make_directories(spool_directory_);
    parts_ = open_unlinked_file(spool_directory_);
  }
  for (std::uint64_t span = first; span <= last; ++span) {
    if (spans_.count(span) != 0) continue;
    std::uint64_t end = span + 1;
    while (end <= last && spans_.count(end) == 0)
      ++end;
    const std::uint64_t from = span * kSpan;
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(end * kSpan, descriptor_.size) - from));
    if (!client_->fetch_range(descriptor_, from, bytes)) {
      no_ranges_ = true;
      return false;
    }
    write_at(parts_.get(), from, bytes);
    for (; span < end; ++span)
      spans_.insert(span);
    --span;
  }
  read_from(parts_.get(), offset, into);
  return true;
}

void RemoteBlob::fetch(const std::atomic<bool>* stop) const {
  const std::lock_guard guard(mutex_);
  if (!whole_) fetch_locked(stop);
}

void RemoteBlob::want_all() const {
  wants_all_ = true;
}

BlobPtr RemoteBlob::whole() const {
  const std::lock_guard guard(mutex_);
  return whole_;
}

void RemoteBlob::fetch_locked(const std::atomic<bool>* stop) const {
  make_directories(spool_directory_);
  // Bytes that changed on the way may be right the next time.
  for (int attempt = 0;; ++attempt) {
    UniqueFd fd = open_unlinked_file(spool_directory_);
    SpoolReceiver receiver(fd.get(), descriptor_.digest, stop);
    client_->fetch_blob(descriptor_, receiver, attempt > 0);
    if (receiver.digest() == descriptor_.digest) {
      whole_ = fd_blob(std::move(fd), descriptor_.digest.text());
      client_->session().transfers().came_whole();
      parts_ = UniqueFd();
      spans_.clear();
      return;
    }
    if (attempt > 0) {
      throw_bad_image(client_->host() + "/" + client_->repository() + ": blob " + descriptor_.digest.text() +
                      ": the content has another digest");
    }
  }
}

}  // namespace imgslim
