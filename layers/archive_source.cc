// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "layers/archive_store.h"
#include "layers/compression.h"
#include "layers/durable_file.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kSpoolBytes = std::size_t{1} << 20;

class FdSource : public Source {
 public:
  FdSource(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  std::size_t read(std::span<std::byte> into) override {
    while (true) {
      const ssize_t got = ::read(fd_, into.data(), into.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) throw_io("cannot read " + name_, errno);
    }
  }

 private:
  int fd_;
  std::string name_;
};

BlobPtr spool(Source& source, const std::string& directory, const std::string& name) {
  make_directories(directory);
  UniqueFd fd = open_unlinked_file(directory);
  std::vector<std::byte> buffer(kSpoolBytes);
  while (const std::size_t got = source.read(buffer)) {
    write_fully(fd.get(), std::span(buffer).first(got), "a copy in " + directory);
  }
  return fd_blob(std::move(fd), name);
}

class ArchiveFiles : public LayoutFiles {
 public:
  explicit ArchiveFiles(std::shared_ptr<const ArchiveMembers> members) : members_(std::move(members)) {}
  BlobPtr open(const std::string& path) const override { return members_->open(path, false); }

 private:
  std::shared_ptr<const ArchiveMembers> members_;
};

}  // namespace

BlobPtr open_archive_bytes(const std::string& location, const std::string& spool_directory) {
  const bool standard = location == "-";
  const std::string name = standard ? "standard input" : printable(location);
  UniqueFd fd(standard ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                       : ::open(location.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_io("cannot open " + name, errno);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) throw_io("cannot read " + name, errno);
  if (S_ISDIR(info.st_mode)) throw_usage(name + " is a directory, not an archive");
  const bool seekable = S_ISREG(info.st_mode) && (!standard || ::lseek(fd.get(), 0, SEEK_CUR) == 0);
  BlobPtr bytes;
  if (seekable) {
    bytes = fd_blob(std::move(fd), name);
  } else {
    FdSource source(fd.get(), name);
    bytes = spool(source, spool_directory, name);
  }
  std::array<std::byte, 64> head;
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), bytes->size()));
  bytes->read_at(0, std::span(head).first(count));
  return with_context(name, [&] {
    const Compression compression = sniff_compression(std::span(head).first(count));
    if (compression == Compression::kNone) return bytes;
    Decoder decoder(bytes, compression);
    return spool(decoder, spool_directory, name);
  });
}

std::unique_ptr<ImageSource> open_archive_source(const ImageName& name, const std::string& spool_directory) {
  ImageName actual = name;
  const auto members =
      std::make_shared<const ArchiveMembers>(open_archive_bytes(name.location, spool_directory), name.text());
  const bool docker = members->has("manifest.json");
  const bool oci = members->has("oci-layout") || members->has("index.json");
  if (name.sniffed) {
    actual.transport = docker || !oci ? Transport::kDockerArchive : Transport::kOciArchive;
    actual.sniffed = false;
  }
  const std::string text = actual.text();
  if (actual.transport == Transport::kOciArchive) {
    if (!oci && docker)
      throw_bad_image(text + ": holds no OCI layout but a manifest.json, try docker-archive:");
    return make_layout_source(text, std::make_unique<ArchiveFiles>(members), actual.reference);
  }
  if (!docker && name.sniffed) throw_bad_image(text + ": holds neither a manifest.json nor an OCI layout");
  if (!docker && oci) throw_bad_image(text + ": holds no manifest.json but an OCI layout, try oci-archive:");
  if (!docker && members->has("repositories")) {
    throw_bad_image(text + ": holds no manifest.json, save it again with Docker 1.10 or later");
  }
  if (!docker) throw_bad_image(text + ": holds no manifest.json");
  return make_docker_archive_source(text, members, actual.reference);
}

}  // namespace imgslim
