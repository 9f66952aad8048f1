// SPDX-License-Identifier: Apache-2.0
#include "registry/credentials.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <algorithm>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "registry/local_file.h"

namespace imgslim {
namespace {

constexpr std::string_view kHubKey = "https://index.docker.io/v1/";

bool is_hub(std::string_view host) {
  return host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io";
}

// "https://host/v1/" is "host"; what is left may hold a path.
std::string plain_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/'))
    key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  std::string out(key);
  const std::string host = out.substr(0, out.find('/'));
  if (is_hub(host)) out.replace(0, host.size(), "docker.io");
  return out;
}

// What a key in `auths` says; nothing where it only marks that a store has them.
std::optional<Credentials> credentials_in(const Json& entry, const std::string& what) {
  if (!entry.is_object()) throw Error(Failure::kIo, what + ": an entry of \"auths\" is no object");
  Credentials out;
  const auto text = [&](const char* key) {
    const Json* member = find_member(entry, key);
    if (member == nullptr) return std::string();
    if (!member->is_string()) throw Error(Failure::kIo, fmt::format("{}: \"{}\" is no text", what, key));
    return member->get<std::string>();
  };
  out.identity_token = text("identitytoken");
  out.user = text("username");
  out.password = text("password");
  if (const std::string encoded = text("auth"); !encoded.empty()) {
    const auto decoded = decode_base64(encoded);
    const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos)
      throw Error(Failure::kIo, what + ": an \"auth\" is not base64 of USER:PASSWORD");
    out.user = decoded->substr(0, colon);
    out.password = decoded->substr(colon + 1);
    // Old clients filled it up with NUL.
    out.password.erase(out.password.find_last_not_of('\0') + 1);
  }
  if (out.user.empty() && out.identity_token.empty()) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.remove_suffix(1);
  std::string padded(text);
  while (padded.size() % 4 != 0)
    padded += '=';
  if (padded.size() > (std::size_t{1} << 20)) return std::nullopt;
  std::string out(padded.size() / 4 * 3, '\0');
  const int size = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(padded.data()),
                                     static_cast<int>(padded.size()));
  if (size < 0) return std::nullopt;
  const std::size_t fill = padded.size() - std::min(padded.size(), padded.find_last_not_of('=') + 1);
  if (fill > 2) return std::nullopt;
  out.resize(static_cast<std::size_t>(size) - fill);
  return out;
}

std::string encode_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

CredentialFile::CredentialFile(std::string_view text, std::string path) : path_(std::move(path)) {
  try {
    document_ = std::make_shared<const Json>(parse_json(text, printable(path_)));
  } catch (const Error& error) {
    throw Error(Failure::kIo, error.what());
  }
  if (!document_->is_object()) throw Error(Failure::kIo, printable(path_) + ": is no JSON object");
}

std::optional<Credentials> CredentialFile::find(const std::string& host,
                                                const std::string& repository) const {
  const std::string known = is_hub(host) ? "docker.io" : host;
  const std::string server = is_hub(host) ? std::string(kHubKey) : host;
  if (const Json* helpers = find_member(*document_, "credHelpers");
      helpers != nullptr && helpers->is_object()) {
    for (const auto& [key, helper] : helpers->items()) {
      if (plain_key(key) != known || !helper.is_string()) continue;
      // The host's own helper has the last word; an empty name takes it away from the common store.
      if (helper.get<std::string>().empty()) break;
      return ask_credential_helper(helper.get<std::string>(), server);
    }
  }
  if (const Json* store = find_member(*document_, "credsStore");
      store != nullptr && store->is_string() && !store->get<std::string>().empty()) {
    if (auto found = ask_credential_helper(store->get<std::string>(), server)) return found;
  }
  const Json* auths = find_member(*document_, "auths");
  if (auths == nullptr || !auths->is_object()) return std::nullopt;
  const std::string wanted = known + "/" + repository;
  const Json* best = nullptr;
  std::size_t best_length = 0;
  for (const auto& [key, entry] : auths->items()) {
    const std::string plain = plain_key(key);
    if (plain.size() < best_length || plain.size() > wanted.size()) continue;
    const bool fits =
        wanted.starts_with(plain) && (plain.size() == wanted.size() || wanted[plain.size()] == '/');
    if (!fits || (best != nullptr && plain.size() == best_length)) continue;
    if (!credentials_in(entry, printable(path_))) continue;
    best = &entry;
    best_length = plain.size();
  }
  if (best == nullptr) return std::nullopt;
  return credentials_in(*best, printable(path_));
}

CredentialStore::CredentialStore(const std::string& authfile) {
  std::vector<std::string> paths;
  if (!authfile.empty()) {
    paths.push_back(authfile);
  } else {
    const std::string home = environment("HOME");
    const std::string docker = environment("DOCKER_CONFIG");
    if (!docker.empty()) {
      paths.push_back(docker + "/config.json");
    } else if (!home.empty()) {
      paths.push_back(home + "/.docker/config.json");
    }
    if (const std::string file = environment("REGISTRY_AUTH_FILE"); !file.empty()) paths.push_back(file);
    if (const std::string run = environment("XDG_RUNTIME_DIR"); !run.empty()) {
      paths.push_back(run + "/containers/auth.json");
    }
    if (const std::string config = environment("XDG_CONFIG_HOME"); !config.empty()) {
      paths.push_back(config + "/containers/auth.json");
    } else if (!home.empty()) {
      paths.push_back(home + "/.config/containers/auth.json");
    }
  }
  for (const std::string& path : paths) {
    const auto text = read_local_file(path);
    if (text) {
      files_.emplace_back(*text, path);
    } else if (!authfile.empty()) {
      throw_usage("--authfile " + printable(path) + ": there is no such file");
    }
  }
}

std::optional<Credentials> CredentialStore::find(const std::string& host,
                                                 const std::string& repository) const {
  for (const CredentialFile& file : files_) {
    if (auto found = file.find(host, repository)) return found;
  }
  return std::nullopt;
}

}  // namespace imgslim
