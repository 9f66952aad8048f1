// SPDX-License-Identifier: Apache-2.0
// Verdicts of earlier hook runs, one file each under XDG_CACHE_HOME, taken again while nothing that they were
// made from changed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers/image_store.h"
#include "src/image_set.h"
#include "src/settings.h"

namespace imgslim {

// Which bytes are behind an image name: manifest digests, and for files of this machine inode, size and
// times. Nothing if that cannot be told without reading them.
std::optional<std::string> identity_of(const ImageName& name, const ImageSource& source, const ImageSet& set);
// Of a plain file; "absent" if there is none.
std::string identity_of_file(const std::string& path);

class HookCache {
 public:
  // `about` names the verdict (settings and image), `key` is all that it was made from.
  HookCache(const std::string& about, std::string key);
  // The lines of the verdict.
  std::optional<std::vector<std::string>> find() const;
  void store(const std::vector<std::string>& lines) const;

 private:
  std::string file_;
  std::string key_;
};

}  // namespace imgslim
