// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "layers/digest.h"

using namespace imgslim;

TEST_CASE("digest: known answers") {
  CHECK(digest_of("").text() == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest_of("abc").text() == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher hasher("sha512");
  hasher.update("a");
  hasher.update("bc");
  const Digest digest = hasher.finish();
  CHECK(digest.algorithm() == "sha512");
  CHECK(digest.hex().substr(0, 16) == "ddaf35a193617aba");
  CHECK(digest.hex().size() == 128);
  CHECK(digest.short_text() == "sha512:ddaf35a19361");
  CHECK_THROWS(Hasher("md5"));
}

TEST_CASE("digest: only the well formed is parsed") {
  const std::string hex(64, 'a');
  REQUIRE(Digest::parse("sha256:" + hex));
  CHECK(Digest::parse("sha256:" + hex)->hex() == hex);
  CHECK(Digest::parse(digest_of("x").text()) == digest_of("x"));
  for (const std::string& text :
       {std::string(), std::string("sha256:"), hex, "sha256:" + hex.substr(1), "sha256:" + hex + "a",
        "SHA256:" + hex, "sha256:" + std::string(64, 'A'), "sha256:" + std::string(63, 'a') + "/",
        "sha512:" + hex, "md5:" + hex, "sha256:../" + std::string(61, 'a'), ":" + hex}) {
    CAPTURE(text);
    CHECK_FALSE(Digest::parse(text));
  }
}
