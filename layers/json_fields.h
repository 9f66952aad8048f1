// SPDX-License-Identifier: Apache-2.0
// Typed reads of members of a JSON object from outside. An optional member that is null counts as
// absent, as it does for the Go programs that write most of these documents. Every function throws
// Error{kBadImage} "WHAT: KEY is not ..." on another type.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/json.h"

namespace imgslim {

// The member, or nothing if it is absent or null.
const Json* find_member(const Json& object, std::string_view key);

// Throws unless `value` is an object.
void require_object(const Json& value, std::string_view what);

// Whether two names are one to Go's decoder of JSON, which takes ASCII letters in any case.
bool equal_but_case(std::string_view a, std::string_view b);

// Refuses members whose names differ from one of `keys` only in case: Go's decoder takes them for it,
// most others do not, so that one document would mean two things (CVE-2021-41190 and its kin).
void refuse_other_case(const Json& object, std::initializer_list<std::string_view> keys,
                       std::string_view what);

// Empty if absent.
std::string string_member(const Json& object, std::string_view key, std::string_view what);
std::vector<std::string> strings_member(const Json& object, std::string_view key, std::string_view what);
bool bool_member(const Json& object, std::string_view key, std::string_view what);
// An integer from 0 to 2^63-1, the range of the specification; nothing if absent.
std::optional<std::uint64_t> size_member(const Json& object, std::string_view key, std::string_view what);

}  // namespace imgslim
