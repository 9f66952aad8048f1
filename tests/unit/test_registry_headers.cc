// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "registry/headers.h"

namespace imgslim {
namespace {

TEST_CASE("headers: one bearer challenge with commas inside quotes") {
  const auto found = parse_challenges(
      R"(Bearer realm="https://auth.example/token",service="a, b",scope="repository:x/y:pull,push")");
  REQUIRE(found.size() == 1);
  CHECK(found[0].scheme == "bearer");
  CHECK(found[0].parameter("realm") == "https://auth.example/token");
  CHECK(found[0].parameter("service") == "a, b");
  CHECK(found[0].parameter("scope") == "repository:x/y:pull,push");
  CHECK(found[0].parameter("error").empty());
}

TEST_CASE("headers: several challenges in one field") {
  const auto found =
      parse_challenges(R"(Negotiate YII+/==, Basic realm="a \"b\"", BEARER Realm = x , service=y)");
  REQUIRE(found.size() == 3);
  CHECK(found[0].scheme == "negotiate");
  CHECK(found[1].parameter("realm") == "a \"b\"");
  CHECK(found[2].scheme == "bearer");
  CHECK(found[2].parameter("realm") == "x");
  CHECK(found[2].parameter("service") == "y");
}

TEST_CASE("headers: challenges that do not parse end the list") {
  CHECK(parse_challenges("").empty());
  CHECK(parse_challenges("\"x\"").empty());
  CHECK(parse_challenges("Bearer realm=\"no end").empty());
  CHECK(parse_challenges("Basic realm=\"a\", Bearer realm=\"no end").size() == 1);
  CHECK(parse_challenges("Basic").size() == 1);
  CHECK(parse_challenges(std::string(100000, ',')).empty());
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += "Basic realm=\"x\", ";
  CHECK(parse_challenges(many).size() == 16);
}

TEST_CASE("headers: the next link, and no other") {
  CHECK(parse_next_link(R"(</v2/_catalog?last=a&n=1>; rel="next")") == "/v2/_catalog?last=a&n=1");
  CHECK(parse_next_link(R"(<http://x/a>; rel=prev, <http://x/b>; title="a; b, c"; rel="start next")") ==
        "http://x/b");
  CHECK(parse_next_link(R"(<a>;rel=next;)") == "a");
  CHECK_FALSE(parse_next_link(R"(<a>; rel="prev")"));
  CHECK_FALSE(parse_next_link(R"(<a>)"));
  CHECK_FALSE(parse_next_link(R"(<a; rel="next")"));
  CHECK_FALSE(parse_next_link(R"(a; rel="next")"));
  CHECK_FALSE(parse_next_link(""));
}

TEST_CASE("headers: retry-after as seconds and as a date") {
  CHECK(parse_retry_after("120", 0) == 120);
  CHECK(parse_retry_after(" 0 ", 0) == 0);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111700) == 77);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 50) == 0);
  CHECK_FALSE(parse_retry_after("-1", 0));
  CHECK_FALSE(parse_retry_after("soon", 0));
  CHECK_FALSE(parse_retry_after("99999999999999999999999", 0));
  CHECK_FALSE(parse_retry_after("", 0));
}

TEST_CASE("headers: content-range must be exact") {
  const auto range = parse_content_range("bytes 100-199/1000");
  REQUIRE(range);
  CHECK(range->first == 100);
  CHECK(range->last == 199);
  CHECK(range->total == 1000);
  REQUIRE(parse_content_range("Bytes 0-0/*"));
  CHECK_FALSE(parse_content_range("bytes 0-0/*")->total);
  for (const char* bad : {"bytes 5-4/10", "bytes 0-10/10", "bytes */10", "bytes 0-1", "0-1/2", "bytes -1-2/3",
                          "bytes 0-18446744073709551616/*", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_content_range(bad));
  }
}

TEST_CASE("headers: how far an upload came") {
  CHECK(parse_upload_range("0-0") == 0);
  CHECK(parse_upload_range("0-1048575") == 1048576);
  CHECK(parse_upload_range("bytes=0-9") == 10);
  CHECK_FALSE(parse_upload_range("1-5"));
  CHECK_FALSE(parse_upload_range("0-"));
  CHECK_FALSE(parse_upload_range("0-18446744073709551615"));
}

TEST_CASE("headers: names without case, first value first") {
  HeaderFields fields;
  fields.add("Link", " a ");
  fields.add("LINK", "b");
  CHECK(fields.find("link") == "a");
  CHECK(fields.all("link").size() == 2);
  CHECK_FALSE(fields.find("location"));
}

}  // namespace
}  // namespace imgslim
