// SPDX-License-Identifier: Apache-2.0
// Sees ELF files while their layer streams past, and keeps how much debug information they hold: the section
// headers alone are looked at.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "layers/layer_table.h"

namespace imgslim {

struct ObservedDebugInfo {
  std::uint64_t bytes = 0;       // of sections with debug information
  std::uint64_t compressed = 0;  // of these, compressed in the file
  bool symbols = false;          // there is a symbol table besides
  bool unreadable = false;       // its section headers are damaged, or stand where they were not seen
};

std::unique_ptr<EntryObserver> make_debug_info_observer();

// What was observed of an entry; nothing if it is no ELF file or holds neither debug information nor symbols.
std::optional<ObservedDebugInfo> observed_debug_info(const LayerTable& table, std::uint32_t entry);

}  // namespace imgslim
