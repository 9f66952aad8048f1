// SPDX-License-Identifier: Apache-2.0
#include "registry/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

namespace imgslim {
namespace {

constexpr std::size_t kMaxUrl = 16384;

struct UrlDeleter {
  void operator()(CURLU* handle) const { ::curl_url_cleanup(handle); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

std::optional<std::string> part(CURLU* handle, CURLUPart which) {
  char* text = nullptr;
  if (::curl_url_get(handle, which, &text, 0) != CURLUE_OK || text == nullptr) return std::nullopt;
  std::string out = text;
  ::curl_free(text);
  return out;
}

bool is_clean(std::string_view text) {
  return text.size() <= kMaxUrl && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return c > ' ' && c != 0x7f && c < 0x80;
         });
}

// A name (RFC 3986, section 3.2.2, without percent-encoding, which no registry's name needs) or an address in
// brackets. libcurl decodes what a URL encodes here: nothing that would read differently the next time may
// pass.
bool is_host(std::string_view host) {
  const bool address = host.starts_with('[') && host.ends_with(']');
  if (address) host = host.substr(1, host.size() - 2);
  return !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           (address ? c == ':' : c == '-' || c == '_');
  });
}

std::optional<Url> taken_apart(CURLU* handle) {
  Url url;
  url.scheme = part(handle, CURLUPART_SCHEME).value_or("");
  url.host = part(handle, CURLUPART_HOST).value_or("");
  if (part(handle, CURLUPART_USER) || part(handle, CURLUPART_PASSWORD)) return std::nullopt;
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!is_host(url.host)) return std::nullopt;
  url.port = part(handle, CURLUPART_PORT).value_or(url.scheme == "https" ? "443" : "80");
  url.path = part(handle, CURLUPART_PATH).value_or("/");
  url.query = part(handle, CURLUPART_QUERY).value_or("");
  return url;
}

// IPv4 in network order of bytes, or nothing.
std::optional<std::uint32_t> ipv4(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::optional<std::array<std::uint8_t, 16>> ipv6(const std::string& host) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, host.c_str(), &address) != 1) return std::nullopt;
  std::array<std::uint8_t, 16> out{};
  std::copy(std::begin(address.s6_addr), std::end(address.s6_addr), out.begin());
  return out;
}

std::string without_brackets(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host.substr(0, host.find('%')));
}

bool is_mapped(const std::array<std::uint8_t, 16>& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

std::uint32_t last_four(const std::array<std::uint8_t, 16>& address) {
  return (std::uint32_t{address[12]} << 24) | (std::uint32_t{address[13]} << 16) |
         (std::uint32_t{address[14]} << 8) | address[15];
}

bool is_loopback(std::uint32_t address) {
  return address >> 24 == 127;
}

bool is_local(std::uint32_t address) {
  return is_loopback(address) || address >> 24 == 10 || address >> 24 == 0 || address >> 20 == 0xac1 ||
         address >> 16 == 0xc0a8 || address >> 16 == 0xa9fe;
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
  if (!is_clean(text)) return std::nullopt;
  const UrlHandle handle(::curl_url());
  if (!handle || ::curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  return taken_apart(handle.get());
}

std::optional<Url> Url::resolve(std::string_view reference) const {
  if (!is_clean(reference) || reference.empty()) return std::nullopt;
  const UrlHandle handle(::curl_url());
  if (!handle || ::curl_url_set(handle.get(), CURLUPART_URL, text().c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  if (::curl_url_set(handle.get(), CURLUPART_URL, std::string(reference).c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  return taken_apart(handle.get());
}

std::string Url::text() const {
  return scheme + "://" + authority() + path + (query.empty() ? "" : "?" + query);
}

std::string Url::authority() const {
  const bool own = port == (scheme == "https" ? "443" : "80");
  return own ? host : host + ":" + port;
}

bool Url::same_origin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

Url Url::with_query(std::string_view name, std::string_view value) const {
  Url out = *this;
  if (!out.query.empty()) out.query += '&';
  out.query += percent_encoded(name) + "=" + percent_encoded(value);
  return out;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

bool is_loopback_host(std::string_view host) {
  const std::string name = without_brackets(host);
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  if (const auto address = ipv4(name)) return is_loopback(*address);
  if (const auto address = ipv6(name)) {
    if (is_mapped(*address)) return is_loopback(last_four(*address));
    return std::all_of(address->begin(), address->end() - 1, [](std::uint8_t b) { return b == 0; }) &&
           address->back() == 1;
  }
  return false;
}

bool is_local_host(std::string_view host) {
  if (is_loopback_host(host)) return true;
  const std::string name = without_brackets(host);
  if (const auto address = ipv4(name)) return is_local(*address);
  if (const auto address = ipv6(name)) {
    if (is_mapped(*address)) return is_local(last_four(*address));
    const bool link_local = (*address)[0] == 0xfe && ((*address)[1] & 0xc0) == 0x80;
    const bool unique_local = ((*address)[0] & 0xfe) == 0xfc;
    const bool none = std::all_of(address->begin(), address->end(), [](std::uint8_t b) { return b == 0; });
    return link_local || unique_local || none;
  }
  return false;
}

}  // namespace imgslim
