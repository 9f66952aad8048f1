// SPDX-License-Identifier: Apache-2.0
#include "registry/http_transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "layers/error.h"
#include "registry/trust.h"

namespace imgslim {
namespace {

using Clock = HttpTransfer::Clock;

constexpr long kConnectMilliseconds = 20000;  // names, TCP and TLS together
constexpr std::size_t kMaxHeaderBytes = std::size_t{256} << 10;
// A body that moves fewer bytes than this in that time is given up: a drip would else hold a job for hours.
constexpr auto kSilence = std::chrono::seconds(15);
constexpr auto kWindow = std::chrono::seconds(20);
constexpr std::uint64_t kWindowBytes = 20 * 1024;

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = ::curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw Error(Failure::kIo, fmt::format("libcurl refuses option {}: {}", static_cast<int>(option),
                                          ::curl_easy_strerror(code)));
  }
}

std::size_t on_header(char* data, std::size_t one, std::size_t count, void* self) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  std::string_view line(data, one * count);
  const std::lock_guard guard(transfer.mutex);
  // The other thread reads them now; what comes behind a body says nothing.
  if (transfer.headers_done) return one * count;
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.fault = HttpFault{HttpFault::Kind::kTooLarge, "the headers of the answer are too long"};
    return 0;
  }
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n'))
    line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    // A new answer: an interim one before (100 Continue) is forgotten.
    transfer.response.headers = HeaderFields();
    return one * count;
  }
  if (line.empty()) {
    long status = 0;
    ::curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return one * count;
    transfer.response.status = static_cast<int>(status);
    transfer.headers_done = true;
    transfer.changed.notify_all();
    return one * count;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.response.headers.add(line.substr(0, colon), line.substr(colon + 1));
  }
  return one * count;
}

std::size_t on_body(char* data, std::size_t one, std::size_t count, void* self) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  const std::size_t size = one * count;
  const std::lock_guard guard(transfer.mutex);
  if (transfer.cancelled) return 0;
  if (transfer.received_bytes >= HttpTransfer::kMaxQueued) {
    transfer.receive_paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  // Small pieces are joined: a queue of them would cost more than its bytes.
  constexpr std::size_t kPiece = std::size_t{512} << 10;
  auto& queue = transfer.received;
  if (!queue.empty() && queue.back().size() + size <= kPiece) {
    queue.back().insert(queue.back().end(), bytes, bytes + size);
  } else {
    queue.emplace_back();
    queue.back().reserve(std::max(size, kPiece));
    queue.back().assign(bytes, bytes + size);
  }
  transfer.received_bytes += size;
  transfer.body_total += size;
  transfer.moved += size;
  transfer.changed.notify_all();
  return size;
}

std::size_t on_send(char* into, std::size_t one, std::size_t count, void* self) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  const std::size_t room = one * count;
  const std::lock_guard guard(transfer.mutex);
  if (transfer.cancelled) return CURL_READFUNC_ABORT;
  if (transfer.to_send.empty()) {
    if (transfer.sent == transfer.request.body_length) return 0;
    transfer.send_paused = true;
    transfer.changed.notify_all();
    return CURL_READFUNC_PAUSE;
  }
  std::size_t done = 0;
  while (done < room && !transfer.to_send.empty()) {
    const std::vector<std::byte>& front = transfer.to_send.front();
    const std::size_t step = std::min(room - done, front.size() - transfer.sent_of_front);
    std::memcpy(into + done, front.data() + transfer.sent_of_front, step);
    done += step;
    transfer.sent_of_front += step;
    if (transfer.sent_of_front == front.size()) {
      transfer.to_send_bytes -= front.size();
      transfer.to_send.pop_front();
      transfer.sent_of_front = 0;
    }
  }
  transfer.sent += done;
  transfer.moved += done;
  transfer.changed.notify_all();
  return done;
}

// libcurl sends a body again when the server closed a kept connection just then.
int on_seek(void* self, curl_off_t offset, int origin) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
  const std::lock_guard guard(transfer.mutex);
  transfer.to_send.clear();
  transfer.to_send_bytes = 0;
  transfer.sent_of_front = 0;
  transfer.sent = 0;
  transfer.rewound = true;
  transfer.changed.notify_all();
  return CURL_SEEKFUNC_OK;
}

// Whom this machine trusts. Looked for once: a run speaks to many servers.
void set_trust_store(CURL* easy) {
  static const TrustStore store = find_trust_store();
  if (store == TrustStore()) return;
  // libcurl's own file must not stay where it is not there: then it refuses all.
  const char* file = store.file.empty() ? nullptr : store.file.c_str();
  const char* folder = store.folder.empty() ? nullptr : store.folder.c_str();
  set(easy, CURLOPT_CAINFO, file);
  set(easy, CURLOPT_CAPATH, folder);
  set(easy, CURLOPT_PROXY_CAINFO, file);
  set(easy, CURLOPT_PROXY_CAPATH, folder);
}

void set_tls(CURL* easy, const TlsSettings& tls) {
  if (tls.skip_verify) {
    set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.ca_bundle.empty()) {
    curl_blob blob{const_cast<char*>(tls.ca_bundle.data()), tls.ca_bundle.size(), CURL_BLOB_COPY};
    set(easy, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!tls.client_certificate.empty()) {
    set(easy, CURLOPT_SSLCERT, tls.client_certificate.c_str());
    if (!tls.client_key.empty()) set(easy, CURLOPT_SSLKEY, tls.client_key.c_str());
  }
}

}  // namespace

void prepare_transfer(HttpTransfer& transfer) {
  CURL* easy = transfer.easy;
  const HttpRequest& request = transfer.request;
  set(easy, CURLOPT_ERRORBUFFER, transfer.error_text);
  set(easy, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  set(easy, CURLOPT_URL, request.url.text().c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_BUFFERSIZE, 512L << 10);
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
  set(easy, CURLOPT_USERAGENT, "imgslim");
  // This machine is never behind a proxy.
  if (is_loopback_host(request.url.host)) set(easy, CURLOPT_NOPROXY, "*");
  if (!request.unix_socket.empty()) set(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  set_trust_store(easy);
  if (request.tls) set_tls(easy, *request.tls);

  if (request.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (request.body) {
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_length));
    set(easy, CURLOPT_READFUNCTION, &on_send);
    set(easy, CURLOPT_READDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_SEEKFUNCTION, &on_seek);
    set(easy, CURLOPT_SEEKDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
      set(easy, CURLOPT_POSTFIELDS, "");
      set(easy, CURLOPT_POSTFIELDSIZE, 0L);
    }
  }
  for (const auto& [name, value] : request.headers) {
    transfer.header_list = ::curl_slist_append(transfer.header_list, (name + ": " + value).c_str());
  }
  // None of libcurl's own.
  if (request.body || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    const bool typed = std::any_of(request.headers.begin(), request.headers.end(),
                                   [](const auto& header) { return header.first == "Content-Type"; });
    if (!typed) transfer.header_list = ::curl_slist_append(transfer.header_list, "Content-Type:");
  }
  set(easy, CURLOPT_HTTPHEADER, transfer.header_list);
  set(easy, CURLOPT_HEADERFUNCTION, &on_header);
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(easy, CURLOPT_WRITEFUNCTION, &on_body);
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  transfer.window_start = Clock::now();
  transfer.waiting_since = transfer.window_start;
}

bool check_pace(HttpTransfer& transfer, Clock::time_point now) {
  const std::lock_guard guard(transfer.mutex);
  if (transfer.fault) return false;
  const bool sent_all = transfer.sent == transfer.request.body_length;
  const bool ours = transfer.receive_paused || (transfer.send_paused && transfer.to_send.empty());
  if (transfer.moved != transfer.window_bytes || ours) transfer.waiting_since = now;
  if (transfer.moved - transfer.window_bytes >= kWindowBytes || ours) {
    transfer.window_bytes = transfer.moved;
    transfer.window_start = now;
    return true;
  }
  // While there is no answer yet it is the server's time; what was sent may take it long to store.
  if (!transfer.headers_done && sent_all) {
    if (now - transfer.window_start < transfer.request.answer_within) return true;
    transfer.fault = HttpFault{HttpFault::Kind::kStalled,
                               fmt::format("no answer within {} s", transfer.request.answer_within.count())};
    return false;
  }
  if (!transfer.request.paced) return true;
  if (transfer.moved == transfer.window_bytes && now - transfer.window_start >= kSilence) {
    transfer.fault = HttpFault{HttpFault::Kind::kStalled,
                               fmt::format("nothing moved for {} s", std::chrono::seconds(kSilence).count())};
    return false;
  }
  if (now - transfer.window_start >= kWindow) {
    transfer.fault = HttpFault{HttpFault::Kind::kStalled, "slower than 1 kB/s"};
    return false;
  }
  return true;
}

std::optional<HttpFault> fault_of(const HttpTransfer& transfer) {
  if (transfer.fault) return transfer.fault;
  using Kind = HttpFault::Kind;
  const auto text = [&] { return std::string(::curl_easy_strerror(transfer.code)); };
  const HttpFault wants_certificate{
      Kind::kTrust, "the server asks for a client's certificate that it trusts; certs.d may hold one"};
  switch (transfer.code) {
    case CURLE_OK:
      return std::nullopt;
    case CURLE_COULDNT_RESOLVE_HOST:
      return HttpFault{Kind::kConnect, "there is no host of that name"};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return HttpFault{Kind::kConnect, "there is no proxy of that name"};
    case CURLE_COULDNT_CONNECT:
      return HttpFault{Kind::kConnect, "cannot connect"};
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFault{Kind::kConnect, "no connection in time"};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpFault{Kind::kTrust,
                       printable(transfer.error_text[0] != '\0' ? std::string(transfer.error_text) : text())};
    case CURLE_SSL_CLIENTCERT:
      return wants_certificate;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return HttpFault{transfer.code == CURLE_HTTP2_STREAM ? Kind::kBroken : Kind::kProtocol, text()};
    case CURLE_PARTIAL_FILE:
      return HttpFault{Kind::kBroken, "the connection ended before the body did"};
    case CURLE_GOT_NOTHING:
      return HttpFault{Kind::kBroken, "the connection was closed without an answer"};
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      // TLS 1.3 says it after the handshake (RFC 8446, section 4.4.2.4), older servers by another alert, and
      // libcurl in words alone.
      for (const char* alert : {"alert certificate required", "alert bad certificate"}) {
        if (std::strstr(transfer.error_text, alert) != nullptr) return wants_certificate;
      }
      return HttpFault{Kind::kBroken, "the connection broke"};
    default:
      return HttpFault{Kind::kBroken, text()};
  }
}

}  // namespace imgslim
