// SPDX-License-Identifier: Apache-2.0
#include "registry/http.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <set>
#include <thread>

#include "layers/error.h"
#include "registry/http_transfer.h"

namespace imgslim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(500);
constexpr std::size_t kSendPiece = std::size_t{1} << 20;

void set_up_curl() {
  static const CURLcode done = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (done != CURLE_OK) throw Error(Failure::kIo, "libcurl cannot start");
}

}  // namespace

// The network's thread: the only one that touches libcurl's handles.
class HttpPool::Loop {
 public:
  Loop() {
    set_up_curl();
    multi_ = ::curl_multi_init();
    if (multi_ == nullptr) throw std::bad_alloc();
    ::curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    ::curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, 8L);
    ::curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 32L);
    thread_ = std::jthread([this] { run(); });
  }
  ~Loop() {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
    ::curl_multi_cleanup(multi_);
  }

  void start(const HttpTransferPtr& transfer) {
    const std::lock_guard guard(mutex_);
    arrived_.push_back(transfer);
    wake();
  }
  void abandon() {
    const std::lock_guard guard(mutex_);
    abandoned_ = true;
    wake();
  }
  // The thread that asked moved bytes, or gave up.
  void poke(const HttpTransferPtr& transfer) {
    const std::lock_guard guard(mutex_);
    poked_.push_back(transfer);
    wake();
  }

 private:
  void wake() { ::curl_multi_wakeup(multi_); }

  void run() {
    while (true) {
      std::vector<HttpTransferPtr> arrived;
      std::vector<HttpTransferPtr> poked;
      bool abandoned = false;
      {
        const std::lock_guard guard(mutex_);
        if (stopping_) break;
        abandoned = abandoned_;
        arrived.swap(arrived_);
        poked.swap(poked_);
      }
      for (const HttpTransferPtr& transfer : arrived)
        add(transfer);
      for (const HttpTransferPtr& transfer : poked)
        attend(transfer);
      if (abandoned) end_all();
      int running = 0;
      ::curl_multi_perform(multi_, &running);
      collect();
      watch();
      ::curl_multi_poll(multi_, nullptr, 0, static_cast<int>(kTick.count()), nullptr);
    }
    end_all();
  }

  void end_all() {
    while (!live_.empty()) {
      const HttpTransferPtr transfer = *live_.begin();
      {
        const std::lock_guard guard(transfer->mutex);
        transfer->fault = HttpFault{HttpFault::Kind::kDeadline, "given up"};
      }
      finish(transfer, CURLE_ABORTED_BY_CALLBACK);
    }
  }

  void add(const HttpTransferPtr& transfer) {
    // Connections are the multi handle's; an easy one is not worth keeping.
    transfer->easy = ::curl_easy_init();
    live_.insert(transfer);
    try {
      if (transfer->easy == nullptr) throw std::bad_alloc();
      prepare_transfer(*transfer);
    } catch (const std::exception& error) {
      const std::lock_guard guard(transfer->mutex);
      transfer->fault = HttpFault{HttpFault::Kind::kTrust, error.what()};
    }
    if (transfer->fault || ::curl_multi_add_handle(multi_, transfer->easy) != CURLM_OK) {
      finish(transfer, CURLE_FAILED_INIT, false);
    }
  }

  void attend(const HttpTransferPtr& transfer) {
    if (live_.count(transfer) == 0) return;
    bool cancelled = false;
    bool resume = false;
    {
      const std::lock_guard guard(transfer->mutex);
      cancelled = transfer->cancelled;
      if (transfer->receive_paused && transfer->received_bytes < HttpTransfer::kMaxQueued / 2) {
        transfer->receive_paused = false;
        resume = true;
      }
      if (transfer->send_paused && !transfer->to_send.empty()) {
        transfer->send_paused = false;
        resume = true;
      }
    }
    if (cancelled) {
      finish(transfer, CURLE_ABORTED_BY_CALLBACK);
    } else if (resume) {
      // Everything that is still held back pauses itself again.
      ::curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    }
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      void* self = nullptr;
      ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
      const auto found = std::find_if(live_.begin(), live_.end(),
                                      [&](const HttpTransferPtr& item) { return item.get() == self; });
      if (found != live_.end()) finish(HttpTransferPtr(*found), code);
    }
  }

  void watch() {
    const auto now = Clock::now();
    if (now - watched_ < kTick) return;
    watched_ = now;
    std::vector<HttpTransferPtr> slow;
    for (const HttpTransferPtr& transfer : live_) {
      if (!check_pace(*transfer, now)) slow.push_back(transfer);
    }
    for (const HttpTransferPtr& transfer : slow)
      finish(transfer, CURLE_ABORTED_BY_CALLBACK);
  }

  void finish(const HttpTransferPtr& transfer, CURLcode code, bool added = true) {
    live_.erase(transfer);
    if (transfer->easy != nullptr) {
      if (added) ::curl_multi_remove_handle(multi_, transfer->easy);
      ::curl_easy_cleanup(transfer->easy);
    }
    ::curl_slist_free_all(transfer->header_list);
    transfer->header_list = nullptr;
    const std::lock_guard guard(transfer->mutex);
    transfer->easy = nullptr;
    transfer->code = code;
    transfer->done = true;
    transfer->changed.notify_all();
  }

  CURLM* multi_ = nullptr;
  std::mutex mutex_;
  bool stopping_ = false;
  bool abandoned_ = false;
  std::vector<HttpTransferPtr> arrived_;
  std::vector<HttpTransferPtr> poked_;
  // The network's thread alone.
  std::set<HttpTransferPtr> live_;
  Clock::time_point watched_{};
  std::jthread thread_;
};

namespace {

// The asking thread's part of an exchange: feeds the body, takes the answer.
class Caller {
 public:
  Caller(HttpTransferPtr transfer, const HttpPool::ChooseSink& choose, std::function<void()> poke)
      : transfer_(std::move(transfer)), choose_(choose), poke_(std::move(poke)) {}

  HttpOutcome run(std::optional<Clock::time_point> deadline) {
    const HttpRequest& request = transfer_->request;
    std::unique_lock lock(transfer_->mutex);
    while (true) {
      if (deadline && Clock::now() >= *deadline && !transfer_->done) {
        give_up(lock, HttpFault{HttpFault::Kind::kDeadline, "the time limit of --timeout is over"});
      }
      if (std::exchange(transfer_->rewound, false)) fed_ = 0;
      if (!transfer_->received.empty()) {
        take_received(lock);
      } else if (!transfer_->done && request.body && fed_ < request.body_length &&
                 transfer_->to_send_bytes < HttpTransfer::kMaxQueued) {
        feed(lock);
      } else if (transfer_->done) {
        break;
      } else if (deadline) {
        transfer_->changed.wait_until(lock, *deadline);
      } else {
        transfer_->changed.wait(lock);
      }
    }
    HttpOutcome out;
    // A server that refuses a body may answer and hang up before it has all of it.
    const bool refused = transfer_->headers_done && transfer_->response.status >= 400 && delivered_ == 0;
    auto fault = fault_of(*transfer_);
    if (fault && !(refused && fault->kind == HttpFault::Kind::kBroken)) out.fault = std::move(fault);
    out.response = std::move(transfer_->response);
    if (!transfer_->headers_done) out.response.status = 0;
    out.response.body = std::move(gathered_);
    out.response.url = request.url;
    out.body_sent = transfer_->sent;
    out.body_received = delivered_;
    return out;
  }

  // Ends the exchange before its time; returns when the network's thread has let go.
  void cancel() {
    std::unique_lock lock(transfer_->mutex);
    transfer_->cancelled = true;
    lock.unlock();
    poke_();
    lock.lock();
    transfer_->changed.wait(lock, [&] { return transfer_->done; });
  }

 private:
  void give_up(std::unique_lock<std::mutex>& lock, HttpFault fault) {
    if (!transfer_->fault) transfer_->fault = std::move(fault);
    lock.unlock();
    cancel();
    lock.lock();
    transfer_->received.clear();
    transfer_->received_bytes = 0;
  }

  void take_received(std::unique_lock<std::mutex>& lock) {
    const std::vector<std::byte> piece = std::move(transfer_->received.front());
    transfer_->received.pop_front();
    transfer_->received_bytes -= piece.size();
    const bool resume = transfer_->receive_paused && transfer_->received_bytes < HttpTransfer::kMaxQueued / 2;
    lock.unlock();
    if (resume) poke_();
    if (!chosen_) {
      chosen_ = true;
      sink_ = choose_ ? choose_(transfer_->response) : nullptr;
    }
    if (sink_ != nullptr) {
      sink_->write(piece);
      delivered_ += piece.size();
      lock.lock();
      return;
    }
    const std::size_t room =
        static_cast<std::size_t>(std::min<std::uint64_t>(transfer_->request.max_body, SIZE_MAX / 2));
    if (piece.size() > room - gathered_.size()) {
      lock.lock();
      give_up(lock, HttpFault{HttpFault::Kind::kTooLarge,
                              "the answer is longer than " + std::to_string(room) + " bytes"});
      return;
    }
    gathered_ += as_text(piece);
    lock.lock();
  }

  void feed(std::unique_lock<std::mutex>& lock) {
    const HttpRequest& request = transfer_->request;
    std::vector<std::byte> piece(
        static_cast<std::size_t>(std::min<std::uint64_t>(kSendPiece, request.body_length - fed_)));
    const std::uint64_t at = fed_;
    lock.unlock();
    request.body->read_at(request.body_offset + at, piece);
    lock.lock();
    if (transfer_->rewound) return;
    fed_ += piece.size();
    transfer_->to_send_bytes += piece.size();
    transfer_->to_send.push_back(std::move(piece));
    if (!transfer_->send_paused) return;
    lock.unlock();
    poke_();
    lock.lock();
  }

  HttpTransferPtr transfer_;
  const HttpPool::ChooseSink& choose_;
  std::function<void()> poke_;
  std::uint64_t fed_ = 0;
  bool chosen_ = false;
  Sink* sink_ = nullptr;
  std::string gathered_;
  std::uint64_t delivered_ = 0;
};

}  // namespace

HttpPool::HttpPool(std::optional<Clock::time_point> deadline)
    : loop_(std::make_unique<Loop>()), deadline_(deadline) {}

HttpPool::~HttpPool() = default;

HttpOutcome HttpPool::exchange(const HttpRequest& request, const ChooseSink& choose) {
  if (deadline_ && Clock::now() >= *deadline_) {
    HttpOutcome out;
    out.fault = HttpFault{HttpFault::Kind::kDeadline, "the time limit of --timeout is over"};
    return out;
  }
  const auto transfer = std::make_shared<HttpTransfer>(request);
  Caller caller(transfer, choose, [&] { loop_->poke(transfer); });
  loop_->start(transfer);
  try {
    return caller.run(deadline_);
  } catch (...) {
    caller.cancel();
    throw;
  }
}

void HttpPool::abandon() {
  abandoned_ = true;
  loop_->abandon();
}

bool HttpPool::sleep(std::chrono::milliseconds time) const {
  const auto end = Clock::now() + time;
  if (deadline_ && end >= *deadline_) return false;
  while (!abandoned_ && Clock::now() < end)
    std::this_thread::sleep_for(
        std::min<Clock::duration>(end - Clock::now(), std::chrono::milliseconds(200)));
  return !abandoned_;
}

}  // namespace imgslim
