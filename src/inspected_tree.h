// SPDX-License-Identifier: Apache-2.0
// Where a program to inspect lies: in the tree of an image, or on this machine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/manifest.h"
#include "src/facts/file_system.h"
#include "src/open_image.h"
#include "src/progress.h"

namespace imgslim {

struct InspectedTreeOptions {
  std::string target;                // FILE or IMAGE:PATH
  std::string root;                  // FILE is below this directory; empty: this machine
  std::optional<Platform> platform;  // of an index
  unsigned threads = 1;
  std::string spool_directory;
  NetworkArguments network;
};

// A tree of files and a path in it.
class InspectedTree {
 public:
  virtual ~InspectedTree() = default;
  virtual const FileSystem& files() const = 0;

  std::string name;              // "oci:dir:latest, linux/amd64"; empty: this machine
  std::string path;              // absolute, as asked for
  bool is_image = false;         // files() is small enough to be walked
  std::vector<std::string> env;  // of the image's config
  std::string working_directory = "/";
  std::string user;  // of the image's config
};

// "oci:DIR:/usr/bin/git" -> {"oci:DIR", "/usr/bin/git"}: what follows the last ":/" is the path. Nothing if
// there is none, or what is before it is no image name but a bare transport.
std::optional<std::pair<std::string, std::string>> split_image_path(std::string_view target);

// Throws Error{kUsage} for a target without a path, an image that is not there and an index of several
// platforms without `platform`; else as reading images does.
std::unique_ptr<InspectedTree> open_inspected_tree(const InspectedTreeOptions& options, Progress& progress);

}  // namespace imgslim
