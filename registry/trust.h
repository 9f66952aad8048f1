// SPDX-License-Identifier: Apache-2.0
// Where this machine keeps the certificates of the authorities that it trusts: each distribution has its own
// place, and libcurl knows that of the distribution it was built on.
#pragma once

#include <string>

namespace imgslim {

struct TrustStore {
  std::string file;  // certificates in PEM
  std::string
      folder;  // a file for each, by OpenSSL's hash of its subject; or several folders with ':' between
  bool operator==(const TrustStore&) const = default;
};

// SSL_CERT_FILE and SSL_CERT_DIR, each where it is set; else libcurl's own place, else the known places,
// where there is something. Empty if there is none. `root` stands before all paths but those of the
// environment, for tests.
TrustStore find_trust_store(const std::string& root = "");

}  // namespace imgslim
