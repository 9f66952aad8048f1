// SPDX-License-Identifier: Apache-2.0
// Each check has a whole image and one in which the thing is broken.
#include <doctest/doctest.h>

#include "tests/support/verification_image.h"

namespace imgslim {
namespace {

using testing::ElfDescription;
using testing::kTestLoader;
using testing::VerifiedTable;

// /app needs liba.so, which needs libb.so.
VerifiedTable whole_image() {
  VerifiedTable image;
  image.program("/app", {"liba.so"});
  image.library("/usr/lib/liba.so", {"libb.so"});
  image.library("/usr/lib/libb.so");
  return image;
}

}  // namespace

TEST_CASE("verify: a whole image has no finding") {
  const VerifiedTable image = whole_image();
  const Verification result = image.verify();
  CHECK(result.ok());
  CHECK(result.findings.empty());
  CHECK(result.commands == 1);
  CHECK(result.programs_checked == 1);
  CHECK(result.libraries_checked == 3);
  CHECK(result.reached.contains("/usr/lib/libb.so"));
}

TEST_CASE("verify: a command must be there and executable") {
  VerifiedTable image = whole_image();
  image.remove("/app");
  CHECK(image.failures() == "ENTRYPOINT: the program \"/app\" (ENTRYPOINT) is not in the image: not found\n");
  image.link("/app", "opt/app");
  CHECK(image.failures().ends_with(": /app is a link to opt/app, which is not there\n"));
  image.file("/opt/app", "\177ELF", 0644);
  CHECK(image.failures().ends_with(": not executable, mode 0644\n"));
  image.config.entrypoint = {"server"};
  image.config.env = {"PATH=/x:/y"};
  CHECK(image.failures().ends_with(": not in the folders of PATH, /x:/y\n"));
}

TEST_CASE("verify: an assumed command that is not there is no finding") {
  VerifiedTable image = whole_image();
  image.config.cmd = {"--port=80"};
  CHECK(image.verify().findings.empty());
}

TEST_CASE("verify: an image without a command is a note") {
  VerifiedTable image = whole_image();
  image.config.entrypoint = {};
  CHECK(image.failures().empty());
  CHECK(image.verify().findings.size() == 1);
}

TEST_CASE("verify: HEALTHCHECK is a command") {
  VerifiedTable image = whole_image();
  image.config.healthcheck = {"CMD", "/probe"};
  CHECK(image.failures() ==
        "HEALTHCHECK: the program \"/probe\" (HEALTHCHECK) is not in the image: not found\n");
  image.program("/probe", {"libb.so"});
  CHECK(image.failures().empty());
}

TEST_CASE("verify: the interpreter of a program") {
  VerifiedTable image = whole_image();
  image.remove(kTestLoader);
  CHECK(image.failures() == "ENTRYPOINT -> /app -> interpreter /lib64/ld-linux-x86-64.so.2: not found\n");
  image.file(kTestLoader, "no loader");
  CHECK(image.failures() ==
        "ENTRYPOINT -> /app -> interpreter /lib64/ld-linux-x86-64.so.2: not an ELF file\n");
  const VerifiedTable other = whole_image();
  image.file(kTestLoader, std::string(other.read(kTestLoader, 1 << 20)->bytes()), 0644);
  CHECK(image.failures() ==
        "ENTRYPOINT -> /app -> interpreter /lib64/ld-linux-x86-64.so.2: not executable, mode 0644\n");
}

TEST_CASE("verify: libraries, with the chain to who needs them") {
  VerifiedTable image = whole_image();
  image.remove("/usr/lib/libb.so");
  const std::string line = image.failures();
  CHECK(
      line.starts_with("ENTRYPOINT -> /app -> /usr/lib/liba.so -> DT_NEEDED libb.so: not found; searched "));
  CHECK(line.find("/usr/lib") != std::string::npos);
  image.link("/usr/lib/libb.so", "libb.so.1");
  CHECK(image.failures().ends_with("; /usr/lib/libb.so is a link to libb.so.1, which is not there\n"));
  image.library("/usr/lib/libb.so.1");
  CHECK(image.failures().empty());
  CHECK(image.verify().reached.contains("/usr/lib/libb.so"));
  image.file("/usr/lib/libb.so.1", "junk");
  CHECK(image.failures().starts_with("ENTRYPOINT -> /app"));
}

TEST_CASE("verify: libraries of better CPUs") {
  VerifiedTable image = whole_image();
  image.library("/usr/lib/glibc-hwcaps/x86-64-v3/liba.so", {"libfast.so"});
  const std::string line = image.failures();
  CHECK(line.starts_with(
      "ENTRYPOINT -> /app -> /usr/lib/glibc-hwcaps/x86-64-v3/liba.so -> DT_NEEDED libfast.so: "));
  CHECK(line.find("(on CPUs with x86-64-v") != std::string::npos);
  image.library("/usr/lib/libfast.so");
  CHECK(image.failures().empty());
}

TEST_CASE("verify: symbol versions") {
  VerifiedTable image = whole_image();
  ElfDescription needs;
  needs.versions_needed = {{"libb.so", {"B_2"}}};
  image.library("/usr/lib/liba.so", {"libb.so"}, needs);
  ElfDescription old;
  old.versions_defined = {"B_1"};
  image.library("/usr/lib/libb.so", {}, old);
  CHECK(image.failures() ==
        "ENTRYPOINT -> /app -> /usr/lib/liba.so -> version B_2: /usr/lib/libb.so does not provide it\n");
  old.versions_defined = {"B_1", "B_2"};
  image.library("/usr/lib/libb.so", {}, old);
  CHECK(image.failures().empty());
}

TEST_CASE("verify: a preload that glibc goes on without is a note") {
  VerifiedTable image = whole_image();
  image.config.env = {"LD_PRELOAD=libgone.so"};
  const Verification result = image.verify();
  CHECK(result.ok());
  REQUIRE(result.findings.size() == 1);
  CHECK(result.findings[0].line().starts_with("ENTRYPOINT -> /app -> LD_PRELOAD libgone.so: "));
}

TEST_CASE("verify: LD_LIBRARY_PATH of the image counts") {
  VerifiedTable image;
  image.program("/app", {"libc1.so"});
  image.library("/opt/lib/libc1.so");
  CHECK(!image.failures().empty());
  image.config.env = {"LD_LIBRARY_PATH=/opt/lib"};
  CHECK(image.failures().empty());
}

TEST_CASE("verify: a library that a note says is required") {
  VerifiedTable image;
  ElfDescription note;
  note.notes = {{"FDO", 0x407c0c0a, R"([{"soname":["libz.so"],"priority":"required"}])"}};
  note.notes[0].content += '\0';
  image.program("/app", {}, note);
  CHECK(image.failures() ==
        "ENTRYPOINT -> /app -> dlopen libz.so: not found, and its ELF note says \"required\"\n");
  image.library("/usr/lib/libz.so");
  CHECK(image.failures().empty());
}

TEST_CASE("verify: a program of another machine") {
  VerifiedTable image = whole_image();
  image.config.platform.architecture = "arm64";
  CHECK(image.failures() == "ENTRYPOINT -> /app: made for another machine (ELF machine 62) than arm64\n");
  image.config.platform.architecture = "sparc64";  // nothing is known of it
  CHECK(image.failures().empty());
}

TEST_CASE("verify: scripts and what they start") {
  VerifiedTable image = whole_image();
  image.config.entrypoint = {"/run.sh"};
  image.file("/run.sh", "#!/bin/sh\nset -e\nexec /app \"$@\"\n");
  CHECK(image.failures() ==
        "ENTRYPOINT -> /run.sh: the program \"/bin/sh\" (the #! line of /run.sh) is not in the image: /bin "
        "is not there\n");
  image.program("/bin/sh", {"libb.so"});
  CHECK(image.failures().empty());
  image.remove("/app");
  CHECK(image.failures() ==
        "ENTRYPOINT -> /run.sh -> /bin/sh: the program \"/app\" (/run.sh, line 3) is not in the image: not "
        "found\n");
  image.program("/app", {"libgone.so"});
  CHECK(image.failures().starts_with(
      "ENTRYPOINT -> /run.sh -> /bin/sh -> /app -> DT_NEEDED libgone.so: not found"));
}

TEST_CASE("verify: a damaged program") {
  VerifiedTable image;
  image.file("/app", "\177ELF\2\1");
  CHECK(image.failures() == "ENTRYPOINT -> /app: damaged: it starts like an ELF file and has no header\n");
}

TEST_CASE("verify: all of the image, not only what is reached") {
  VerifiedTable image = whole_image();
  image.program("/opt/tool", {"libgone.so"});
  image.file("/opt/script", "#!/usr/bin/python3\n");
  image.file("/opt/text", "#!/usr/bin/python3\n", 0644);
  image.file("/opt/by-env", "#!/usr/bin/env -S perl -w\n");
  image.program("/usr/bin/env", {});
  image.link("/opt/dangling", "nowhere");
  image.link("/opt/mounted", "/proc/self/mounts");
  CHECK(image.failures().empty());
  CHECK(image.failures(true) ==
        "/opt/by-env -> #! /usr/bin/env perl: not in the folders of PATH\n"
        "/opt/script -> #! /usr/bin/python3: not found\n"
        "/opt/tool -> DT_NEEDED libgone.so: not found; searched /lib, /usr/lib\n");
  CHECK(VerifiedTable::lines(image.verify(true), Finding::Severity::kNote) ==
        "/opt/dangling: /opt/dangling is a link to nowhere, which is not there\n");
  image.library("/usr/lib/libgone.so");
  image.program("/usr/bin/python3", {});
  image.program("/usr/bin/perl", {});
  CHECK(image.failures(true).empty());
}

}  // namespace imgslim
