// SPDX-License-Identifier: Apache-2.0
// What one object may load with dlopen(3), with the evidence for it (imgslim(1), EVIDENCE).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/elf.h"
#include "src/facts/evidence.h"
#include "src/facts/go_binary.h"
#include "src/facts/knowledge_base.h"

namespace imgslim {

struct DlopenFinding {
  std::uint64_t site = 0;            // address of the call; 0: the object as a whole
  std::string function;              // Go function or exported symbol that calls, if known
  std::string package;               // Go package, if any
  std::string caller;                // "dlopen", "dlmopen", "plugin.Open", ".note.dlopen", ..
  std::vector<std::string> names;    // to load, in the order they are tried
  std::vector<std::string> symbols;  // kBounded: globs; only an object that exports one can be meant
  Evidence evidence = Evidence::kUnknown;
  // The target comes from outside the image (a driver that the container runtime brings in), or its absence
  // is part of the program: a missing one is no fault.
  bool may_be_missing = false;
  const KnowledgeRow* row = nullptr;  // kKnown
  std::string reason;                 // one line
};

// What the loader opens for a list of auditors (rtld-audit(7); LD_AUDIT, DT_AUDIT, DT_DEPAUDIT), names
// separated by colons. One that cannot be loaded is left out.
DlopenFinding audit_finding(std::string_view from, std::string_view list);

// Findings of an object, by site; none if it loads nothing. `object` is its path or file name, for rows of
// objects without a SONAME; `go` may be null.
std::vector<DlopenFinding> find_dlopens(const ElfImage& image, std::string_view bytes, const GoFacts* go,
                                        std::string_view object);

}  // namespace imgslim
