// SPDX-License-Identifier: Apache-2.0
// The formats of imgslim-audit(1). All say the same of the same data.
#pragma once

#include <string>
#include <vector>

#include "layers/json.h"
#include "src/audit/audit.h"
#include "src/audit/budgets.h"

namespace imgslim {

// imgslim-audit(5). Broken rules stand in it as the text has them.
Json to_json(const Audit& audit, const std::vector<BrokenRule>& broken);
std::string to_text(const Audit& audit, int width, bool verbose);
// For a pull request or the page of a CI job.
std::string to_markdown(const Audit& audit, const std::vector<BrokenRule>& broken);
// The JSON that `dive --json` writes, of one image. Throws Error{kUsage} for several.
Json to_dive_json(const Audit& audit);
// A test case for each rule of the budgets, with the lines of those that broke.
std::string to_junit(const Audit& audit, const std::vector<std::string>& rules,
                     const std::vector<BrokenRule>& broken);
// Prometheus' text format, for the textfile collector or a push gateway.
std::string to_metrics(const Audit& audit, const std::vector<BrokenRule>& broken);

}  // namespace imgslim
