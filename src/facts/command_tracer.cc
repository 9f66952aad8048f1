// SPDX-License-Identifier: Apache-2.0
// From a command's words to files: PATH, links, wrappers, shebangs, shell text. Recursion is bounded by depth
// and by how often one script is read; every branch of a script counts.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/facts/command_state.h"

namespace imgslim {
namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t kMaxSteps = 256;  // of one root
constexpr std::size_t kMaxFindings = 1000;

}  // namespace

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> folders;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view folder = colon == 0 || text.empty() ? "." : text.substr(0, colon);
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.emplace_back(folder);
    if (colon == std::string_view::npos || folders.size() >= kMaxPathFolders) return folders;
    text.remove_prefix(colon + 1);
  }
}

bool CommandTracer::State::is_executable(const std::string& path) const {
  const auto resolved = resolve_path(files, path);
  if (!resolved) return false;
  const auto status = files.status(*resolved);
  return status && status->kind == FileKind::kRegular && (status->mode & 0111) != 0;
}

std::optional<std::string> CommandTracer::State::look_up(std::string_view word,
                                                         const CommandEnvironment& env) const {
  if (word.empty() || word == kUnknown || word.size() > 4096) return std::nullopt;
  const std::string key(word);
  const auto known = env.found.find(key);
  if (known != env.found.end()) return known->second;
  std::optional<std::string> result;
  if (is_directory_text(word)) {
    for (const std::string& folder : env.folders) {
      const std::string path = join_path(folder, word);
      if (!result && is_executable(path)) result = path;
    }
  } else if (word != "." && word != "..") {
    for (const std::string& folder : env.path) {
      const std::string path = join_path(join_path(env.folders.front(), folder), word);
      if (is_executable(path)) {
        result = path;
        break;
      }
    }
  }
  env.found.emplace(key, result);
  return result;
}

void CommandTracer::State::say(RootFinding::Kind kind, const Call& call, std::string text) {
  if (call.quiet || findings.size() >= kMaxFindings) return;
  if (!said.emplace(call.root, text).second) return;
  findings.push_back({kind, std::move(text), call.root});
}

void CommandTracer::State::step(const Call& call, Step::Kind kind, const std::vector<std::string>& argv,
                                std::string path) {
  auto& steps = roots[call.root].steps;
  if (steps.size() >= kMaxSteps) return;
  Step result{kind, argv, std::move(path), call.evidence};
  for (std::string& word : result.argv) {
    if (word == kUnknown) word = "?";
  }
  steps.push_back(std::move(result));
}

void CommandTracer::State::add(const std::string& path, ReachedFile::Kind kind, const std::string& why,
                               const Call& call) {
  const auto [entry, is_new] =
      reached.try_emplace(path, ReachedFile{path, kind, why, call.evidence, call.root});
  if (!is_new && call.evidence < entry->second.evidence) {
    entry->second = {path, kind, why, call.evidence, call.root};
  }
}

std::optional<std::string> CommandTracer::State::reach(const std::string& path, ReachedFile::Kind kind,
                                                       const std::string& why, const Call& call) {
  std::vector<std::string> links;
  const auto resolved = resolve_path(files, path, true, &links);
  if (!resolved) return std::nullopt;
  for (const std::string& link : links) {
    add(link, ReachedFile::Kind::kLink, "link on the way to " + printable(*resolved), call);
  }
  add(*resolved, kind, why, call);
  return resolved;
}

CommandTracer::CommandTracer(const FileSystem& files, const std::vector<std::string>& env,
                             std::string working_dir)
    : state_(std::make_unique<State>(files)) {
  CommandEnvironment& environment = state_->environment;
  environment.path = split_path(kDefaultPath);
  environment.folders = {join_path("/", working_dir)};
  for (const std::string& assignment : env)
    environment.set(assignment);
}
CommandTracer::~CommandTracer() = default;

std::uint32_t CommandTracer::trace(const Command& command) {
  State& state = *state_;
  const auto index = static_cast<std::uint32_t>(state.roots.size());
  state.roots.push_back({command, {}, "", false});
  CommandEnvironment env = state.environment;
  if (!command.working_dir.empty()) env.folders = {join_path(env.folders.front(), command.working_dir)};
  for (const std::string& assignment : command.env)
    env.set(assignment);
  env.found.clear();
  State::Call call;
  call.root = index;
  call.quiet = command.assumed;
  call.why = printable(command.origin);
  state.roots[index].starts_nothing =
      state.follow(command.argv, env, call, Step::Kind::kProgram) == CommandOutcome::kStartsNothing;
  return index;
}

void CommandTracer::trace_file(std::string_view path, Evidence evidence, std::uint32_t root) {
  State::Call call;
  call.root = root;
  call.evidence = evidence;
  call.main = false;
  call.why = printable(path);
  state_->trace_file(std::string(path), state_->environment, call);
}

std::optional<std::string> CommandTracer::look_up(std::string_view word) const {
  return state_->look_up(word, state_->environment);
}

Roots CommandTracer::result() const {
  Roots roots;
  roots.roots = state_->roots;
  for (const auto& [path, file] : state_->reached)
    roots.files.push_back(file);
  roots.findings = state_->findings;
  std::stable_sort(roots.findings.begin(), roots.findings.end(),
                   [](const RootFinding& a, const RootFinding& b) { return a.root < b.root; });
  return roots;
}

}  // namespace imgslim
