// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "layers/error.h"
#include "registry/credentials.h"
#include "registry/hosts.h"
#include "registry/patience.h"
#include "registry/toml.h"
#include "tests/support/temporary_directory.h"

namespace imgslim {
namespace {

void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

TEST_CASE("hosts: containerd's hosts.toml") {
  const HostsToml found = parse_hosts_toml(R"(server = "https://registry-1.docker.io"
# a mirror
[host."https://mirror.example:5000"]
  capabilities = ["pull", "resolve"]
  ca = ["a.crt", '/etc/b.crt']
  client = [["c.cert", "c.key"]]
[host."http://push.example/base"]
  capabilities = [
    "push", # not for us
  ]
  override_path = true
  skip_verify = true
[host."https://all.example".header]
  x = "y"
)",
                                           "/dir", "hosts.toml");
  CHECK(found.server == "https://registry-1.docker.io");
  REQUIRE(found.hosts.size() == 2);
  CHECK(found.hosts[0].pull);
  CHECK(found.hosts[0].ca == std::vector<std::string>{"/dir/a.crt", "/etc/b.crt"});
  CHECK(found.hosts[0].client_certificate == "/dir/c.cert");
  CHECK(found.hosts[0].client_key == "/dir/c.key");
  CHECK_FALSE(found.hosts[1].pull);
  CHECK(found.hosts[1].override_path);
  CHECK(found.hosts[1].skip_verify);
}

TEST_CASE("hosts: TOML that we do not read names its line") {
  for (const char* bad : {"a = ", "\na", "a = \"x", "[x", "a = {b = 1}", "a = \"\"\"x\"\"\"", "a = 1\na = 2",
                          "[[x]]\n", "a = [1", "a = 1 b = 2", "a = \"\\q\""}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_toml(bad, "f"), Error);
  }
  try {
    parse_toml("a = 1\n\nb", "f");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "f: line 3: a key without a value");
  }
}

TEST_CASE("hosts: http for this machine alone") {
  const TemporaryDirectory dir;
  HostOptions options;
  options.certificate_folders = {dir / "none"};
  CHECK(find_hosts("localhost:5000", options).origin.base.text() == "http://localhost:5000/v2");
  CHECK(find_hosts("127.0.0.1:5000", options).origin.base.scheme == "http");
  CHECK(find_hosts("registry.example", options).origin.base.text() == "https://registry.example/v2");
  CHECK(find_hosts("10.0.0.1:5000", options).origin.base.scheme == "https");
  CHECK(find_hosts("docker.io", options).origin.base.text() == "https://registry-1.docker.io/v2");
  CHECK(find_hosts("docker.io", options).origin.host == "docker.io");
  options.plain_http = true;
  CHECK(find_hosts("registry.example", options).origin.base.scheme == "http");
}

TEST_CASE("hosts: mirrors are asked in order and never replace the registry") {
  const TemporaryDirectory dir;
  write_text(dir / "certs.d/registry.example_5000_/hosts.toml",
             "server = \"https://registry.example:5000\"\n[host.\"https://one.example\"]\n"
             "[host.\"http://127.0.0.1:9/prefix\"]\ncapabilities = [\"pull\"]\noverride_path = true\n"
             "[host.\"https://push.example\"]\ncapabilities = [\"push\"]\n");
  HostOptions options;
  options.certificate_folders = {dir / "certs.d"};
  const RegistryHosts found = find_hosts("registry.example:5000", options);
  CHECK(found.origin.base.text() == "https://registry.example:5000/v2");
  REQUIRE(found.mirrors.size() == 2);
  CHECK(found.mirrors[0].base.text() == "https://one.example/v2");
  CHECK(found.mirrors[0].name_space == "registry.example:5000");
  CHECK(found.mirrors[1].base.text() == "http://127.0.0.1:9/prefix");
}

TEST_CASE("hosts: certificates of a host's folder") {
  const TemporaryDirectory dir;
  write_text(dir / "certs.d/localhost:5000/ca.crt", "one\n");
  write_text(dir / "certs.d/localhost:5000/me.cert", "two\n");
  HostOptions options;
  options.certificate_folders = {dir / "certs.d"};
  const RegistryHosts found = find_hosts("localhost:5000", options);
  CHECK(found.origin.base.scheme == "https");
  CHECK(found.origin.tls->ca_bundle.find("one\n") != std::string::npos);
  CHECK(found.origin.tls->client_certificate == (dir / "certs.d/localhost:5000/me.cert"));
  CHECK(found.origin.tls->client_key == (dir / "certs.d/localhost:5000/me.key"));
}

TEST_CASE("credentials: keys with and without scheme, path and alias") {
  const std::string hello = encode_base64("user:pass:word");
  const CredentialFile file("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" + hello +
                                "\"},\"ghcr.io\":{},\"quay.io/team\":{\"username\":\"t\",\"password\":\"p\"},"
                                "\"quay.io\":{\"auth\":\"" +
                                hello + "\"},\"token.example\":{\"identitytoken\":\"id\"}}}",
                            "config.json");
  REQUIRE(file.find("docker.io", "library/x"));
  CHECK(file.find("docker.io", "library/x")->user == "user");
  CHECK(file.find("docker.io", "library/x")->password == "pass:word");
  CHECK_FALSE(file.find("ghcr.io", "x"));
  CHECK_FALSE(file.find("io", "x"));
  CHECK(file.find("quay.io", "team/app")->user == "t");
  CHECK(file.find("quay.io", "teams/app")->user == "user");
  CHECK(file.find("token.example", "x")->identity_token == "id");
  CHECK_FALSE(file.find("quay.io.evil.example", "team/app"));
}

TEST_CASE("credentials: a broken file is an error that says nothing of its content") {
  try {
    CredentialFile("{\"auths\":{\"x\":{\"auth\":\"secret!!\"}}}", "f").find("x", "y");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
  CHECK_THROWS_AS(CredentialFile("[", "f"), Error);
  CHECK_THROWS_AS(ask_credential_helper("../evil", "x"), Error);
}

TEST_CASE("credentials: base64") {
  for (const std::string text : {"", "a", "ab", "abc", "abcd"})
    CHECK(decode_base64(encode_base64(text)) == text);
  CHECK(decode_base64("YWI") == "ab");
  CHECK_FALSE(decode_base64("a*b="));
}

TEST_CASE("patience: waits grow and stay below their limit") {
  CHECK(backoff(1) == std::chrono::milliseconds(200));
  CHECK(backoff(2) == std::chrono::milliseconds(400));
  CHECK(backoff(6) == std::chrono::milliseconds(6400));
  CHECK(backoff(60) == std::chrono::milliseconds(8000));
  CHECK(is_passing_status(503));
  CHECK_FALSE(is_passing_status(404));
}

}  // namespace
}  // namespace imgslim
