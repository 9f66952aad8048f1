// SPDX-License-Identifier: Apache-2.0
// The pipeline: open, tree, facts, keep, plan, rewrite, verify, write, report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/compression.h"
#include "layers/image_name.h"
#include "layers/manifest.h"
#include "src/buildkit_cache_copy.h"
#include "src/debug_info/debug_info.h"
#include "src/decisions/form.h"
#include "src/decisions/glob.h"
#include "src/facts/evidence.h"
#include "src/image_cache.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/report.h"

namespace imgslim {

struct OptimizeOptions {
  ImageName source;
  std::optional<ImageName> destination;  // nothing in a dry run
  std::optional<Form> form;              // exactly this one; nothing = auto
  std::optional<Form> min_form;
  Evidence accept = Evidence::kCandidate;  // the weakest that still allows distroless
  std::vector<Platform> platforms;
  std::optional<Compression> compression;
  int compression_level = 0;
  bool hardlinks = true;
  std::vector<std::string> also_run;
  std::vector<std::string> roots_from;
  DebugInfoMode debug_info = DebugInfoMode::kKeep;
  bool debug_symbols = false;  // symbol tables go with it
  std::vector<Glob> keep;
  std::vector<Glob> drop;
  std::vector<std::string> keep_packages;
  // The source's lowest layers that stay as they are: a number, or an image that the source was built on.
  std::uint32_t keep_base = 0;
  std::optional<ImageName> base_image;
  unsigned threads = 1;
  bool dry_run = false;
  std::string spool_directory;
  NetworkArguments network;
  std::optional<std::int64_t> source_date_epoch;
  std::optional<BuildkitCacheRequest> buildkit_cache;
  CacheOptions cache;
  bool keeps_proof = false;  // the caller writes Report::proof somewhere
};

// Throws Error; the destination is then as it was.
Report optimize(const OptimizeOptions& options, Progress& progress);

}  // namespace imgslim
