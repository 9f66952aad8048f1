// SPDX-License-Identifier: Apache-2.0
// Why a path of an image is there, or by which rule it is gone: what a certificate says of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/json.h"
#include "layers/tree.h"
#include "src/proof.h"

namespace imgslim {

struct ExplainedStep {
  std::string path;
  std::string rule;
  std::string because;  // a path, or what the chain begins with
  std::string detail;
  Evidence evidence = Evidence::kExact;
};

struct Explanation {
  enum class State { kKept, kGone, kUnknown };
  std::string path;   // as it is in the image
  std::string asked;  // as it was asked for, if links lead from there to `path`
  State state = State::kUnknown;
  std::vector<ExplainedStep>
      chain;         // of a kept path, its own step first; none in the forms that keep by default
  std::string rule;  // of a path that is gone
  std::string reason;
  ProofGroup group;
  std::optional<ProofDebugFile> debug_info;  // what a kept file lost
};

// What there is to explain with. Trees are optional: `source` tells what there was, `result` what is there
// where the certificate does not list it.
struct ExplainInput {
  const ProofPlatform& proof;
  const Tree* source = nullptr;
  const Tree* result = nullptr;
};

inline constexpr std::size_t kMaxExplained = 1000;

// Explains a path, or all paths that a pattern with wildcards matches (kMaxExplained at most; `more` gets how
// many there are beyond). A path that is neither there nor gone is kUnknown; a pattern may match nothing.
std::vector<Explanation> explain(const ExplainInput& input, std::string_view pattern,
                                 std::size_t* more = nullptr);

std::string to_text(const std::vector<Explanation>& explanations);
Json to_json(const std::vector<Explanation>& explanations);

}  // namespace imgslim
