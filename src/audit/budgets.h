// SPDX-License-Identifier: Apache-2.0
// Budgets held against audits: each broken rule is one line that names layer, package and file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/audit/audit.h"
#include "src/audit/footprint.h"
#include "src/settings.h"

namespace imgslim {

struct BrokenRule {
  std::string rule;   // "compressed", "forbidden", ..: the key in imgslim.yaml
  std::string image;  // its name, with the platform where there are several
  std::string text;   // one line
  std::string line() const { return image + ": " + rule + ": " + text; }
};

// What the rules need beside the audit.
struct BudgetInput {
  const Budgets& budgets;
  // The image that growth is measured against, for a platform; null: none is asked for.
  std::function<const Footprint*(const std::string& platform)> baseline;
  // The front of a file of the image, at most so many bytes.
  std::function<std::string(EntryRef file, std::uint64_t length)> read;
  // Text of a go.sum or go.mod file; nothing if it is not there.
  std::function<std::optional<std::string>(const std::string& file)> read_host;
};

// Names of the rules that are asked for, in the order in which they are checked.
std::vector<std::string> rules_of(const Budgets& budgets);
// `image` is how lines name it.
std::vector<BrokenRule> check_budgets(const ImageAudit& audit, const std::string& image,
                                      const BudgetInput& input);

}  // namespace imgslim
