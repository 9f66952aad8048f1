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

[[noreturn]] void throw_daemon(const ImageName& name) {
  throw_usage(fmt::format("{}: a Docker daemon where a layout or an archive is expected", name.text()));
}

}  // namespace

void ImageSource::will_read(const std::vector<Descriptor>&) const {}

void ImageSource::read_into(const Descriptor& descriptor, Sink& sink) const {
  const BlobPtr blob = open(descriptor);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, blob->size())));
  for (std::uint64_t at = 0; at < blob->size();) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob->size() - at)));
    blob->read_at(at, part);
    sink.write(part);
    at += part.size();
  }
}

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

void ImageDestination::take(const ImageSource& source, const Descriptor& descriptor) {
  if (has(descriptor)) return;
  const int tries = source.is_remote() ? 2 : 1;
  for (int attempt = 1;; ++attempt) {
    const auto writer = start_blob();
    source.read_into(descriptor, *writer);
    try {
      return writer->commit(descriptor.digest, descriptor.size);
    } catch (const Error& error) {
      if (error.failure() != Failure::kBadImage || attempt == tries) throw;
    }
  }
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
      throw_daemon(name);
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
      throw_daemon(name);
  }
  throw_usage(name.text() + ": unknown transport");
}

}  // namespace imgslim
