// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "src/facts/package_owner.h"
#include "tests/support/table_files.h"

namespace imgslim {
namespace {

constexpr const char* kMd5 = "0123456789abcdef0123456789abcdef";

TableFiles debian() {
  TableFiles files;
  files.link("/lib", "usr/lib").directory("/usr/lib").directory("/etc");
  files.file(
      "/var/lib/dpkg/status",
      "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
      "Source: glibc (2.36-9)\nVersion: 2.36-9+b1\nMaintainer: GNU Libc\nConffiles:\n"
      " /etc/ld.so.conf.d/x.conf d4e7a7b88a71b5ffd9e2644e71a0cfab\n /etc/old conf "
      "d4e7a7b88a71b5ffd9e2644e71a0cfab obsolete\n"
      "Description: a\n more\n\n"
      "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
      "Package: dash\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0.5\n");
  files.file("/var/lib/dpkg/info/libc6:amd64.list",
             "/.\n/etc\n/lib\n/lib/x86\n/lib/x86/libc.so.6\n/etc/ld.so.conf.d/x.conf\n/bin/sh\n");
  files.file("/var/lib/dpkg/info/libc6:amd64.md5sums",
             std::string(kMd5) + "  lib/x86/libc.so.6\nbroken line\n");
  files.file("/var/lib/dpkg/info/dash.list", "/.\n/bin\n/bin/sh\n/bin/dash\n/lib\nrelative\n");
  files.file("/var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\ndash\n");
  return files;
}

TEST_CASE("package owner: dpkg records, lists, checksums and conffiles") {
  const PackageDatabase database = PackageDatabase::read(debian());
  REQUIRE(database.packages().size() == 2);
  const Package& libc = database.packages()[1];
  CHECK(libc.name == "libc6");
  CHECK(libc.source == "glibc");
  CHECK(libc.source_version == "2.36-9");
  CHECK(libc.version == "2.36-9+b1");
  CHECK(database.packages()[0].source == "dash");
  CHECK(database.packages()[0].essential);
  CHECK(database.problems().size() == 1);

  // dpkg says /lib/x86/libc.so.6
  CHECK_FALSE(database.owner("/lib/x86/libc.so.6"));
  const auto owners = database.owners("/usr/lib/x86/libc.so.6");
  REQUIRE(owners.size() == 1);
  CHECK(owners[0].recorded == "/lib/x86/libc.so.6");
  CHECK(owners[0].checksum_kind == OwnedPath::Checksum::kMd5);
  CHECK(owners[0].checksum == kMd5);
  CHECK(database.owners("/lib").size() == 2);  // the link itself
  CHECK(database.owners("/usr/lib/x86").size() == 1);

  CHECK(database.owners("/etc/ld.so.conf.d/x.conf")[0].conffile);
  CHECK(database.owners("/etc/ld.so.conf.d/x.conf")[0].checksum == "d4e7a7b88a71b5ffd9e2644e71a0cfab");
  CHECK(database.owners("/etc/old conf")[0].conffile);
  CHECK(database.paths_of(1).size() == 8);
}

TEST_CASE("package owner: a diverted file is where the diversion says") {
  const PackageDatabase database = PackageDatabase::read(debian());
  REQUIRE(database.owner("/bin/sh"));
  CHECK(database.packages()[*database.owner("/bin/sh")].name == "dash");
  REQUIRE(database.owner("/bin/sh.distrib"));
  CHECK(database.packages()[*database.owner("/bin/sh.distrib")].name == "libc6");
}

TEST_CASE("package owner: distroless status.d") {
  TableFiles files;
  files.file("/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: amd64\n");
  files.file("/var/lib/dpkg/status.d/base.md5sums", std::string(kMd5) + "  etc/debian_version\n");
  const PackageDatabase database = PackageDatabase::read(files);
  REQUIRE(database.packages().size() == 1);
  CHECK(database.packages()[0].record == "/var/lib/dpkg/status.d/base");
  CHECK(database.owner("/etc/debian_version") == PackageId{0});
}

TEST_CASE("package owner: apk") {
  TableFiles files;
  files.file("/lib/apk/db/installed",
             "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\nU:https://musl.libc.org/\nm:A <a@b>\nF:lib\n"
             "R:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1AAECAwQFBgcICQoLDA0ODxAREhM=\nF:etc\nR:x.conf\n\n"
             "P:busybox\nV:1\nA:x86_64\no:busybox\nF:bin\nR:busybox\n\n");
  const PackageDatabase database = PackageDatabase::read(files);
  REQUIRE(database.packages().size() == 2);
  CHECK(database.packages()[0].name == "busybox");
  CHECK(database.packages()[1].origin == "https://musl.libc.org/");
  const auto owners = database.owners("/lib/ld-musl-x86_64.so.1");
  REQUIRE(owners.size() == 1);
  CHECK(owners[0].package == 1);
  CHECK(owners[0].checksum_kind == OwnedPath::Checksum::kSha1);
  CHECK(owners[0].checksum == "000102030405060708090a0b0c0d0e0f10111213");
  CHECK(database.owners("/etc/x.conf")[0].conffile);
  CHECK_FALSE(database.owners("/lib")[0].conffile);
}

TEST_CASE("package owner: an image without databases, and links that loop") {
  TableFiles files;
  CHECK(PackageDatabase::read(files).packages().empty());
  files.link("/a", "b").link("/b", "a");
  files.file("/var/lib/dpkg/status", "Package: x\nStatus: install ok installed\nVersion: 1\n\nVersion: 2\n");
  files.file("/var/lib/dpkg/info/x.list", "/a/c\n/d/e/f\n");
  const PackageDatabase database = PackageDatabase::read(files);
  CHECK(database.owner("/a/c"));
  CHECK(database.owner("/d/e/f"));
  CHECK(database.problems().size() == 1);
}

TEST_CASE("package owner: a path of a million components costs its length") {
  std::string deep;
  for (int i = 0; i < 1000000; ++i)
    deep += "/a";
  TableFiles files = debian();
  files.file("/var/lib/dpkg/info/dash.list", "/bin\n" + deep + "\n");
  const PackageDatabase database = PackageDatabase::read(files);
  REQUIRE(database.owners(deep).size() == 1);
  CHECK(database.owners("/bin").size() == 1);
}

}  // namespace
}  // namespace imgslim
