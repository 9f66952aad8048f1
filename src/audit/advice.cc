// SPDX-License-Identifier: Apache-2.0
// What to do about the bytes, largest first: in the Dockerfile where it can be said, by imgslim elsewhere.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/audit/words.h"
#include "src/progress.h"

namespace imgslim {
namespace {

// Less than this is not worth a line.
constexpr std::uint64_t kLeastBytes = 64u << 10;

std::string waste_advice(const ImageAudit& audit, const WasteGroup& group) {
  const std::string what =
      fmt::format("{}: {}, most {}", waste_text(audit, group), count_text(group.files, "file"),
                  path_text(audit.entry(group.largest).path));
  if (group.how == Visibility::kDeleted || group.how == Visibility::kOpaque) {
    return what + "; delete in the step that brings it, or build it in another stage";
  }
  if (group.change == "chmod") return what + "; set the mode where they are copied (COPY --chmod)";
  if (group.change == "chown" || group.change == "chmod and chown")
    return what + "; set the owner where they are copied (COPY --chown)";
  if (!group.change.empty()) return what + "; do not write them a second time";
  return what + "; put the last version alone into the image";
}

}  // namespace

void find_advice(ImageAudit& audit) {
  std::vector<SizeAdvice> advice;
  for (const WasteGroup& group : audit.waste.groups)
    advice.push_back({group.bytes, group.compressed, waste_advice(audit, group)});
  for (const NamedSum& rule : audit.rule_sums) {
    advice.push_back({rule.bytes.unpacked, rule.bytes.compressed,
                      fmt::format("leftovers of rule {} in {}: {}; imgslim optimize drops them", rule.name,
                                  count_text(rule.bytes.files, "file"), rule.detail)});
  }
  Bytes debug;
  for (const DebugBytes& file : audit.debug) {
    const Entry& entry = audit.entry(file.file);
    const std::uint64_t bytes = file.bytes.debug + file.bytes.symbols;
    const double share = entry.size > 0 ? static_cast<double>(bytes) / static_cast<double>(entry.size) : 0;
    debug +=
        {1, bytes, static_cast<std::uint64_t>(share * static_cast<double>(audit.row(file.file).compressed))};
  }
  if (debug.files > 0) {
    advice.push_back(
        {debug.unpacked, debug.compressed,
         fmt::format("debug information and symbol tables in {}, most in {}; imgslim optimize --debug-info "
                     "split,symbols takes it out",
                     count_text(debug.files, "program"), path_text(audit.entry(audit.debug[0].file).path))});
  }
  std::erase_if(advice, [](const SizeAdvice& line) { return line.bytes < kLeastBytes; });
  std::stable_sort(advice.begin(), advice.end(),
                   [](const SizeAdvice& a, const SizeAdvice& b) { return a.bytes > b.bytes; });
  audit.advice = std::move(advice);
}

}  // namespace imgslim
