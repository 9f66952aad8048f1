// SPDX-License-Identifier: Apache-2.0
// Shell text (POSIX.1-2017 XCU 2, and what bash adds that scripts use) read for its words: which commands
// it may start, which files it sources. Control flow is not followed: every branch counts. Nothing is
// executed or expanded here; what depends on a variable says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgslim {

// A piece of a word.
struct ShellPart {
  enum class Kind : std::uint8_t {
    kText,      // `text` as it stands, quotes removed
    kVariable,  // $text, ${text}, ${text:-fallback}
    kOpaque,    // a command substitution, arithmetic, a pattern or any other expansion
  };
  Kind kind = Kind::kText;
  std::string text;
  std::optional<std::string> fallback;  // of ${X:-fallback}, if it is plain text
  bool quoted = false;
};

struct ShellWord {
  std::vector<ShellPart> parts;
  std::size_t line = 0;  // from 1
  // The text if nothing has to be expanded.
  std::optional<std::string> literal() const;
};

// A simple command: assignments in front, then words; redirections are left out.
struct ShellCommand {
  std::vector<std::pair<std::string, ShellWord>> assignments;
  std::vector<ShellWord> words;
};

struct ShellScript {
  std::vector<ShellCommand> commands;  // those in substitutions, branches and functions too, in text order
  std::vector<std::string> functions;  // names the script defines, sorted, once each
  bool complete = true;  // false: a quote, substitution or here-document is not closed, or a limit was hit
};

struct ShellLimits {
  std::size_t max_bytes = 4 << 20;  // of a script; the rest is not read
  std::size_t max_words = 1 << 18;
  std::size_t max_depth = 64;  // nested substitutions
};

// Never fails: text that is no shell gives commands that name nothing.
ShellScript parse_shell(std::string_view text, const ShellLimits& limits = {});

// Variables with known values. A name that is there with no value may hold anything.
using ShellVariables = std::map<std::string, std::optional<std::string>, std::less<>>;
// The word as text, if all its variables have one known value.
std::optional<std::string> expand(const ShellWord& word, const ShellVariables& variables);

// One command line split into words as a shell would, quotes and backslashes removed, without any
// expansion. Nothing if it needs a shell to run: an unquoted operator, redirection, variable,
// substitution or pattern. Throws Error{kUsage} if a quote is not closed.
std::optional<std::vector<std::string>> split_words(std::string_view line);

}  // namespace imgslim
