// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "registry/authorizer.h"
#include "registry/url.h"

namespace imgslim {
namespace {

Endpoint endpoint_at(const char* base) {
  Endpoint out;
  out.base = Url::parse(base).value();
  return out;
}

TEST_CASE("url: taken apart and put together") {
  const auto url = Url::parse("https://Registry.Example:443/v2/a%20b?x=1&y=%2F");
  REQUIRE(url);
  CHECK(url->host == "registry.example");
  CHECK(url->port == "443");
  CHECK(url->authority() == "registry.example");
  CHECK(url->text() == "https://registry.example/v2/a%20b?x=1&y=%2F");
  CHECK(url->with_query("digest", "sha256:a").query == "x=1&y=%2F&digest=sha256%3Aa");
  CHECK(Url::parse("http://[::1]:5000/v2")->authority() == "[::1]:5000");
}

TEST_CASE("url: what is none, or not for us") {
  for (const char* bad :
       {"", "ftp://x/", "file:///etc/passwd", "https://user:secret@x/", "https://", "http://a b/",
        "http://a/\r\nX: y", "/relative", "https://a%e2b/", "https://a%2fb/", "https://[::1%25eth0]x/"}) {
    CAPTURE(bad);
    CHECK_FALSE(Url::parse(bad));
  }
}

TEST_CASE("url: locations resolve as browsers do") {
  const Url base = Url::parse("https://registry.example:8443/v2/a/blobs/uploads/?mount=x").value();
  CHECK(base.resolve("/v2/a/blobs/uploads/1?_state=s")->text() ==
        "https://registry.example:8443/v2/a/blobs/uploads/1?_state=s");
  CHECK(base.resolve("u1")->text() == "https://registry.example:8443/v2/a/blobs/uploads/u1");
  CHECK(base.resolve("//other.example/x")->text() == "https://other.example/x");
  CHECK(base.resolve("http://other.example/x")->scheme == "http");
  CHECK_FALSE(base.resolve("javascript:alert(1)"));
  CHECK_FALSE(base.resolve("https://user@other.example/"));
}

TEST_CASE("url: an origin is scheme, host and port") {
  const Url base = Url::parse("https://a.example/x").value();
  CHECK(base.same_origin(*Url::parse("https://a.example:443/y")));
  CHECK_FALSE(base.same_origin(*Url::parse("http://a.example/x")));
  CHECK_FALSE(base.same_origin(*Url::parse("https://a.example:444/x")));
  CHECK_FALSE(base.same_origin(*Url::parse("https://a.example.evil.example/x")));
}

TEST_CASE("url: this machine and local networks") {
  for (const char* host :
       {"localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "[::ffff:127.0.0.1]"}) {
    CAPTURE(host);
    CHECK(is_loopback_host(host));
    CHECK(is_local_host(host));
  }
  for (const char* host : {"10.0.0.1", "192.168.3.4", "172.16.0.1", "172.31.9.9", "169.254.169.254",
                           "[fe80::1]", "[fd00::1]", "0.0.0.0", "[::]"}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback_host(host));
    CHECK(is_local_host(host));
  }
  for (const char* host :
       {"example.com", "8.8.8.8", "172.32.0.1", "128.0.0.1", "[2001:db8::1]", "localhost.evil.example"}) {
    CAPTURE(host);
    CHECK_FALSE(is_local_host(host));
  }
}

TEST_CASE("url: where a token may be asked for") {
  const Endpoint secure = endpoint_at("https://registry.example/v2");
  CHECK(check_realm("https://auth.example/token", secure).host == "auth.example");
  CHECK_THROWS_AS(check_realm("http://auth.example/token", secure), Error);
  CHECK_THROWS_AS(check_realm("http://registry.example/token", secure), Error);
  CHECK_THROWS_AS(check_realm("https://169.254.169.254/token", secure), Error);
  CHECK_THROWS_AS(check_realm("https://localhost/token", secure), Error);
  CHECK_THROWS_AS(check_realm("/token", secure), Error);
  const Endpoint plain = endpoint_at("http://127.0.0.1:5000/v2");
  CHECK(check_realm("http://127.0.0.1:5001/token", plain).port == "5001");
  CHECK_THROWS_AS(check_realm("http://127.0.0.2:5000/token", plain), Error);
  CHECK_THROWS_AS(check_realm("http://auth.example/token", plain), Error);
}

}  // namespace
}  // namespace imgslim
