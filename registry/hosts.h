// SPDX-License-Identifier: Apache-2.0
// Where a registry is reached: its own address, the mirrors that may be read instead, and the certificates
// for each (certs.d: Docker's and the containers tools' *.crt, *.cert and *.key, containerd's hosts.toml).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/http.h"
#include "registry/url.h"

namespace imgslim {

// One server that speaks the registry protocol.
struct Endpoint {
  Url base;          // what "/REPOSITORY/manifests/..." is put behind, without a final '/'
  std::string host;  // as credentials are filed
  std::shared_ptr<const TlsSettings> tls;
  bool mirror = false;
  std::string name_space;  // sent as "ns" to a mirror: the registry it stands for
};

struct RegistryHosts {
  Endpoint origin;
  std::vector<Endpoint> mirrors;  // in the order in which they are asked
};

struct HostOptions {
  bool plain_http = false;
  std::string ca_file;
  // Folders that hold one folder for each host; empty: the usual ones.
  std::vector<std::string> certificate_folders;
};

// What a hosts.toml says. `directory` is what its relative paths start from. Throws Error{kIo}.
struct HostsToml {
  struct Host {
    std::string url;
    bool pull = false;
    bool override_path = false;
    bool skip_verify = false;
    std::vector<std::string> ca;
    std::string client_certificate;
    std::string client_key;
  };
  std::string server;
  std::vector<Host> hosts;
};
HostsToml parse_hosts_toml(std::string_view text, const std::string& directory, std::string_view what);

// `host` as in an image name: "docker.io", "ghcr.io", "localhost:5000". Plain http goes to this machine
// alone unless `plain_http`. Throws Error{kIo, kUsage} for configuration that cannot be read.
RegistryHosts find_hosts(const std::string& host, const HostOptions& options);

// ~/.config, /etc: where certs.d folders are.
std::vector<std::string> usual_certificate_folders();

}  // namespace imgslim
