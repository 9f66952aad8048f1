// SPDX-License-Identifier: Apache-2.0
#include "registry/work_queue.h"

#include <utility>

namespace imgslim {

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  workers_.clear();
}

void WorkQueue::add(std::function<void()> work) {
  const std::lock_guard guard(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  waiting_.push_back(std::move(work));
  if (workers_.size() < threads_ && running_ + waiting_.size() > workers_.size()) {
    workers_.emplace_back([this] { run(); });
  }
  changed_.notify_all();
}

void WorkQueue::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return (waiting_.empty() || failure_) && running_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void WorkQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || (!waiting_.empty() && !failure_); });
    if (ending_) return;
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    std::exception_ptr failed;
    try {
      work();
    } catch (...) {
      failed = std::current_exception();
    }
    lock.lock();
    --running_;
    if (failed && !failure_) failure_ = failed;
    changed_.notify_all();
  }
}

}  // namespace imgslim
