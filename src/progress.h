// SPDX-License-Identifier: Apache-2.0
// What goes to standard error while work is done: one line that moves on a terminal, at most a line a second
// elsewhere; warnings and notes on lines of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace imgslim {

class Progress {
 public:
  enum class Detail { kQuiet, kNormal, kVerbose };
  explicit Progress(Detail detail);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A piece of work begins ("reading layers"); ends what moved before.
  void begin(const std::string& work);
  // How far it is, in bytes. May be called from any thread, often.
  void at(std::uint64_t done, std::uint64_t total);
  void end();

  void warn(const std::string& line);     // not with --quiet
  void note(const std::string& line);     // not with --quiet
  void verbose(const std::string& line);  // only with --verbose

 private:
  void clear_line();
  void say(const std::string& line);
  std::mutex mutex_;
  Detail detail_;
  bool terminal_;
  bool drawn_ = false;
  std::string work_;
  std::chrono::steady_clock::time_point started_{};
  std::chrono::steady_clock::time_point last_{};
};

// "1.2 GB", "412 MB", "7.9 kB": powers of 1000, as registries count.
std::string human_bytes(std::uint64_t bytes);
// Columns of a terminal behind a file descriptor; COLUMNS if it is none; 80 if nothing says.
int terminal_width(int descriptor);

}  // namespace imgslim
