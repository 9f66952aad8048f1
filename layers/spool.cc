// SPDX-License-Identifier: Apache-2.0
#include "layers/spool.h"

#include <unistd.h>

#include <cerrno>

#include "layers/durable_file.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr const char* kName = "a temporary file";

}  // namespace

struct Spool::File {
  UniqueFd fd;
};

Spool::Spool(const std::string& directory) : file_(std::make_shared<File>()) {
  make_directories(directory);
  file_->fd = open_unlinked_file(directory);
}

void Spool::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file_->fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io(std::string("cannot write ") + kName, errno);
    size_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void Spool::clear() {
  if (::ftruncate(file_->fd.get(), 0) != 0) throw_io(std::string("cannot empty ") + kName, errno);
  size_ = 0;
}

BlobPtr Spool::range(std::uint64_t offset, std::uint64_t length) const {
  class Range : public Blob {
   public:
    Range(std::shared_ptr<File> file, std::uint64_t offset, std::uint64_t length)
        : file_(std::move(file)), offset_(offset), length_(length) {}
    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
      if (offset > length_ || into.size() > length_ - offset) {
        throw Error(Failure::kIo, std::string(kName) + " is shorter than what is read from it");
      }
      std::uint64_t at = offset_ + offset;
      while (!into.empty()) {
        const ssize_t count = ::pread(file_->fd.get(), into.data(), into.size(), static_cast<off_t>(at));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) throw_io(std::string("cannot read ") + kName, count < 0 ? errno : EIO);
        at += static_cast<std::uint64_t>(count);
        into = into.subspan(static_cast<std::size_t>(count));
      }
    }

   private:
    std::shared_ptr<File> file_;
    std::uint64_t offset_;
    std::uint64_t length_;
  };
  return std::make_shared<Range>(file_, offset, length);
}

}  // namespace imgslim
