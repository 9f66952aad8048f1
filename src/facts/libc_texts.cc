// SPDX-License-Identifier: Apache-2.0
#include "src/facts/libc_texts.h"

#include <algorithm>
#include <array>

namespace imgslim {

namespace {

using Kind = TextFunction::Kind;
using Result = TextEffect::Result;

// By name. "_chk" forms: flags and the size of the destination come before the format, or last.
constexpr std::array<TextFunction, 34> kFunctions = {{
    {"__asprintf_chk", Kind::kFormat, 2, {.to = 0, .allocates = true}},
    {"__memcpy_chk", Kind::kCopy, 1, {.to = 0, .size = 2, .source = 1, .result = Result::kStart}},
    {"__memmove_chk", Kind::kCopy, 1, {.to = 0, .size = 2, .source = 1, .result = Result::kStart}},
    {"__snprintf_chk", Kind::kFormat, 4, {.to = 0, .size = 1}},
    {"__sprintf_chk", Kind::kFormat, 3, {.to = 0, .size = 2}},
    {"__stpcpy_chk", Kind::kCopy, 1, {.to = 0, .size = 2, .result = Result::kEnd}},
    {"__strcat_chk", Kind::kAppend, 1, {.to = 0, .size = 2, .result = Result::kStart}},
    {"__strcpy_chk", Kind::kCopy, 1, {.to = 0, .size = 2, .result = Result::kStart}},
    {"__strncat_chk", Kind::kAppend, 1, {.to = 0, .result = Result::kStart}},
    {"__strncpy_chk", Kind::kCopy, 1, {.to = 0, .size = 2, .result = Result::kStart}},
    {"asprintf", Kind::kFormat, 1, {.to = 0, .allocates = true}},
    {"g_snprintf", Kind::kFormat, 2, {.to = 0, .size = 1}},
    {"g_strlcat", Kind::kAppend, 1, {.to = 0, .size = 2}},
    {"g_strlcpy", Kind::kCopy, 1, {.to = 0, .size = 2}},
    {"memchr", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"memcpy", Kind::kCopy, 1, {.to = 0, .size = 2, .source = 1, .result = Result::kStart}},
    {"memmove", Kind::kCopy, 1, {.to = 0, .size = 2, .source = 1, .result = Result::kStart}},
    {"mempcpy", Kind::kCopy, 1, {.to = 0, .size = 2, .source = 1, .result = Result::kEnd}},
    {"snprintf", Kind::kFormat, 2, {.to = 0, .size = 1}},
    {"sprintf", Kind::kFormat, 1, {.to = 0}},
    {"stpcpy", Kind::kCopy, 1, {.to = 0, .result = Result::kEnd}},
    {"strcasestr", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"strcat", Kind::kAppend, 1, {.to = 0, .result = Result::kStart}},
    {"strchr", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"strchrnul", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"strcpy", Kind::kCopy, 1, {.to = 0, .result = Result::kStart}},
    {"strlcat", Kind::kAppend, 1, {.to = 0, .size = 2}},
    {"strlcpy", Kind::kCopy, 1, {.to = 0, .size = 2}},
    {"strlen", Kind::kLook, 0, {.to = 0, .result = Result::kLength}},
    {"strncat", Kind::kAppend, 1, {.to = 0, .result = Result::kStart}},
    {"strncpy", Kind::kCopy, 1, {.to = 0, .size = 2, .result = Result::kStart}},
    {"strpbrk", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"strrchr", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
    {"strstr", Kind::kLook, 0, {.to = 0, .result = Result::kInside}},
}};

}  // namespace

const TextFunction* text_function(std::string_view name) {
  const auto found = std::lower_bound(
      kFunctions.begin(), kFunctions.end(), name,
      [](const TextFunction& function, std::string_view wanted) { return function.name < wanted; });
  return found != kFunctions.end() && found->name == name ? &*found : nullptr;
}

}  // namespace imgslim
