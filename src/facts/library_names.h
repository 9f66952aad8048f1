// SPDX-License-Identifier: Apache-2.0
// Libraries whose name is known in part.
#pragma once

#include <string>
#include <vector>

#include "src/facts/library_search.h"
#include "src/facts/object_cache.h"

namespace imgslim {

// What a dlopen of any name that `pattern` ('*' for any text) matches could load: names that are in the
// cache, LD_LIBRARY_PATH or the directories of last resort of the process, or for a pattern with a slash (a
// relative one from those directories) absolute paths. Sorted, at most 1000.
std::vector<std::string> library_names(ObjectCache& objects, const LibrarySearch& process,
                                       const std::string& pattern);

}  // namespace imgslim
