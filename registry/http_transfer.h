// SPDX-License-Identifier: Apache-2.0
// One exchange as the thread that asked and the network's thread share it: two bounded queues of bytes, one
// for each direction.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "registry/http.h"

namespace imgslim {

// Everything that both threads touch is behind `mutex`.
struct HttpTransfer {
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxQueued = std::size_t{4} << 20;

  explicit HttpTransfer(const HttpRequest& what) : request(what) {}

  const HttpRequest& request;
  std::mutex mutex;
  std::condition_variable changed;

  // From the network.
  HttpResponse response;
  bool headers_done = false;  // those of the final answer
  std::size_t header_bytes = 0;
  std::deque<std::vector<std::byte>> received;
  std::size_t received_bytes = 0;  // in the queue
  bool receive_paused = false;
  bool done = false;
  CURLcode code = CURLE_OK;
  std::string curl_text;
  std::optional<HttpFault> fault;  // decided by us rather than by libcurl
  std::uint64_t body_total = 0;    // bytes of the answer's body so far

  // To the network.
  std::deque<std::vector<std::byte>> to_send;
  std::size_t to_send_bytes = 0;
  std::size_t sent_of_front = 0;
  bool send_paused = false;
  std::uint64_t sent = 0;
  bool rewound = false;  // libcurl wants the body again from its start

  // Progress: the network's thread alone.
  Clock::time_point window_start{};
  std::uint64_t window_bytes = 0;
  std::uint64_t moved = 0;
  Clock::time_point waiting_since{};  // nothing to move: waiting for the answer
  bool cancelled = false;             // under the mutex

  // Owned by the network's thread while it runs.
  CURL* easy = nullptr;
  curl_slist* header_list = nullptr;
  char error_text[CURL_ERROR_SIZE] = {0};
};
using HttpTransferPtr = std::shared_ptr<HttpTransfer>;

// Sets up `transfer.easy` for its request. Throws Error{kIo} where libcurl refuses.
void prepare_transfer(HttpTransfer& transfer);
// Whether it moves fast enough; sets `fault` if not. Called often by the network's thread.
bool check_pace(HttpTransfer& transfer, HttpTransfer::Clock::time_point now);
// What the end of a transfer means.
std::optional<HttpFault> fault_of(const HttpTransfer& transfer);

}  // namespace imgslim
