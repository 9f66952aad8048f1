// SPDX-License-Identifier: Apache-2.0
// Answers the challenges of one server: basic credentials, or tokens of the server that it names
// (distribution's token and OAuth2 protocols). Credentials go to that server and to its token server alone.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/credentials.h"
#include "registry/headers.h"
#include "registry/hosts.h"
#include "registry/http.h"

namespace imgslim {

// All that must never be shown: passwords and tokens of this run.
class Secrets {
 public:
  void add(const std::string& secret);
  // `text` with each of them replaced by "***", fit for one line.
  std::string without(std::string_view text) const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> secrets_;
};

// What a request wants to do: "repository:NAME:pull,push".
using Scopes = std::vector<std::string>;

class Authorizer {
 public:
  Authorizer(HttpPool& pool, const CredentialStore& store, Secrets& secrets, const Endpoint& endpoint)
      : pool_(pool), store_(store), secrets_(secrets), endpoint_(endpoint) {}

  // The Authorization field for a request; empty while nothing is asked for.
  std::string header_for(const Scopes& scopes, const std::string& repository);
  // After a 401 for a request that was sent with `used`: whether to send it again with what header_for() now
  // gives. Throws Error{kNetwork} if the token server refuses.
  bool answer(const HttpResponse& refused, const Scopes& scopes, const std::string& repository,
              const std::string& used);

 private:
  struct Token {
    std::string text;
    std::chrono::steady_clock::time_point expires{};
  };
  const std::optional<Credentials>& credentials(const std::string& repository);
  Token fetch_token(const Scopes& scopes, const std::string& repository);
  HttpResponse ask_token_server(const HttpRequest& request);

  HttpPool& pool_;
  const CredentialStore& store_;
  Secrets& secrets_;
  Endpoint endpoint_;
  std::mutex mutex_;  // held while a token is fetched, so that one thread does it for all
  std::map<std::string, std::optional<Credentials>> credentials_;  // by repository
  std::optional<Challenge> challenge_;
  Scopes challenged_scopes_;             // what the server named besides
  std::map<std::string, Token> tokens_;  // by scopes
};

// Where a token may be asked for: https, or http on the host of a registry that is itself plain http; and no
// address of a local network unless the registry is in one. Throws Error{kNetwork}.
Url check_realm(std::string_view realm, const Endpoint& endpoint);

}  // namespace imgslim
