// SPDX-License-Identifier: Apache-2.0
// What would make a program cheaper, or start at all, from the facts about it.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/inspection.h"

namespace imgslim {
namespace {

// Less is not worth a rebuild.
constexpr std::uint64_t kSmallGain = 64 * 1000;

std::uint64_t failing(const SearchCost& cost) {
  return cost.count.failed_opens + cost.count.failed_stats;
}

// Whether two searches end with the same files.
bool same_objects(const LibrarySearch& a, const LibrarySearch& b) {
  if (a.missing().size() != b.missing().size()) return false;
  return std::equal(
      a.objects().begin(), a.objects().end(), b.objects().begin(), b.objects().end(),
      [](const SearchedObject& x, const SearchedObject& y) { return x.resolved == y.resolved; });
}

class Adviser {
 public:
  Adviser(const Inspection& facts, ObjectCache& cache, const SearchOptions& options)
      : facts_(facts), cache_(cache), options_(options) {}

  std::vector<Advice> run() {
    if (facts_.libraries) {
      add_faults();
      add_search();
    }
    if (facts_.go) add_rebuilds();
    add_symbols();
    std::stable_sort(advice_.begin(), advice_.end(), [](const Advice& a, const Advice& b) {
      if (a.fault != b.fault) return a.fault;
      if (a.bytes != b.bytes) return a.bytes > b.bytes;
      return a.lookups > b.lookups;
    });
    return std::move(advice_);
  }

 private:
  void add(std::string id, std::string text, std::uint64_t bytes, std::uint64_t lookups, bool fault = false) {
    advice_.push_back({std::move(id), std::move(text), bytes, lookups, fault});
  }

  void add_faults() {
    const LibrarySearch& search = *facts_.libraries;
    for (const MissingLibrary& missing : search.missing()) {
      if (missing.optional) continue;
      add("missing-library",
          missing.request == RequestKind::kInterpreter
              ? fmt::format("Put the loader {} into the tree: the program cannot start without it.",
                            printable(missing.name))
              : fmt::format("Put {} into the tree: the program cannot start without it.",
                            printable(missing.name)),
          0, 0, true);
    }
    for (const MissingVersion& missing : search.missing_versions()) {
      add("missing-version",
          fmt::format(
              "{} lacks {}, which {} needs: the program was built against a newer one and cannot start.",
              printable(search.objects()[missing.provider].path), printable(missing.version),
              printable(search.objects()[missing.requester].path)),
          0, 0, true);
    }
    if (advice_.empty() && !search.fatal().empty()) {
      add("cannot-start", fmt::format("The loader ends the program: {}.", printable(search.fatal(), 400)), 0,
          0, true);
    }
  }

  void add_search() {
    if (!facts_.cost || !facts_.cost->today.fatal.empty()) return;
    const std::uint64_t today = failing(facts_.cost->today);
    if (!options_.library_path.empty()) {
      SearchOptions other = options_;
      other.library_path.clear();
      const LibrarySearch without = LibrarySearch::start(cache_, facts_.file.resolved, other);
      const std::uint64_t cost = failing(search_cost(cache_, facts_.file.resolved, other));
      if (same_objects(*facts_.libraries, without) && cost < today) {
        add("library-path",
            fmt::format(
                "Leave LD_LIBRARY_PATH out: the same libraries are found without it, and every program "
                "searches it first; {} failing look-ups before main instead of {}.",
                cost, today),
            0, today - cost);
      }
    }
    const std::uint64_t cached = failing(facts_.cost->with_generated_cache);
    if (cached < today) {
      add("ld-so-cache",
          fmt::format(
              "Generate /etc/ld.so.cache for this tree: {} failing look-ups before main instead of {}.",
              cached, today),
          0, today - cached);
    }
  }

  void add_rebuilds() {
    const GoFacts& go = *facts_.go;
    const std::uint64_t lookups = facts_.cost ? failing(facts_.cost->today) : 0;
    if (go.rebuild_without_cgo_is_free) {
      const bool is_static = facts_.library_bytes == 0;
      add("rebuild-without-cgo",
          fmt::format("Rebuild with CGO_ENABLED=0: only {} use{} C, which the standard library replaces by "
                      "Go code. {}",
                      cgo_words(go), go.cgo_packages.size() == 1 ? "s" : "",
                      is_static ? "No NSS or iconv module of glibc is needed then."
                                : "The program then needs no loader and no library, and runs in scratch."),
          facts_.library_bytes, lookups);
    } else if (go.linkage == GoLinkage::kStaticPie) {
      add("build-without-pie",
          "Build without -buildmode=pie: the program links no library and needs the loader only to be "
          "relocated.",
          facts_.library_bytes, lookups);
    }
    if (go.build && go.build->setting("-race") == "true") {
      add("race-detector", "Build without -race: the race detector makes a program several times slower.", 0,
          0);
    }
  }

  static std::string cgo_words(const GoFacts& go) {
    if (go.cgo_packages.empty()) return "net, os/user and runtime/cgo";
    std::string text;
    for (std::size_t i = 0; i < go.cgo_packages.size(); ++i) {
      if (i > 0) text += i + 1 == go.cgo_packages.size() ? " and " : ", ";
      text += printable(go.cgo_packages[i]);
    }
    return text;
  }

  void add_symbols() {
    const InspectedFile& file = facts_.file;
    if (!facts_.elf || facts_.linkage == InspectedLinkage::kOther) return;
    if (!file.has_symbol_table && !file.has_debug_info) return;
    const std::uint64_t bytes = file.size - file.loaded_bytes;
    if (bytes < kSmallGain) return;
    const std::string_view what = file.has_debug_info ? "symbols and debug information" : "the symbol table";
    add("strip",
        facts_.go
            ? fmt::format("Build with -ldflags='-s -w': {} are never loaded; stack traces keep their names "
                          "and lines.",
                          what)
            : fmt::format("Strip the program: {} are never loaded.", what),
        bytes, 0);
    if (!file.has_debug_info) {
      std::string& text = advice_.back().text;
      text.replace(text.find("table are"), 9, "table is");
    }
  }

  const Inspection& facts_;
  ObjectCache& cache_;
  const SearchOptions& options_;
  std::vector<Advice> advice_;
};

}  // namespace

std::vector<Advice> advice_for(const Inspection& inspection, ObjectCache& cache,
                               const SearchOptions& options) {
  return Adviser(inspection, cache, options).run();
}

}  // namespace imgslim
