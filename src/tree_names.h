// SPDX-License-Identifier: Apache-2.0
// Names with '*' looked up in a tree, and objects of a tree by what they export.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/facts/file_system.h"
#include "src/facts/object_cache.h"

namespace imgslim {

// Resolved paths of what an absolute pattern matches, sorted; '*' does not match '/'. At most 10000.
std::vector<std::string> files_matching(const FileSystem& files, std::string_view pattern);

// Resolved paths of the ELF files of a tree that export a symbol which one of `globs` matches, sorted. Reads
// every ELF file.
std::vector<std::string> objects_exporting(ObjectCache& cache, const std::vector<std::string>& globs);

}  // namespace imgslim
