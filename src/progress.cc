// SPDX-License-Identifier: Apache-2.0
#include "src/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace imgslim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(1);

}  // namespace

Progress::Progress(Detail detail) : detail_(detail), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  end();
}

void Progress::begin(const std::string& work) {
  end();
  const std::lock_guard lock(mutex_);
  work_ = work;
  started_ = Clock::now();
  last_ = started_;
  if (detail_ == Detail::kQuiet || !terminal_) return;
  fmt::print(stderr, "{} ...", work_);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::at(std::uint64_t done, std::uint64_t total) {
  if (detail_ == Detail::kQuiet) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (work_.empty() ||
      now - last_ < (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kLogInterval))) {
    return;
  }
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const std::string line = fmt::format(
      "{}: {} of {}, {}/s", work_, human_bytes(done), human_bytes(total),
      human_bytes(static_cast<std::uint64_t>(static_cast<double>(done) / std::max(seconds, 0.001))));
  if (terminal_) {
    const auto width = static_cast<std::size_t>(std::max(terminal_width(STDERR_FILENO) - 1, 10));
    fmt::print(stderr, "\r\x1b[K{}", line.substr(0, width));
    drawn_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

void Progress::end() {
  const std::lock_guard lock(mutex_);
  clear_line();
  work_.clear();
}

void Progress::clear_line() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void Progress::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  clear_line();
  fmt::print(stderr, "imgslim: {}\n", line);
}

void Progress::warn(const std::string& line) {
  if (detail_ != Detail::kQuiet) say("warning: " + line);
}

void Progress::note(const std::string& line) {
  if (detail_ != Detail::kQuiet) say(line);
}

void Progress::verbose(const std::string& line) {
  if (detail_ == Detail::kVerbose) say(line);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                      : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

int terminal_width(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  if (const char* columns = std::getenv("COLUMNS")) {
    const int value = std::atoi(columns);
    if (value > 0 && value < 10000) return value;
  }
  return 80;
}

}  // namespace imgslim
