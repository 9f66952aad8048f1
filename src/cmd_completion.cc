// SPDX-License-Identifier: Apache-2.0
// Completion scripts, made from the command table itself so that they never differ from it.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/command.h"
#include "src/facts/loader.h"

namespace imgslim {
namespace {

constexpr const char* kCacheActions = "report verify";
constexpr const char* kTransports = "oci: oci-archive: docker-archive: docker:// docker-daemon:";

struct Flag {
  std::vector<std::string> longs;
  std::vector<std::string> shorts;
  std::string description;
  std::vector<std::string> choices;
  bool takes_value = false;
};

struct CommandFlags {
  std::string name;
  std::string summary;
  std::vector<Flag> flags;
};

std::vector<std::string> choices_of(const std::string& command, const std::string& option) {
  if (option == "form") return {"auto", "lossless", "tidy", "distroless"};
  if (option == "min-form") return {"lossless", "tidy", "distroless"};
  if (option == "compression") return {"gzip", "zstd"};
  if (option == "debug-info") return {"keep", "split", "drop", "split,symbols", "drop,symbols"};
  if (option == "format") {
    for (const CommandRow& row : commands()) {
      if (row.name == command) return formats_of(row);
    }
  }
  if (option == "cpu") {
    std::vector<std::string> names{"baseline"};
    for (const std::string_view name : cpu_names())
      names.emplace_back(name);
    return names;
  }
  return {};
}

std::vector<CommandFlags> flags_of(const CLI::App& command) {
  std::vector<CommandFlags> all;
  for (const CLI::App* sub : command.get_parent()->get_subcommands([](const CLI::App*) { return true; })) {
    CommandFlags item{sub->get_name(), sub->get_description(), {}};
    for (const CLI::Option* option : sub->get_options()) {
      if (option->nonpositional() == false) continue;
      Flag flag;
      flag.longs = option->get_lnames();
      flag.shorts = option->get_snames();
      flag.description = option->get_description();
      flag.takes_value = option->get_type_size() != 0;
      if (!flag.longs.empty()) flag.choices = choices_of(item.name, flag.longs[0]);
      item.flags.push_back(std::move(flag));
    }
    all.push_back(std::move(item));
  }
  return all;
}

std::string words(const CommandFlags& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    for (const std::string& name : flag.longs)
      text += "--" + name + " ";
    for (const std::string& name : flag.shorts)
      text += "-" + name + " ";
  }
  return text;
}

std::string names_of(const std::vector<CommandFlags>& all) {
  std::string text;
  for (const CommandFlags& command : all)
    text += command.name + " ";
  return text;
}

// What may stand where no flag does, besides files.
std::string positional_words(const std::string& command) {
  if (command == "completion") return "bash zsh fish";
  if (command == "cache") return std::string(kCacheActions) + " " + kTransports;
  return kTransports;
}

std::string bash(const std::vector<CommandFlags>& all) {
  std::string out = "# bash completion for imgslim\n_imgslim() {\n  local cur prev command i\n";
  out += "  cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=\n";
  out += "  for ((i = 1; i < COMP_CWORD; i++)); do\n";
  out += "    case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n  done\n";
  out += "  case $prev in\n";
  // A flag of several commands completes to what any of them takes.
  std::map<std::string, std::vector<std::string>> choices;
  for (const CommandFlags& command : all) {
    for (const Flag& flag : command.flags) {
      for (const std::string& choice : flag.choices) {
        std::vector<std::string>& known = choices[flag.longs[0]];
        if (std::find(known.begin(), known.end(), choice) == known.end()) known.push_back(choice);
      }
    }
  }
  for (const auto& [flag, words_of_flag] : choices) {
    out += fmt::format("    --{}) COMPREPLY=($(compgen -W '{}' -- \"$cur\")); return ;;\n", flag,
                       fmt::join(words_of_flag, " "));
  }
  out += "  esac\n  case $command in\n";
  for (const CommandFlags& command : all) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -W '{}{}' -- \"$cur\") $(compgen -f -- \"$cur\")) ;;\n",
                       command.name, words(command), positional_words(command.name));
  }
  out += fmt::format("    *) COMPREPLY=($(compgen -W '{}--help --version' -- \"$cur\")) ;;\n", names_of(all));
  out += "  esac\n}\ncomplete -o nospace -o bashdefault -F _imgslim imgslim\n";
  return out;
}

std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh(const std::vector<CommandFlags>& all) {
  std::string out = "#compdef imgslim\n_imgslim() {\n  local -a commands\n  commands=(\n";
  for (const CommandFlags& command : all)
    out += fmt::format("    '{}:{}'\n", command.name, quoted(command.summary));
  out +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n  case "
      "$words[2] in\n";
  for (const CommandFlags& command : all) {
    out += fmt::format("    {})\n      _arguments -s \\\n", command.name);
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.longs) {
        const std::string value = !flag.takes_value ? ""
                                  : flag.choices.empty()
                                      ? ":value:_files"
                                      : fmt::format(":value:({})", fmt::join(flag.choices, " "));
        out += fmt::format("        '*--{}[{}]{}' \\\n", name, quoted(flag.description), value);
      }
    }
    if (command.name == "completion") {
      out += "        '1:command:' '2:shell:(bash zsh fish)' ;;\n";
    } else if (command.name == "cache") {
      out += fmt::format("        '1:command:' '2:action:({})' '*:image:_files' ;;\n", kCacheActions);
    } else {
      out += "        '*:image:_files' ;;\n";
    }
  }
  out += "  esac\n}\n_imgslim \"$@\"\n";
  return out;
}

std::string fish(const std::vector<CommandFlags>& all) {
  std::string out = "# fish completion for imgslim\n";
  for (const CommandFlags& command : all) {
    out += fmt::format("complete -c imgslim -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                       command.summary);
    for (const Flag& flag : command.flags) {
      std::string line = fmt::format("complete -c imgslim -n '__fish_seen_subcommand_from {}'", command.name);
      for (const std::string& name : flag.longs)
        line += " -l " + name;
      for (const std::string& name : flag.shorts)
        line += " -s " + name;
      if (flag.takes_value) line += " -r";
      if (!flag.choices.empty()) line += fmt::format(" -f -a '{}'", fmt::join(flag.choices, " "));
      out += line + fmt::format(" -d '{}'\n", flag.description);
    }
  }
  out += fmt::format("complete -c imgslim -n '__fish_seen_subcommand_from cache' -a '{}'\n", kCacheActions);
  out += "complete -c imgslim -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
  return out;
}

}  // namespace

Run set_up_completion(CLI::App& app, const CommonOptions&) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  const CLI::App* self = &app;
  return [shell, self] {
    const std::vector<CommandFlags> all = flags_of(*self);
    fmt::print("{}", *shell == "bash" ? bash(all) : *shell == "zsh" ? zsh(all) : fish(all));
    return 0;
  };
}

}  // namespace imgslim
