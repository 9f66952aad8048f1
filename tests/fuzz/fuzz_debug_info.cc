// SPDX-License-Identifier: Apache-2.0
// Any bytes: left alone with a reason, or a file with the same loaded bytes, nothing more to take, and a
// companion that reads.
#include <cstdint>
#include <cstdlib>

#include "src/debug_info/debug_info.h"
#include "src/debug_info/section_table.h"

using namespace imgslim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  DebugInfoRequest request;
  request.symbols = (data[0] & 1) != 0;
  request.companion = (data[0] & 2) != 0;
  const BlobPtr file = memory_blob(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  const DebugInfoPlan plan = take_out_debug_info(*file, request);
  if (plan.left_alone) return 0;
  const BlobPtr slim = memory_blob(plan.slim.read(*file));
  const auto before = loaded_digest(*file);
  if (before != loaded_digest(*slim)) std::abort();
  if (take_out_debug_info(*slim, request).left_alone != LeftAlone::kNothingToTake) std::abort();
  if (!plan.build_id.empty()) {
    const BlobPtr companion = memory_blob(plan.companion.read(*file));
    if (!read_section_table(*companion).table) std::abort();
  }
  return 0;
}
