// SPDX-License-Identifier: Apache-2.0
// USER, WORKDIR, package records, layer encodings, and one image against another.
#include <doctest/doctest.h>

#include "src/verification_parts.h"
#include "tests/support/tree_builder.h"
#include "tests/support/verification_image.h"

namespace imgslim {
namespace {

using testing::tree_of;
using testing::VerifiedTable;

VerifiedTable static_image() {
  VerifiedTable image;
  testing::ElfDescription program;
  program.type = ET_EXEC;
  program.dynamic = false;
  image.file("/app", testing::build_elf(program));
  return image;
}

// "failure|note NAME" of each finding about the encodings of layers.
std::string encodings(std::initializer_list<std::string_view> layers, bool strict = false) {
  std::vector<Finding> found;
  FindingList findings(found);
  verify_encodings(tree_of(layers), nullptr, strict, findings);
  std::string text;
  for (const Finding& finding : found) {
    CHECK(finding.check == "encoding");
    text += (finding.severity == Finding::Severity::kFailure ? "failure " : "note ") + finding.name + "; ";
  }
  return text;
}

}  // namespace

TEST_CASE("verify: USER is a number or has an account") {
  VerifiedTable image = static_image();
  for (const char* user : {"", "0", "1000", "1000:1000", "4294967294"}) {
    image.config.user = user;
    CHECK(image.failures().empty());
  }
  image.config.user = "4294967295";
  CHECK(image.failures() == "USER 4294967295: the user \"4294967295\" is out of range\n");
  image.config.user = "web";
  CHECK(image.failures() ==
        "USER web: the user \"web\" is not a number, and /etc/passwd cannot be read: /etc is not there\n");
  image.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nwebmaster:x:7:7:::\nbroken\nweb:x:33:33:::");
  CHECK(image.failures().empty());
  image.config.user = "web:staff";
  image.file("/etc/group", "staf:x:1:\n");
  CHECK(image.failures() == "USER web:staff: the group \"staff\" is not in /etc/group\n");
  image.file("/etc/group", "staf:x:1:\nstaff:x:2:\n");
  CHECK(image.failures().empty());
  CHECK(!runs_as_root(image, image.config));
  image.config.user = "root";
  CHECK(runs_as_root(image, image.config));
}

TEST_CASE("verify: WORKDIR is there or can be made") {
  VerifiedTable image = static_image();
  image.directory("/srv");
  image.config.working_dir = "/srv";
  CHECK(image.verify().findings.empty());
  image.config.working_dir = "/srv/data";
  CHECK(image.failures().empty());
  CHECK(image.verify().findings.size() == 1);
  image.config.working_dir = "srv";
  CHECK(image.failures().starts_with("WORKDIR srv: not absolute"));
  image.config.working_dir = "/app";
  CHECK(image.failures() == "WORKDIR /app: no directory\n");
  image.config.working_dir = "/app/x";
  CHECK(image.failures() == "WORKDIR /app/x: /app is no directory\n");
  image.link("/gone", "nowhere");
  image.config.working_dir = "/gone";
  CHECK(image.failures() == "WORKDIR /gone: /gone is a link to nowhere, which is not there\n");
}

TEST_CASE("verify: records of filtered packages name what is there") {
  VerifiedTable image = static_image();
  const std::string sum(32, 'a');
  image.file("/var/lib/dpkg/status.d/tz", "Package: tz\nVersion: 1\n");
  image.file("/var/lib/dpkg/status.d/tz.md5sums",
             sum + "  usr/share/tz/UTC\n" + sum + "  usr/share/tz/GMT\n");
  image.file("/usr/share/tz/UTC", "");
  image.file("/usr/share/tz/GMT", "");
  CHECK(image.verify().findings.empty());
  image.remove("/usr/share/tz/GMT");
  CHECK(image.failures() ==
        "/var/lib/dpkg/status.d/tz -> package tz 1: its records name 1 file that is not there, "
        "/usr/share/tz/GMT is the first\n");
  image.remove("/usr/share/tz/UTC");
  CHECK(image.failures().find("recorded, but none of its 2 files is there") != std::string::npos);
}

TEST_CASE("verify: filtered records name links, folders and conffiles too") {
  VerifiedTable image = static_image();
  image.file("/var/lib/dpkg/status.d/tz",
             "Package: tz\nVersion: 1\nConffiles:\n /etc/tz " + std::string(32, 'b') + "\n");
  image.file("/var/lib/dpkg/info/tz.list",
             "/.\n/usr\n/usr/share/tz/new\n/usr/share/tz/UTC\n/etc/tz\n/var/spool/tz\n");
  image.file("/usr/share/tz/UTC", "");
  image.link("/usr/share/tz/new", "UTC");
  image.file("/etc/tz", "");
  image.directory("/var/spool/tz");
  CHECK(image.verify().findings.empty());
  for (const char* path : {"/usr/share/tz/new", "/etc/tz", "/var/spool/tz"}) {
    CAPTURE(path);
    VerifiedTable less = image;
    less.remove(path);
    CHECK(less.failures() ==
          "/var/lib/dpkg/status.d/tz -> package tz 1: its records name 1 file that is not there, " +
              std::string(path) + " is the first\n");
  }
}

TEST_CASE("verify: what every installation has is a failure only where records are filtered") {
  for (const bool filtered : {true, false}) {
    CAPTURE(filtered);
    VerifiedTable image = static_image();
    const std::string fields = "Version: 1\nArchitecture: all\n\n";
    if (filtered) {
      image.file("/var/lib/dpkg/status.d/base-files", "Package: base-files\n" + fields);
    } else {
      image.file("/var/lib/dpkg/status", "Package: base-files\nStatus: install ok installed\n" + fields);
      image.file("/var/lib/dpkg/info/base-files.list", "/.\n");
    }
    image.file("/etc/debian_version", "12.11\n");
    for (const char* path : {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/timezone"})
      image.file(path, "");
    image.link("/etc/localtime", "/usr/share/zoneinfo/UTC");
    CHECK(image.verify().findings.empty());
    for (const char* path :
         {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/timezone", "/etc/localtime"}) {
      CAPTURE(path);
      VerifiedTable less = image;
      less.remove(path);
      const Verification result = less.verify();
      REQUIRE(result.findings.size() == 1);
      CHECK(result.findings[0].subject == path);
      CHECK(result.ok() == !filtered);
      // The same in the source is none of the result's doing.
      CHECK(less.verify(false, &result).ok());
    }
    // Newer releases have no /etc/timezone.
    image.file("/etc/debian_version", "13.1\n");
    image.remove("/etc/timezone");
    CHECK(image.verify().findings.empty());
  }
}

TEST_CASE("verify: each certificate of a hashed folder has the link that programs look for") {
  VerifiedTable image = static_image();
  image.file("/var/lib/dpkg/status.d/ca-certificates", "Package: ca-certificates\nVersion: 1\n");
  image.file("/etc/ssl/certs/ca-certificates.crt", "");
  image.file("/usr/share/ca-certificates/a.crt", "");
  image.link("/etc/ssl/certs/a.pem", "/usr/share/ca-certificates/a.crt");
  image.link("/etc/ssl/certs/b.pem", "/usr/share/ca-certificates/a.crt");
  CHECK(image.verify().findings.empty());  // not hashed
  image.link("/etc/ssl/certs/0123abcd.0", "a.pem");
  CHECK(image.failures() ==
        "/etc/ssl/certs/b.pem: no link with the hash of the certificate's name leads to it\n");
  image.link("/etc/ssl/certs/0123abcd.1", "b.pem");
  CHECK(image.verify().findings.empty());
  image.remove("/etc/ssl/certs/a.pem");
  CHECK(image.failures().starts_with("/etc/ssl/certs/0123abcd.0: "));
  image.remove("/etc/ssl/certs/ca-certificates.crt");
  CHECK(image.failures().find("every installation has it") != std::string::npos);
}

TEST_CASE("verify: a full package database may lack files, not all of them") {
  VerifiedTable image = static_image();
  image.file("/var/lib/dpkg/status",
             "Package: p\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n\n");
  image.file("/var/lib/dpkg/info/p.list", "/.\n/usr\n/usr/bin\n/usr/bin/p\n/usr/bin/q\n/usr/share/doc/p/x\n");
  image.file("/usr/bin/p", "");
  image.file("/usr/bin/q", "");
  CHECK(image.verify().findings.empty());
  image.remove("/usr/bin/q");
  CHECK(image.failures().empty());
  REQUIRE(image.verify().findings.size() == 1);
  CHECK(image.verify().findings[0].line() ==
        "/var/lib/dpkg/status -> package p 2: 1 of 2 recorded files are not there, /usr/bin/q is the first");
  image.remove("/usr/bin/p");
  CHECK(image.failures() ==
        "/var/lib/dpkg/status -> package p 2: recorded, but none of its 2 files is there\n");
}

TEST_CASE("verify: layers that all appliers read alike") {
  CHECK(encodings({"d a\nf a/x : 1\nh a/y -> a/x", "w a/x\nf a/z : 2", "o a\nf a/new : 3"}).empty());
  CHECK(encodings({"f a : 1", "h b -> a"}) == "failure hard link across layers; ");
  CHECK(encodings({"d a\nf a/old : 1", "w a\nd a\nf a/new : 2"}) == "failure whiteout and directory; ");
  CHECK(encodings({"f a : 1", "w a\nf a : 2"}).empty());
  CHECK(encodings({"f a : 1", "f a : 2\nw a"}) == "failure whiteout after entry; ");
  CHECK(encodings({"f a : 1", "o .\nf b : 2"}) == "failure opaque root; ");
  CHECK(encodings({"f a xattr.user.overlay.opaque=y : 1"}) == "failure user.overlay.opaque; ");
}

TEST_CASE("verify: layers that appliers may read differently") {
  CHECK(encodings({"f a : 1\nf a : 2"}) == "note notice; ");
  CHECK(encodings({"f a : 1\nf a : 2"}, true) == "failure notice; ");
  CHECK(encodings({"d a\nf a/x : 1", "o a\nw a/x"}) == "note whiteout in opaque directory; ");
  CHECK(encodings({"d a", "w b/x"}) == "note whiteout without directory; ");
  CHECK(encodings({"f a xattr.trusted.x=y : 1"}) == "note trusted.x; ");
  CHECK(encodings({"f a mtime=-5 : 1"}) == "note negative time; ");
  CHECK(encodings({"d usr/lib\nl lib -> usr/lib", "f lib/x : 1"}) == "note notice; ");
}

TEST_CASE("verify: against the source") {
  VerifiedTable before;
  before.program("/app", {"liba.so"});
  before.library("/usr/lib/liba.so");
  before.library("/opt/liba.so");
  before.config.env = {"LD_LIBRARY_PATH=/opt"};
  before.config.json =
      Json::parse(R"({"config": {"Env": ["LD_LIBRARY_PATH=/opt"], "Labels": {"b": "2", "a": "1"}}})");
  const Verification source = before.verify();
  REQUIRE(source.ok());

  VerifiedTable after = before;
  CHECK(after.failures(false, &source).empty());
  // A library that is found, but not the same one.
  after.remove("/opt/liba.so");
  CHECK(after.failures().empty());
  CHECK(after.failures(false, &source) ==
        "ENTRYPOINT -> /app -> /opt/liba.so: not there; the source has it\n"
        "/app -> DT_NEEDED liba.so: found at /usr/lib/liba.so; in the source at /opt/liba.so\n");
  // Mode and kind.
  after = before;
  after.file("/app", std::string(before.read("/app", 1 << 20)->bytes()), 0711);
  CHECK(after.failures(false, &source) == "ENTRYPOINT -> /app: mode 0711; in the source 0755\n");
  // The config; the order of labels says nothing, null and nothing are the same.
  after = before;
  after.config.json = Json::parse(
      R"({"config": {"Env": ["LD_LIBRARY_PATH=/opt"], "Labels": {"a": "1", "b": "2"}, "Cmd": null}})");
  CHECK(after.failures(false, &source).empty());
  after.config.json["config"]["ExposedPorts"] = Json::parse(R"({"80/tcp": {}})");
  CHECK(after.failures(false, &source) ==
        "config -> ExposedPorts: {\"80/tcp\": {}}; the source has nothing\n");
}

TEST_CASE("verify: what fails in the source already is a note") {
  VerifiedTable before;
  before.program("/app", {"libgone.so", "liba.so"});
  before.library("/usr/lib/liba.so");
  const Verification source = before.verify();
  REQUIRE(source.failures() == 1);
  VerifiedTable after = before;
  const Verification same = after.verify(false, &source);
  CHECK(same.ok());
  CHECK(VerifiedTable::lines(same, Finding::Severity::kNote).find("libgone.so: not found") !=
        std::string::npos);
  after.remove("/usr/lib/liba.so");
  const std::string failures = after.failures(false, &source);
  CHECK(failures.find("liba.so") != std::string::npos);
  CHECK(failures.find("libgone.so") == std::string::npos);
}

TEST_CASE("verify: why a path leads nowhere") {
  testing::TableFileSystem files;
  files.file("/a/file", "");
  files.link("/b", "/a/none");
  files.link("/c", "a");
  CHECK(why_unresolved(files, "/a/file").empty());
  CHECK(why_unresolved(files, "/c/file").empty());
  CHECK(why_unresolved(files, "/a/none") == "not found");
  CHECK(why_unresolved(files, "/x/y") == "/x is not there");
  CHECK(why_unresolved(files, "/b/y") == "/b is a link to /a/none, which is not there");
  CHECK(why_unresolved(files, "/a/file/y") == "/a/file is no directory");
}

}  // namespace imgslim
