// SPDX-License-Identifier: Apache-2.0
// URLs of registries: taken apart, resolved against one another, compared by origin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgslim {

// An http or https URL without credentials; parts are as they stand in it, percent-encoding included.
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address in brackets
  std::string port;    // never empty: the scheme's own if the URL names none
  std::string path;    // begins with '/'
  std::string query;   // without '?'

  // Nothing if it is no http or https URL, names a user, or holds control bytes or spaces, or in its host what no name has.
  static std::optional<Url> parse(std::string_view text);
  // A reference as it may stand in a Location or Link header: absolute, without scheme, or relative to this.
  std::optional<Url> resolve(std::string_view reference) const;

  std::string text() const;
  // "host:port", the port only where it is not the scheme's own: what may be said in a message.
  std::string authority() const;
  // Scheme, host and port: where credentials for one may go to the other.
  bool same_origin(const Url& other) const;
  // With `name`=`value` added behind the query, percent-encoded.
  Url with_query(std::string_view name, std::string_view value) const;
};

// RFC 3986, section 2.1: all but the unreserved characters.
std::string percent_encoded(std::string_view text);

// "localhost", a name below it, 127.0.0.0/8 or ::1, as a host of a URL (brackets or not).
bool is_loopback_host(std::string_view host);
// The same, or an address literal of a private or link-local network: nothing that a server elsewhere may
// send us to.
bool is_local_host(std::string_view host);

}  // namespace imgslim
