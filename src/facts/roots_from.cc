// SPDX-License-Identifier: Apache-2.0
#include "src/facts/roots_from.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>

#include "layers/error.h"
#include "src/facts/shell_words.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxFileBytes = 16u << 20;
constexpr int kMaxListDepth = 4;

// A child, through YAML merge keys ("<<") as well; an undefined node if there is none.
YAML::Node child(const YAML::Node& node, const char* key, int depth = 0) {
  if (!node.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  const YAML::Node found = node[key];
  if (found.IsDefined()) return found;
  const YAML::Node merged = node["<<"];
  if (!merged.IsDefined() || depth > 8) return YAML::Node(YAML::NodeType::Undefined);
  if (merged.IsMap()) return child(merged, key, depth + 1);
  if (merged.IsSequence()) {
    for (const YAML::Node& part : merged) {
      const YAML::Node inner = child(part, key, depth + 1);
      if (inner.IsDefined()) return inner;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

bool is_there(const YAML::Node& node) {
  return node.IsDefined() && !node.IsNull();
}

// registry/name without tag and digest; Docker's short names in full.
std::string repository_of(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const std::size_t colon = image.rfind(':');
  if (colon != std::string_view::npos && image.find('/', colon) == std::string_view::npos)
    image = image.substr(0, colon);
  for (const std::string_view prefix : {"docker.io/", "index.docker.io/"}) {
    if (image.starts_with(prefix)) image.remove_prefix(prefix.size());
  }
  if (image.starts_with("library/")) image.remove_prefix(8);
  return std::string(image);
}

class Reader {
 public:
  Reader(std::string_view name, const ImageConfig& config, std::string_view image)
      : name_(name), config_(config), repository_(repository_of(image)) {}

  void document(const YAML::Node& node, int depth = 0) {
    if (!node.IsMap()) return;
    const YAML::Node kind = child(node, "kind");
    if (is_there(kind) && is_there(child(node, "apiVersion"))) {
      const YAML::Node items = child(node, "items");
      if (is_there(items) && items.IsSequence() && depth < kMaxListDepth) {
        for (const YAML::Node& item : items)
          document(item, depth + 1);
        return;
      }
      kubernetes(node, text(kind, "kind"));
    } else if (is_there(child(node, "services"))) {
      compose(child(node, "services"));
    }
  }

  std::vector<Command> commands;

 private:
  [[noreturn]] void fail(const YAML::Node& node, std::string_view what) const {
    throw_usage(fmt::format("{}: line {}: {}", name_, node.Mark().line + 1, what));
  }
  std::string text(const YAML::Node& node, std::string_view what) const {
    if (!node.IsScalar()) fail(node, fmt::format("{} is not a text", what));
    return node.Scalar();
  }
  std::vector<std::string> list(const YAML::Node& node, std::string_view what) const {
    std::vector<std::string> words;
    if (!is_there(node)) return words;
    if (!node.IsSequence()) fail(node, fmt::format("{} is not a list", what));
    for (const YAML::Node& word : node)
      words.push_back(text(word, what));
    return words;
  }
  bool is_ours(const YAML::Node& container) const {
    const YAML::Node image = child(container, "image");
    return repository_.empty() || !is_there(image) || repository_of(text(image, "image")) == repository_;
  }

  // --- Kubernetes ---

  // A pod's specification stands in the object itself, in its template, or in its job's template.
  void kubernetes(const YAML::Node& object, const std::string& kind) {
    const YAML::Node metadata = child(object, "metadata");
    const YAML::Node name =
        is_there(metadata) ? child(metadata, "name") : YAML::Node(YAML::NodeType::Undefined);
    const std::string where =
        is_there(name) ? fmt::format("{}: {} {}", name_, printable(kind), printable(text(name, "name")))
                       : fmt::format("{}: {}", name_, printable(kind));
    YAML::Node spec = child(object, "spec");
    if (kind == "PodTemplate") spec.reset(child(child_of(object, "template"), "spec"));
    if (!is_there(spec) || !spec.IsMap()) return;
    YAML::Node job = child(child_of(spec, "jobTemplate"), "spec");
    if (is_there(job)) spec.reset(job);
    const YAML::Node pod = child(child_of(spec, "template"), "spec");
    if (is_there(pod)) spec.reset(pod);
    if (!is_there(child(spec, "containers"))) return;
    for (const char* group : {"initContainers", "containers", "ephemeralContainers"}) {
      const YAML::Node containers = child(spec, group);
      if (!is_there(containers)) continue;
      if (!containers.IsSequence()) fail(containers, fmt::format("{} is not a list", group));
      for (const YAML::Node& container : containers) {
        if (!container.IsMap()) fail(container, "a container is not a map");
        if (is_ours(container)) kubernetes_container(container, where);
      }
    }
  }

  static YAML::Node child_of(const YAML::Node& node, const char* key) {
    const YAML::Node found = child(node, key);
    return is_there(found) && found.IsMap() ? found : YAML::Node(YAML::NodeType::Map);
  }

  void kubernetes_container(const YAML::Node& container, const std::string& object) {
    const YAML::Node name = child(container, "name");
    const std::string where =
        is_there(name) ? fmt::format("{}, container {}", object, printable(text(name, "name"))) : object;
    Command base;
    if (const YAML::Node folder = child(container, "workingDir"); is_there(folder)) {
      base.working_dir = text(folder, "workingDir");
    }
    if (const YAML::Node env = child(container, "env"); is_there(env)) {
      if (!env.IsSequence()) fail(env, "env is not a list");
      for (const YAML::Node& item : env) {
        const YAML::Node key = child(item, "name");
        const YAML::Node value = child(item, "value");
        if (is_there(key) && is_there(value)) {
          base.env.push_back(text(key, "name") + "=" + dependent(text(value, "value"), base.env));
        }
      }
    }
    // command is in place of ENTRYPOINT and CMD, args of CMD.
    const std::vector<std::string> command = list(child(container, "command"), "command");
    const std::vector<std::string> args = list(child(container, "args"), "args");
    if (!command.empty() || !args.empty()) {
      Command main = base;
      main.origin = where;
      main.argv = command.empty() ? config_.entrypoint : command;
      main.argv.insert(main.argv.end(), args.begin(), args.end());
      for (std::string& word : main.argv)
        word = dependent(word, base.env);
      commands.push_back(std::move(main));
    } else if (!base.env.empty() || !base.working_dir.empty()) {
      Command main = base;  // the image's own command in another environment
      main.origin = where;
      main.argv = config_.entrypoint;
      main.argv.insert(main.argv.end(), config_.cmd.begin(), config_.cmd.end());
      if (!main.argv.empty()) commands.push_back(std::move(main));
    }
    for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
      add_exec(child_of(container, probe), base, fmt::format("{}, {}", where, probe));
    }
    const YAML::Node lifecycle = child_of(container, "lifecycle");
    for (const char* hook : {"postStart", "preStop"}) {
      add_exec(child_of(lifecycle, hook), base, fmt::format("{}, {}", where, hook));
    }
  }

  void add_exec(const YAML::Node& handler, const Command& base, std::string origin) {
    Command command = base;
    command.argv = list(child(child_of(handler, "exec"), "command"), "exec.command");
    command.origin = std::move(origin);
    command.application = false;
    if (!command.argv.empty()) commands.push_back(std::move(command));
  }

  // "$(NAME)" by the container's variables, then the image's; "$$(NAME)" is "$(NAME)".
  std::string dependent(std::string_view word, const std::vector<std::string>& env) const {
    std::string result;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (word.compare(i, 3, "$$(") == 0) {
        result += '$';
        ++i;
        continue;
      }
      const std::size_t end = word.compare(i, 2, "$(") == 0 ? word.find(')', i) : std::string_view::npos;
      const auto value =
          end == std::string_view::npos ? std::nullopt : variable(word.substr(i + 2, end - i - 2), env);
      if (value) {
        result += *value;
        i = end;
      } else {
        result += word[i];
      }
    }
    return result;
  }
  std::optional<std::string> variable(std::string_view name, const std::vector<std::string>& env) const {
    for (const auto* list : {&env, &config_.env}) {
      for (auto item = list->rbegin(); item != list->rend(); ++item) {
        if (item->starts_with(name) && item->size() > name.size() && (*item)[name.size()] == '=') {
          return item->substr(name.size() + 1);
        }
      }
    }
    return std::nullopt;
  }

  // --- Compose ---

  void compose(const YAML::Node& services) {
    if (!services.IsMap()) fail(services, "services is not a map");
    for (const auto& item : services) {
      const std::string key = text(item.first, "the name of a service");
      if (!item.second.IsMap()) fail(item.second, fmt::format("service {} is not a map", printable(key)));
      if (is_ours(item.second))
        compose_service(item.second, fmt::format("{}: service {}", name_, printable(key)));
    }
  }

  void compose_service(const YAML::Node& service, const std::string& where) {
    Command base;
    if (const YAML::Node folder = child(service, "working_dir"); is_there(folder)) {
      base.working_dir = text(folder, "working_dir");
    }
    compose_environment(child(service, "environment"), base.env);
    const YAML::Node entrypoint = child(service, "entrypoint");
    const YAML::Node command = child(service, "command");
    if (is_there(entrypoint) || is_there(command) || !base.env.empty() || !base.working_dir.empty()) {
      Command main = base;
      main.origin = where;
      // An entrypoint of the file's own takes the image's CMD away.
      main.argv = is_there(entrypoint) ? words(entrypoint, "entrypoint") : config_.entrypoint;
      const std::vector<std::string> rest = is_there(command)      ? words(command, "command")
                                            : is_there(entrypoint) ? std::vector<std::string>{}
                                                                   : config_.cmd;
      main.argv.insert(main.argv.end(), rest.begin(), rest.end());
      if (!main.argv.empty()) commands.push_back(std::move(main));
    }
    const YAML::Node test = child(child_of(service, "healthcheck"), "test");
    if (is_there(test)) {
      Command check = base;
      check.origin = where + ", healthcheck";
      check.application = false;
      if (test.IsScalar()) {
        check.argv = shell(interpolated(test.Scalar()));
      } else {
        const std::vector<std::string> list = words(test, "healthcheck.test");
        if (list.size() >= 2 && list[0] == "CMD") check.argv.assign(list.begin() + 1, list.end());
        if (list.size() >= 2 && list[0] == "CMD-SHELL") check.argv = shell(list[1]);
      }
      if (!check.argv.empty()) commands.push_back(std::move(check));
    }
    for (const char* hook : {"post_start", "pre_stop"}) {
      const YAML::Node hooks = child(service, hook);
      if (!is_there(hooks) || !hooks.IsSequence()) continue;
      for (const YAML::Node& item : hooks) {
        const YAML::Node started = child(item, "command");
        if (!is_there(started)) continue;
        Command command_of_hook = base;
        command_of_hook.origin = fmt::format("{}, {}", where, hook);
        command_of_hook.application = false;
        command_of_hook.argv = words(started, hook);
        if (!command_of_hook.argv.empty()) commands.push_back(std::move(command_of_hook));
      }
    }
  }

  std::vector<std::string> shell(const std::string& text) const {
    std::vector<std::string> argv =
        config_.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : config_.shell;
    argv.push_back(text);
    return argv;
  }

  void compose_environment(const YAML::Node& environment, std::vector<std::string>& env) const {
    if (!is_there(environment)) return;
    if (environment.IsSequence()) {
      for (const std::string& item : list(environment, "environment")) {
        if (item.find('=') != std::string::npos) env.push_back(interpolated(item));
      }
    } else if (environment.IsMap()) {
      for (const auto& item : environment) {
        if (item.second.IsScalar()) {
          env.push_back(text(item.first, "environment") + "=" + interpolated(item.second.Scalar()));
        }
      }
    } else {
      fail(environment, "environment is neither a list nor a map");
    }
  }

  // A text is split as a shell would, but no shell runs it.
  std::vector<std::string> words(const YAML::Node& node, std::string_view what) const {
    if (!node.IsScalar()) {
      std::vector<std::string> result = list(node, what);
      for (std::string& word : result)
        word = interpolated(word);
      return result;
    }
    const std::string line = interpolated(node.Scalar());
    try {
      if (const auto split = split_words(line)) return *split;
    } catch (const Error& error) {
      fail(node, fmt::format("{}: {}", what, error.what()));
    }
    // Operators and the like are ordinary words here.
    std::string escaped;
    for (const char c : line) {
      if (std::string_view("$`;&|<>()*?~#=").find(c) != std::string_view::npos) escaped += '\\';
      escaped += c;
    }
    return split_words(escaped).value_or(std::vector<std::string>{line});
  }

  // Compose's own variables: "${NAME:-text}" is the text, "$$" a dollar; others are not known here.
  static std::string interpolated(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.compare(i, 2, "$$") == 0) {
        result += text[i++];
        continue;
      }
      const std::size_t end = text.compare(i, 2, "${") == 0 ? text.find('}', i) : std::string_view::npos;
      if (end != std::string_view::npos) {
        const std::string_view inner = text.substr(i + 2, end - i - 2);
        const std::size_t dash = inner.find('-');
        if (dash != std::string_view::npos) {
          result += inner.substr(dash + 1);
          i = end;
          continue;
        }
      }
      result += text[i];
    }
    return result;
  }

  std::string name_;
  const ImageConfig& config_;
  std::string repository_;
};

}  // namespace

std::vector<Command> commands_from_deployment(std::string_view text, std::string_view name,
                                              const ImageConfig& config, std::string_view image) {
  const std::string shown = printable(name);
  Reader reader(shown, config, image);
  try {
    for (const YAML::Node& document : YAML::LoadAll(std::string(text)))
      reader.document(document);
  } catch (const YAML::Exception& error) {
    throw_usage(fmt::format("{}: line {}: {}", shown, error.mark.line + 1, printable(error.msg)));
  }
  return std::move(reader.commands);
}

std::vector<Command> commands_from_deployment_file(const std::string& path, const ImageConfig& config,
                                                   std::string_view image) {
  // Not a blob: links and pipes ("/dev/stdin") are as good as files here.
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_io("cannot open " + printable(path), errno);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw_io("cannot read " + printable(path), errno);
  if (text.size() > kMaxFileBytes) throw_usage(printable(path) + " is larger than 16 MiB");
  return commands_from_deployment(text, path, config, image);
}

}  // namespace imgslim
