// SPDX-License-Identifier: Apache-2.0
// How a Go program is linked. CGO_ENABLED in the build info says what was allowed, not what was used: the
// answer comes from the interpreter, the needed libraries and the C code that is there.
#include <elf.h>

#include <algorithm>
#include <functional>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

// Strings that are in every static program of glibc (its tunables, its loader) and of musl.
constexpr std::string_view kGlibcMarks[] = {"glibc.malloc.", "invalid mode for dlopen()", "libnss_%s.so%s"};
constexpr std::string_view kMuslMarks[] = {"No error information", "Dynamic loading not supported"};
// What the standard library's own cgo links against.
constexpr std::string_view kStandardLibraries[] = {"libc.so.",  "libpthread.so.", "libresolv.so.",
                                                   "libdl.so.", "librt.so.",      "libgcc_s.so.",
                                                   "ld-linux",  "libc.musl-",     "ld-musl-"};
constexpr std::string_view kStandardCgo[] = {"net", "os/user", "runtime/cgo"};

bool holds_any(const GoMemory& memory, const GoTable* table, const std::string_view* marks,
               std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::boyer_moore_horspool_searcher searcher(marks[i].begin(), marks[i].end());
    for (const GoMemory::Area& area : memory.areas()) {
      if (area.writable) continue;
      std::string_view view = area.bytes;
      // The strings of C are not in the function table, which is the largest part of the data.
      if (table && table->address >= area.address && table->address - area.address < view.size()) {
        const std::string_view before = view.substr(0, table->address - area.address);
        if (std::search(before.begin(), before.end(), searcher) != before.end()) return true;
        view.remove_prefix(table->address - area.address + table->functions_offset);
      }
      if (std::search(view.begin(), view.end(), searcher) != view.end()) return true;
    }
  }
  return false;
}

bool has_package(const GoFacts& facts, std::string_view path) {
  const auto it =
      std::lower_bound(facts.packages.begin(), facts.packages.end(), path,
                       [](const GoPackage& item, std::string_view wanted) { return item.path < wanted; });
  return it != facts.packages.end() && it->path == path;
}

std::string_view setting(const GoFacts& facts, std::string_view key) {
  return facts.build ? facts.build->setting(key).value_or(std::string_view()) : std::string_view();
}

// Whether C code is part of the program. The package runtime/cgo proves nothing alone: its handles are there
// without cgo too.
bool uses_cgo(const GoFacts& facts) {
  if (!facts.cgo_packages.empty()) return true;
  if (setting(facts, "CGO_ENABLED") == "0") return false;
  return has_package(facts, "runtime/cgo");
}

}  // namespace

std::string_view name_of(GoLinkage linkage) {
  switch (linkage) {
    case GoLinkage::kStatic:
      return "static";
    case GoLinkage::kStaticPie:
      return "static-pie";
    case GoLinkage::kStaticGlibc:
      return "static-glibc";
    case GoLinkage::kStaticMusl:
      return "static-musl";
    case GoLinkage::kDynamicCgo:
      return "dynamic-cgo";
    case GoLinkage::kDynamicWithoutCgo:
      return "dynamic-without-cgo";
    case GoLinkage::kPlugin:
      return "plugin";
  }
  return "unknown";
}

void read_go_linkage(const GoMemory& memory, const GoTable* table, GoFacts& facts) {
  const ElfFacts& elf = memory.elf().facts();
  const std::string_view mode = setting(facts, "-buildmode");
  const bool cgo = uses_cgo(facts);
  const bool is_library =
      elf.type == ET_DYN && !elf.interpreter && (elf.flags_1 & DF_1_PIE) == 0 && elf.has_dynamic;
  if (mode == "plugin" || mode == "c-shared" || is_library) {
    facts.linkage = GoLinkage::kPlugin;
  } else if (elf.interpreter && elf.needed.empty()) {
    facts.linkage = GoLinkage::kStaticPie;
  } else if (elf.interpreter || !elf.needed.empty()) {
    facts.linkage = cgo || facts.functions.empty() ? GoLinkage::kDynamicCgo : GoLinkage::kDynamicWithoutCgo;
  } else if (!cgo && !facts.functions.empty()) {
    facts.linkage = GoLinkage::kStatic;
  } else if (holds_any(memory, table, kGlibcMarks, std::size(kGlibcMarks))) {
    facts.linkage = GoLinkage::kStaticGlibc;
  } else if (holds_any(memory, table, kMuslMarks, std::size(kMuslMarks))) {
    facts.linkage = GoLinkage::kStaticMusl;
  } else if (!cgo) {
    facts.linkage = GoLinkage::kStatic;
  } else if (!facts.cgo_packages.empty()) {
    // C code and no sign of a C library that is known: the class that promises least.
    facts.linkage = GoLinkage::kStaticGlibc;
    facts.problems.push_back("statically linked C code of an unknown C library");
  } else {
    facts.linkage = GoLinkage::kStatic;
  }

  const bool is_instrumented = setting(facts, "-race") == "true" || setting(facts, "-msan") == "true" ||
                               setting(facts, "-asan") == "true";
  const bool is_program = facts.linkage == GoLinkage::kDynamicCgo ||
                          facts.linkage == GoLinkage::kStaticGlibc || facts.linkage == GoLinkage::kStaticMusl;
  const auto is_standard = [](const std::string& package) {
    return std::find(std::begin(kStandardCgo), std::end(kStandardCgo), package) != std::end(kStandardCgo);
  };
  const auto is_standard_library = [](const std::string& needed) {
    return std::any_of(std::begin(kStandardLibraries), std::end(kStandardLibraries),
                       [&](std::string_view prefix) { return needed.starts_with(prefix); });
  };
  facts.rebuild_without_cgo_is_free =
      cgo && is_program && !is_instrumented && !facts.functions.empty() && facts.opaque.empty() &&
      std::all_of(facts.cgo_packages.begin(), facts.cgo_packages.end(), is_standard) &&
      std::all_of(elf.needed.begin(), elf.needed.end(), is_standard_library);
}

}  // namespace imgslim
