// SPDX-License-Identifier: Apache-2.0
// What a repository says about its images once and for all: imgslim.yaml (imgslim.yaml(5)), and the rules of
// dive's .dive-ci and .dive.yaml. Values only: nothing here knows a command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/decisions/glob.h"

namespace imgslim {

// Options of imgslim-optimize(1) under their own names. Values from a short list are one of it; paths and
// patterns stand as they were written.
struct OptimizeSettings {
  std::optional<std::string> form;
  std::optional<std::string> min_form;
  std::optional<std::string> accept;
  std::optional<std::string> compression;
  std::optional<int> compression_level;
  std::optional<bool> no_hardlinks;
  std::optional<std::string> keep_base;   // a number of layers, or an image
  std::optional<std::string> debug_info;  // "keep", "split", "drop", the last two also with ",symbols"
  std::vector<std::string> keep;
  std::vector<std::string> keep_package;
  std::vector<std::string> drop;
  std::vector<std::string> also_run;
  std::vector<std::string> roots_from;
  std::vector<std::string> platform;
};

// How much more than a baseline: bytes, or percent of the baseline's.
struct GrowthLimit {
  std::optional<std::uint64_t> bytes;
  std::optional<double> percent;
};

struct PathBudget {
  Glob path;
  std::uint64_t bytes = 0;  // of all visible files that the pattern covers
};

// What a program has to be: "static", "static-pie" and the other names of imgslim-inspect(1); "static" is
// met by "static-pie" too.
struct LinkageBudget {
  Glob path;
  std::string linkage;
};

struct GoSumBudget {
  std::optional<Glob> path;  // none: programs of the module that the go.mod beside the file names
  std::string file;
};

struct Budgets {
  std::optional<std::uint64_t> total;       // unpacked bytes of all layers
  std::optional<std::uint64_t> compressed;  // bytes of all layers as they are stored and pulled
  std::optional<std::uint64_t> waste;
  std::optional<double> waste_percent;  // of the bytes of the layers above the base, 0 to 100
  std::optional<double> efficiency;     // 0 to 1
  std::string baseline;                 // an image, or a file that audit --format json wrote
  std::optional<GrowthLimit> total_growth;
  std::optional<GrowthLimit> compressed_growth;
  std::vector<Glob> ignore;  // these files break no rule and are no waste
  std::vector<PathBudget> paths;
  std::vector<Glob> forbidden;  // in any layer, hidden or not
  bool forbid_private_keys = false;
  std::vector<LinkageBudget> linkage;
  std::vector<GoSumBudget> go_sums;

  bool any() const;
};

struct HookSettings {
  std::vector<std::string> images;
  bool require_image = false;
  unsigned timeout_seconds = 30;
};

struct Settings {
  std::string file;  // "" if there is none
  OptimizeSettings optimize;
  Budgets budgets;
  HookSettings hook;

  // A path of the settings, as the process can open it: relative ones start at the file's directory.
  std::string path_of(std::string_view path) const;
};

// Reads imgslim.yaml. `what` names it in messages. Throws Error{kUsage} "WHAT:LINE: ..." for a key that is
// not known (naming it), a value that is none, limits passed.
Settings parse_settings(std::string_view text, std::string_view what);
// Reads .dive-ci or .dive.yaml: the rules alone, with the defaults dive has; other keys are dive's own.
Budgets parse_dive_rules(std::string_view text, std::string_view what);

// The settings that hold in `directory`: imgslim.yaml there or in the next directory above that has one, up
// to the top of the git repository. Without budgets in it, the rules of .dive-ci or .dive.yaml beside it or
// in `directory` count. Throws Error{kUsage, kIo}.
Settings find_settings(const std::string& directory);
// The settings of a file that is named; .dive-ci and .dive.yaml by their names.
Settings read_settings(const std::string& file);

// "20MB" (powers of 1000), "20MiB" (of 1024), "512"; nothing if it is none.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace imgslim
