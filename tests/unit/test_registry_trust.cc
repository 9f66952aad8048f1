// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "registry/trust.h"
#include "tests/support/temporary_directory.h"

namespace imgslim {
namespace {

// A variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    if (value == nullptr) {
      ::unsetenv(name);
    } else {
      ::setenv(name, value, 1);
    }
  }
  Variable(const Variable&) = delete;
  ~Variable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST_CASE("trust: each distribution's place") {
  const Variable no_file("SSL_CERT_FILE", nullptr);
  const Variable no_folder("SSL_CERT_DIR", nullptr);
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
                           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    CAPTURE(file);
    const TemporaryDirectory root;
    write_test_file(root.path() + file, "x");
    CHECK(find_trust_store(root.path()).file == root.path() + file);
  }
  const TemporaryDirectory folders;
  write_test_file(folders / "etc/pki/tls/certs/0a775a30.0", "x");
  CHECK(find_trust_store(folders.path()) == TrustStore{"", folders / "etc/pki/tls/certs"});
  write_test_file(folders / "etc/ssl/certs/0a775a30.0", "x");
  CHECK(find_trust_store(folders.path()) == TrustStore{"", folders / "etc/ssl/certs"});
  const TemporaryDirectory nothing;
  CHECK(find_trust_store(nothing.path()) == TrustStore());
}

TEST_CASE("trust: the first place counts, and the environment before all") {
  const TemporaryDirectory root;
  write_test_file(root / "etc/ssl/cert.pem", "x");
  write_test_file(root / "etc/pki/tls/certs/ca-bundle.crt", "x");
  const Variable no_folder("SSL_CERT_DIR", nullptr);
  {
    const Variable no_file("SSL_CERT_FILE", nullptr);
    CHECK(find_trust_store(root.path()).file == root / "etc/pki/tls/certs/ca-bundle.crt");
  }
  const Variable file("SSL_CERT_FILE", "/own/file");
  CHECK(find_trust_store(root.path()) == TrustStore{"/own/file", root / "etc/pki/tls/certs"});
  const Variable folder("SSL_CERT_DIR", "/own:/folders");
  CHECK(find_trust_store(root.path()) == TrustStore{"/own/file", "/own:/folders"});
}

}  // namespace
}  // namespace imgslim
