// SPDX-License-Identifier: Apache-2.0
// Is the way from layers to the merged tree linear? The time for 1,000,000 entries in 40 layers with 100,000
// whiteouts against that for 100,000 entries, 10,000 whiteouts, 40 layers, the time of an empty image taken
// off both. Prints one JSON line: `ratio` from the plain bytes of the layers to the walked tree, `tree_ratio`
// for applying and walking alone, where a tree that fits the processor's cache is compared with one that
// does not. Times are the processor's, medians of runs in processes of their own.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers/tar.h"
#include "layers/tree.h"

namespace {

using namespace imgslim;

constexpr std::uint32_t kLayers = 40;
constexpr int kRuns = 5;

// Each layer adds files to directories that all share, directory by directory as archivers go, writes some
// of the last layer's again, and hides some that the layer before added, now and then all of a directory.
std::string make_layer(std::uint32_t layer, std::uint32_t entries, std::uint32_t whiteouts) {
  const std::uint32_t files = (entries - whiteouts) / kLayers;
  const std::uint32_t hidden = whiteouts / kLayers;
  std::string bytes;
  const auto out = sink_to([&](std::span<const std::byte> part) { bytes += as_text(part); });
  TarWriter writer(*out);
  const LayerTable table;
  const auto add = [&](EntryType type, const std::string& path) {
    Entry entry;
    entry.type = type;
    entry.path = path;
    entry.mode = 0644;
    writer.header(entry, table);
  };
  const auto path_of = [](std::uint32_t of_layer, std::uint32_t i) {
    return fmt::format("usr/share/{}/directory-{}/file-{}-{}", i / 700, i / 100, of_layer, i);
  };
  for (std::uint32_t i = 0; i < hidden; ++i) {
    if (i % 100 == 99) {
      add(EntryType::kOpaqueWhiteout, fmt::format("usr/share/{}/directory-{}", i / 700, i / 100));
    } else {
      add(EntryType::kWhiteout, path_of(layer == 0 ? 0 : layer - 1, i * 7 % files));
    }
  }
  for (std::uint32_t i = 0; i < files; ++i) {
    add(EntryType::kRegular, path_of(i % 10 == 0 && layer != 0 ? layer - 1 : layer, i));
  }
  writer.finish();
  return bytes;
}

// Of this process: other load of the machine does not count.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

struct Measured {
  double read_seconds = 0;
  double tree_seconds = 0;
  double tree_bytes = 0;
  std::size_t names = 0;
};

Measured run(std::uint32_t entries, std::uint32_t whiteouts) {
  Measured out;
  std::vector<LayerTablePtr> layers;
  for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
    const std::string bytes = make_layer(layer, entries, whiteouts);
    const double begin = processor_seconds();
    TarIndexer indexer;
    indexer.write(as_bytes(bytes));
    layers.push_back(indexer.finish());
    out.read_seconds += processor_seconds() - begin;
  }
  const double before = resident_bytes();
  const double begin = processor_seconds();
  {
    Tree tree;
    for (const LayerTablePtr& layer : layers)
      tree.apply(layer);
    tree.walk([&](NodeId) { ++out.names; });
    out.tree_seconds = processor_seconds() - begin;
    out.tree_bytes = resident_bytes() - before;
  }
  return out;
}

// In a process of its own: memory that an earlier run left does not help.
Measured run_apart(std::uint32_t entries, std::uint32_t whiteouts) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    const Measured made = run(entries, whiteouts);
    _exit(write(ends[1], &made, sizeof made) == sizeof made ? 0 : 1);
  }
  close(ends[1]);
  Measured made;
  const bool complete = read(ends[0], &made, sizeof made) == sizeof made;
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !complete) {
    throw std::runtime_error("a run of the bench failed");
  }
  return made;
}

Measured measure(std::uint32_t entries, std::uint32_t whiteouts) {
  std::vector<Measured> runs;
  for (int i = 0; i < kRuns; ++i)
    runs.push_back(run_apart(entries, whiteouts));
  std::sort(runs.begin(), runs.end(), [](const Measured& a, const Measured& b) {
    return a.read_seconds + a.tree_seconds < b.read_seconds + b.tree_seconds;
  });
  return runs[runs.size() / 2];
}

}  // namespace

int main() {
  const Measured empty = measure(0, 0);
  const Measured small = measure(100000, 10000);
  const Measured large = measure(1000000, 100000);
  const auto total = [&](const Measured& of) {
    return of.read_seconds + of.tree_seconds - empty.read_seconds - empty.tree_seconds;
  };
  const double ratio = total(large) / total(small);
  const double tree_ratio =
      (large.tree_seconds - empty.tree_seconds) / (small.tree_seconds - empty.tree_seconds);
  fmt::print(
      "{{\"bench\": \"tree\", \"empty_s\": {:.6f}, \"small_s\": {:.4f}, \"large_s\": {:.4f}, \"ratio\": "
      "{:.2f}, "
      "\"limit\": 12, \"tree_small_s\": {:.4f}, \"tree_large_s\": {:.4f}, \"tree_ratio\": {:.2f}, "
      "\"names\": {}, \"tree_bytes_per_name\": {:.0f}}}\n",
      empty.read_seconds + empty.tree_seconds, total(small), total(large), ratio, small.tree_seconds,
      large.tree_seconds, tree_ratio, large.names, large.tree_bytes / static_cast<double>(large.names));
  return ratio <= 12 ? 0 : 3;
}
