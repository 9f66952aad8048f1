// SPDX-License-Identifier: Apache-2.0
// JSON: what we take, nlohmann takes as well and reads alike; what we write, we read back the same.
#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "layers/json.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Json value;
  try {
    value = parse_json(text, "fuzz");
  } catch (const Error&) {
    return 0;
  }
  const std::string compact = dump_json(value);
  require(parse_json(compact, "again") == value);
  require(dump_json(parse_json(compact, "again")) == compact);
  require(dump_json(parse_json(dump_json_pretty(value), "pretty")) == compact);
  // nlohmann refuses what no double holds.
  const Json theirs = Json::parse(text, nullptr, false);
  if (theirs.is_discarded()) {
    require(text.find_first_of("eE") != std::string_view::npos || text.size() > 300);
    return 0;
  }
  require(theirs == Json::parse(compact));
  return 0;
}
