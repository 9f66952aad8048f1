// SPDX-License-Identifier: Apache-2.0
#include "layers/at_once.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace imgslim {

void for_each_at_once(unsigned threads, std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards what follows
  std::exception_ptr error;
  std::size_t failed = count;
  const auto run = [&] {
    for (std::size_t at = next++; at < count; at = next++) {
      try {
        work(at);
      } catch (...) {
        next = count;
        const std::lock_guard lock(mutex);
        if (at < failed) {
          failed = at;
          error = std::current_exception();
        }
      }
    }
  };
  {
    const std::size_t useful = std::min<std::size_t>(threads, count);
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < useful; ++i)
      helpers.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace imgslim
