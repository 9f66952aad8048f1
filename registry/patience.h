// SPDX-License-Identifier: Apache-2.0
// When to try again, and after what time: exponential backoff with jitter, Retry-After, an end.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "registry/http.h"

namespace imgslim {

// Statuses that may be better next time: 408, 429, 500, 502, 503, 504 and 522.
bool is_passing_status(int status);

class Patience {
 public:
  // At most `tries` failures in a row.
  explicit Patience(HttpPool& pool, int tries = 9);

  // After a failed try that moved `gained` bytes nearer to the end: waits and returns true, or returns false.
  bool again(const HttpOutcome& outcome, std::uint64_t gained);
  // What the failure was, for a message; says when to retry if the server did.
  std::string reason(const HttpOutcome& outcome) const;

 private:
  HttpPool& pool_;
  int tries_;
  int failures_ = 0;
  std::chrono::milliseconds waited_{0};
  std::chrono::steady_clock::time_point since_;
  std::optional<std::uint64_t> retry_after_;
};

// The time before try number `failures` + 1, before jitter.
std::chrono::milliseconds backoff(int failures);

}  // namespace imgslim
