// SPDX-License-Identifier: Apache-2.0
// dlopen(3) and dlmopen(3) of a program that is linked with a static glibc and has no symbols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "src/facts/elf.h"

namespace imgslim {

struct StaticLoader {
  std::string_view caller;  // "dlopen", "dlmopen"
  std::uint64_t start = 0;  // of its code
  std::size_t name = 0;     // number of the argument that is the name
  bool operator==(const StaticLoader&) const = default;
};

// Those that are called, by their code's address. Each is found from the complaint that only it makes
// ("invalid mode parameter" in dlfcn/dlopen.c, "invalid namespace" in dlfcn/dlmopen.c). Empty: there is none,
// or nothing calls it. Nothing: a complaint is there, but not the code that makes it.
std::optional<std::vector<StaticLoader>> find_static_loaders(const ElfImage& image);

}  // namespace imgslim
