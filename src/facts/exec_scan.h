// SPDX-License-Identifier: Apache-2.0
// What one program or library may start, with the evidence for it (imgslim(1), EVIDENCE). Seen are direct
// calls, calls through function variables and literals of exec.Cmd; a function value that is passed on, and
// a method called through an interface, are reported where the value is taken, not where it is called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/dlopen_scan.h"
#include "src/facts/elf.h"
#include "src/facts/go_binary.h"
#include "src/facts/knowledge_base.h"

namespace imgslim {

struct ExecFinding {
  std::uint64_t site = 0;
  std::string callee;              // "os/exec.Command", "execve", ..
  std::string function;            // that calls, if known
  std::string package;             // Go package, if any
  bool main_module = false;        // the package is the main module's own
  std::vector<std::string> names;  // programs, in order; may stand beside an unknown rest
  bool itself = false;             // the program starts itself
  // Of an object that is not Go, kUnknown does not know whose object it is: in one of a distribution's
  // package it counts as kBounded.
  Evidence evidence = Evidence::kUnknown;
  bool missing_handled = false;       // by the row: nothing is kept for it
  const KnowledgeRow* row = nullptr;  // of the package or object, if any
  std::string reason;                 // one line
};

std::vector<ExecFinding> find_execs(const ElfImage& image, const GoFacts* go, std::string_view object);

}  // namespace imgslim
