// SPDX-License-Identifier: Apache-2.0
// Pass 1 over an image: every layer streams once, and what stays is its table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "layers/layer_table.h"
#include "layers/stream.h"
#include "layers/tar.h"

namespace imgslim {

// A layer to scan, with what manifest and config say about it.
struct ScanJob {
  BlobPtr blob;
  Digest digest;
  std::uint64_t size = 0;
  std::optional<Digest> diff_id;
  std::string what;  // in front of errors: "layer sha256:ab.."
};

struct ScanOptions {
  std::string what = "image";  // in front of errors that are not one layer's
  unsigned threads = 0;        // 0: as many as there are CPUs
  DecodeLimits decode;
  TarLimits tar;
  // Of all layers together: their entries, and the bytes of names, links and xattrs.
  std::uint64_t max_entries = 20000000;
  std::uint64_t max_text_bytes = std::uint64_t{1} << 30;
  // Makes the observers of a layer, by the index of its job. Called from any thread, one at a time.
  std::function<Observers(std::size_t job)> observers;
  // Bytes of blobs read so far, and of all blobs. Called from any thread, one at a time, about every
  // 100 ms and once at the end.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  // Plain bytes. 0: by the size of all blobs, near each other for usual images and so that those of large ones
  // stay within some tens of MB.
  std::uint64_t checkpoint_every = 0;
};

// Reads each blob once: decompresses it as its first bytes say, hashes it and its plain bytes, and
// indexes the tar. The result is in the order of the jobs, and does not depend on the number of threads;
// with one, all happens in the calling thread. Memory beside the tables is a few MiB for each thread.
//
// Throws Error{kBadImage} if a blob has not the size or digest, or the plain bytes not the DiffID, that
// the job names; if it is malformed; or if a limit is passed. A blob that is malformed is first compared
// with its digest, as damage on the way is the likelier reason. The first job that fails, by order of
// the jobs, gives the error, or the limit that the layers pass together.
std::vector<LayerTablePtr> scan_layers(const std::vector<ScanJob>& jobs, const ScanOptions& options = {});

}  // namespace imgslim
