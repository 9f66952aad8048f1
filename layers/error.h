// SPDX-License-Identifier: Apache-2.0
// The one error type. A message is one line, lower case, and names the image, layer, entry or offset;
// context is put in front of it on the way up. main() alone turns it into an exit status.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace imgslim {

// What went wrong, with the exit status that says so (imgslim(1), EXIT STATUS).
enum class Failure {
  kIo = 1,
  kUsage = 2,
  kPolicy = 3,
  kFormNotReached = 4,
  kBadImage = 5,
  kNetwork = 6,
  kVerification = 7,
};

class Error : public std::runtime_error {
 public:
  Error(Failure failure, const std::string& message) : std::runtime_error(message), failure_(failure) {}
  Failure failure() const { return failure_; }

 private:
  Failure failure_;
};

// Throws Error{kBadImage}: the bytes of an image are malformed or hostile.
[[noreturn]] void throw_bad_image(const std::string& message);
// Throws Error{kIo} with the text of `error_number` behind the message ("...: no space left on device").
[[noreturn]] void throw_io(const std::string& message, int error_number);
// Throws Error{kUsage}.
[[noreturn]] void throw_usage(const std::string& message);

// Bytes of an image made fit for one line of a terminal: control bytes, backslash and invalid UTF-8
// become \xNN, and what is longer than `limit` bytes is cut with "...".
std::string printable(std::string_view bytes, std::size_t limit = 200);

// Runs `body`; an Error that leaves it gets "context: " in front and keeps its kind.
template <class Body>
decltype(auto) with_context(std::string_view context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.failure(), std::string(context) + ": " + error.what());
  }
}

}  // namespace imgslim
