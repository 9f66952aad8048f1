// SPDX-License-Identifier: Apache-2.0
#include "src/hook/hook_script.h"

#include <fmt/format.h>

#include <algorithm>

namespace imgslim {
namespace {

constexpr std::string_view kShell = "#!/bin/sh\n";
constexpr std::string_view kBegin = "# >>> imgslim hook >>>\n";
constexpr std::string_view kEnd = "# <<< imgslim hook <<<\n";
// Stands in a part that carries a hook which is no shell script.
constexpr std::string_view kCarries = "# The earlier hook follows as it was.\n";

constexpr std::string_view kCheck =
    R"(# Made by 'imgslim hook install'; 'imgslim hook uninstall' takes it out again.
imgslim_lines=$(cat)
imgslim_program=$(command -v imgslim || command -v {})
if [ -n "$imgslim_program" ]; then
    printf '%s\n' "$imgslim_lines" | "$imgslim_program" hook run "$@" || exit $?
else
    echo 'imgslim: warning: imgslim is not installed, budgets of images were not checked' >&2
fi
)";

// The script's own lines read what git gave.
constexpr std::string_view kGoOn = R"(if [ -n "$imgslim_lines" ]; then
    exec << IMGSLIM_LINES
$imgslim_lines
IMGSLIM_LINES
else
    exec < /dev/null
fi
)";

constexpr std::string_view kStartCarried = R"(imgslim_earlier=$(mktemp) || exit 1
trap 'rm -f "$imgslim_earlier"' EXIT
sed '1,/^# <<< imgslim hook <<<$/d' "$0" > "$imgslim_earlier" && chmod 700 "$imgslim_earlier" || exit 1
if [ -n "$imgslim_lines" ]; then
    printf '%s\n' "$imgslim_lines" | "$imgslim_earlier" "$@"
else
    "$imgslim_earlier" "$@" < /dev/null
fi
exit $?
)";

std::string quoted(std::string_view word) {
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
}

// Whether a script is run by a shell that reads what POSIX says.
bool is_shell(std::string_view text) {
  if (text.empty() || !text.starts_with("#!")) return false;
  std::string_view line = first_line(text);
  if (!line.ends_with('\n')) return false;
  line.remove_suffix(1);
  // The word that names the shell: the last part of a path, or what env is given.
  while (!line.empty()) {
    line.remove_prefix(std::min(line.find_first_not_of("#! \t"), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
    line.remove_prefix(word.size());
    const std::string_view name = word.substr(word.rfind('/') + 1);
    if (name == "env" || name.starts_with('-')) continue;
    return name == "sh" || name == "bash" || name == "dash" || name == "ksh" || name == "zsh" ||
           name == "ash";
  }
  return false;
}

}  // namespace

std::string with_hook(const std::optional<std::string>& earlier, std::string_view program) {
  std::string rest;
  if (earlier) {
    bool present = false;
    rest = without_hook(*earlier, present).value_or("");
  }
  std::string part = std::string(kBegin);
  part += fmt::format(fmt::runtime(kCheck), quoted(program));
  if (rest.empty()) return std::string(kShell) + part + std::string(kEnd);
  if (is_shell(rest)) {
    const std::string_view shebang = first_line(rest);
    return std::string(shebang) + part + std::string(kGoOn) + std::string(kEnd) + rest.substr(shebang.size());
  }
  return std::string(kShell) + part + std::string(kStartCarried) + std::string(kCarries) + std::string(kEnd) +
         rest;
}

std::optional<std::string> without_hook(const std::string& text, bool& present) {
  const std::size_t begin = text.find(kBegin);
  const std::size_t end = begin == std::string::npos ? begin : text.find(kEnd, begin);
  present = end != std::string::npos;
  if (!present) return text;
  const std::string_view part = std::string_view(text).substr(begin, end - begin);
  std::string rest = text.substr(end + kEnd.size());
  if (part.ends_with(kCarries)) return rest;
  rest.insert(0, text, 0, begin);
  if (rest == kShell) return std::nullopt;
  return rest;
}

}  // namespace imgslim
