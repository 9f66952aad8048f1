// SPDX-License-Identifier: Apache-2.0
// What all images of a run share on the network: connections, credentials, tokens, counts.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "registry/authorizer.h"
#include "registry/credentials.h"
#include "registry/hosts.h"
#include "registry/http.h"
#include "registry/transfers.h"

namespace imgslim {

struct NetworkOptions {
  bool plain_http = false;
  std::string ca_file;
  std::string authfile;
  std::chrono::seconds timeout{0};  // of all transfers together; 0: none
  std::string spool_directory;      // where fetched blobs are kept, unlinked, while the program runs
};

class NetworkSession {
 public:
  explicit NetworkSession(NetworkOptions options);

  // The server of an endpoint, with the tokens it gave.
  struct Server {
    Endpoint endpoint;
    std::unique_ptr<Authorizer> authorizer;
  };
  struct Host {
    std::shared_ptr<Server> origin;
    std::vector<std::shared_ptr<Server>> mirrors;
  };
  // Configuration is read when a host is named for the first time.
  std::shared_ptr<const Host> host(const std::string& name);

  HttpPool& pool() { return pool_; }
  Transfers& transfers() { return transfers_; }
  Secrets& secrets() { return secrets_; }
  const NetworkOptions& options() const { return options_; }

 private:
  std::shared_ptr<Server> make_server(const Endpoint& endpoint);

  NetworkOptions options_;
  Transfers transfers_;
  Secrets secrets_;
  HttpPool pool_;
  std::mutex mutex_;
  std::optional<CredentialStore> credentials_;
  std::map<std::string, std::shared_ptr<const Host>> hosts_;
};
using SessionPtr = std::shared_ptr<NetworkSession>;

}  // namespace imgslim
