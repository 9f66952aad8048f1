// SPDX-License-Identifier: Apache-2.0
// What reading C texts and Go texts has in common. For code_texts.cc and its kin alone.
#pragma once

#include <algorithm>
#include <string_view>

#include "src/facts/code_texts.h"

namespace imgslim {

inline constexpr int kDeepestText = 4;             // texts made of texts
inline constexpr std::size_t kMostElements = 256;  // of a table whose end is not known

inline bool is_text(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7f;
  });
}

// What a call gave; nothing known of it is told with the callee's name.
void add_result(const FunctionFlow& flow, std::string_view callee, std::vector<CodeText> made,
                std::vector<CodeText>& texts);

// The elements of a table that a loop goes through, `most` of them where its end is not seen. `read` gives
// the text at an element's place; the first that is none or empty ends the table.
template <typename Read>
void add_elements(const FunctionFlow& flow, const CodeValue& table, std::size_t most,
                  std::vector<CodeText>& texts, const Read& read) {
  const auto known = flow.rounds.find(table.site);
  const std::size_t end = known != flow.rounds.end() ? static_cast<std::size_t>(known->second) : most;
  bool any = false;
  for (std::size_t k = 0; k < end; ++k) {
    std::optional<CodeText> text =
        read(static_cast<std::uint64_t>(table.value) + k * static_cast<std::uint64_t>(table.stride));
    if (!text || text->prefix.empty()) break;
    text->assembled = true;
    add_text(texts, *text);
    any = true;
  }
  if (!any) add_text(texts, open_text(CodeText::Rest::kUnknown, flow.start, "element of a table"));
}

}  // namespace imgslim
