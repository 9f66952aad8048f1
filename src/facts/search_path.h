// SPDX-License-Identifier: Apache-2.0
// Lists of directories as glibc splits and expands them: RPATH, RUNPATH, LD_LIBRARY_PATH (elf/dl-load.c).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

// Values of $ORIGIN, $LIB and $PLATFORM for one object.
struct DynamicTokens {
  std::string origin;
  std::string lib;
  std::string platform;  // empty: unknown
  bool secure = false;   // AT_SECURE: $ORIGIN only first, and for the program only below a trusted directory
  bool is_program = false;
  const std::vector<std::string>* trusted = nullptr;  // directories with final slash; for `secure`
};

bool has_dynamic_tokens(std::string_view text);

// The text with its tokens replaced, nothing if one has no value: the element is then left out.
std::optional<std::string> expand_dynamic_tokens(std::string_view text, const DynamicTokens& tokens);

// The directories of a list, each with its final slash, repeated ones once; "" is the working directory,
// from an empty element.
std::vector<std::string> split_search_path(std::string_view list, std::string_view separators,
                                           const DynamicTokens& tokens);

}  // namespace imgslim
