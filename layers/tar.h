// SPDX-License-Identifier: Apache-2.0
// The layer tar codec (POSIX.1-2017 pax, ustar, GNU and old-GNU sparse as found in the wild; image-spec
// layer.md). Reading keeps everything that shows in a file system and where each content lies; writing
// is canonical: the same entries give the same bytes.
#pragma once

#include <memory>

#include "layers/layer_table.h"
#include "layers/stream.h"

namespace imgslim {

struct TarLimits {
  std::uint64_t max_entries = 20000000;
  std::size_t max_path = 4096;          // PATH_MAX
  std::size_t max_component = 255;      // NAME_MAX
  std::size_t max_pax_bytes = 1 << 20;  // one extended header
  std::size_t max_xattr_name = 255;
  std::size_t max_xattr_value = 64 << 10;  // what Linux can store
  std::size_t max_sparse_regions = 1 << 16;
  std::uint64_t max_sparse_bytes = std::uint64_t{64} << 30;  // all sparse files of a layer, holes included
  // Above `hole_floor` bytes, a layer's holes may not be more than this times the bytes that came before
  // their end: every reader of the files pays for them.
  std::uint64_t max_hole_ratio = 1000;
  std::uint64_t hole_floor = std::uint64_t{256} << 20;
  std::size_t max_warnings = 200;                         // what comes after is only counted
  std::uint64_t max_text_bytes = std::uint64_t{1} << 30;  // all names, links and xattrs of a layer
};

// Takes the plain bytes of one layer and builds its table. Malformed or hostile bytes throw
// Error{kBadImage} naming the entry and offset; each oddity that is accepted is a warning in the table.
class TarIndexer : public Sink {
 public:
  explicit TarIndexer(Observers observers = {}, TarLimits limits = {});
  ~TarIndexer() override;
  void write(std::span<const std::byte> bytes) override;
  // Ends the stream: a missing end-of-archive is a warning, a cut entry an error. Digests, sizes of
  // the blob and checkpoints are left for the caller to fill in.
  std::unique_ptr<LayerTable> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Writes the canonical encoding: ustar where everything fits, otherwise one PAX header with only the
// records that are needed, sorted by key, xattrs among them; numeric owners, no names, no atime or ctime.
class TarWriter {
 public:
  // `out` must outlive the writer.
  explicit TarWriter(Sink& out);
  // The headers of `entry` (of `table`, for its xattrs). For a regular file exactly entry.size bytes of
  // content() must follow, sparse files expanded; whiteouts are written as empty regular files, mode 0,
  // time 0.
  void header(const Entry& entry, const LayerTable& table);
  void content(std::span<const std::byte> bytes);
  // Two zero blocks. Throws std::logic_error if content is missing.
  void finish();
  // What an entry costs in the canonical encoding: headers, content, padding.
  static std::uint64_t bytes_of(const Entry& entry, const LayerTable& table);

 private:
  Sink& out_;
  std::uint64_t left_ = 0;     // content bytes still to come
  std::uint64_t padding_ = 0;  // after them
};

// `text` as a path inside the image: "/a//./b/" becomes "a/b". Nothing if it climbs out, is empty, or a
// component of it is longer than a file system takes; `reason` then says which, for the error.
std::optional<std::string> clean_path(std::string_view text, std::string* reason = nullptr,
                                      const TarLimits& limits = {});

// Orders paths so that a directory comes right before what is in it: component by component, as bytes.
bool path_less(std::string_view a, std::string_view b);

// The type flag of an entry in a header block (pax, ustar Interchange Format).
char type_in_tar(EntryType type);

}  // namespace imgslim
