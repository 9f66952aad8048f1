// SPDX-License-Identifier: Apache-2.0
// C strings that a value may lead to.
#include <algorithm>
#include <optional>

#include "src/facts/code_text_parts.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Rest = CodeText::Rest;

// Whether all that is known of a buffer is which functions got its address.
bool is_filled_by_others(const CodeBuffer& buffer) {
  return buffer.pieces.size() == 1 && !buffer.pieces.front().writers.empty() &&
         std::all_of(buffer.pieces.front().writers.begin(), buffer.pieces.front().writers.end(),
                     [](const CodeWriter& writer) { return writer.arguments != 0; });
}

bool all_known(const std::vector<CodeText>& texts) {
  return std::none_of(texts.begin(), texts.end(),
                      [](const CodeText& text) { return text.rest == Rest::kUnknown; });
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::optional<CodeText> text_at(const ElfImage& image, std::uint64_t address) {
  const auto bytes = address == 0 ? std::nullopt : image.c_string_at(address);
  if (!bytes || !is_text(*bytes)) return std::nullopt;
  CodeText text = whole_text(std::string(*bytes));
  text.is_fixed = !may_change(image, address);
  return text;
}

}  // namespace

std::vector<CodeText> CodeTexts::c_argument(const FunctionFlow& flow, const CodeCall& call, std::size_t index,
                                            int depth) const {
  if (index >= call.arguments.size()) {
    return {open_text(Rest::kUnknown, flow.start, "an argument that is not followed")};
  }
  return c_texts(flow, call.arguments[index], index < call.buffers.size() ? &call.buffers[index] : nullptr,
                 depth);
}

std::vector<CodeText> CodeTexts::c_texts(const FunctionFlow& flow, const CodeValues& values,
                                         const CodeBuffer* buffer, int depth) const {
  std::vector<CodeText> texts;
  bool is_doubtful = false;
  if (buffer != nullptr && (buffer->whole || !buffer->pieces.empty()) && depth < kDeepestText) {
    std::vector<CodeText> held = buffer_texts(flow, *buffer, depth + 1);
    // A function that only reads what it got leaves the text that was there.
    const bool in_frame = std::any_of(values.any.begin(), values.any.end(),
                                      [](const CodeValue& value) { return value.kind == Kind::kStack; });
    if (in_frame || !is_filled_by_others(*buffer) || all_known(held)) return held;
    is_doubtful = true;
  }
  const ElfImage& image = sites_.image();
  std::vector<CodeValue> any = values.any;
  // Elements of a table in the frame come in its order.
  std::stable_sort(any.begin(), any.end(),
                   [](const CodeValue& a, const CodeValue& b) { return a.origin < b.origin; });
  for (const CodeValue& value : any) {
    const auto address = static_cast<std::uint64_t>(value.value);
    switch (value.kind) {
      case Kind::kConstant: {
        if (auto text = text_at(image, address)) {
          text->assembled = value.origin >> 63 != 0 || !text->is_fixed;
          add_text(texts, *text);
        } else if (address != 0) {
          add_text(texts, open_text(Rest::kUnknown, flow.start, "a buffer"));
        } else {
          add_text(texts, open_text(Rest::kUnknown, flow.start, "null"));
        }
        break;
      }
      case Kind::kParameter: {
        CodeText text = open_text(Rest::kParameter, flow.start);
        text.parameter = value.value;
        add_text(texts, text);
        break;
      }
      case Kind::kResult:
        add_c_result(flow, value, depth, texts);
        break;
      case Kind::kTable:
        add_c_table(flow, value, texts);
        break;
      case Kind::kRange:
      case Kind::kNumbers:
        add_c_rows(flow, value, texts);
        break;
      case Kind::kTextPointer:
        for (const CodeText& text : written_texts(flow, {value.site}, depth + 1))
          add_text(texts, text);
        break;
      case Kind::kGlobal: {
        const auto initial = image.symbol_at_slot(address) ? std::nullopt : image.pointer_at(address);
        auto text = initial ? text_at(image, *initial) : std::nullopt;
        if (text && !text->prefix.empty()) {
          text->assembled = true;
          add_text(texts, *text);
        } else {
          add_text(texts, open_text(Rest::kUnknown, flow.start, "a variable"));
        }
        break;
      }
      default:
        add_text(texts, open_text(Rest::kUnknown, flow.start,
                                  value.kind == Kind::kStack ? "built in a buffer" : "not a constant"));
    }
  }
  if (values.unknown || values.any.empty())
    add_text(texts, open_text(Rest::kUnknown, flow.start, "not a constant"));
  if (is_doubtful) doubt_written(texts, flow.start);
  return texts;
}

void CodeTexts::add_c_result(const FunctionFlow& flow, const CodeValue& result, int depth,
                             std::vector<CodeText>& texts) const {
  const CodeCall* call = flow.call_at(result.site);
  const std::string_view callee = call == nullptr ? std::string_view{} : sites_.callee_of(*call);
  std::vector<CodeText> made;
  bool is_new = true;  // a copy that was made for the caller
  if (call != nullptr && depth < kDeepestText && !call->arguments.empty()) {
    if (callee == "getenv" || callee == "secure_getenv") {
      for (const CodeText& name : c_argument(flow, *call, 0, depth + 1)) {
        made.push_back(
            open_text(Rest::kEnvironment, flow.start, name.rest == Rest::kNothing ? name.prefix : ""));
      }
    } else if (callee == "strdup" || callee == "xstrdup" || callee == "g_strdup") {
      made = c_argument(flow, *call, 0, depth + 1);
    } else if (callee == "g_strdup_printf") {
      made = formatted(flow, *call, 0, depth + 1);
    } else if (ends_with(callee, "._Cfunc_CString") || ends_with(callee, "._Cfunc__CMalloc")) {
      if (call->arguments.size() > 1)
        made = go_texts(flow, call->arguments[0], call->arguments[1], depth + 1);
    } else if (result.value == 0) {
      made = returned_texts(flow, *call, 0, TextArgument::Kind::kC, depth);
      is_new = false;
    }
  }
  if (is_new) {
    for (CodeText& text : made)
      text.is_fixed = false;
  }
  add_result(flow, callee, std::move(made), texts);
}

void CodeTexts::add_c_table(const FunctionFlow& flow, const CodeValue& table,
                            std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  add_elements(flow, table, kMostElements, texts, [&](std::uint64_t place) -> std::optional<CodeText> {
    const auto pointer = image.pointer_at(place);
    return pointer ? text_at(image, *pointer) : std::nullopt;
  });
}

// Texts of equal room one after the other, or by their distance from a base.
void CodeTexts::add_c_rows(const FunctionFlow& flow, const CodeValue& rows,
                           std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  add_elements(flow, rows, 0, texts, [&](std::uint64_t place) -> std::optional<CodeText> {
    if (rows.kind == Kind::kNumbers) {
      const auto number = number_at(image, place);
      if (!number) return std::nullopt;
      place = static_cast<std::uint64_t>(rows.first) + static_cast<std::uint64_t>(*number);
    }
    return may_change(image, place) ? std::nullopt : text_at(image, place);
  });
}

}  // namespace imgslim
