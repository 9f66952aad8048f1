// SPDX-License-Identifier: Apache-2.0
#include "registry/patience.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <random>

namespace imgslim {
namespace {

using Clock = std::chrono::steady_clock;

// Bytes that count as progress; less is a drip.
constexpr std::uint64_t kProgress = 64 * 1024;
constexpr auto kLongestWait = std::chrono::seconds(60);  // in all, without progress
constexpr auto kStallPatience = std::chrono::seconds(30);
constexpr int kConnectTries = 4;

std::chrono::milliseconds with_jitter(std::chrono::milliseconds time) {
  static thread_local std::minstd_rand engine{std::random_device{}()};
  std::uniform_real_distribution<double> factor(0.75, 1.25);
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(time.count()) * factor(engine)));
}

}  // namespace

bool is_passing_status(int status) {
  switch (status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
    case 522:
      return true;
    default:
      return false;
  }
}

std::chrono::milliseconds backoff(int failures) {
  const int doublings = std::clamp(failures - 1, 0, 6);
  return std::min(std::chrono::milliseconds(200 << doublings), std::chrono::milliseconds(8000));
}

Patience::Patience(HttpPool& pool, int tries) : pool_(pool), tries_(tries), since_(Clock::now()) {}

bool Patience::again(const HttpOutcome& outcome, std::uint64_t gained) {
  if (gained >= kProgress) {
    failures_ = 0;
    waited_ = {};
    since_ = Clock::now();
  }
  ++failures_;
  retry_after_.reset();
  if (outcome.fault) {
    switch (outcome.fault->kind) {
      case HttpFault::Kind::kTrust:
      case HttpFault::Kind::kTooLarge:
      case HttpFault::Kind::kProtocol:
      case HttpFault::Kind::kDeadline:
        return false;
      case HttpFault::Kind::kConnect:
        if (failures_ >= kConnectTries) return false;
        break;
      case HttpFault::Kind::kStalled:
        if (Clock::now() - since_ >= kStallPatience) return false;
        break;
      case HttpFault::Kind::kBroken:
        break;
    }
  } else if (!is_passing_status(outcome.response.status)) {
    return false;
  } else if (const auto field = outcome.response.headers.find("retry-after")) {
    retry_after_ = parse_retry_after(*field, std::time(nullptr));
  }
  if (failures_ >= tries_) return false;
  std::chrono::milliseconds wait = with_jitter(backoff(failures_));
  if (retry_after_) {
    if (*retry_after_ > static_cast<std::uint64_t>(kLongestWait.count())) return false;
    wait = std::max(wait, std::chrono::milliseconds(*retry_after_ * 1000));
  }
  if (waited_ + wait > kLongestWait) return false;
  waited_ += wait;
  return pool_.sleep(wait);
}

std::string Patience::reason(const HttpOutcome& outcome) const {
  if (outcome.fault) return outcome.fault->message;
  std::string out = fmt::format("status {}", outcome.response.status);
  if (retry_after_) out += fmt::format(", the server says to retry after {} s", *retry_after_);
  return out;
}

}  // namespace imgslim
