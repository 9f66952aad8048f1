// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>

#include "layers/error.h"
#include "layers/image_name.h"
#include "tests/support/temporary_directory.h"

using namespace imgslim;

namespace {

std::string source_error(const std::string& text) {
  try {
    parse_source_name(text);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kUsage);
    return error.what();
  }
  return "accepted";
}

std::string destination_error(const std::string& text) {
  try {
    parse_destination_name(text);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kUsage);
    return error.what();
  }
  return "accepted";
}

const std::string kDigest = "sha256:" + std::string(64, 'a');

}  // namespace

TEST_CASE("image name: transports of files") {
  const ImageName layout = parse_source_name("oci:/no/dir:v1");
  CHECK(layout.transport == Transport::kOci);
  CHECK(layout.location == "/no/dir");
  CHECK(layout.reference == "v1");
  CHECK(layout.text() == "oci:/no/dir:v1");
  CHECK(parse_source_name("oci-archive:x.tar").transport == Transport::kOciArchive);
  CHECK(parse_source_name("oci-archive:-").location == "-");
  const ImageName docker = parse_destination_name("docker-archive:/no/x.tar:quay.io/app:v1");
  CHECK(docker.location == "/no/x.tar");
  CHECK(docker.reference == "quay.io/app:v1");
  CHECK(parse_source_name("oci:/no/dir@" + kDigest).reference == "@" + kDigest);
  CHECK(parse_source_name("oci:/no/dir:@" + kDigest).text() == "oci:/no/dir:@" + kDigest);
}

TEST_CASE("image name: a path holds a colon only if it exists") {
  const TemporaryDirectory dir;
  CHECK(parse_source_name("oci:" + (dir / "a:b")).location == dir / "a");
  std::filesystem::create_directory(dir / "a:b");
  CHECK(parse_source_name("oci:" + (dir / "a:b")).location == dir / "a:b");
  CHECK(parse_source_name("oci:" + (dir / "a:b")).reference.empty());
}

TEST_CASE("image name: registry names are written out") {
  CHECK(parse_source_name("docker://alpine").text() == "docker://docker.io/library/alpine");
  CHECK(parse_source_name("docker://org/app:1").text() == "docker://docker.io/org/app:1");
  const ImageName name = parse_source_name("localhost:5000/a/b:v1@" + kDigest);
  CHECK(name.transport == Transport::kDocker);
  CHECK(name.location == "localhost:5000/a/b");
  CHECK(name.reference == "v1");
  CHECK(name.digest == kDigest);
  CHECK(parse_source_name("ghcr.io/a/b").location == "ghcr.io/a/b");
  CHECK(parse_source_name("docker-daemon:app:v1").reference == "v1");
  for (const char* bad : {"docker://", "docker://A/b", "docker://a//b", "docker://a:", "docker://a@sha256:1",
                          "docker://host.io/", "docker://a/b:-x", "docker://a-/b", "docker://a___b"}) {
    CAPTURE(bad);
    CHECK(source_error(bad) != "accepted");
  }
}

TEST_CASE("image name: sources without a transport") {
  const TemporaryDirectory dir;
  write_test_file(dir / "x.tar", "x");
  CHECK(parse_source_name(dir.path()).transport == Transport::kOci);
  CHECK(parse_source_name(dir / "x.tar").sniffed);
  CHECK(parse_source_name(dir / "x.tar").text() == dir / "x.tar");
  CHECK(parse_source_name("-").sniffed);
  for (const char* bad :
       {"alpine", "alpine:3", "no/such/file", "./no.tar", "../no/x.tar", "", "/no.such/x"}) {
    CAPTURE(bad);
    const std::string message = source_error(bad);
    for (const char* spelling : {"oci:DIR", "docker-archive:FILE", "docker://HOST/REPO"}) {
      CHECK(message.find(spelling) != std::string::npos);
    }
  }
}

TEST_CASE("image name: destinations have a transport and no digest") {
  CHECK(destination_error("/tmp").find("oci:DIR") != std::string::npos);
  CHECK(destination_error("ghcr.io/a/b") != "accepted");
  CHECK(destination_error("oci:/no/dir@" + kDigest) != "accepted");
  CHECK(destination_error("docker-archive:/no/x:a@" + kDigest) != "accepted");
  CHECK(destination_error("docker-archive:/no/x:UPPER") != "accepted");
  CHECK(destination_error("oci:") != "accepted");
  CHECK(destination_error("oci:-") != "accepted");
  CHECK(destination_error("oci:/no/dir:") != "accepted");
  CHECK(destination_error("oci:/no/dir:a b") != "accepted");
}
