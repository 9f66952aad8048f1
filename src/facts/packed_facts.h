// SPDX-License-Identifier: Apache-2.0
// Facts of files as bytes (layers/packed.h): for a cache that the same build reads again.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "layers/packed.h"
#include "src/facts/dlopen_scan.h"
#include "src/facts/elf.h"
#include "src/facts/exec_scan.h"
#include "src/facts/loader.h"

namespace imgslim {

void members(auto& io, ElfSegment& segment) {
  io(segment.type, segment.flags, segment.offset, segment.address, segment.file_size, segment.memory_size,
     segment.alignment);
}

void members(auto& io, SymbolVersion& version) {
  io(version.file, version.name, version.weak);
}

void members(auto& io, DynamicSymbol& symbol) {
  io(symbol.name, symbol.value, symbol.type, symbol.binding, symbol.defined);
}

void members(auto& io, DlopenNote& note) {
  io(note.sonames, note.feature, note.description, note.priority);
}

void members(auto& io, ElfFacts& facts) {
  bool is_little = facts.byte_order == std::endian::little;
  io(facts.is_64, is_little, facts.machine, facts.type, facts.abi_flags, facts.os_abi, facts.entry,
     facts.segments, facts.interpreter, facts.has_dynamic, facts.needed, facts.soname, facts.rpath,
     facts.runpath, facts.filters, facts.auxiliaries, facts.audits, facts.flags_1, facts.versions_needed,
     facts.versions_defined, facts.dynamic_symbols, facts.build_id, facts.dlopen_notes, facts.problems);
  facts.byte_order = is_little ? std::endian::little : std::endian::big;
}

void members(auto& io, LoaderFacts& facts) {
  io.choice(facts.kind, LoaderKind::kMusl);
  io(facts.machine, facts.version, facts.directories, facts.cache_path, facts.preload_path, facts.lib,
     facts.hwcaps, facts.legacy_hwcaps, facts.path_file, facts.problems);
}

// A row by its number, 0 for none.
void row_members(auto& io, const KnowledgeRow*& row, const std::vector<KnowledgeRow>& table) {
  std::uint64_t number = row == nullptr ? 0 : static_cast<std::uint64_t>(row - table.data()) + 1;
  io(number);
  if (number > table.size()) Unpacker::fail();
  row = number == 0 ? nullptr : &table[static_cast<std::size_t>(number) - 1];
}

void members(auto& io, DlopenFinding& finding) {
  io(finding.site, finding.function, finding.package, finding.caller, finding.names, finding.symbols,
     finding.may_be_missing, finding.reason);
  io.choice(finding.evidence, Evidence::kUnknown);
  row_members(io, finding.row, dlopen_knowledge());
}

void members(auto& io, ExecFinding& finding) {
  io(finding.site, finding.callee, finding.function, finding.package, finding.main_module, finding.names,
     finding.itself, finding.missing_handled, finding.reason);
  io.choice(finding.evidence, Evidence::kUnknown);
  row_members(io, finding.row, exec_knowledge());
}

}  // namespace imgslim
