// SPDX-License-Identifier: Apache-2.0
// Go strings, pointers with lengths, that two values may be.
#include <algorithm>
#include <iterator>
#include <optional>

#include "src/facts/code_text_parts.h"

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Rest = CodeText::Rest;

constexpr std::uint64_t kLongestText = 4096;

}  // namespace

// A pointer and a length that belong together.
struct CodeTexts::Pair {
  CodeValue pointer;
  CodeValue length;
  bool surely = true;
};

// os.Args is set where package os starts, by what runtime_args returns.
void CodeTexts::find_arguments_variable() {
  const GoFacts* go = sites_.go();
  const auto source = sites_.go_function("os.runtime_args");
  if (go == nullptr || !source) return;
  for (const GoFunction& function : go->functions) {
    if (function.name.substr(0, 8) != "os.init.") continue;
    const auto flow = sites_.follow_all(function.start);
    if (flow == nullptr) return;
    for (const CodeStore& store : flow->stores) {
      if (store.place.kind != Kind::kConstant || store.stored.any.size() != 1) continue;
      const CodeValue& value = store.stored.any.front();
      const CodeCall* call =
          value.kind == Kind::kResult && value.value == 0 ? flow->call_at(value.site) : nullptr;
      if (call != nullptr && sites_.callee_of(*call) == source->name) {
        arguments_variable_ = static_cast<std::uint64_t>(store.place.value);
      }
    }
  }
}

std::optional<std::string> CodeTexts::go_string(std::uint64_t address, std::uint64_t length) const {
  if (length > kLongestText) return std::nullopt;
  if (length == 0) return std::string();
  const auto bytes = sites_.image().bytes_at(address, length);
  if (!bytes || !is_text(*bytes)) return std::nullopt;
  return std::string(*bytes);
}

void CodeTexts::add_go_table(const FunctionFlow& flow, const CodeValue& table,
                             std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  add_elements(flow, table, kMostElements, texts, [&](std::uint64_t place) -> std::optional<CodeText> {
    const auto pointer = image.pointer_at(place);
    const auto length = image.pointer_at(place + 8);
    if (!pointer || !length || *pointer == 0) return std::nullopt;
    const auto text = go_string(*pointer, *length);
    return text ? std::optional(whole_text(*text)) : std::nullopt;
  });
}

std::vector<CodeText> CodeTexts::joined(const FunctionFlow& flow, const CodeCall& call, std::size_t count,
                                        int depth) const {
  std::vector<CodeText> texts{whole_text("")};
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = 1 + 2 * i;
    std::vector<CodeText> parts;
    if (at + 1 < call.arguments.size()) {
      parts = go_texts(flow, call.arguments[at], call.arguments[at + 1], depth + 1);
    } else {
      parts.push_back(open_text(Rest::kUnknown, flow.start, "put together of many parts"));
    }
    texts = join_texts(texts, parts);
  }
  return texts;
}

void CodeTexts::add_go_result(const FunctionFlow& flow, const CodeValue& result, int depth,
                              std::vector<CodeText>& texts) const {
  const CodeCall* call = flow.call_at(result.site);
  const std::string_view callee = call == nullptr ? std::string_view{} : sites_.callee_of(*call);
  std::vector<CodeText> made;
  if (call != nullptr && depth < kDeepestText) {
    constexpr std::string_view kConcat = "runtime.concatstring";
    if (callee.substr(0, kConcat.size()) == kConcat && callee.size() == kConcat.size() + 1 &&
        callee.back() >= '2' && callee.back() <= '5') {
      made = joined(flow, *call, static_cast<std::size_t>(callee.back() - '0'), depth);
    } else if (callee == "os.Executable" || callee == "os.executable") {
      made.push_back(open_text(Rest::kItself, flow.start));
    } else if (callee == "os.Getenv" || callee == "os.LookupEnv" || callee == "syscall.Getenv") {
      std::string name;
      if (call->arguments.size() > 1) {
        for (const CodeText& text : go_texts(flow, call->arguments[0], call->arguments[1], depth + 1)) {
          if (text.rest == Rest::kNothing) name = text.prefix;
        }
      }
      made.push_back(open_text(Rest::kEnvironment, flow.start, name));
    } else if ((callee == "os/exec.LookPath" || callee == "os/exec.lookPath" ||
                callee == "path/filepath.EvalSymlinks" || callee == "path/filepath.Abs" ||
                callee == "path/filepath.Clean" || callee == "internal/filepathlite.Clean") &&
               call->arguments.size() > 1) {
      made = go_texts(flow, call->arguments[0], call->arguments[1], depth + 1);
    } else {
      made = returned_texts(flow, *call, result.value, TextArgument::Kind::kGo, depth);
    }
  }
  add_result(flow, callee, std::move(made), texts);
}

void CodeTexts::add_pair(const FunctionFlow& flow, const Pair& pair, int depth,
                         std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  const auto address = static_cast<std::uint64_t>(pair.pointer.value);
  switch (pair.pointer.kind) {
    case Kind::kConstant: {
      const auto text = go_string(address, static_cast<std::uint64_t>(pair.length.value));
      const bool element = pair.pointer.origin >> 63 != 0;
      if (text) {
        add_text(texts, whole_text(*text, element || !pair.surely));
      } else {
        add_text(texts, open_text(Rest::kUnknown, flow.start, "not a constant"));
      }
      return;
    }
    case Kind::kParameter: {
      CodeText text = open_text(Rest::kParameter, flow.start);
      text.parameter = pair.pointer.value;
      text.go_parameter = true;
      add_text(texts, text);
      return;
    }
    case Kind::kResult:
      add_go_result(flow, pair.pointer, depth, texts);
      return;
    case Kind::kTable:
      add_go_table(flow, pair.pointer, texts);
      return;
    case Kind::kGlobal: {
      const auto pointer = image.pointer_at(address);
      const auto length = image.pointer_at(address + 8);
      const auto text = pointer && length && *length != 0 ? go_string(*pointer, *length) : std::nullopt;
      add_text(texts, text ? whole_text(*text, true) : open_text(Rest::kUnknown, flow.start, "a variable"));
      return;
    }
    case Kind::kPointee:
      if (arguments_variable_ != 0 && address == arguments_variable_) {
        add_text(texts, open_text(pair.pointer.stride == 0 ? Rest::kItself : Rest::kArgument, flow.start));
        return;
      }
      add_text(texts, open_text(Rest::kUnknown, flow.start, "a variable"));
      return;
    default:
      add_text(texts, open_text(Rest::kUnknown, flow.start, "not a constant"));
  }
}

std::vector<CodeText> CodeTexts::go_texts(const FunctionFlow& flow, const CodeValues& pointers,
                                          const CodeValues& lengths, int depth) const {
  std::vector<CodeText> texts;
  std::vector<Pair> pairs;
  bool unpaired = pointers.unknown || pointers.any.empty() || lengths.unknown;
  const auto belong = [](const CodeValue& pointer, const CodeValue& length) {
    if (pointer.kind != length.kind) return false;
    switch (pointer.kind) {
      case Kind::kConstant:
        return true;
      case Kind::kParameter:
        return length.value == pointer.value + 1;
      case Kind::kResult:
        return length.site == pointer.site && length.value == pointer.value + 1;
      case Kind::kGlobal:
        return length.value == pointer.value + 8;
      case Kind::kPointee:
        return length.value == pointer.value && length.stride == pointer.stride + 8;
      case Kind::kTable:
        return length.site == pointer.site && length.stride == pointer.stride &&
               length.value == pointer.value + 8;
      default:
        return false;
    }
  };
  for (const CodeValue& pointer : pointers.any) {
    std::vector<CodeValue> together;
    std::vector<CodeValue> apart;
    for (const CodeValue& length : lengths.any) {
      if (!belong(pointer, length)) continue;
      if (length.origin == pointer.origin) {
        together.push_back(length);
        continue;
      }
      // A length that came about with another pointer belongs to that one.
      const bool taken = std::any_of(pointers.any.begin(), pointers.any.end(), [&](const CodeValue& other) {
        return other.origin == length.origin && belong(other, length);
      });
      if (!taken) apart.push_back(length);
    }
    const std::vector<CodeValue>& chosen = together.empty() ? apart : together;
    const bool empty = pointer.kind == Kind::kConstant && pointer.value == 0;
    if (chosen.empty() && !empty) unpaired = true;
    for (const CodeValue& length : chosen)
      pairs.push_back({pointer, length, chosen.size() == 1});
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.pointer.origin < b.pointer.origin; });
  for (const Pair& pair : pairs)
    add_pair(flow, pair, depth, texts);
  if (unpaired) add_text(texts, open_text(Rest::kUnknown, flow.start, "not a constant"));
  return texts;
}

}  // namespace imgslim
