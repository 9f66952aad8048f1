// SPDX-License-Identifier: Apache-2.0
// Who we are to a registry: the configuration files of Docker and of the containers tools, and the helper
// programs that they name. Nothing of it is ever printed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/json.h"

namespace imgslim {

struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  // exchanged for tokens instead of a password
};

// One configuration file, parsed.
class CredentialFile {
 public:
  // Throws Error{kIo} naming `path`, never the content.
  CredentialFile(std::string_view text, std::string path);
  // For "HOST" or "HOST/REPO", the longest key that fits. Runs a helper if the file names one for the host.
  std::optional<Credentials> find(const std::string& host, const std::string& repository) const;

 private:
  std::string path_;
  std::shared_ptr<const Json> document_;
};

// The places where credentials are looked for, read once.
class CredentialStore {
 public:
  // `authfile`: this file alone. Empty: $DOCKER_CONFIG/config.json or ~/.docker/config.json,
  // $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json; the first
  // that knows the host counts.
  explicit CredentialStore(const std::string& authfile);
  std::optional<Credentials> find(const std::string& host, const std::string& repository) const;

 private:
  std::vector<CredentialFile> files_;
};

// Standard base64 (RFC 4648); nothing if it is none.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

// Runs docker-credential-`helper` get. Nothing if it knows none for `server`; throws Error{kNetwork} if it
// cannot run or fails otherwise.
std::optional<Credentials> ask_credential_helper(const std::string& helper, const std::string& server);

}  // namespace imgslim
