// SPDX-License-Identifier: Apache-2.0
// Work that goes on in a few threads while the main one makes more of it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace imgslim {

class WorkQueue {
 public:
  explicit WorkQueue(std::size_t threads) : threads_(threads) {}
  // Drops what has not begun.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Rethrows what failed before.
  void add(std::function<void()> work);
  // Returns when nothing is left to do; rethrows what failed first.
  void wait();

 private:
  void run();

  std::size_t threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::size_t running_ = 0;
  bool ending_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> workers_;
};

}  // namespace imgslim
