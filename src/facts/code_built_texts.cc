// SPDX-License-Identifier: Apache-2.0
// Texts that a program puts together before it hands them on: with printf formats, strcpy, strcat and the
// like.
#include <algorithm>
#include <cctype>

#include "src/facts/code_texts.h"
#include "src/facts/libc_texts.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Rest = CodeText::Rest;

constexpr int kDeepest = 6;  // texts made of texts made of texts

// The first `most` bytes of each, as strncpy and snprintf leave them.
void cut(std::vector<CodeText>& texts, std::size_t most) {
  for (CodeText& text : texts) {
    if (text.rest == Rest::kNothing && text.prefix.size() > most) text.prefix.resize(most);
  }
}

std::string number_text(std::int64_t value, std::string_view directive) {
  const char conversion = directive.back();
  const bool wide = directive.find_first_of("ljzt") != std::string_view::npos;
  if (conversion == 'd' || conversion == 'i') {
    return std::to_string(wide ? value : static_cast<std::int32_t>(value));
  }
  return std::to_string(wide ? static_cast<std::uint64_t>(value) : static_cast<std::uint32_t>(value));
}

}  // namespace

std::vector<CodeText> CodeTexts::buffer_texts(const FunctionFlow& flow, const CodeBuffer& buffer,
                                              int depth) const {
  std::vector<CodeText> texts{whole_text("", true)};
  for (const CodePiece& piece : buffer.pieces) {
    std::vector<CodeText> parts;
    if (piece.writers.empty()) parts.push_back(whole_text(piece.bytes, true));
    for (const CodeWriter& writer : piece.writers) {
      for (const CodeText& text : written_texts(flow, writer, depth + 1))
        add_text(parts, text);
    }
    texts = join_texts(texts, parts);
  }
  if (buffer.whole) return texts;
  return join_texts(texts, {open_text(Rest::kUnknown, flow.start, "built in a buffer")});
}

std::vector<CodeText> CodeTexts::written_texts(const FunctionFlow& flow, const CodeWriter& writer,
                                               int depth) const {
  const CodeCall* call = flow.call_at(writer.call);
  if (writer.arguments != 0) {
    std::vector<CodeText> filled;
    for (std::size_t i = 0; i < 32 && filled.empty() && call != nullptr && depth <= kDeepest; ++i) {
      if ((writer.arguments >> i & 1) != 0) filled = filled_texts(flow, *call, i, depth + 1);
    }
    if (filled.empty()) filled.push_back(open_text(Rest::kUnknown, flow.start, "built in a buffer"));
    return filled;
  }
  const TextFunction* function = call == nullptr ? nullptr : text_function(sites_.callee_of(*call));
  if (function == nullptr || depth > kDeepest) {
    return {open_text(Rest::kUnknown, flow.start, "built in a buffer")};
  }
  std::vector<CodeText> texts;
  switch (function->kind) {
    case TextFunction::Kind::kFormat:
      texts = formatted(flow, *call, function->source, depth + 1);
      break;
    case TextFunction::Kind::kCopy:
      texts = c_argument(flow, *call, function->source, depth + 1);
      break;
    case TextFunction::Kind::kAppend: {
      const std::vector<CodeText> start =
          call->buffers.empty() || (!call->buffers[0].whole && call->buffers[0].pieces.empty())
              ? std::vector<CodeText>{open_text(Rest::kUnknown, flow.start, "built in a buffer")}
              : buffer_texts(flow, call->buffers[0], depth + 1);
      return join_texts(start, c_argument(flow, *call, function->source, depth + 1));
    }
    case TextFunction::Kind::kLook:
      return {open_text(Rest::kUnknown, flow.start, "built in a buffer")};
  }
  const int size = function->effect.size;
  if (size != kNoRegister && static_cast<std::size_t>(size) < call->arguments.size() &&
      call->arguments[static_cast<std::size_t>(size)].is_constant()) {
    const auto room =
        static_cast<std::uint64_t>(call->arguments[static_cast<std::size_t>(size)].any.front().value);
    // All of them but plain copies put a zero byte last.
    cut(texts, function->kind == TextFunction::Kind::kFormat && room > 0 ? room - 1 : room);
  }
  for (CodeText& text : texts)
    text.assembled = true;
  return texts;
}

std::vector<CodeText> CodeTexts::conversion(const FunctionFlow& flow, const CodeCall& call, std::size_t index,
                                            std::string_view directive, int depth) const {
  if (directive == "s") return c_argument(flow, call, index, depth);
  const std::vector<CodeText> open{open_text(Rest::kUnknown, flow.start, "put together of several parts")};
  // Fields of a given width are no names.
  const bool plain = directive.find_first_not_of("hljzt") == directive.size() - 1;
  if (!plain || index >= call.arguments.size() || call.arguments[index].unknown) return open;
  const char letter = directive.back();
  std::vector<CodeText> texts;
  for (const CodeValue& value : call.arguments[index].any) {
    const auto known = flow.rounds.find(value.site);
    std::vector<std::int64_t> numbers;
    if (value.kind == Kind::kConstant) {
      numbers.push_back(value.value);
    } else if (value.kind == Kind::kRange && known != flow.rounds.end()) {
      for (std::int64_t k = 0; k < known->second; ++k)
        numbers.push_back(
            add_constant(CodeValues::constant(static_cast<std::uint64_t>(value.value)), k * value.stride)
                .any.front()
                .value);
    }
    if (value.kind == Kind::kNumbers && value.first == 0 && known != flow.rounds.end()) {
      for (std::int64_t k = 0; k < known->second; ++k) {
        const auto number = number_at(sites_.image(), static_cast<std::uint64_t>(value.value) +
                                                          static_cast<std::uint64_t>(k * value.stride));
        if (!number) return open;
        numbers.push_back(*number);
      }
    }
    if (numbers.empty()) return open;
    for (const std::int64_t number : numbers) {
      const bool printable = number > 0x20 && number < 0x7f;
      if (letter == 'c' ? !printable : letter != 'd' && letter != 'i' && letter != 'u') return open;
      add_text(texts, whole_text(letter == 'c' ? std::string(1, static_cast<char>(number))
                                               : number_text(number, directive),
                                 true));
    }
  }
  return texts.empty() ? open : texts;
}

std::vector<CodeText> CodeTexts::formatted(const FunctionFlow& flow, const CodeCall& call, std::size_t format,
                                           int depth) const {
  std::vector<CodeText> result;
  for (const CodeText& pattern : c_argument(flow, call, format, depth + 1)) {
    if (pattern.rest != Rest::kNothing) {
      add_text(result, open_text(Rest::kUnknown, flow.start, "built in a buffer"));
      continue;
    }
    std::vector<CodeText> texts{whole_text("", true)};
    std::string_view rest = pattern.prefix;
    std::size_t index = format + 1;
    while (!rest.empty()) {
      const std::size_t percent = std::min(rest.find('%'), rest.size());
      texts = join_texts(texts, {whole_text(std::string(rest.substr(0, percent)), true)});
      rest.remove_prefix(percent);
      if (rest.empty()) break;
      std::size_t end = 1;
      while (end < rest.size() && std::isalpha(static_cast<unsigned char>(rest[end])) == 0 &&
             rest[end] != '%')
        ++end;
      while (end < rest.size() && std::string_view("hljztL").find(rest[end]) != std::string_view::npos)
        ++end;
      const std::string_view directive = rest.substr(1, end);
      if (end >= rest.size() || directive.find('$') != std::string_view::npos) {
        texts = join_texts(texts, {open_text(Rest::kUnknown, flow.start, "put together of several parts")});
        break;
      }
      if (directive == "%") {
        texts = join_texts(texts, {whole_text("%", true)});
      } else {
        index += static_cast<std::size_t>(std::count(directive.begin(), directive.end(), '*'));
        texts = join_texts(texts, conversion(flow, call, index, directive, depth + 1));
        ++index;
      }
      rest.remove_prefix(std::min(rest.size(), end + 1));
    }
    for (const CodeText& text : texts)
      add_text(result, text);
  }
  return result;
}

}  // namespace imgslim
