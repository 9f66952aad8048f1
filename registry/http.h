// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange at a time for each thread, all of them over one pool of connections (libcurl's multi
// interface, HTTP/2 where TLS offers it). Nothing is followed, retried or authorized here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layers/stream.h"
#include "registry/headers.h"
#include "registry/url.h"

namespace imgslim {

// Who may answer for a host.
struct TlsSettings {
  std::string ca_bundle;           // the certificates that may sign; empty: the system's
  std::string client_certificate;  // files in PEM
  std::string client_key;
  bool skip_verify = false;
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::string unix_socket;  // instead of the host's address
  std::vector<std::pair<std::string, std::string>> headers;
  // The body: `length` bytes of a blob from `offset`. Nothing: there is none.
  BlobPtr body;
  std::uint64_t body_offset = 0;
  std::uint64_t body_length = 0;
  std::shared_ptr<const TlsSettings> tls;
  // How long the answer may take once the request is out; bytes that move are watched besides.
  std::chrono::seconds answer_within{30};
  bool paced = true;                                // whether bytes that move too slowly end it
  std::uint64_t max_body = std::uint64_t{1} << 20;  // of an answer that no sink takes
};

struct HttpResponse {
  int status = 0;
  HeaderFields headers;
  std::string body;  // where no sink took it
  Url url;
};

// Why there is no (whole) answer. The message names no more of the URL than the host.
struct HttpFault {
  enum class Kind {
    kConnect,   // nobody there, or not in time: the request was not sent
    kTrust,     // the TLS handshake or its certificates: no retry helps
    kBroken,    // the connection went away, or bytes are missing
    kStalled,   // nothing, or next to nothing, moved
    kTooLarge,  // the body is longer than allowed
    kProtocol,  // no HTTP
    kDeadline,  // the time limit of the whole run is over
  };
  Kind kind = Kind::kBroken;
  std::string message;
};

struct HttpOutcome {
  std::optional<HttpFault> fault;
  HttpResponse response;            // what came until then; status 0 if nothing
  std::uint64_t body_sent = 0;      // bytes of the request's body that were handed to the network
  std::uint64_t body_received = 0;  // bytes that the sink took
};

class HttpPool {
 public:
  // `deadline` of the whole run, if there is one.
  explicit HttpPool(std::optional<std::chrono::steady_clock::time_point> deadline = std::nullopt);
  ~HttpPool();
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;

  // Called with status and headers before the first byte of a body: where it goes, or null to have it
  // gathered in the response. Runs, as the sink does, in the thread that asked.
  using ChooseSink = std::function<Sink*(const HttpResponse&)>;
  // What a sink or `request.body` throws comes out here and ends the exchange.
  HttpOutcome exchange(const HttpRequest& request, const ChooseSink& choose = nullptr);

  // Ends all exchanges, and those to come: what they work for is given up.
  void abandon();

  // Sleeps, at most to the deadline; false if that is over.
  bool sleep(std::chrono::milliseconds time) const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace imgslim
