// SPDX-License-Identifier: Apache-2.0
// Small files of this machine: configuration, certificates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace imgslim {

// Nothing if there is no such file. Throws Error{kIo} if it cannot be read or is longer than `limit`.
std::optional<std::string> read_local_file(const std::string& path, std::uint64_t limit = 4u << 20);
// Names in a directory that end so, sorted; none if it cannot be read.
std::vector<std::string> names_ending(const std::string& directory, const std::string& end);
// An environment variable; empty if it is not set.
std::string environment(const char* name);

}  // namespace imgslim
