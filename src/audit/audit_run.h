// SPDX-License-Identifier: Apache-2.0
// Images opened, read and audited, for the commands that need it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layers/contents.h"
#include "src/audit/audit.h"
#include "src/audit/budgets.h"
#include "src/audit/footprint.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/settings.h"

namespace imgslim {

struct AuditRequest {
  std::vector<std::string> images;  // names as given
  std::vector<Platform> platforms;  // none: all
  std::string base;                 // a number of layers, or an image; "": guessed
  std::vector<Glob> ignore;
  unsigned threads = 1;
  NetworkArguments network;
};

// Audits, and what reads contents afterwards.
struct AuditedImages {
  Audit audit;
  std::vector<std::unique_ptr<Contents>> contents;  // by image
};

// Throws Error naming the image.
AuditedImages audit_images(const AuditRequest& request, Progress& progress);

// How lines about an image name it: with its platform where there are several of that name.
std::string label_of(const Audit& audit, std::size_t image);

// What growth is measured against, or what `diff` compares: the images behind a name, or those of a file that
// `audit --format json` wrote.
std::vector<Footprint> read_baseline(const std::string& name, unsigned threads,
                                     const NetworkArguments& network, Progress& progress);
// The one for a platform: the only one, or that of the same name; nullptr if there is none.
const Footprint* find_platform(const std::vector<Footprint>& images, const std::string& platform);

// All images against the budgets of `settings`, in order. Reads the baseline if a rule asks for it; `warn`
// gets a line if it cannot be read.
std::vector<BrokenRule> check_all(const AuditedImages& images, const Settings& settings, unsigned threads,
                                  const NetworkArguments& network, Progress& progress);

}  // namespace imgslim
