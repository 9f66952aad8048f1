// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "src/facts/shell_words.h"

namespace imgslim {
namespace {

// Commands as text: literal words as they are, the rest as "?".
std::vector<std::string> commands_in(std::string_view text) {
  std::vector<std::string> result;
  for (const ShellCommand& command : parse_shell(text).commands) {
    std::string line;
    for (const auto& [name, word] : command.assignments)
      line += name + "=" + word.literal().value_or("?") + " ";
    for (const ShellWord& word : command.words)
      line += word.literal().value_or("?") + " ";
    if (!line.empty()) line.pop_back();
    result.push_back(line);
  }
  return result;
}
using Lines = std::vector<std::string>;

TEST_CASE("shell words: commands, operators and quotes") {
  CHECK(commands_in("a b; c && d || e | f & g\nh") == Lines{"a b", "c", "d", "e", "f", "g", "h"});
  CHECK(commands_in("a 'b c' \"d e\" f\\ g # not this") == Lines{"a b c d e f g"});
  CHECK(commands_in("A=1 B='2 3' run x=y") == Lines{"A=1 B=2 3 run x=y"});
  CHECK(commands_in("run >out 2>&1 <in >>more &>all next") == Lines{"run next"});
  CHECK(commands_in("a \\\n  b") == Lines{"a b"});
  CHECK(commands_in("x#y '#' z") == Lines{"x#y # z"});
}

TEST_CASE("shell words: branches, loops and functions give their commands") {
  CHECK(commands_in("if test -f x; then run1; elif y; then run2; else run3; fi") ==
        Lines{"test -f x", "run1", "y", "run2", "run3"});
  CHECK(commands_in("while ! ready; do wait_a_bit; done") == Lines{"ready", "wait_a_bit"});
  CHECK(commands_in("( a; b ) && { c; }") == Lines{"a", "b", "c"});
  CHECK(commands_in("case $1 in start|go) run a;; (stop) halt ;; *) other; esac\nlast") ==
        Lines{"case ?", "run a", "halt", "other", "last"});
  const ShellScript script = parse_shell("f() { inner; }\nfunction g { more; }\nf");
  CHECK(script.functions == Lines{"f", "g"});
  CHECK(script.commands.size() == 3);
}

TEST_CASE("shell words: substitutions are commands too") {
  CHECK(commands_in("echo $(date -u) `uname -s`") == Lines{"date -u", "uname -s", "echo ? ?"});
  CHECK(commands_in("A=$(one $(two))") == Lines{"two", "one ?", "A=?"});
  CHECK(commands_in("a \"x $(b c) y\"") == Lines{"b c", "a ?"});
  CHECK(commands_in("a $((1 + (2 * 3))) b") == Lines{"a ? b"});
  CHECK(commands_in("diff <(left) >(right)") == Lines{"left", "right", "diff ? ?"});
  CHECK(commands_in("x $(case y in z) w;; esac) v") == Lines{"case y", "w", "x ? v"});
  CHECK(commands_in("L=(a b)\nrun") == Lines{"declare a b", "L=?", "run"});
}

TEST_CASE("shell words: here-documents are no commands") {
  CHECK(commands_in("cat <<EOF >x\nrm -rf /\nEOF\nnext") == Lines{"cat", "next"});
  CHECK(commands_in("cat <<-'END' && b\n\tone\n\tEND\nnext") == Lines{"cat", "b", "next"});
  CHECK_FALSE(parse_shell("cat <<EOF\nno end").complete);
}

TEST_CASE("shell words: expansion by known values") {
  const ShellScript script = parse_shell("$APP ${DIR}/x ${PORT:-80} ${NONE} \"$A-$B\" ${A%x} $(c)");
  const ShellVariables variables = {
      {"APP", "server"}, {"DIR", "/opt"}, {"A", "1"}, {"B", std::nullopt}, {"PORT", ""}};
  const auto& words = script.commands.back().words;
  CHECK(expand(words[0], variables) == "server");
  CHECK(expand(words[1], variables) == "/opt/x");
  CHECK(expand(words[2], variables) == "80");
  for (std::size_t i = 3; i < 7; ++i)
    CHECK_FALSE(expand(words[i], variables));
}

TEST_CASE("shell words: what is not closed is said, deep nesting ends") {
  CHECK_FALSE(parse_shell("a 'b").complete);
  CHECK_FALSE(parse_shell("a \"b").complete);
  CHECK_FALSE(parse_shell("a $(b").complete);
  CHECK(parse_shell("a $(b)").complete);
  std::string deep;
  for (int i = 0; i < 100000; ++i)
    deep += "$(";
  CHECK_FALSE(parse_shell(deep).complete);
}

TEST_CASE("shell words: a command line splits or needs a shell") {
  CHECK(split_words("app --flag 'a b' c\\ d \"e \\\" f\"") == Lines{"app", "--flag", "a b", "c d", "e \" f"});
  CHECK(split_words("app ''") == Lines{"app", ""});
  CHECK(split_words("")->empty());
  for (const char* line : {"a | b", "a && b", "a $X", "a > b", "X=1 a", "a *", "a `b`", "a \"$X\"", "~/a"}) {
    CAPTURE(line);
    CHECK_FALSE(split_words(line));
  }
  CHECK(split_words("a '$X' --x=1") == Lines{"a", "$X", "--x=1"});
  CHECK_THROWS_AS(split_words("a 'b"), Error);
}

}  // namespace
}  // namespace imgslim
