// SPDX-License-Identifier: Apache-2.0
#include "src/facts/code_texts.h"

#include <algorithm>
#include <map>
#include <optional>

#include "src/facts/code_text_parts.h"

namespace imgslim {

namespace {

using Rest = CodeText::Rest;

constexpr int kMostLevels = 6;  // wrappers around a call
constexpr std::size_t kMostTexts = 128;
constexpr std::size_t kMostQueries = 3000;

// A text of a site that the callers of `function` complete.
struct Query {
  std::size_t site = 0;
  TextArgument argument;
  CodeText text;
};

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

void doubt_written(std::vector<CodeText>& texts, std::uint64_t function) {
  bool is_doubtful = false;
  for (CodeText& text : texts) {
    if (text.rest == Rest::kParameter) text.may_be_written = true;
    if (text.rest != Rest::kNothing || text.is_fixed) continue;
    text.assembled = true;
    is_doubtful = true;
  }
  if (is_doubtful) add_text(texts, open_text(Rest::kUnknown, function, "a buffer that others may write"));
}

CodeText join_texts(const CodeText& a, const CodeText& b) {
  CodeText result = a;
  result.is_fixed = false;
  result.assembled = true;
  if (a.rest == Rest::kNothing) {
    result = b;
    result.is_fixed = false;
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

void add_result(const FunctionFlow& flow, std::string_view callee, std::vector<CodeText> made,
                std::vector<CodeText>& texts) {
  if (made.empty()) {
    made.push_back(open_text(Rest::kUnknown, flow.start,
                             callee.empty() ? "result of a call" : "result of " + std::string(callee)));
  }
  for (const CodeText& text : made)
    add_text(texts, text);
}

CodeTexts::CodeTexts(const CallSites& sites) : sites_(sites) {
  find_arguments_variable();
}

std::vector<CodeText> CodeTexts::texts_of(const FunctionFlow& flow, const CodeCall& call,
                                          const TextArgument& argument, int depth) const {
  const std::size_t words = argument.kind == TextArgument::Kind::kGo ? 2 : 1;
  if (argument.index + words > call.arguments.size()) {
    return {open_text(Rest::kUnknown, flow.start, "an argument that is not followed")};
  }
  if (argument.pointed >= 0) {
    const std::size_t word = argument.index * kPointedWords + static_cast<std::size_t>(argument.pointed);
    if (argument.index < kPointingArguments && word < call.pointed.size()) {
      return c_texts(flow, call.pointed[word], nullptr, depth);
    }
    return {open_text(Rest::kUnknown, flow.start, "a table that is not followed")};
  }
  if (words == 1) return c_argument(flow, call, argument.index, depth);
  return go_texts(flow, call.arguments[argument.index], call.arguments[argument.index + 1], depth);
}

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
    outer.pointed = -1;
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
        if (query.text.may_be_written) doubt_written(texts, function);
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
