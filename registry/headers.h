// SPDX-License-Identifier: Apache-2.0
// What stands in the header fields of a registry's answers. All of it is hostile text: a field that does not
// parse is as good as absent.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgslim {

// Header fields in the order they came, names in lower case.
class HeaderFields {
 public:
  void add(std::string_view name, std::string_view value);
  // The first value of that (lower-case) name; nothing if it is not there.
  std::optional<std::string_view> find(std::string_view name) const;
  // All values of that name.
  std::vector<std::string_view> all(std::string_view name) const;
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// One challenge of a WWW-Authenticate field (RFC 9110, section 11.6.1).
struct Challenge {
  std::string scheme;                                           // lower case: "bearer", "basic"
  std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case
  std::string parameter(std::string_view name) const;           // empty if absent
};
// All challenges of one field; what cannot be read ends the list.
std::vector<Challenge> parse_challenges(std::string_view field);

// The target of the first link with rel="next" (RFC 8288).
std::optional<std::string> parse_next_link(std::string_view field);

// Seconds to wait, from Retry-After: a number, or a date seen from `now`. Never negative.
std::optional<std::uint64_t> parse_retry_after(std::string_view field, std::time_t now);

// "bytes FIRST-LAST/TOTAL" (RFC 9110, section 14.4); the total is nothing where it is '*'.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view field);

// The Range field of an upload's state, "0-LAST" (distribution-spec, "Pushing a blob in chunks"): bytes that
// have arrived. "0-0" stands for none or one byte: it counts as none.
std::optional<std::uint64_t> parse_upload_range(std::string_view field);

// A whole field that is one number.
std::optional<std::uint64_t> parse_number(std::string_view field);

}  // namespace imgslim
