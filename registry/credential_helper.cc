// SPDX-License-Identifier: Apache-2.0
// docker-credential-NAME get: the server on standard input, {"Username", "Secret"} on standard output.
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>

#include "layers/durable_file.h"
#include "layers/error.h"
#include "layers/json_fields.h"
#include "registry/credentials.h"

extern char** environ;

namespace imgslim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(30);
constexpr std::size_t kMaxAnswer = std::size_t{64} << 10;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_io("cannot make a pipe", errno);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Ends the helper unless it was waited for.
class Child {
 public:
  explicit Child(pid_t id) : id_(id) {}
  Child(const Child&) = delete;
  ~Child() {
    if (id_ <= 0) return;
    ::kill(id_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
    return status;
  }

 private:
  pid_t id_;
};

bool is_plain_name(const std::string& text) {
  return !text.empty() && text.size() < 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

std::optional<Credentials> ask_credential_helper(const std::string& helper, const std::string& server) {
  if (!is_plain_name(helper)) {
    throw Error(Failure::kNetwork,
                fmt::format("\"{}\" is no name of a credential helper", printable(helper, 40)));
  }
  const std::string program = "docker-credential-" + helper;
  const auto fail = [&](const std::string& why) {
    throw Error(Failure::kNetwork, fmt::format("{} for {}: {}", program, printable(server), why));
  };
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), 1);
  // What a helper says there may hold what it was asked for.
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::string name = program;
  std::string verb = "get";
  std::array<char*, 3> arguments{name.data(), verb.data(), nullptr};
  pid_t id = 0;
  const int failed = ::posix_spawnp(&id, program.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed == ENOENT) fail("the program is not there");
  if (failed != 0) throw_io("cannot start " + program, failed);
  Child child(id);
  input.read = UniqueFd();
  output.write = UniqueFd();
  // Shorter than a pipe holds; SIGPIPE is ignored by the program.
  const ssize_t wrote = ::write(input.write.get(), server.data(), server.size());
  static_cast<void>(wrote);
  input.write = UniqueFd();

  std::string answer;
  const auto end = Clock::now() + kPatience;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd wanted{output.read.get(), POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&wanted, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) fail("no answer in time");
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(output.read.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (answer.size() > kMaxAnswer) fail("the answer is too long");
  }
  const int status = child.wait();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    // The protocol's one way to say that it has none.
    if (answer.find("not found") != std::string::npos) return std::nullopt;
    fail("it failed");
  }
  Credentials out;
  try {
    const Json document = parse_json(answer, "answer");
    out.user = string_member(document, "Username", "answer");
    out.password = string_member(document, "Secret", "answer");
  } catch (const Error&) {
    fail("it answered no JSON of the credential helpers' protocol");
  }
  if (out.user == "<token>") {
    out.identity_token = std::move(out.password);
    out.user.clear();
    out.password.clear();
  }
  if (out.user.empty() && out.identity_token.empty()) return std::nullopt;
  return out;
}

}  // namespace imgslim
