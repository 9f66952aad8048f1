// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/knowledge_base.h"

using namespace imgslim;

TEST_CASE("knowledge: objects are found by SONAME or file name") {
  const KnowledgeRow* crypto = dlopen_row_of("libcrypto.so.3");
  REQUIRE(crypto != nullptr);
  CHECK(crypto->key == "libcrypto.so.3");
  CHECK_FALSE(crypto->missing_handled);
  REQUIRE(dlopen_row_of("/usr/lib/x86_64-linux-gnu/libicuuc.so.72") != nullptr);
  CHECK(dlopen_row_of("libcrypto.so.35") == nullptr);
  CHECK(dlopen_row_of("libsomething.so.1") == nullptr);
  REQUIRE(exec_row_of("/usr/bin/git") != nullptr);
}

TEST_CASE("knowledge: Go packages ignore the major version and a vendor folder") {
  const KnowledgeRow* row =
      exec_row_of_go_package("github.com/DataDog/dd-trace-go/v2/internal/appsec", "ldd");
  REQUIRE(row != nullptr);
  CHECK(row->missing_handled);
  CHECK(exec_row_of_go_package("github.com/DataDog/dd-trace-go/v2/internalother", "ldd") == nullptr);
  CHECK(exec_row_of_go_package("example.org/vendor/github.com/mitchellh/go-homedir", "sh") != nullptr);
  CHECK(exec_row_of_go_package("github.com/mitchellh/go-homedir", "rm") == nullptr);
  CHECK(exec_row_of_go_package("github.com/mitchellh/go-homedir", "") != nullptr);
  CHECK(exec_row_of_go_package("github.com/containerd/containerd/v2/pkg/archive/compression", "unpigz") !=
        nullptr);
}

TEST_CASE("knowledge: what only makes faster is handled, what a request needs is kept") {
  for (const std::string_view package :
       {"github.com/moby/go-archive/compression", "github.com/docker/docker/pkg/archive"}) {
    CAPTURE(std::string(package));
    const KnowledgeRow* faster = exec_row_of_go_package(package, "unpigz");
    REQUIRE(faster != nullptr);
    CHECK(faster->missing_handled);
    const KnowledgeRow* needed = exec_row_of_go_package(package, "xz");
    REQUIRE(needed != nullptr);
    CHECK_FALSE(needed->missing_handled);
  }
  CHECK(exec_row_of_go_package("gopkg.in/DataDog/dd-trace-go.v1/internal/hostname", "/bin/hostname") !=
        nullptr);
  // Drivers and plugins that are in the image are used.
  for (const std::string_view object :
       {"libGLX.so.0", "libEGL.so.1", "libibverbs.so.1", "libcryptsetup.so.12"}) {
    CAPTURE(std::string(object));
    const KnowledgeRow* row = dlopen_row_of(object);
    REQUIRE(row != nullptr);
    CHECK_FALSE(row->missing_handled);
    CHECK_FALSE(row->paths.empty());
  }
}

TEST_CASE("knowledge: OpenSSL, tokens, shells behind programs") {
  for (const std::string_view object : {"libcrypto.so.3", "libcrypto.so.1.1"}) {
    CAPTURE(std::string(object));
    const KnowledgeRow* row = dlopen_row_of(object);
    REQUIRE(row != nullptr);
    for (const std::string_view path : {"/usr/lib/ssl/*.cnf", "/etc/ssl/*.cnf", "/etc/pki/tls/*.cnf"})
      CHECK(std::find(row->paths.begin(), row->paths.end(), path) != row->paths.end());
  }
  // A program that holds OpenSSL itself is not covered by the library's row.
  CHECK(dlopen_row_of("openssl") == nullptr);
  CHECK(dlopen_row_of("libengine-forged.so") == nullptr);
  for (const std::string_view object : {"libp11.so.3", "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so"}) {
    const KnowledgeRow* row = dlopen_row_of(object);
    REQUIRE(row != nullptr);
    CHECK_FALSE(row->missing_handled);
  }
  REQUIRE(dlopen_row_of("/usr/bin/stdbuf") != nullptr);
  CHECK_FALSE(dlopen_row_of("/usr/bin/stdbuf")->paths.empty());
  for (const std::string_view program : {"flock", "busybox"}) {
    const KnowledgeRow* row = exec_row_of(program);
    REQUIRE(row != nullptr);
    CHECK_FALSE(row->missing_handled);
    CHECK(row->names == std::vector<std::string_view>{"sh"});
  }
}

TEST_CASE("knowledge: a handled row has no files to keep") {
  for (const KnowledgeRow& row : dlopen_knowledge()) {
    CAPTURE(std::string(row.key));
    if (row.missing_handled) CHECK(row.paths.empty());
  }
  // A module of a name service that nobody knows is not taken for one that loads nothing.
  CHECK(dlopen_row_of("libnss_files.so.2") != nullptr);
  CHECK(dlopen_row_of("libnss_forged.so.2") == nullptr);
}

TEST_CASE("knowledge: every row says what triggers it and where that was read") {
  for (const auto* rows : {&dlopen_knowledge(), &exec_knowledge()}) {
    for (const KnowledgeRow& row : *rows) {
      CAPTURE(std::string(row.key));
      CHECK_FALSE(row.key.empty());
      CHECK_FALSE(row.trigger.empty());
      CHECK_FALSE(row.source.empty());
    }
  }
}

TEST_CASE("knowledge: globs") {
  CHECK(matches_glob("libnss_db.so.2", "libnss_*.so.2"));
  CHECK(matches_glob("abc", "*"));
  CHECK(matches_glob("aXbXc", "a*b*c"));
  CHECK_FALSE(matches_glob("libnss_db.so.3", "libnss_*.so.2"));
  CHECK_FALSE(matches_glob("", "a"));
}
