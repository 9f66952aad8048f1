// SPDX-License-Identifier: Apache-2.0
// The Go programs that an image's commands reach: of which module each is, and the files embedded in it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "layers/digest.h"
#include "src/facts/file_system.h"
#include "src/facts/roots.h"

namespace imgslim {

struct GoProgram {
  std::string path;
  std::string main_module;                             // "example.com/payments"; empty if unknown
  std::map<std::uint64_t, std::set<Digest>> embedded;  // digests of the embedded files by their size
  std::shared_ptr<const FileBytes> content = nullptr;  // held for who reads it next; null if it is large
};

// In the order of the roots' files, each program once.
std::vector<GoProgram> read_go_programs(const FileSystem& files, const Roots& roots);

}  // namespace imgslim
