// SPDX-License-Identifier: Apache-2.0
// Texts from the functions around: what one that is called returns, and what a closure captured.
#include <algorithm>
#include <set>

#include "src/facts/code_text_parts.h"
#include "src/facts/libc_texts.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Rest = CodeText::Rest;

constexpr std::size_t kMostFollowed = 64;            // functions whose results are asked for
constexpr std::uint64_t kLongestFollowed = 1 << 14;  // bytes of code of one

// Whether this is what the function's own argument points to, and nothing else.
bool is_argument(const CodeValues& values, std::size_t number) {
  return !values.unknown && values.any.size() == 1 && values.any.front().kind == Kind::kParameter &&
         values.any.front().value == static_cast<std::int64_t>(number);
}

// What a function left where the address points that it returns, if that is an argument of its own.
const CodeBuffer* filled_result(const CodeReturn& end, std::size_t word) {
  for (std::size_t i = 0; i < end.filled.size(); ++i) {
    if (is_argument(end.results[word], i)) return &end.filled[i];
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const FunctionFlow> CodeTexts::followed(std::uint64_t function) const {
  const auto known = followed_.find(function);
  if (known != followed_.end()) return known->second;
  if (followed_.size() >= kMostFollowed || !sites_.bounds().is_start(function)) return nullptr;
  const auto [start, end] = sites_.bounds().bounds_of(function);
  std::shared_ptr<const FunctionFlow> flow;
  if (start == function && end - start <= kLongestFollowed) flow = sites_.follow_all(function);
  // A deferred function can change what is returned.
  const bool is_deferred =
      flow != nullptr && std::any_of(flow->calls.begin(), flow->calls.end(), [&](const CodeCall& call) {
        return sites_.callee_of(call).substr(0, 13) == "runtime.defer";
      });
  if (flow != nullptr && (!flow->complete || is_deferred)) flow = nullptr;
  followed_.emplace(function, flow);
  return flow;
}

std::vector<CodeText> CodeTexts::with_arguments(const FunctionFlow& flow, const CodeCall& call,
                                                const std::vector<CodeText>& texts,
                                                const FunctionFlow& callee, int depth) const {
  std::vector<CodeText> result;
  for (const CodeText& text : texts) {
    if (text.rest != Rest::kParameter || text.function != callee.start) {
      add_text(result, text);
      continue;
    }
    const TextArgument::Kind kind = text.go_parameter ? TextArgument::Kind::kGo : TextArgument::Kind::kC;
    CodeText before = whole_text(text.prefix, text.assembled);
    const auto index = static_cast<std::size_t>(text.parameter);
    // What a buffer held before the call is not what a function finds there that may have written to it.
    const bool before_call =
        callee.convention->is_c && callee.writes_elsewhere && index < call.arguments.size();
    for (const CodeText& given : before_call ? c_texts(flow, call.arguments[index], nullptr, depth + 1)
                                             : texts_of(flow, call, {kind, index}, depth + 1)) {
      const bool alone = text.prefix.empty() && text.suffix.empty();
      add_text(result, alone ? given : join_texts(join_texts(before, given), whole_text(text.suffix)));
    }
  }
  return result;
}

std::vector<CodeText> CodeTexts::returned_texts(const FunctionFlow& flow, const CodeCall& call,
                                                std::int64_t word, TextArgument::Kind kind, int depth) const {
  const bool direct = call.targets.size() == 1 && call.slots.empty() && !call.through_variable;
  if (!direct || depth + 2 > kDeepestText) return {};
  // C code has names for what it imports alone; what Go's runtime returns is known by name.
  const std::string_view name = sites_.callee_of(call);
  if (sites_.is_go_code(flow.start) ? name.empty() || name.substr(0, 8) == "runtime." : !name.empty())
    return {};
  const auto callee = followed(call.targets.front());
  if (callee == nullptr || callee->start == flow.start) return {};
  const auto first = static_cast<std::size_t>(word);
  std::vector<CodeText> texts;
  for (const CodeReturn& end : callee->returns) {
    const std::size_t words = kind == TextArgument::Kind::kGo ? 2 : 1;
    if (first + words > end.results.size()) return {};
    const std::vector<CodeText> some =
        words == 2 ? go_texts(*callee, end.results[first], end.results[first + 1], depth + 2)
                   : c_texts(*callee, end.results[first], filled_result(end, first), depth + 2);
    for (const CodeText& text : some)
      add_text(texts, text);
  }
  for (const CodeCall& end : callee->calls) {
    if (!end.leaves) continue;
    if (kind == TextArgument::Kind::kGo) return {};
    add_c_result(*callee, {.kind = Kind::kResult, .site = end.address}, depth + 2, texts);
  }
  return with_arguments(flow, call, texts, *callee, depth);
}

std::vector<CodeText> CodeTexts::filled_texts(const FunctionFlow& flow, const CodeCall& call,
                                              std::size_t argument, int depth) const {
  const bool direct = call.targets.size() == 1 && call.slots.empty() && !call.through_variable;
  // What has a name is imported, and not in this object.
  if (!direct || !sites_.callee_of(call).empty()) return {};
  const auto callee = followed(call.targets.front());
  if (callee == nullptr || callee->start == flow.start || !callee->convention->is_c) return {};
  std::vector<CodeText> texts;
  for (const CodeReturn& end : callee->returns) {
    if (argument >= end.filled.size() || !end.filled[argument].whole) return {};
    for (const CodeText& text : buffer_texts(*callee, end.filled[argument], depth + 1))
      add_text(texts, text);
  }
  for (const CodeCall& end : callee->calls) {
    if (!end.leaves) continue;
    // The last of what the function does is to write the text, or to have it written.
    const TextFunction* function = text_function(sites_.callee_of(end));
    CodeWriter writer{end.address};
    if (function == nullptr) {
      for (std::size_t i = 0; i < end.arguments.size(); ++i) {
        if (is_argument(end.arguments[i], argument)) writer.arguments |= 1u << i;
      }
      if (writer.arguments == 0) return {};
    } else {
      const auto to = static_cast<std::size_t>(function->effect.to);
      const bool writes = function->kind != TextFunction::Kind::kLook && !function->effect.allocates;
      if (!writes || to >= end.arguments.size() || !is_argument(end.arguments[to], argument)) return {};
    }
    for (const CodeText& text : written_texts(*callee, writer, depth + 1))
      add_text(texts, text);
  }
  // It is put together elsewhere: that is how its parts are told from the caller's own.
  for (CodeText& text : texts)
    text.assembled = true;
  return with_arguments(flow, call, texts, *callee, depth);
}

std::vector<CodeText> CodeTexts::captured_texts(const CallSite& caller, std::uint64_t function,
                                                const TextArgument& argument) const {
  const std::size_t words = argument.kind == TextArgument::Kind::kGo ? 2 : 1;
  const std::size_t first = argument.index - kFirstCaptured;
  std::set<std::pair<std::uint64_t, std::int64_t>> made;
  std::vector<CodeText> texts;
  for (const CodeCall& call : caller.flow->calls) {
    for (const CodeClosure& closure : call.closures) {
      if (closure.function != function) continue;
      if (first + words > closure.captured.size()) return {};
      made.emplace(closure.memory, closure.offset);
      const CodeValues& word = closure.captured[first];
      const std::vector<CodeText> some = words == 2
                                             ? go_texts(*caller.flow, word, closure.captured[first + 1], 0)
                                             : c_texts(*caller.flow, word, nullptr, 0);
      for (const CodeText& text : some)
        add_text(texts, text);
    }
  }
  // One that goes elsewhere than into a call holds something else.
  return made.size() >= caller.times_taken ? texts : std::vector<CodeText>{};
}

}  // namespace imgslim
