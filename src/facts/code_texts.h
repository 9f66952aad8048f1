// SPDX-License-Identifier: Apache-2.0
// The texts that an argument of a call may be: C strings and Go strings (pointer and length), with
// concatenations, tables, and what comes out of the environment or from the function's own caller, which is
// followed through a few wrapper functions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/call_sites.h"

namespace imgslim {

struct CodeText {
  enum class Rest : std::uint8_t {
    kNothing,      // the text is `prefix`, whole
    kParameter,    // `prefix`, the caller's own argument number `parameter`, `suffix`
    kItself,       // the path of the running program
    kEnvironment,  // the value of the variable `detail`
    kArgument,     // a word of the command line
    kUnknown,      // something else: `detail`
  };
  std::string prefix;
  Rest rest = Rest::kNothing;
  std::string suffix;
  std::int64_t parameter = 0;
  bool go_parameter = false;  // a Go string, of two words
  std::string detail;
  bool assembled = false;       // an element of a table, put together, or what a variable holds at start
  bool is_fixed = false;        // in memory that nothing writes
  bool may_be_written = false;  // of C code: a function that is not followed got the memory before
  std::uint64_t function = 0;   // where what is not known comes from
  auto operator<=>(const CodeText&) const = default;
};

// Which argument of a call is a text, and of what kind.
struct TextArgument {
  enum class Kind : std::uint8_t { kC, kGo };
  Kind kind = Kind::kC;
  std::size_t index = 0;  // of the argument word; kGo: its pointer, the length is the next word
  // kC: the text's address is this word behind the argument, a table or structure; -1: the argument itself.
  int pointed = -1;
};

// Adds a text that is not there yet, up to a limit.
void add_text(std::vector<CodeText>& texts, const CodeText& text);
CodeText whole_text(std::string text, bool assembled = false);
CodeText open_text(CodeText::Rest rest, std::uint64_t function, std::string detail = {});
// Where a function that is not followed got the memory of these texts: what is not fixed may be another.
void doubt_written(std::vector<CodeText>& texts, std::uint64_t function);
// One after the other; of two that are open, only the first is told.
CodeText join_texts(const CodeText& a, const CodeText& b);
std::vector<CodeText> join_texts(const std::vector<CodeText>& first, const std::vector<CodeText>& second);

class CodeTexts {
 public:
  explicit CodeTexts(const CallSites& sites);

  // Texts of one argument of each site, in the order of `sites`; callers of wrappers are followed. A site
  // without a call has one text, unknown.
  std::vector<std::vector<CodeText>> read(const std::vector<CallSite>& sites,
                                          const std::vector<TextArgument>& arguments) const;

 private:
  struct Pair;
  std::vector<CodeText> texts_of(const FunctionFlow& flow, const CodeCall& call, const TextArgument& argument,
                                 int depth) const;

  // code_c_texts.cc
  std::vector<CodeText> c_argument(const FunctionFlow& flow, const CodeCall& call, std::size_t index,
                                   int depth) const;
  std::vector<CodeText> c_texts(const FunctionFlow& flow, const CodeValues& values, const CodeBuffer* buffer,
                                int depth) const;
  void add_c_result(const FunctionFlow& flow, const CodeValue& result, int depth,
                    std::vector<CodeText>& texts) const;
  void add_c_table(const FunctionFlow& flow, const CodeValue& table, std::vector<CodeText>& texts) const;
  void add_c_rows(const FunctionFlow& flow, const CodeValue& rows, std::vector<CodeText>& texts) const;

  // code_built_texts.cc: what a buffer holds, what a call wrote into one, and the result of a format.
  std::vector<CodeText> buffer_texts(const FunctionFlow& flow, const CodeBuffer& buffer, int depth) const;
  std::vector<CodeText> written_texts(const FunctionFlow& flow, const CodeWriter& writer, int depth) const;
  std::vector<CodeText> formatted(const FunctionFlow& flow, const CodeCall& call, std::size_t format,
                                  int depth) const;
  std::vector<CodeText> conversion(const FunctionFlow& flow, const CodeCall& call, std::size_t index,
                                   std::string_view directive, int depth) const;

  // code_go_texts.cc
  std::vector<CodeText> go_texts(const FunctionFlow& flow, const CodeValues& pointers,
                                 const CodeValues& lengths, int depth) const;
  void add_pair(const FunctionFlow& flow, const Pair& pair, int depth, std::vector<CodeText>& texts) const;
  void add_go_result(const FunctionFlow& flow, const CodeValue& result, int depth,
                     std::vector<CodeText>& texts) const;
  void add_go_table(const FunctionFlow& flow, const CodeValue& table, std::vector<CodeText>& texts) const;
  std::vector<CodeText> joined(const FunctionFlow& flow, const CodeCall& call, std::size_t count,
                               int depth) const;
  std::optional<std::string> go_string(std::uint64_t address, std::uint64_t length) const;
  void find_arguments_variable();

  // code_returned_texts.cc
  // What a function of the program's own returns to this call in a word and the next; nothing if that cannot
  // be followed.
  std::vector<CodeText> returned_texts(const FunctionFlow& flow, const CodeCall& call, std::int64_t word,
                                       TextArgument::Kind kind, int depth) const;
  // What a function of the program's own leaves where an argument of this call points; nothing likewise.
  std::vector<CodeText> filled_texts(const FunctionFlow& flow, const CodeCall& call, std::size_t argument,
                                     int depth) const;
  std::shared_ptr<const FunctionFlow> followed(std::uint64_t function) const;
  // The texts of a callee with this call's arguments in place of its parameters.
  std::vector<CodeText> with_arguments(const FunctionFlow& flow, const CodeCall& call,
                                       const std::vector<CodeText>& texts, const FunctionFlow& callee,
                                       int depth) const;
  // What the closures of `function` that `caller` makes captured; nothing where they are not all seen.
  std::vector<CodeText> captured_texts(const CallSite& caller, std::uint64_t function,
                                       const TextArgument& argument) const;

  const CallSites& sites_;
  mutable std::map<std::uint64_t, std::shared_ptr<const FunctionFlow>> followed_;
  std::uint64_t arguments_variable_ = 0;  // os.Args
};

}  // namespace imgslim
