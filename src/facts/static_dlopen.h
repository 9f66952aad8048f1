// SPDX-License-Identifier: Apache-2.0
// dlopen(3) of a program that is linked with a static glibc and has no symbols.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/facts/elf.h"

namespace imgslim {

// Starts of the functions that are dlopen and are called, found from the complaint that only it makes
// ("invalid mode parameter", dlfcn/dlopen.c). Empty: there is none, or nothing calls it. Nothing: the
// complaint is there, but not the code that makes it.
std::optional<std::vector<std::uint64_t>> find_static_dlopen(const ElfImage& image);

}  // namespace imgslim
