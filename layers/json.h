// SPDX-License-Identifier: Apache-2.0
// JSON of manifests, indexes and configs: read within limits, written back with what we did not touch
// as it was. Key order is kept; so is the text of numbers, which no double can hold in general.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace imgslim {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_bytes = std::size_t{4} << 20;  // distribution-spec: manifests up to 4 MB
  int max_depth = 64;
  std::size_t max_values = 1000000;
};

// Parses UTF-8 JSON. Errors are Error{kBadImage} naming `what` and the byte offset: syntax, invalid
// UTF-8, a key twice in one object, a limit. Numbers that do not survive a round trip through 64-bit
// integers keep their text (held as a tagged binary value; see number_text()).
Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});
// The text of a number: as parsed if it was kept, otherwise as it would be written. Nothing if `value` is
// no number. Only numbers that fit 64 bits and were written without fraction and exponent are
// is_number_integer().
std::optional<std::string> number_text(const Json& value);
// Compact text, key order and kept number texts as parsed.
std::string dump_json(const Json& value);
// The same with two-space indents and a final newline, for files that people read.
std::string dump_json_pretty(const Json& value);

}  // namespace imgslim
