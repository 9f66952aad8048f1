// SPDX-License-Identifier: Apache-2.0
// The files of one image whose debug information was taken out: what they are without it, and their
// companions. Both lie in files without a name, however large they are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/contents.h"
#include "layers/layer_builder.h"
#include "layers/spool.h"
#include "src/debug_info/debug_info.h"
#include "src/debug_info_observer.h"
#include "src/report.h"

namespace imgslim {

inline constexpr std::string_view kDebugArtifactType = "application/vnd.imgslim.debug.v1";

// A file of an image that may hold debug information.
struct DebugCandidate {
  EntryRef file;
  std::vector<NodeId> names;  // in path order
  ObservedDebugInfo observed;
};

class DebugFiles {
 public:
  // `spool_directory` takes the contents. With `split` companions are made.
  DebugFiles(const std::string& spool_directory, bool split, bool symbols, unsigned threads);

  // Where a file's new content is, as an entry says it.
  struct Replacement {
    std::uint64_t offset = 0;  // in contents_from()
    std::uint64_t size = 0;
    std::uint64_t crc = 0;
  };
  // Takes the debug information out of one file; the report says what became of it, and nothing if there was
  // nothing to take. Throws Error{kVerification} if what was written would be loaded otherwise.
  std::optional<DebugFileReport> take(const Contents& contents, EntryRef file, std::string path,
                                      std::optional<Replacement>& replacement);

  // All new contents since `offset`, and where the next one will start.
  BlobPtr contents_from(std::uint64_t offset) const;
  std::uint64_t end() const { return slim_.size(); }

  bool has_companions() const { return !companions_.empty(); }
  // The companions as a layer of `.build-id` files, and the contents it is to be read from.
  struct CompanionLayer {
    PlannedLayer layer;
    std::vector<LayerTablePtr> tables;
    std::unique_ptr<Contents> contents;
  };
  CompanionLayer companion_layer() const;

 private:
  struct Companion {
    Digest source;  // of the file it was made from, which says all about it
    Replacement place;
  };
  // False if there is another one for the same build id.
  bool add_companion(const DebugInfoPlan& plan, const Blob& file, const Digest& source);

  bool split_;
  bool symbols_;
  unsigned threads_;
  Spool input_;
  Spool slim_;
  Spool companion_bytes_;
  std::map<std::string, Companion> companions_;  // by path
};

}  // namespace imgslim
