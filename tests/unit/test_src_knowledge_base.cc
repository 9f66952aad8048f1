// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

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
