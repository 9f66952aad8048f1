// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_texts.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

namespace imgslim {

namespace {

using Kind = CodeValue::Kind;
using Rest = CodeText::Rest;

constexpr int kDeepest = 4;     // texts made of texts
constexpr int kMostLevels = 4;  // wrappers around a call
constexpr std::size_t kMostTexts = 128;
constexpr std::size_t kMostRounds = 256;
constexpr std::size_t kMostQueries = 3000;
constexpr std::size_t kMostFollowed = 64;            // functions whose results are asked for
constexpr std::uint64_t kLongestFollowed = 1 << 14;  // bytes of code of one
constexpr std::uint64_t kLongestText = 4096;

bool is_text(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7f;
  });
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

void add_text(std::vector<CodeText>& texts, const CodeText& text) {
  if (texts.size() < kMostTexts && std::find(texts.begin(), texts.end(), text) == texts.end())
    texts.push_back(text);
}

CodeText whole_text(std::string text, bool assembled) {
  CodeText result;
  result.prefix = std::move(text);
  result.assembled = assembled;
  return result;
}

CodeText open_text(Rest rest, std::uint64_t function, std::string detail) {
  CodeText result;
  result.rest = rest;
  result.function = function;
  result.detail = std::move(detail);
  return result;
}

CodeText join_texts(const CodeText& a, const CodeText& b) {
  CodeText result = a;
  result.assembled = true;
  if (a.rest == Rest::kNothing) {
    result = b;
    result.assembled = true;
    result.prefix = a.prefix + b.prefix;
  } else if (b.rest == Rest::kNothing) {
    result.suffix += b.prefix;
  } else if (a.rest == Rest::kParameter) {
    result.rest = Rest::kUnknown;
    result.detail = "put together of several parts";
    result.suffix = b.suffix;
  } else {
    result.suffix = b.suffix;
  }
  return result;
}

std::vector<CodeText> join_texts(const std::vector<CodeText>& first, const std::vector<CodeText>& second) {
  std::vector<CodeText> texts;
  for (const CodeText& a : first) {
    for (const CodeText& b : second)
      add_text(texts, join_texts(a, b));
  }
  return texts;
}

// A pointer and a length that belong together.
struct CodeTexts::Pair {
  CodeValue pointer;
  CodeValue length;
  bool surely = true;
};

CodeTexts::CodeTexts(const CallSites& sites) : sites_(sites) {
  find_arguments_variable();
}

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
  if (buffer != nullptr && (buffer->whole || !buffer->pieces.empty()) && depth < kDeepest) {
    return buffer_texts(flow, *buffer, depth + 1);
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
        const auto text = address == 0 ? std::nullopt : image.c_string_at(address);
        if (text && is_text(*text)) {
          add_text(texts, whole_text(std::string(*text), value.origin >> 63 != 0));
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
        for (const CodeText& text : written_texts(flow, value.site, depth + 1))
          add_text(texts, text);
        break;
      case Kind::kGlobal: {
        const auto initial = image.symbol_at_slot(address) ? std::nullopt : image.pointer_at(address);
        const auto text = initial && *initial != 0 ? image.c_string_at(*initial) : std::nullopt;
        if (text && !text->empty() && is_text(*text)) {
          add_text(texts, whole_text(std::string(*text), true));
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
  return texts;
}

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
                                                const std::vector<CodeText>& texts, std::uint64_t callee,
                                                int depth) const {
  std::vector<CodeText> result;
  for (const CodeText& text : texts) {
    if (text.rest != Rest::kParameter || text.function != callee) {
      add_text(result, text);
      continue;
    }
    const TextArgument::Kind kind = text.go_parameter ? TextArgument::Kind::kGo : TextArgument::Kind::kC;
    CodeText before = whole_text(text.prefix, text.assembled);
    for (const CodeText& given :
         texts_of(flow, call, {kind, static_cast<std::size_t>(text.parameter)}, depth + 1)) {
      const bool alone = text.prefix.empty() && text.suffix.empty();
      add_text(result, alone ? given : join_texts(join_texts(before, given), whole_text(text.suffix)));
    }
  }
  return result;
}

std::vector<CodeText> CodeTexts::returned_texts(const FunctionFlow& flow, const CodeCall& call,
                                                std::int64_t word, TextArgument::Kind kind, int depth) const {
  const bool direct = call.targets.size() == 1 && call.slots.empty() && !call.through_variable;
  if (!direct || depth + 2 > kDeepest) return {};
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
                   : c_texts(*callee, end.results[first], nullptr, depth + 2);
    for (const CodeText& text : some)
      add_text(texts, text);
  }
  for (const CodeCall& end : callee->calls) {
    if (!end.leaves) continue;
    if (kind == TextArgument::Kind::kGo) return {};
    add_c_result(*callee, {.kind = Kind::kResult, .site = end.address}, depth + 2, texts);
  }
  return with_arguments(flow, call, texts, callee->start, depth);
}

void CodeTexts::add_c_result(const FunctionFlow& flow, const CodeValue& result, int depth,
                             std::vector<CodeText>& texts) const {
  const CodeCall* call = flow.call_at(result.site);
  const std::string_view callee = call == nullptr ? std::string_view{} : sites_.callee_of(*call);
  std::vector<CodeText> made;
  if (call != nullptr && depth < kDeepest && !call->arguments.empty()) {
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
    }
  }
  if (made.empty()) {
    made.push_back(open_text(Rest::kUnknown, flow.start,
                             callee.empty() ? "result of a call" : "result of " + std::string(callee)));
  }
  for (const CodeText& text : made)
    add_text(texts, text);
}

void CodeTexts::add_c_table(const FunctionFlow& flow, const CodeValue& table,
                            std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  const auto known = flow.rounds.find(table.site);
  const std::size_t end = known != flow.rounds.end() ? static_cast<std::size_t>(known->second) : kMostRounds;
  bool any = false;
  for (std::size_t k = 0; k < end; ++k) {
    const auto place = static_cast<std::uint64_t>(table.value) + k * static_cast<std::uint64_t>(table.stride);
    const auto pointer = image.pointer_at(place);
    const auto text = pointer && *pointer != 0 ? image.c_string_at(*pointer) : std::nullopt;
    if (!text || text->empty() || !is_text(*text)) break;
    add_text(texts, whole_text(std::string(*text), true));
    any = true;
  }
  if (!any) add_text(texts, open_text(Rest::kUnknown, flow.start, "element of a table"));
}

// Texts of equal room one after the other, or by their distance from a base.
void CodeTexts::add_c_rows(const FunctionFlow& flow, const CodeValue& rows,
                           std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  const auto known = flow.rounds.find(rows.site);
  const std::size_t end = known != flow.rounds.end() ? static_cast<std::size_t>(known->second) : 0;
  bool any = false;
  for (std::size_t k = 0; k < end; ++k) {
    auto place = static_cast<std::uint64_t>(rows.value) + k * static_cast<std::uint64_t>(rows.stride);
    if (rows.kind == Kind::kNumbers) {
      const auto number = number_at(image, place);
      if (!number) break;
      place = static_cast<std::uint64_t>(rows.first) + static_cast<std::uint64_t>(*number);
    }
    const auto text = may_change(image, place) ? std::nullopt : image.c_string_at(place);
    if (!text || text->empty() || !is_text(*text)) break;
    add_text(texts, whole_text(std::string(*text), true));
    any = true;
  }
  if (!any) add_text(texts, open_text(Rest::kUnknown, flow.start, "element of a table"));
}

void CodeTexts::add_go_table(const FunctionFlow& flow, const CodeValue& table,
                             std::vector<CodeText>& texts) const {
  const ElfImage& image = sites_.image();
  const auto known = flow.rounds.find(table.site);
  const std::size_t end = known != flow.rounds.end() ? static_cast<std::size_t>(known->second) : kMostRounds;
  bool any = false;
  for (std::size_t k = 0; k < end; ++k) {
    const auto place = static_cast<std::uint64_t>(table.value) + k * static_cast<std::uint64_t>(table.stride);
    const auto pointer = image.pointer_at(place);
    const auto length = image.pointer_at(place + 8);
    if (!pointer || !length || *pointer == 0 || *length == 0) break;
    const auto text = go_string(*pointer, *length);
    if (!text) break;
    add_text(texts, whole_text(*text, true));
    any = true;
  }
  if (!any) add_text(texts, open_text(Rest::kUnknown, flow.start, "element of a table"));
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
  if (call != nullptr && depth < kDeepest) {
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
  if (made.empty()) {
    made.push_back(open_text(Rest::kUnknown, flow.start,
                             callee.empty() ? "result of a call" : "result of " + std::string(callee)));
  }
  for (const CodeText& text : made)
    add_text(texts, text);
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

std::vector<CodeText> CodeTexts::texts_of(const FunctionFlow& flow, const CodeCall& call,
                                          const TextArgument& argument, int depth) const {
  const std::size_t words = argument.kind == TextArgument::Kind::kGo ? 2 : 1;
  if (argument.index + words > call.arguments.size()) {
    return {open_text(Rest::kUnknown, flow.start, "an argument that is not followed")};
  }
  if (words == 1) return c_argument(flow, call, argument.index, depth);
  return go_texts(flow, call.arguments[argument.index], call.arguments[argument.index + 1], depth);
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

namespace {

// A text of a site that the callers of `function` complete.
struct Query {
  std::size_t site = 0;
  TextArgument argument;
  CodeText text;
};

}  // namespace

std::vector<std::vector<CodeText>> CodeTexts::read(const std::vector<CallSite>& sites,
                                                   const std::vector<TextArgument>& arguments) const {
  std::vector<std::vector<CodeText>> result(sites.size());
  std::map<std::uint64_t, std::vector<Query>> open;  // by function
  const auto take = [&](std::size_t site, const TextArgument& argument, const CodeText& text,
                        std::map<std::uint64_t, std::vector<Query>>& next) {
    if (text.rest != Rest::kParameter) {
      add_text(result[site], text);
      return;
    }
    TextArgument outer = argument;
    outer.index = static_cast<std::size_t>(text.parameter);
    outer.kind = text.go_parameter ? TextArgument::Kind::kGo : TextArgument::Kind::kC;
    next[text.function].push_back({site, outer, text});
  };
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const CallSite& site = sites[i];
    if (site.call == nullptr) {
      add_text(result[i],
               open_text(Rest::kUnknown, site.function,
                         site.address_taken ? "called through a pointer" : "the call could not be followed"));
      continue;
    }
    for (const CodeText& text : texts_of(*site.flow, *site.call, arguments[i], 0))
      take(i, arguments[i], text, open);
  }
  const bool is_program = sites_.image().facts().interpreter.has_value() || sites_.image().facts().type == 2;
  for (int level = 0; !open.empty(); ++level) {
    std::map<std::uint64_t, std::vector<Query>> next;
    std::vector<CallTarget> targets;
    std::vector<std::uint64_t> functions;
    std::size_t queries = 0;
    for (const auto& [function, list] : open) {
      queries += list.size();
      targets.push_back(sites_.code_at(function));
      functions.push_back(function);
    }
    std::vector<CallSite> callers;
    if (level < kMostLevels && queries < kMostQueries) callers = sites_.find(targets);
    std::map<std::uint64_t, bool> seen_whole;
    for (const std::uint64_t function : functions) {
      bool exported = false;
      for (const DynamicSymbol& symbol : sites_.image().facts().dynamic_symbols) {
        exported = exported || (symbol.defined && symbol.value == function);
      }
      seen_whole[function] = sites_.bounds().is_start(function) && (is_program || !exported);
    }
    std::map<std::uint64_t, std::size_t> count;
    for (const CallSite& caller : callers) {
      const std::uint64_t function = functions[caller.target];
      ++count[function];
      for (const Query& query : open[function]) {
        std::vector<CodeText> texts;
        const bool is_captured = query.argument.index >= kFirstCaptured;
        if (caller.call != nullptr) {
          texts = texts_of(*caller.flow, *caller.call, query.argument, 0);
        } else if (is_captured && caller.address_taken && caller.flow != nullptr) {
          texts = captured_texts(caller, function, query.argument);
        }
        if (texts.empty()) {
          CodeText text = open_text(Rest::kUnknown, caller.address_taken ? function : caller.function,
                                    caller.address_taken ? "argument of a function called through a pointer"
                                                         : "the call could not be followed");
          text.prefix = query.text.prefix;
          text.suffix = query.text.suffix;
          add_text(result[query.site], text);
          continue;
        }
        for (CodeText& text : texts) {
          text.prefix = query.text.prefix + text.prefix;
          if (text.rest == Rest::kNothing) {
            text.prefix += query.text.suffix;
          } else {
            text.suffix += query.text.suffix;
          }
          text.assembled = text.assembled || query.text.assembled;
          take(query.site, query.argument, text, next);
        }
      }
    }
    for (const auto& [function, list] : open) {
      if (seen_whole[function] && count[function] > 0) continue;
      for (const Query& query : list) {
        CodeText text =
            open_text(Rest::kUnknown, function, "argument of a function whose callers are not all seen");
        text.prefix = query.text.prefix;
        text.suffix = query.text.suffix;
        add_text(result[query.site], text);
      }
    }
    // The same question is asked once; recursion ends with the levels.
    for (auto& [function, list] : next) {
      std::vector<Query> unique;
      for (Query& query : list) {
        const bool known = std::any_of(unique.begin(), unique.end(), [&](const Query& other) {
          return other.site == query.site && other.argument.index == query.argument.index &&
                 other.text == query.text;
        });
        if (!known) unique.push_back(std::move(query));
      }
      list = std::move(unique);
    }
    open = std::move(next);
  }
  return result;
}

}  // namespace imgslim
