// SPDX-License-Identifier: Apache-2.0
#include "registry/session.h"

namespace imgslim {
namespace {

std::optional<std::chrono::steady_clock::time_point> deadline_of(const NetworkOptions& options) {
  if (options.timeout.count() <= 0) return std::nullopt;
  return std::chrono::steady_clock::now() + options.timeout;
}

}  // namespace

NetworkSession::NetworkSession(NetworkOptions options)
    : options_(std::move(options)), pool_(deadline_of(options_)) {}

std::shared_ptr<NetworkSession::Server> NetworkSession::make_server(const Endpoint& endpoint) {
  auto server = std::make_shared<Server>();
  server->endpoint = endpoint;
  server->authorizer = std::make_unique<Authorizer>(pool_, *credentials_, secrets_, endpoint);
  return server;
}

std::shared_ptr<const NetworkSession::Host> NetworkSession::host(const std::string& name) {
  const std::lock_guard guard(mutex_);
  if (const auto known = hosts_.find(name); known != hosts_.end()) return known->second;
  if (!credentials_) credentials_.emplace(options_.authfile);
  const RegistryHosts found = find_hosts(name, {options_.plain_http, options_.ca_file, {}});
  auto host = std::make_shared<Host>();
  host->origin = make_server(found.origin);
  for (const Endpoint& mirror : found.mirrors)
    host->mirrors.push_back(make_server(mirror));
  hosts_.emplace(name, host);
  return host;
}

}  // namespace imgslim
