// SPDX-License-Identifier: Apache-2.0
// One call to a registry: credentials, redirects, retries, words for what went wrong.
#include "registry/client.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/error.h"
#include "layers/json_fields.h"

namespace imgslim {
namespace {

constexpr int kMaxRedirects = 10;
// One challenge before the first token, one when it runs out meanwhile.
constexpr int kMaxChallenges = 2;

bool is_redirect(int status, const std::string& method) {
  if (status == 307 || status == 308) return true;
  return (method == "GET" || method == "HEAD") && (status == 301 || status == 302 || status == 303);
}

HttpOutcome refused_redirect(std::string why) {
  HttpOutcome out;
  out.fault = HttpFault{HttpFault::Kind::kTrust, std::move(why)};
  return out;
}

// What a server may not send us to.
std::string objection(const Url& from, const Url& to) {
  if (from.scheme == "https" && to.scheme != "https") return "a redirect from https to http";
  if (is_local_host(to.host) && !is_local_host(from.host)) {
    return fmt::format("a redirect into a local network ({})", printable(to.authority()));
  }
  return "";
}

}  // namespace

RegistryClient::RegistryClient(SessionPtr session, std::string host, std::string repository, Access access)
    : session_(std::move(session)),
      host_(std::move(host)),
      repository_(std::move(repository)),
      access_(access),
      servers_(session_->host(host_)) {}

std::vector<std::shared_ptr<RegistryClient::Server>> RegistryClient::pull_servers() const {
  std::vector<std::shared_ptr<Server>> out = servers_->mirrors;
  out.push_back(servers_->origin);
  return out;
}

Url RegistryClient::url_for(const Server& server, const Call& what) const {
  if (what.url) return *what.url;
  Url url = server.endpoint.base;
  const std::size_t question = what.path.find('?');
  url.path += "/" + repository_ + what.path.substr(0, question);
  url.query = question == std::string::npos ? "" : what.path.substr(question + 1);
  if (!server.endpoint.name_space.empty()) url = url.with_query("ns", server.endpoint.name_space);
  return url;
}

Scopes RegistryClient::scopes(const Call& what) const {
  Scopes out{fmt::format("repository:{}:{}", repository_, access_ == Access::kPush ? "pull,push" : "pull")};
  if (!what.mount_from.empty()) out.push_back(fmt::format("repository:{}:pull", what.mount_from));
  return out;
}

HttpOutcome RegistryClient::call(Server& server, const Call& what) const {
  HttpRequest request;
  request.method = what.method;
  request.url = url_for(server, what);
  request.body = what.body;
  request.body_offset = what.body_offset;
  request.body_length = what.body_length;
  request.max_body = what.max_body;
  request.answer_within = what.answer_within;
  int redirects = 0;
  int challenges = 0;
  while (true) {
    const bool own = request.url.same_origin(server.endpoint.base);
    request.headers = what.headers;
    request.tls = server.endpoint.tls;
    if (request.url.host != server.endpoint.base.host && server.endpoint.tls) {
      auto elsewhere = std::make_shared<TlsSettings>();
      elsewhere->ca_bundle = server.endpoint.tls->ca_bundle;
      request.tls = std::move(elsewhere);
    }
    std::string authorization;
    if (own) authorization = server.authorizer->header_for(scopes(what), repository_);
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    // Answers that are followed or asked again have no body of interest.
    const HttpPool::ChooseSink choose = [&](const HttpResponse& response) -> Sink* {
      if (!what.choose || is_redirect(response.status, what.method) || response.status == 401) return nullptr;
      return what.choose(response);
    };
    HttpOutcome outcome = session_->pool().exchange(request, choose);
    outcome.response.url = request.url;
    if (outcome.fault) return outcome;
    const HttpResponse& response = outcome.response;
    if (response.status == 401 && own && challenges < kMaxChallenges) {
      ++challenges;
      if (server.authorizer->answer(response, scopes(what), repository_, authorization)) continue;
    }
    if (!is_redirect(response.status, what.method)) return outcome;
    if (++redirects > kMaxRedirects) return refused_redirect("too many redirects");
    const auto location = response.headers.find("location");
    const auto next = location ? request.url.resolve(*location) : std::nullopt;
    if (!next) return refused_redirect("a redirect that names no URL");
    const std::string why = objection(request.url, *next);
    if (!why.empty()) return refused_redirect(why);
    request.url = *next;
  }
}

HttpResponse RegistryClient::call_patiently(Server& server, const Call& what, int tries) const {
  Patience patience(session_->pool(), tries);
  while (true) {
    HttpOutcome outcome = call(server, what);
    if (!outcome.fault && !is_passing_status(outcome.response.status)) return std::move(outcome.response);
    if (!patience.again(outcome, 0)) {
      const std::string said = outcome.fault ? "" : words(outcome.response);
      throw Error(Failure::kNetwork,
                  fmt::format("{}: {}{}", server.endpoint.base.authority(), patience.reason(outcome),
                              said.empty() ? "" : " (" + said + ")"));
    }
  }
}

std::string RegistryClient::what(std::string_view subject) const {
  return fmt::format("{}/{}: {}", host_, repository_, subject);
}

std::string RegistryClient::words(const HttpResponse& response) const {
  std::string text;
  try {
    const Json document = parse_json(response.body, "answer");
    if (const Json* errors = find_member(document, "errors");
        errors != nullptr && errors->is_array() && !errors->empty()) {
      const Json& first = errors->front();
      text = string_member(first, "message", "answer");
      if (text.empty()) text = string_member(first, "code", "answer");
    }
  } catch (const Error&) {
    // Not every server speaks the protocol's own errors.
  }
  return session_->secrets().without(text);
}

void RegistryClient::fail(std::string_view subject, const HttpResponse& response) const {
  std::string said = words(response);
  if (!said.empty()) said = " (" + said + ")";
  if (response.status == 401) {
    throw Error(Failure::kNetwork, fmt::format("{}: not authorized{}; log in first", what(subject), said));
  }
  if (response.status == 403)
    throw Error(Failure::kNetwork, fmt::format("{}: access denied{}", what(subject), said));
  throw Error(Failure::kNetwork, fmt::format("{}: status {}{}", what(subject), response.status, said));
}

}  // namespace imgslim
