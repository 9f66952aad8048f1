// SPDX-License-Identifier: Apache-2.0
#include "src/facts/shell_words.h"

#include <algorithm>
#include <array>
#include <set>

#include "src/facts/shell_characters.h"

namespace imgslim {
namespace {

// Reserved words behind which a command starts, and which start none of their own.
constexpr std::array<std::string_view, 16> kOpeners = {"if",    "then", "else",   "elif", "do", "while",
                                                       "until", "{",    "!",      "time", "fi", "done",
                                                       "esac",  "}",    "coproc", "in"};

// Shared by the parsers of nested texts.
struct Output {
  ShellScript script;
  std::set<std::string, std::less<>> functions;
  std::size_t words = 0;
};

class Parser {
 public:
  Parser(std::string_view text, std::size_t line, std::size_t depth, const ShellLimits& limits, Output& out)
      : text_(text), line_(line), depth_(depth), limits_(limits), out_(out) {}

  void run() { commands('\0'); }

 private:
  struct HereDocument {
    std::string delimiter;
    bool strip_tabs = false;
  };

  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  char take() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }
  void give_up() {
    out_.script.complete = false;
    at_ = text_.size();
  }
  bool descend() {
    if (depth_ < limits_.max_depth) return ++depth_, true;
    return give_up(), false;
  }

  void end_command(ShellCommand& command) {
    if (!command.words.empty() || !command.assignments.empty()) {
      out_.script.commands.push_back(std::move(command));
    }
    command = {};
  }

  // Commands up to the closing character, or to the end of the text.
  void commands(char closer) {
    ShellCommand command;
    std::size_t parentheses = 0;
    std::size_t cases = 0;
    bool pattern = false;  // of a case branch
    while (true) {
      while (!at_end() && (is_blank(peek()) || (peek() == '\\' && peek(1) == '\n'))) {
        if (take() == '\\') take();
      }
      if (at_end()) {
        if (closer != '\0') out_.script.complete = false;
        break;
      }
      const char c = peek();
      if (c == '#') {
        while (!at_end() && peek() != '\n')
          take();
        continue;
      }
      if (c == '\n' || c == ';' || c == '&' || c == '|') {
        take();
        if (c == '&' && peek() == '>') continue;  // &> FILE: the redirection follows
        const bool branch_ends = c == ';' && (peek() == ';' || peek() == '&');
        if (branch_ends) take();
        if (pattern && c == '|') continue;
        end_command(command);
        if (branch_ends && cases > 0) pattern = true;
        if (c == '\n') here_documents();
        continue;
      }
      if (c == '(') {
        take();
        if (pattern) continue;
        if (is_function_head(command)) {
          while (!at_end() && is_blank(peek()))
            take();
          if (peek() == ')') take();
          define(command);
          continue;
        }
        end_command(command);
        ++parentheses;
        continue;
      }
      if (c == ')') {
        take();
        if (pattern) {
          command = {};
          pattern = false;
          continue;
        }
        end_command(command);
        if (parentheses > 0) {
          --parentheses;
        } else if (closer == ')') {
          return;
        }
        continue;
      }
      if (c == '<' || c == '>') {
        redirection(command);
        continue;
      }
      ShellWord next = word('\0');
      if (at_end() && next.parts.empty()) continue;
      if (++out_.words > limits_.max_words) {
        give_up();
        break;
      }
      if ((peek() == '<' || peek() == '>') && is_number(next)) continue;  // 2>FILE
      const std::optional<std::string> text = next.literal();
      const bool bare = text && std::none_of(next.parts.begin(), next.parts.end(),
                                             [](const ShellPart& part) { return part.quoted; });
      if (pattern && bare && *text == "esac") {
        pattern = false;
        if (cases > 0) --cases;
        continue;
      }
      if (command.words.empty() && bare) {
        if (*text == "esac" && cases > 0) --cases;
        if (*text == "case") ++cases;
        if (*text == "function") {
          function_keyword();
          continue;
        }
        if (command.assignments.empty() &&
            std::find(kOpeners.begin(), kOpeners.end(), *text) != kOpeners.end()) {
          continue;
        }
      }
      if (bare && *text == "in" && command.words.size() == 2 && command.words[0].literal() == "case") {
        end_command(command);
        pattern = true;
        continue;
      }
      if (command.words.empty() && assign(command, next)) continue;
      command.words.push_back(std::move(next));
    }
    end_command(command);
  }

  static bool is_number(const ShellWord& word) {
    const std::optional<std::string> text = word.literal();
    return text && !text->empty() && std::all_of(text->begin(), text->end(), is_digit);
  }

  bool is_function_head(const ShellCommand& command) const {
    if (command.words.size() != 1 || !command.assignments.empty()) return false;
    std::size_t ahead = 0;
    while (is_blank(peek(ahead)))
      ++ahead;
    return peek(ahead) == ')' && command.words[0].literal().has_value();
  }
  void define(ShellCommand& command) {
    out_.functions.insert(*command.words[0].literal());
    command = {};
  }
  void function_keyword() {
    while (!at_end() && is_blank(peek()))
      take();
    if (at_end() || is_meta(peek())) return;
    if (const auto name = word('\0').literal()) out_.functions.insert(*name);
    while (!at_end() && is_blank(peek()))
      take();
    if (peek() == '(' && peek(1) == ')') take(), take();
  }

  // NAME=value, NAME+=value, NAME=(...) in front of a command.
  bool assign(ShellCommand& command, ShellWord& next) {
    if (next.parts.empty() || next.parts[0].kind != ShellPart::Kind::kText || next.parts[0].quoted)
      return false;
    std::string& text = next.parts[0].text;
    if (text.empty() || !is_name_start(text[0])) return false;
    std::size_t end = 0;
    while (end < text.size() && is_name(text[end]))
      ++end;
    const bool append = text.compare(end, 2, "+=") == 0;
    if (!append && (end >= text.size() || text[end] != '=')) return false;
    std::string name = text.substr(0, end);
    text.erase(0, end + (append ? 2 : 1));
    if (text.empty()) next.parts.erase(next.parts.begin());
    if (append)
      next.parts.insert(next.parts.begin(), {ShellPart::Kind::kVariable, name, std::string(), true});
    if (next.parts.empty() && peek() == '(') {
      take();
      array_words();
      next.parts.push_back({ShellPart::Kind::kOpaque, "", std::nullopt, false});
    }
    command.assignments.emplace_back(std::move(name), std::move(next));
    return true;
  }

  // The words of NAME=(...) as the arguments of a `declare`, which starts nothing.
  void array_words() {
    ShellCommand words;
    words.words.push_back({{{ShellPart::Kind::kText, "declare", std::nullopt, false}}, line_});
    while (!at_end() && peek() != ')') {
      if (is_meta(peek())) {
        take();
      } else if (peek() == '#') {
        while (!at_end() && peek() != '\n')
          take();
      } else {
        words.words.push_back(word('\0'));
        if (++out_.words > limits_.max_words) return give_up();
      }
    }
    if (at_end()) return give_up();
    take();
    if (words.words.size() > 1) out_.script.commands.push_back(std::move(words));
  }

  void redirection(ShellCommand& command) {
    const char first = take();
    if (peek() == '(') {  // process substitution
      take();
      nested(')');
      command.words.push_back({{{ShellPart::Kind::kOpaque, "", std::nullopt, false}}, line_});
      return;
    }
    bool here = false;
    bool strip = false;
    if (first == '<' && peek() == '<') {
      take();
      if (peek() == '<') {
        take();
      } else {
        here = true;
        if (peek() == '-') strip = true, take();
      }
    } else if (peek() == '>' || peek() == '&' || peek() == '|') {
      take();
    }
    while (!at_end() && is_blank(peek()))
      take();
    if (at_end() || is_meta(peek())) return;
    const ShellWord target = word('\0');
    if (!here) return;
    std::string delimiter;
    for (const ShellPart& part : target.parts)
      delimiter += part.text;
    here_.push_back({std::move(delimiter), strip});
  }

  // The bodies of here-documents begin behind the line that names them.
  void here_documents() {
    for (const HereDocument& document : here_) {
      bool closed = false;
      while (!at_end() && !closed) {
        std::size_t end = text_.find('\n', at_);
        if (end == std::string_view::npos) end = text_.size();
        std::string_view content = text_.substr(at_, end - at_);
        if (document.strip_tabs) {
          content.remove_prefix(std::min(content.find_first_not_of('\t'), content.size()));
        }
        closed = content == document.delimiter;
        at_ = std::min(end + 1, text_.size());
        ++line_;
      }
      if (!closed) out_.script.complete = false;
    }
    here_.clear();
  }

  void nested(char closer) {
    if (!descend()) return;
    std::vector<HereDocument> outer = std::move(here_);
    here_.clear();
    commands(closer);
    here_ = std::move(outer);
    --depth_;
  }

  // A word up to a metacharacter; with a closer (that of ${...}) up to that, blanks and all.
  ShellWord word(char closer) {
    ShellWord result;
    result.line = line_;
    while (!at_end()) {
      const char c = peek();
      if (closer != '\0' ? c == closer : is_meta(c)) break;
      if (c == '\\') {
        take();
        if (at_end()) break;
        const char escaped = take();
        if (escaped != '\n') add_text(result, escaped, true);
      } else if (c == '\'') {
        take();
        single_quotes(result);
      } else if (c == '"') {
        take();
        double_quotes(result);
      } else if (c == '$') {
        dollar(result, false);
      } else if (c == '`') {
        backquotes(result, false);
      } else if (closer == '\0' && (c == '*' || c == '?')) {
        take();
        result.parts.push_back({ShellPart::Kind::kOpaque, std::string(1, c), std::nullopt, false});
      } else {
        add_text(result, take(), false);
      }
    }
    return result;
  }

  static void add_text(ShellWord& word, char c, bool quoted) {
    if (word.parts.empty() || word.parts.back().kind != ShellPart::Kind::kText ||
        word.parts.back().quoted != quoted) {
      word.parts.push_back({ShellPart::Kind::kText, "", std::nullopt, quoted});
    }
    word.parts.back().text += c;
  }

  void single_quotes(ShellWord& word) {
    word.parts.push_back({ShellPart::Kind::kText, "", std::nullopt, true});
    while (!at_end() && peek() != '\'')
      add_text(word, take(), true);
    if (at_end()) return give_up();
    take();
  }

  void double_quotes(ShellWord& word) {
    word.parts.push_back({ShellPart::Kind::kText, "", std::nullopt, true});
    while (!at_end() && peek() != '"') {
      const char c = peek();
      if (c == '\\') {
        take();
        if (at_end()) break;
        const char escaped = take();
        if (escaped == '\n') continue;
        if (escaped != '$' && escaped != '`' && escaped != '"' && escaped != '\\') add_text(word, '\\', true);
        add_text(word, escaped, true);
      } else if (c == '$') {
        dollar(word, true);
      } else if (c == '`') {
        backquotes(word, true);
      } else {
        add_text(word, take(), true);
      }
    }
    if (at_end()) return give_up();
    take();
  }

  void opaque(ShellWord& word, bool quoted) {
    word.parts.push_back({ShellPart::Kind::kOpaque, "", std::nullopt, quoted});
  }

  void dollar(ShellWord& word, bool quoted) {
    take();
    const char c = peek();
    if (c == '(' && peek(1) == '(') {
      arithmetic();
      opaque(word, quoted);
    } else if (c == '(') {
      take();
      nested(')');
      opaque(word, quoted);
    } else if (c == '{') {
      take();
      parameter(word, quoted);
    } else if (is_name_start(c)) {
      std::string name;
      while (is_name(peek()))
        name += take();
      word.parts.push_back({ShellPart::Kind::kVariable, std::move(name), std::nullopt, quoted});
    } else if (c != '\0' && (is_digit(c) || std::string_view("@*#?$!-").find(c) != std::string_view::npos)) {
      word.parts.push_back({ShellPart::Kind::kVariable, std::string(1, take()), std::nullopt, quoted});
    } else if (c == '\'' && !quoted) {  // bash: C escapes; only their presence is kept
      take();
      while (!at_end() && peek() != '\'') {
        if (take() == '\\' && !at_end()) take();
      }
      if (at_end()) return give_up();
      take();
      opaque(word, true);
    } else if (c == '"' && !quoted) {
      // bash: a translated string is an ordinary one without a catalogue
    } else {
      add_text(word, '$', quoted);
    }
  }

  void arithmetic() {
    std::size_t open = 0;
    while (!at_end()) {
      const char c = take();
      if (c == '(') ++open;
      if (c == ')' && --open == 0) return;
    }
    out_.script.complete = false;
  }

  // ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:=word}; the rest depends on more than the value.
  void parameter(ShellWord& word, bool quoted) {
    if (!descend()) return;
    std::string name;
    if (peek() == '#' || peek() == '!') {
      name = "";
    } else if (is_name_start(peek())) {
      while (is_name(peek()))
        name += take();
    } else {
      while (is_digit(peek()))
        name += take();
      if (name.empty() && (peek() == '@' || peek() == '*')) name += take();
    }
    const bool colon = peek() == ':' && (peek(1) == '-' || peek(1) == '=');
    if (colon) take();
    const bool has_fallback = peek() == '-' || peek() == '=';
    if (has_fallback) take();
    const ShellWord rest = this->word('}');
    --depth_;
    if (at_end()) return give_up();
    take();
    if (!name.empty() && has_fallback) {
      word.parts.push_back({ShellPart::Kind::kVariable, std::move(name), rest.literal(), quoted});
    } else if (!name.empty() && rest.parts.empty()) {
      word.parts.push_back({ShellPart::Kind::kVariable, std::move(name), std::nullopt, quoted});
    } else {
      opaque(word, quoted);
    }
  }

  void backquotes(ShellWord& word, bool quoted) {
    const std::size_t line = line_;
    take();
    std::string inner;
    while (!at_end() && peek() != '`') {
      char c = take();
      if (c == '\\' && (peek() == '`' || peek() == '$' || peek() == '\\')) c = take();
      inner += c;
    }
    if (at_end()) return give_up();
    take();
    opaque(word, quoted);
    if (!descend()) return;
    Parser(inner, line, depth_, limits_, out_).run();
    --depth_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_;
  std::size_t depth_;
  const ShellLimits& limits_;
  Output& out_;
  std::vector<HereDocument> here_;
};

}  // namespace

ShellScript parse_shell(std::string_view text, const ShellLimits& limits) {
  Output out;
  if (text.size() > limits.max_bytes) {
    text = text.substr(0, limits.max_bytes);
    out.script.complete = false;
  }
  Parser(text, 1, 0, limits, out).run();
  out.script.functions.assign(out.functions.begin(), out.functions.end());
  return std::move(out.script);
}

}  // namespace imgslim
