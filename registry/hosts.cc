// SPDX-License-Identifier: Apache-2.0
#include "registry/hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "registry/local_file.h"
#include "registry/toml.h"
#include "registry/trust.h"

namespace imgslim {
namespace {

// Certificates and options for one server, before they become TlsSettings.
struct TlsFiles {
  std::vector<std::string> ca;
  std::string client_certificate;
  std::string client_key;
  bool skip_verify = false;
};

std::string required_file(const std::string& path) {
  auto text = read_local_file(path);
  if (!text) throw Error(Failure::kIo, "there is no file " + printable(path));
  return *text + "\n";
}

// Given certificates stand beside the system's; libcurl takes one bundle, so they are joined.
std::shared_ptr<const TlsSettings> settings_of(const TlsFiles& files) {
  auto out = std::make_shared<TlsSettings>();
  out->client_certificate = files.client_certificate;
  out->client_key = files.client_key;
  out->skip_verify = files.skip_verify;
  if (files.ca.empty()) return out;
  const std::string own = find_trust_store().file;
  if (!own.empty()) out->ca_bundle = read_local_file(own).value_or("") + "\n";
  for (const std::string& file : files.ca)
    out->ca_bundle += required_file(file);
  return out;
}

std::string text_of(const TomlValue& value, std::string_view what, std::string_view key) {
  if (value.kind == TomlValue::Kind::kString) return value.text;
  throw Error(Failure::kIo, fmt::format("{}: \"{}\" is no text", what, key));
}

bool truth_of(const TomlTable& table, std::string_view key, std::string_view what) {
  const TomlValue* value = table.find(key);
  if (value == nullptr) return false;
  if (value->kind == TomlValue::Kind::kBoolean) return value->text == "true";
  throw Error(Failure::kIo, fmt::format("{}: \"{}\" is neither true nor false", what, key));
}

std::vector<std::string> texts_of(const TomlTable& table, std::string_view key, std::string_view what) {
  const TomlValue* value = table.find(key);
  if (value == nullptr) return {};
  if (value->kind != TomlValue::Kind::kArray) return {text_of(*value, what, key)};
  std::vector<std::string> out;
  for (const TomlValue& item : value->items)
    out.push_back(text_of(item, what, key));
  return out;
}

std::string below(const std::string& directory, const std::string& path) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

HostsToml::Host read_host(const TomlTable& table, const std::string& directory, std::string_view what) {
  HostsToml::Host host;
  host.url = table.path[1];
  const std::vector<std::string> capabilities = texts_of(table, "capabilities", what);
  host.pull = table.find("capabilities") == nullptr ||
              std::find(capabilities.begin(), capabilities.end(), "pull") != capabilities.end();
  host.override_path = truth_of(table, "override_path", what);
  host.skip_verify = truth_of(table, "skip_verify", what);
  for (const std::string& file : texts_of(table, "ca", what))
    host.ca.push_back(below(directory, file));
  if (const TomlValue* client = table.find("client"); client != nullptr) {
    // "FILE", ["FILE", ..] or [["CERTIFICATE", "KEY"], ..]; the first counts.
    const TomlValue* first = client;
    if (client->kind == TomlValue::Kind::kArray && !client->items.empty()) first = &client->items.front();
    if (first->kind == TomlValue::Kind::kArray) {
      if (first->items.size() != 2) throw Error(Failure::kIo, fmt::format("{}: \"client\" is no pair", what));
      host.client_certificate = below(directory, text_of(first->items[0], what, "client"));
      host.client_key = below(directory, text_of(first->items[1], what, "client"));
    } else {
      host.client_certificate = below(directory, text_of(*first, what, "client"));
    }
  }
  return host;
}

Url url_of(const std::string& text, std::string_view what) {
  const bool has_scheme = text.starts_with("http://") || text.starts_with("https://");
  const auto url = Url::parse(has_scheme ? text : "https://" + text);
  if (!url) throw Error(Failure::kIo, fmt::format("{}: \"{}\" is no URL", what, printable(text)));
  return *url;
}

void set_base(Endpoint& endpoint, Url url, bool override_path) {
  while (url.path.ends_with('/'))
    url.path.pop_back();
  if (!override_path && !url.path.ends_with("/v2")) url.path += "/v2";
  url.query.clear();
  endpoint.base = std::move(url);
}

// "localhost:5000" is "localhost_5000_" where a file system takes no colon.
std::vector<std::string> folder_names(const std::string& host) {
  std::vector<std::string> out{host};
  if (const std::size_t colon = host.rfind(':'); colon != std::string::npos && !host.ends_with(']')) {
    out.push_back(host.substr(0, colon) + "_" + host.substr(colon + 1) + "_");
  }
  return out;
}

void add_certificates(const std::string& folder, TlsFiles& files) {
  for (const std::string& name : names_ending(folder, ".crt"))
    files.ca.push_back(folder + "/" + name);
  for (const std::string& name : names_ending(folder, ".cert")) {
    if (!files.client_certificate.empty()) break;
    files.client_certificate = folder + "/" + name;
    files.client_key = folder + "/" + name.substr(0, name.size() - 5) + ".key";
  }
}

}  // namespace

HostsToml parse_hosts_toml(std::string_view text, const std::string& directory, std::string_view what) {
  HostsToml out;
  for (const TomlTable& table : parse_toml(text, what)) {
    if (table.path.empty()) {
      if (const TomlValue* server = table.find("server")) out.server = text_of(*server, what, "server");
    } else if (table.path.size() == 2 && table.path[0] == "host") {
      out.hosts.push_back(read_host(table, directory, what));
    }
  }
  return out;
}

std::vector<std::string> usual_certificate_folders() {
  std::vector<std::string> out;
  const std::string config = environment("XDG_CONFIG_HOME");
  const std::string home = environment("HOME");
  if (!config.empty()) {
    out.push_back(config + "/containers/certs.d");
  } else if (!home.empty()) {
    out.push_back(home + "/.config/containers/certs.d");
  }
  for (const char* folder : {"/etc/containers/certs.d", "/etc/containerd/certs.d", "/etc/docker/certs.d"})
    out.emplace_back(folder);
  return out;
}

RegistryHosts find_hosts(const std::string& host, const HostOptions& options) {
  RegistryHosts out;
  const std::string address =
      host == "docker.io" || host == "index.docker.io" ? "registry-1.docker.io" : host;
  const auto secure = Url::parse("https://" + address + "/v2");
  if (!secure) throw_usage(fmt::format("\"{}\" is no host of a registry", printable(host)));
  const bool plain = options.plain_http || (is_loopback_host(secure->host) && options.ca_file.empty());
  out.origin.host = host;

  TlsFiles files;
  if (!options.ca_file.empty()) files.ca.push_back(options.ca_file);
  const std::vector<std::string> folders =
      options.certificate_folders.empty() ? usual_certificate_folders() : options.certificate_folders;
  std::optional<HostsToml> toml;
  for (const std::string& folder : folders) {
    for (const std::string& name : folder_names(host))
      add_certificates(folder + "/" + name, files);
    std::vector<std::string> names = folder_names(host);
    names.emplace_back("_default");
    for (const std::string& name : names) {
      const std::string directory = folder + "/" + name;
      const std::string path = directory + "/hosts.toml";
      if (toml) continue;
      if (const auto text = read_local_file(path)) toml = parse_hosts_toml(*text, directory, printable(path));
    }
  }
  // Certificates that somebody placed for this machine mean that it speaks TLS.
  const bool http = plain && (options.plain_http || files.ca.empty());
  set_base(out.origin, *Url::parse((http ? "http://" : "https://") + address), false);
  if (toml) {
    const std::string what = host + "'s hosts.toml";
    if (!toml->server.empty()) {
      const Url server = url_of(toml->server, what);
      // Another server than the registry itself is one more place to read from; pushes go to the registry.
      if (server.host == out.origin.base.host && server.port == secure->port) {
        set_base(out.origin, server, false);
      } else {
        toml->hosts.push_back({toml->server, true, false, false, {}, {}, {}});
      }
    }
    for (const HostsToml::Host& item : toml->hosts) {
      TlsFiles own{item.ca, item.client_certificate, item.client_key, item.skip_verify};
      const Url url = url_of(item.url, what);
      if (url.host == secure->host && url.port == secure->port) {
        files.ca.insert(files.ca.end(), own.ca.begin(), own.ca.end());
        files.skip_verify = files.skip_verify || own.skip_verify;
        if (!own.client_certificate.empty()) {
          files.client_certificate = own.client_certificate;
          files.client_key = own.client_key;
        }
        set_base(out.origin, url, item.override_path);
        continue;
      }
      if (!item.pull) continue;
      Endpoint mirror;
      mirror.mirror = true;
      mirror.host = url.authority();
      mirror.name_space = host;
      if (!options.ca_file.empty()) own.ca.push_back(options.ca_file);
      mirror.tls = settings_of(own);
      set_base(mirror, url, item.override_path);
      out.mirrors.push_back(std::move(mirror));
    }
  }
  out.origin.tls = settings_of(files);
  return out;
}

}  // namespace imgslim
