// SPDX-License-Identifier: Apache-2.0
#include "src/hook/git.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <istream>
#include <sstream>

#include "layers/error.h"

extern char** environ;

namespace imgslim {
namespace {

constexpr std::size_t kMaxOutput = std::size_t{1} << 20;
constexpr std::size_t kMaxRefs = 10000;

bool is_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<unsigned long> count_between(const std::string& from, const std::string& to) {
  const auto text = git_output({"rev-list", "--count", from + ".." + to, "--"});
  if (!text || text->empty() || text->size() > 9 ||
      text->find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoul(*text);
}

}  // namespace

std::optional<std::string> git_output(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_io("cannot make a pipe", errno);
  std::vector<std::string> words{"git"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "git", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    throw_io("cannot start git", failed);
  }
  std::string output;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = read(ends[0], buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0 && output.size() < kMaxOutput) output.append(buffer, static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  while (output.ends_with('\n'))
    output.pop_back();
  return output;
}

std::vector<PushedRef> read_pushed_refs(std::istream& in) {
  std::vector<PushedRef> refs;
  std::string line;
  while (refs.size() < kMaxRefs && std::getline(in, line)) {
    std::istringstream words(line);
    PushedRef ref;
    std::string more;
    if (!(words >> ref.local_ref >> ref.local_id >> ref.remote_ref >> ref.remote_id) || words >> more)
      continue;
    if (is_id(ref.local_id) && is_id(ref.remote_id)) refs.push_back(std::move(ref));
  }
  return refs;
}

std::vector<std::string> pushed_commits(const std::vector<PushedRef>& refs) {
  std::vector<std::string> commits;
  for (const PushedRef& ref : refs) {
    if (ref.is_deletion()) continue;
    const auto commit = git_output({"rev-parse", "--verify", "--quiet", ref.local_id + "^{commit}"});
    // A tag of something that is no commit.
    if (!commit) continue;
    if (std::find(commits.begin(), commits.end(), *commit) == commits.end()) commits.push_back(*commit);
  }
  return commits;
}

std::string distance_text(const std::string& revision, const std::string& commit) {
  if (revision == commit) return "";
  // What a label says is no option and no expression.
  const bool plain = revision.size() >= 7 && revision.size() <= 64 &&
                     revision.find_first_not_of("0123456789abcdef") == std::string::npos;
  const auto known =
      plain ? git_output({"rev-parse", "--verify", "--quiet", revision + "^{commit}"}) : std::nullopt;
  if (!known) return "of a commit that is not in this repository";
  if (*known == commit) return "";
  const auto behind = count_between(*known, commit);
  const auto ahead = count_between(commit, *known);
  if (!behind || !ahead) return "of another commit";
  const auto commits = [](unsigned long count) {
    return fmt::format("{} commit{}", count, count == 1 ? "" : "s");
  };
  if (*ahead == 0) return commits(*behind) + " behind";
  if (*behind == 0) return commits(*ahead) + " ahead";
  return fmt::format("{} behind and {} ahead", commits(*behind), commits(*ahead));
}

}  // namespace imgslim
