// SPDX-License-Identifier: Apache-2.0
// Results of earlier runs, one file each under XDG_CACHE_HOME, taken again while nothing that they were made
// from changed: blobs that are files of this machine count as unchanged while inode, size and times are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/image_store.h"
#include "src/cache/cache_store.h"
#include "src/image_set.h"
#include "src/open_image.h"
#include "src/settings.h"

namespace imgslim {

// Which bytes are behind an image name: manifest digests, and for files of this machine inode, size and
// times. Nothing if that cannot be told without reading them.
std::optional<std::string> identity_of(const ImageName& name, const ImageSource& source, const ImageSet& set);
// The same of a name; nothing also if the image cannot be opened.
std::optional<std::string> identity_of_image(const std::string& name, const NetworkArguments& network);
// Of a plain file; "absent" if there is none.
std::string identity_of_file(const std::string& path);
// All that a verdict over the budgets depends on beside the image: the settings, the files and images they
// name.
std::optional<std::string> identity_of_settings(const Settings& settings, const NetworkArguments& network);

class ResultCache {
 public:
  // `about` names the result (command, images, options that show): a newer one takes the place of an older
  // one. `key` is all that it is made from.
  ResultCache(std::string_view about, std::string_view key);
  std::optional<std::vector<std::string>> find() const;
  // A cache that cannot be written is none.
  void store(const std::vector<std::string>& items) const;

 private:
  CacheStore store_;
  std::string about_;
  std::string key_;
};

}  // namespace imgslim
