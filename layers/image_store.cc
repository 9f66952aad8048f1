// SPDX-License-Identifier: Apache-2.0
#include "layers/image_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "layers/archive_store.h"
#include "layers/error.h"
#include "layers/oci_layout.h"

namespace imgslim {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

[[noreturn]] void throw_daemon(const ImageName& name, std::string_view hint) {
  throw_usage(fmt::format("{}: imgslim does not talk to a Docker daemon, {}", name.text(), hint));
}

}  // namespace

std::vector<Descriptor> ImageSource::referrers(const Digest&, std::string_view) const {
  return {};
}

std::string ImageSource::read_document(const Descriptor& descriptor, std::uint64_t limit) const {
  const std::string what = fmt::format("{}: {}", name(), descriptor.digest.text());
  if (descriptor.size > limit) {
    throw_bad_image(
        fmt::format("{}: a document of {} bytes is larger than {}", what, descriptor.size, limit));
  }
  std::string bytes = read_all(*open(descriptor), limit, what);
  Hasher hasher(descriptor.digest.algorithm());
  hasher.update(bytes);
  if (hasher.finish() != descriptor.digest) {
    throw_bad_image(what + ": the content has another digest");
  }
  return bytes;
}

void ImageDestination::copy(const Descriptor& descriptor, const Blob& blob) {
  if (blob.size() != descriptor.size) {
    throw_bad_image(fmt::format("{}: the blob has {} bytes instead of {}", descriptor.digest.text(),
                                blob.size(), descriptor.size));
  }
  if (has(descriptor)) return;
  auto writer = start_blob();
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, blob.size())));
  for (std::uint64_t at = 0; at < blob.size();) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size() - at)));
    blob.read_at(at, part);
    writer->write(part);
    at += part.size();
  }
  writer->commit(descriptor.digest, descriptor.size);
}

void ImageDestination::put(const Descriptor& descriptor, std::string_view bytes) {
  if (bytes.size() == descriptor.size && has(descriptor)) return;
  auto writer = start_blob();
  writer->write(as_bytes(bytes));
  writer->commit(descriptor.digest, descriptor.size);
}

std::unique_ptr<ImageSource> open_image_source(const ImageName& name, const std::string& spool_directory) {
  switch (name.transport) {
    case Transport::kOci:
      return open_layout_source(name);
    case Transport::kOciArchive:
    case Transport::kDockerArchive:
      return open_archive_source(name, spool_directory);
    case Transport::kDocker:
      throw_usage(name.text() + ": a registry name where a layout or an archive is expected");
    case Transport::kDockerDaemon:
      throw_daemon(name, "pipe docker save NAME into docker-archive:-");
  }
  throw_usage(name.text() + ": unknown transport");
}

std::unique_ptr<ImageDestination> open_image_destination(const ImageName& name,
                                                         const DestinationNeeds& needs) {
  switch (name.transport) {
    case Transport::kOci:
      return open_layout_destination(name);
    case Transport::kOciArchive:
    case Transport::kDockerArchive:
      return open_archive_destination(name, needs);
    case Transport::kDocker:
      throw_usage(name.text() + ": a registry name where a layout or an archive is expected");
    case Transport::kDockerDaemon:
      throw_daemon(name, "write to docker-archive:- and pipe it into docker load");
  }
  throw_usage(name.text() + ": unknown transport");
}

}  // namespace imgslim
