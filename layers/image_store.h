// SPDX-License-Identifier: Apache-2.0
// Where images come from and go to: one interface for reading, one for writing, the same for layouts,
// archives and (in registry/) registries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/image_name.h"
#include "layers/manifest.h"
#include "layers/stream.h"

namespace imgslim {

// An image that can be read. Blobs are not verified here: whoever reads one compares its digest.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual std::string name() const = 0;  // for messages: "oci:dir:tag"
  // The document the name refers to: an index or a manifest.
  virtual Descriptor root() const = 0;
  // Whether root() was made here, because the source holds no manifest (docker-archive of older Docker).
  virtual bool made_root() const { return false; }
  // Opens a blob. Throws Error{kBadImage} if it is missing, no regular file, or of another size.
  virtual BlobPtr open(const Descriptor& descriptor) const = 0;
  // Whether its bytes come over a network, where they may change on the way and be right the next time.
  virtual bool is_remote() const { return false; }
  // These blobs will soon be read from front to end: a remote source begins to fetch them.
  virtual void will_read(const std::vector<Descriptor>& descriptors) const;
  // Writes all of a blob into `sink`, for a reader who needs it once; not verified.
  virtual void read_into(const Descriptor& descriptor, Sink& sink) const;
  // The manifests whose `subject` is that document, of that artifact type or, if it is empty, of any, in the
  // order of the source (a later one is newer). Throws Error{kBadImage} if one cannot be read.
  virtual std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type) const;
  // A small document, digest verified, at most `limit` bytes.
  std::string read_document(const Descriptor& descriptor, std::uint64_t limit = 4u << 20) const;
};

// Opens a layout, archive or stdin. `spool_directory` takes an unlinked copy of what cannot be read at
// offsets (stdin, compressed archives).
std::unique_ptr<ImageSource> open_image_source(const ImageName& name, const std::string& spool_directory);

// A blob being written: bytes go in, and commit() makes it durable under its digest.
class BlobWriter : public Sink {
 public:
  // Flushes, syncs, renames into place; throws Error{kBadImage} if digest or size are not as given to it.
  // Destroying the writer without it leaves no trace.
  virtual void commit(const Digest& digest, std::uint64_t size) = 0;
};

// A place for an image. Nothing that was there before changes until publish(), which makes the image
// appear whole or not at all; destroying the object without it removes what was written.
class ImageDestination {
 public:
  virtual ~ImageDestination() = default;
  virtual std::string name() const = 0;
  // Whether the destination already has the blob, so that it need not be written again.
  virtual bool has(const Descriptor& descriptor) const = 0;
  // A blob that was committed, to be read back.
  virtual BlobPtr open(const Descriptor& descriptor) const = 0;
  virtual std::unique_ptr<BlobWriter> start_blob() = 0;
  // A blob of a source as it is, verified on the way, unless has() it. Where blobs travel far it may go on in
  // the background until publish().
  virtual void take(const ImageSource& source, const Descriptor& descriptor);
  // A blob as it is, verified on the way.
  void copy(const Descriptor& descriptor, const Blob& blob);
  void put(const Descriptor& descriptor, std::string_view bytes);
  // Returns when the blobs taken so far are there.
  virtual void await_blobs() {}
  // Names `root` (an index or manifest put before) and makes everything durable.
  virtual void publish(const Descriptor& root) = 0;
  // Whether there is a place for documents that refer to an image (layers/referrer.h).
  virtual bool holds_referrers() const = 0;
  // Names a manifest with a `subject`, put before: it appears with publish(), which must follow for archives.
  // False, and nothing done, unless holds_referrers().
  virtual bool publish_referrer(const Descriptor& manifest) = 0;
};

// What a destination must be able to hold, asked before any work is done.
struct DestinationNeeds {
  bool several_platforms = false;
  bool zstd = false;
};
// Throws Error{kUsage} if the transport cannot hold it, Error{kIo} if it cannot be written.
std::unique_ptr<ImageDestination> open_image_destination(const ImageName& name,
                                                         const DestinationNeeds& needs);

}  // namespace imgslim
