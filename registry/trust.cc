// SPDX-License-Identifier: Apache-2.0
#include "registry/trust.h"

#include <curl/curl.h>
#include <unistd.h>

#include "registry/local_file.h"

namespace imgslim {
namespace {

// As in Go's crypto/x509/root_linux.go.
constexpr const char* kFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",                             // openSUSE, SLES
    "/etc/pki/tls/cacert.pem",                            // OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7 and later
    "/etc/ssl/cert.pem",                                  // Alpine
};
constexpr const char* kFolders[] = {
    "/etc/ssl/certs",      // SLES, Debian
    "/etc/pki/tls/certs",  // Fedora
};

template <class Places>
std::string first_of(const std::string& root, const char* own, const Places& places) {
  const auto readable = [&](const char* path) { return ::access((root + path).c_str(), R_OK) == 0; };
  if (own != nullptr && readable(own)) return root + own;
  for (const char* path : places) {
    if (readable(path)) return root + path;
  }
  return "";
}

}  // namespace

TrustStore find_trust_store(const std::string& root) {
  const curl_version_info_data* curl = ::curl_version_info(CURLVERSION_NOW);
  TrustStore out{environment("SSL_CERT_FILE"), environment("SSL_CERT_DIR")};
  if (out.file.empty()) out.file = first_of(root, curl->cainfo, kFiles);
  if (out.folder.empty()) out.folder = first_of(root, curl->capath, kFolders);
  return out;
}

}  // namespace imgslim
