// SPDX-License-Identifier: Apache-2.0
#include "src/facts/search_cost.h"

#include <memory>
#include <utility>

namespace imgslim {
namespace {

void add_entry(std::vector<LdCacheEntry>& entries, const SearchedObject& object, std::int32_t flags) {
  if (object.rule != SearchRule::kCache && object.rule != SearchRule::kDefaultDirectory) return;
  LdCacheEntry entry;
  entry.name = object.file->facts->soname.value_or(object.path.substr(object.path.rfind('/') + 1));
  entry.path = object.path;
  entry.flags = flags;
  constexpr std::string_view kNamed = "glibc-hwcaps/";
  if (object.hwcaps.starts_with(kNamed)) {
    entry.hwcaps = object.hwcaps.substr(kNamed.size());
  } else if (!object.hwcaps.empty()) {
    return;  // tls/ and the like: no form of entry that newer loaders read
  }
  if (!entry.name.empty()) entries.push_back(std::move(entry));
}

std::int32_t flags_of(const LibrarySearch& process) {
  if (process.objects().empty() || !process.objects().front().file->facts) return 0;
  const auto flags = ld_cache_flags(*process.objects().front().file->facts);
  return flags.empty() ? 0 : flags.front();
}

}  // namespace

ProbeCount count_probes(const std::vector<SearchProbe>& probes) {
  ProbeCount count;
  for (const SearchProbe& probe : probes) {
    if (probe.call == SearchProbe::Call::kOpen) {
      ++count.opens;
      count.failed_opens += probe.failed ? 1 : 0;
    } else if (probe.call == SearchProbe::Call::kStat) {
      ++count.stats;
      count.failed_stats += probe.failed ? 1 : 0;
    }
  }
  return count;
}

SearchCost search_cost(ObjectCache& cache, const std::string& program, const SearchOptions& options,
                       const std::vector<DlopenCall>& calls) {
  SearchOptions real = options;
  real.record_probes = true;
  real.stop_when_missing = true;
  LibrarySearch process = LibrarySearch::start(cache, program, real);
  SearchCost cost;
  cost.before_main = process.probes();
  cost.count = count_probes(cost.before_main);
  cost.fatal = process.fatal();
  if (!cost.fatal.empty()) return cost;
  for (const DlopenCall& call : calls) {
    std::size_t caller = 0;
    for (std::size_t i = 0; !call.caller.empty() && i < process.objects().size(); ++i) {
      if (process.objects()[i].resolved == call.caller) caller = i;
    }
    DlopenResult result = process.open(caller, call.name);
    DlopenCost opened;
    opened.call = call;
    opened.loaded = result.object.has_value();
    opened.probes = std::move(result.probes);
    opened.count = count_probes(opened.probes);
    cost.dlopens.push_back(std::move(opened));
  }
  return cost;
}

SearchCosts search_costs(ObjectCache& cache, const std::string& program, const SearchOptions& options,
                         const std::vector<DlopenCall>& calls) {
  SearchCosts costs;
  costs.today = search_cost(cache, program, options, calls);
  SearchOptions other = options;
  other.use_cache = false;
  other.cache = nullptr;
  costs.without_cache = search_cost(cache, program, other, calls);

  LibrarySearch process = LibrarySearch::start(cache, program, options);
  LibraryClosure closure{process, {}};
  std::vector<LdCacheEntry> entries = cache_entries(closure);
  if (process.fatal().empty()) {
    for (const DlopenCall& call : calls) {
      std::size_t caller = 0;
      for (std::size_t i = 0; !call.caller.empty() && i < process.objects().size(); ++i) {
        if (process.objects()[i].resolved == call.caller) caller = i;
      }
      const DlopenResult result = process.open(caller, call.name);
      const auto more = cache_entries(process, result.loaded);
      entries.insert(entries.end(), more.begin(), more.end());
    }
  }
  const std::endian order = process.objects().empty() || !process.objects().front().file->facts
                                ? std::endian::little
                                : process.objects().front().file->facts->byte_order;
  if (auto generated = read_ld_cache(write_ld_cache(entries, order), order)) {
    other.use_cache = true;
    other.cache = std::make_shared<LdCache>(std::move(*generated));
  }
  costs.with_generated_cache = search_cost(cache, program, other, calls);
  return costs;
}

std::vector<LdCacheEntry> cache_entries(const LibraryClosure& closure) {
  std::vector<LdCacheEntry> entries;
  const auto add = [&](const LibrarySearch& search) {
    const std::int32_t flags = flags_of(search);
    for (const SearchedObject& object : search.objects())
      add_entry(entries, object, flags);
  };
  add(closure.base);
  for (const LibrarySearch& search : closure.variants)
    add(search);
  return entries;
}

std::vector<LdCacheEntry> cache_entries(const LibrarySearch& process,
                                        const std::vector<SearchedObject>& loaded) {
  std::vector<LdCacheEntry> entries;
  const std::int32_t flags = flags_of(process);
  for (const SearchedObject& object : loaded)
    add_entry(entries, object, flags);
  return entries;
}

}  // namespace imgslim
