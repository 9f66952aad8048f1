// SPDX-License-Identifier: Apache-2.0
#include "layers/stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "layers/error.h"

namespace imgslim {
namespace {

// Reads from a blob never run past the size it said it had.
void check_range(std::uint64_t size, std::uint64_t offset, std::size_t length, std::string_view name) {
  if (offset > size || length > size - offset) {
    throw Error(Failure::kIo, std::string(name) + ": read of " + std::to_string(length) +
                                  " bytes at offset " + std::to_string(offset) + " is past the end at " +
                                  std::to_string(size));
  }
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

class FileBlob : public Blob {
 public:
  FileBlob(FileDescriptor descriptor, std::string path, std::uint64_t size)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), size_(size) {}

  std::uint64_t size() const override { return size_; }

  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    check_range(size_, offset, into.size(), printable(path_));
    while (!into.empty()) {
      const ssize_t count = ::pread(descriptor_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (count < 0) {
        if (errno == EINTR) continue;
        throw_io("cannot read " + printable(path_), errno);
      }
      if (count == 0) {
        throw Error(Failure::kIo, printable(path_) + ": became shorter while it was read");
      }
      offset += static_cast<std::uint64_t>(count);
      into = into.subspan(static_cast<std::size_t>(count));
    }
  }

  std::string identity() const override {
    struct stat status;
    if (::fstat(descriptor_.get(), &status) != 0) return {};
    const auto time = [](const timespec& t) {
      return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec);
    };
    return std::to_string(status.st_dev) + " " + std::to_string(status.st_ino) + " " +
           std::to_string(status.st_size) + " " + time(status.st_mtim) + " " + time(status.st_ctim);
  }

 private:
  FileDescriptor descriptor_;
  std::string path_;
  std::uint64_t size_;
};

class SubBlob : public Blob {
 public:
  SubBlob(BlobPtr blob, std::uint64_t offset, std::uint64_t length)
      : blob_(std::move(blob)), offset_(offset), length_(length) {}

  std::uint64_t size() const override { return length_; }

  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    check_range(length_, offset, into.size(), "part of a file");
    blob_->read_at(offset_ + offset, into);
  }

  std::string identity() const override {
    const std::string whole = blob_->identity();
    if (whole.empty()) return whole;
    return whole + " " + std::to_string(offset_) + " " + std::to_string(length_);
  }

 private:
  BlobPtr blob_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

class MemoryBlob : public Blob {
 public:
  explicit MemoryBlob(std::string bytes) : bytes_(std::move(bytes)) {}

  std::uint64_t size() const override { return bytes_.size(); }

  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    check_range(bytes_.size(), offset, into.size(), "bytes in memory");
    if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
  }

 private:
  std::string bytes_;
};

class BlobSource : public Source {
 public:
  explicit BlobSource(BlobPtr blob) : blob_(std::move(blob)) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::uint64_t left = blob_->size() - offset_;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size()));
    blob_->read_at(offset_, into.first(count));
    offset_ += count;
    return count;
  }

 private:
  BlobPtr blob_;
  std::uint64_t offset_ = 0;
};

class FunctionSink : public Sink {
 public:
  explicit FunctionSink(std::function<void(std::span<const std::byte>)> take) : take_(std::move(take)) {}
  void write(std::span<const std::byte> bytes) override { take_(bytes); }

 private:
  std::function<void(std::span<const std::byte>)> take_;
};

}  // namespace

std::string Blob::identity() const {
  return {};
}

BlobPtr open_file_blob(const std::string& path) {
  // Without O_NONBLOCK a FIFO put in place of a blob would hold us up before fstat can refuse it.
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (descriptor.get() < 0) {
    if (errno == ELOOP || errno == EMLINK || errno == ENXIO) {  // EMLINK: FreeBSD's answer to a link
      throw_bad_image(printable(path) + " is not a regular file");
    }
    throw_io("cannot open " + printable(path), errno);
  }
  struct stat status;
  if (::fstat(descriptor.get(), &status) != 0) throw_io("cannot read " + printable(path), errno);
  if (!S_ISREG(status.st_mode)) throw_bad_image(printable(path) + " is not a regular file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  return std::make_shared<FileBlob>(std::move(descriptor), path, size);
}

BlobPtr sub_blob(BlobPtr blob, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t size = blob->size();
  if (offset > size || length > size - offset) {
    throw_bad_image("bytes " + std::to_string(offset) + "+" + std::to_string(length) +
                    " are not inside a file of " + std::to_string(size));
  }
  return std::make_shared<SubBlob>(std::move(blob), offset, length);
}

BlobPtr memory_blob(std::string bytes) {
  return std::make_shared<MemoryBlob>(std::move(bytes));
}

std::string read_all(const Blob& blob, std::uint64_t limit, std::string_view name) {
  if (blob.size() > limit) {
    throw_bad_image(printable(name) + " is larger than " + std::to_string(limit) + " bytes");
  }
  std::string bytes(static_cast<std::size_t>(blob.size()), '\0');
  blob.read_at(0, std::as_writable_bytes(std::span<char>(bytes)));
  return bytes;
}

std::unique_ptr<Source> read_blob(BlobPtr blob) {
  return std::make_unique<BlobSource>(std::move(blob));
}

std::unique_ptr<Sink> sink_to(std::function<void(std::span<const std::byte>)> take) {
  return std::make_unique<FunctionSink>(std::move(take));
}

}  // namespace imgslim
