// SPDX-License-Identifier: Apache-2.0
#include "registry/authorizer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "registry/patience.h"

namespace imgslim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxTokenAnswer = std::uint64_t{256} << 10;
constexpr std::uint64_t kUsualLife = 60;  // seconds, where the server says nothing
constexpr std::uint64_t kLongestLife = 3600;

std::string key_of(const Scopes& scopes) {
  return fmt::format("{}", fmt::join(scopes, " "));
}

std::string form_encoded(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += percent_encoded(name) + "=" + percent_encoded(value);
  }
  return out;
}

bool is_clean_token(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Whether one of `scopes` already asks for all that `scope` does.
bool covered(const Scopes& scopes, const std::string& scope) {
  const std::size_t colon = scope.rfind(':');
  if (colon == std::string::npos) return false;
  const std::string resource = scope.substr(0, colon + 1);
  for (const std::string& ours : scopes) {
    if (!ours.starts_with(resource)) continue;
    const std::string actions = "," + ours.substr(resource.size()) + ",";
    std::string wanted = scope.substr(resource.size()) + ",";
    bool all = true;
    for (std::size_t end; (end = wanted.find(',')) != std::string::npos; wanted.erase(0, end + 1)) {
      all = all && actions.find("," + wanted.substr(0, end + 1)) != std::string::npos;
    }
    if (all) return true;
  }
  return false;
}

}  // namespace

void Secrets::add(const std::string& secret) {
  // Shorter ones would blot out words.
  if (secret.size() < 4) return;
  const std::lock_guard guard(mutex_);
  secrets_.insert(secret);
  secrets_.insert(encode_base64(secret));
  secrets_.insert(percent_encoded(secret));
}

std::string Secrets::without(std::string_view text) const {
  std::string out(text);
  const std::lock_guard guard(mutex_);
  for (const std::string& secret : secrets_) {
    for (std::size_t at; (at = out.find(secret)) != std::string::npos;)
      out.replace(at, secret.size(), "***");
  }
  return printable(out);
}

Url check_realm(std::string_view realm, const Endpoint& endpoint) {
  const auto fail = [&](std::string_view why) {
    throw Error(Failure::kNetwork, fmt::format("{}: its token server {}", endpoint.base.authority(), why));
  };
  const auto url = Url::parse(realm);
  if (!url) fail("is no http or https URL");
  const bool same_host = url->host == endpoint.base.host;
  if (url->scheme == "http" && (endpoint.base.scheme != "http" || !same_host)) {
    fail(fmt::format("{} is not reached over https", printable(url->authority())));
  }
  if (is_local_host(url->host) && !same_host && !is_local_host(endpoint.base.host)) {
    fail(fmt::format("{} is an address of a local network", printable(url->authority())));
  }
  return *url;
}

const std::optional<Credentials>& Authorizer::credentials(const std::string& repository) {
  const auto known = credentials_.find(repository);
  if (known != credentials_.end()) return known->second;
  auto found = store_.find(endpoint_.host, repository);
  if (found) {
    secrets_.add(found->password);
    secrets_.add(found->identity_token);
    secrets_.add(found->user + ":" + found->password);
  }
  return credentials_.emplace(repository, std::move(found)).first->second;
}

std::string Authorizer::header_for(const Scopes& scopes, const std::string& repository) {
  const std::lock_guard guard(mutex_);
  if (!challenge_) return "";
  if (challenge_->scheme == "basic") {
    const auto& found = credentials(repository);
    return found ? "Basic " + encode_base64(found->user + ":" + found->password) : "";
  }
  Token& token = tokens_[key_of(scopes)];
  if (token.text.empty() || Clock::now() >= token.expires) token = fetch_token(scopes, repository);
  return "Bearer " + token.text;
}

bool Authorizer::answer(const HttpResponse& refused, const Scopes& scopes, const std::string& repository,
                        const std::string& used) {
  const std::lock_guard guard(mutex_);
  // Another thread may have been faster.
  const auto known = tokens_.find(key_of(scopes));
  if (known != tokens_.end() && !known->second.text.empty() && "Bearer " + known->second.text != used)
    return true;
  std::optional<Challenge> chosen;
  for (const std::string_view field : refused.headers.all("www-authenticate")) {
    for (Challenge& challenge : parse_challenges(field)) {
      const bool bearer = challenge.scheme == "bearer" && !challenge.parameter("realm").empty();
      if (bearer || (challenge.scheme == "basic" && !chosen)) chosen = std::move(challenge);
      if (bearer) break;
    }
  }
  if (!chosen) return false;
  if (chosen->scheme == "basic") {
    challenge_ = std::move(chosen);
    return used.empty() && credentials(repository).has_value();
  }
  challenged_scopes_.clear();
  std::string named = chosen->parameter("scope") + " ";
  for (std::size_t end; (end = named.find(' ')) != std::string::npos; named.erase(0, end + 1)) {
    const std::string scope = named.substr(0, end);
    if (!scope.empty() && challenged_scopes_.size() < 8) challenged_scopes_.push_back(scope);
  }
  challenge_ = std::move(chosen);
  tokens_[key_of(scopes)] = fetch_token(scopes, repository);
  return true;
}

Authorizer::Token Authorizer::fetch_token(const Scopes& scopes, const std::string& repository) {
  const Url realm = check_realm(challenge_->parameter("realm"), endpoint_);
  const auto& found = credentials(repository);
  // What we want comes first: some servers read one scope only. What the server itself named follows.
  Scopes wanted = scopes;
  for (const std::string& scope : challenged_scopes_) {
    if (!covered(wanted, scope)) wanted.push_back(scope);
  }
  const std::string service = challenge_->parameter("service");
  HttpRequest request;
  request.url = realm;
  request.tls = endpoint_.tls;
  if (realm.host != endpoint_.base.host && endpoint_.tls) {
    // The certificate that says who we are is for the registry.
    auto elsewhere = std::make_shared<TlsSettings>();
    elsewhere->ca_bundle = endpoint_.tls->ca_bundle;
    request.tls = std::move(elsewhere);
  }
  request.max_body = kMaxTokenAnswer;
  request.headers.emplace_back("Accept", "application/json");
  if (found && !found->identity_token.empty()) {
    std::vector<std::pair<std::string, std::string>> fields{{"grant_type", "refresh_token"},
                                                            {"service", service},
                                                            {"client_id", "imgslim"},
                                                            {"scope", key_of(wanted)},
                                                            {"refresh_token", found->identity_token}};
    const std::string form = form_encoded(fields);
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body_length = form.size();
    request.body = memory_blob(form);
  } else {
    if (!service.empty()) request.url = request.url.with_query("service", service);
    for (const std::string& scope : wanted)
      request.url = request.url.with_query("scope", scope);
    if (found) {
      request.url = request.url.with_query("account", found->user);
      request.headers.emplace_back("Authorization",
                                   "Basic " + encode_base64(found->user + ":" + found->password));
    }
  }
  const HttpResponse response = ask_token_server(request);
  const std::string who = "the token server of " + endpoint_.base.authority();
  if (response.status != 200) {
    const bool refused = response.status == 401 || response.status == 403 || response.status == 400;
    throw Error(Failure::kNetwork,
                refused && found
                    ? fmt::format("{} refuses the credentials (status {})", who, response.status)
                    : fmt::format("{} gives no token (status {}){}", who, response.status,
                                  found ? "" : "; there are no credentials for it, log in first"));
  }
  Token token;
  std::uint64_t life = kUsualLife;
  try {
    const Json document = parse_json(response.body, "answer");
    token.text = string_member(document, "token", "answer");
    if (token.text.empty()) token.text = string_member(document, "access_token", "answer");
    if (const Json* seconds = find_member(document, "expires_in");
        seconds != nullptr && seconds->is_number_unsigned()) {
      life = seconds->get<std::uint64_t>();
    }
  } catch (const Error&) {
    token.text.clear();
  }
  if (!is_clean_token(token.text)) throw Error(Failure::kNetwork, who + " answered no token");
  secrets_.add(token.text);
  life = std::min(std::max(life, std::uint64_t{1}), kLongestLife);
  token.expires = Clock::now() + std::chrono::seconds(life - std::min<std::uint64_t>(life / 4, 5));
  return token;
}

HttpResponse Authorizer::ask_token_server(const HttpRequest& request) {
  Patience patience(pool_, 4);
  while (true) {
    HttpOutcome outcome = pool_.exchange(request);
    if (!outcome.fault && !is_passing_status(outcome.response.status)) return std::move(outcome.response);
    if (!patience.again(outcome, 0)) {
      throw Error(Failure::kNetwork, fmt::format("the token server of {}: {}", endpoint_.base.authority(),
                                                 patience.reason(outcome)));
    }
  }
}

}  // namespace imgslim
