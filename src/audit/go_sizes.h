// SPDX-License-Identifier: Apache-2.0
// What the bytes of a Go program are: parts of the file, code by module and package, embedded files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/go_binary.h"

namespace imgslim {

struct NamedBytes {
  std::string name;
  std::uint64_t bytes = 0;
};

struct GoModuleBytes {
  std::string path;  // "std" for the standard library, "" for code of no Go package (C, assembly, generated)
  std::string version;
  std::string sum;
  bool is_main = false;
  std::uint64_t code = 0;
  std::vector<NamedBytes> packages;  // largest first
};

struct GoProgramSize {
  std::string path;  // in the image, absolute
  std::uint64_t size = 0;
  std::string go_version;
  std::string main_module;
  std::string linkage;                 // "" if it is not known
  std::string opaque;                  // why there is less to say: "packed with UPX"
  std::vector<NamedBytes> parts;       // of the whole file, largest first; they add up to `size`
  std::vector<GoModuleBytes> modules;  // largest first; all that are built in, also without code
  std::vector<NamedBytes> embedded;    // largest first
};

// Nothing if the bytes are no Go program.
std::optional<GoProgramSize> measure_go(std::string_view path, std::string_view bytes);

}  // namespace imgslim
