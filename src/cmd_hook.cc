// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

#include "layers/error.h"
#include "src/command.h"
#include "src/hook/hook_run.h"
#include "src/hook/hook_script.h"
#include "src/packaged.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string action;
  std::string remote;
  std::string url;
};

constexpr int kStopped = static_cast<int>(Failure::kPolicy);

void say(const std::string& line) {
  fmt::print(stderr, "imgslim: {}\n", line);
}

// Where git looks for the hook, core.hooksPath included.
std::string hook_path() {
  const auto path = git_output({"rev-parse", "--git-path", "hooks/pre-push"});
  if (!path) throw_usage("this is no git repository");
  return *path;
}

// The file's bytes, nothing if there is none. Throws Error{kUsage} for what is better left alone.
std::optional<std::string> read_hook(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throw_io("cannot read " + path, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    throw_usage(
        fmt::format("{} is no regular file; let what it leads to run 'imgslim hook run \"$@\"'", path));
  }
  if ((status.st_mode & 0100) == 0)
    throw_usage(
        fmt::format("{} cannot be executed, so git does not run it; remove it or set its mode", path));
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_io("cannot read " + path, errno);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void write_hook(const std::string& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  write_file(path, text);
  if (chmod(path.c_str(), 0755) != 0) throw_io("cannot set the mode of " + path, errno);
}

int install() {
  const std::string path = hook_path();
  const std::optional<std::string> earlier = read_hook(path);
  const std::string program = own_program();
  const std::string text = with_hook(earlier, program.empty() ? "imgslim" : program);
  if (earlier == text) {
    fmt::print("{} has it already\n", path);
    return 0;
  }
  write_hook(path, text);
  bool present = false;
  if (earlier) without_hook(*earlier, present);
  fmt::print("{} {}\n", path,
             !earlier  ? "written"
             : present ? "renewed"
                       : "written; the hook that was there runs after it");
  return 0;
}

int uninstall() {
  const std::string path = hook_path();
  const std::optional<std::string> text = read_hook(path);
  bool present = false;
  std::optional<std::string> rest;
  if (text) rest = without_hook(*text, present);
  if (!present) {
    fmt::print("{} has nothing of imgslim\n", path);
    return 0;
  }
  if (rest) {
    write_hook(path, *rest);
    fmt::print("{} is as it was before\n", path);
  } else {
    if (unlink(path.c_str()) != 0) throw_io("cannot remove " + path, errno);
    fmt::print("{} removed\n", path);
  }
  return 0;
}

// Ends the process when the time is over: the audit cannot be interrupted elsewhere.
class Watchdog {
 public:
  Watchdog(std::chrono::seconds limit, bool required) {
    thread_ = std::jthread([this, limit, required](const std::stop_token& stop) {
      std::unique_lock lock(mutex_);
      if (over_.wait_for(lock, stop, limit, [] { return false; }) || stop.stop_requested()) return;
      say(fmt::format(
          "warning: images were not checked, {} s were not enough (hook: timeout in imgslim.yaml)",
          limit.count()));
      std::fflush(stderr);
      _exit(required ? kStopped : 0);
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any over_;
  std::jthread thread_;
};

std::vector<std::string> commits_of_push(bool& any) {
  any = true;
  if (const char* to = std::getenv("PRE_COMMIT_TO_REF"); to != nullptr && *to != '\0') {
    const auto commit = git_output({"rev-parse", "--verify", "--quiet", std::string(to) + "^{commit}"});
    return commit ? std::vector<std::string>{*commit} : std::vector<std::string>{};
  }
  if (std::getenv("PRE_COMMIT") == nullptr && isatty(STDIN_FILENO) == 0) {
    const std::vector<PushedRef> refs = read_pushed_refs(std::cin);
    any = std::any_of(refs.begin(), refs.end(), [](const PushedRef& ref) { return !ref.is_deletion(); });
    return pushed_commits(refs);
  }
  // By hand, or by pre-commit without refs.
  const auto head = git_output({"rev-parse", "--verify", "--quiet", "HEAD^{commit}"});
  return head ? std::vector<std::string>{*head} : std::vector<std::string>{};
}

int run(const CommonOptions& common) {
  bool any = false;
  HookInput input;
  input.commits = commits_of_push(any);
  if (!any) return 0;
  input.settings = find_settings(".");
  input.threads = common.thread_count();
  input.verbose = common.verbose;
  const HookSettings& hook = input.settings.hook;
  if (hook.images.empty()) {
    if (!common.quiet) say("warning: no images were checked; imgslim.yaml names none (hook: images)");
    return hook.require_image ? kStopped : 0;
  }
  // Names of images are relative to the settings, as everything in them is.
  const std::string directory = input.settings.file.substr(0, input.settings.file.rfind('/') + 1);
  if (!directory.empty() && chdir(directory.c_str()) != 0) throw_io("cannot enter " + directory, errno);
  HookResult result;
  {
    const Watchdog watchdog(std::chrono::seconds(hook.timeout_seconds), hook.require_image);
    result = run_hook(input);
  }
  for (const std::string& line : result.notes)
    say(line);
  for (const std::string& line : result.warnings) {
    if (hook.require_image || !common.quiet) say((hook.require_image ? "" : "warning: ") + line);
  }
  for (const std::string& line : result.broken)
    say(line);
  const bool stopped = !result.broken.empty() || (hook.require_image && !result.warnings.empty());
  if (stopped)
    say("the push was stopped; build the image again, change imgslim.yaml, or push with --no-verify");
  return stopped ? kStopped : 0;
}

}  // namespace

Run set_up_hook(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("ACTION", a.action, "install, run or uninstall")
      ->required()
      ->check(CLI::IsMember({"install", "run", "uninstall"}));
  app.add_option("REMOTE", a.remote, "with run: what git gives its hook");
  app.add_option("URL", a.url, "with run: what git gives its hook");
  return [arguments, &common] {
    if (arguments->action == "install") return install();
    if (arguments->action == "uninstall") return uninstall();
    return run(common);
  };
}

}  // namespace imgslim
