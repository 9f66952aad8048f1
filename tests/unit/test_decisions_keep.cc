// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "src/decisions/keep.h"
#include "tests/support/keep_image.h"

namespace imgslim {
namespace {

using testing::build_elf;
using testing::ElfDescription;
using testing::KeepImage;
using testing::needing;

constexpr char kLoader[] = "lib64/ld-linux-x86-64.so.2";

// A program with a loader and a library, and one that nothing needs.
KeepImage small_image() {
  KeepImage image;
  image.program(needing({"libuse.so.1"}));
  image.owned("libc6", kLoader, testing::build_glibc_loader(), 0755);
  image.owned_link("libuse", "usr/lib/libuse.so.1", "libuse.so.1.5");
  image.owned("libuse", "usr/lib/libuse.so.1.5", build_elf(needing({}, "libuse.so.1")));
  image.owned("libuse", "usr/share/doc/libuse/copyright", "terms");
  image.owned("libuse", "usr/share/doc/libuse/changelog", "news");
  image.owned("libother", "usr/lib/libother.so.1", build_elf(needing({}, "libother.so.1")));
  return image;
}

TEST_CASE("keep: a program brings its loader, its libraries and the links to them") {
  KeepImage image = small_image();
  const KeepResult result = image.find();
  CHECK(result.stoppers.empty());
  CHECK(image.rule("app") == "application");
  CHECK(image.rule(kLoader) == "interpreter");
  CHECK(image.rule("usr/lib/libuse.so.1") == "link");
  CHECK(image.rule("usr/lib/libuse.so.1.5") == "needed");
  CHECK(image.rule("usr/share/doc/libuse/copyright") == "data:copyright");
  CHECK(image.rule("usr/share/doc/libuse/changelog") == "");
  CHECK(image.rule("usr/lib/libother.so.1") == "");
}

TEST_CASE("keep: every witness leads to a root") {
  KeepImage image = small_image();
  image.owned("tool", "usr/bin/tool", "#!/bin/sh\n/usr/bin/helper\n", 0755);
  image.owned("tool", "usr/bin/helper", build_elf(needing({"libother.so.1"})), 0755);
  image.owned("dash", "bin/sh", build_elf(needing({"libuse.so.1"})), 0755);
  image.config.cmd = {"/usr/bin/tool"};
  const KeepResult result = image.find();
  CHECK(image.rule("usr/lib/libother.so.1") == "needed");
  CHECK(image.rule("bin/sh") != "");
  for (const auto& [node, witness] : result.kept) {
    std::string at = "/" + image.tree->path(node);
    std::set<std::string> seen;
    const Witness* step = &witness;
    while (true) {
      CAPTURE(at);
      CHECK_FALSE(step->rule.empty());
      REQUIRE(seen.insert(at).second);
      if (step->because == at || !step->because.starts_with('/')) break;  // its own reason, or not a path
      const NodeId next = image.files->node(step->because);
      const auto kept = result.kept.find(next);
      REQUIRE(kept != result.kept.end());
      // Directories are there for what is in them: whatever that is, it is kept.
      if (step->rule == "directory") break;
      at = step->because;
      step = &kept->second;
    }
  }
}

TEST_CASE("keep: threads change nothing") {
  const auto lines = [](unsigned threads) {
    KeepImage image = small_image();
    for (int i = 0; i < 20; ++i) {
      const std::string name = "libmore" + std::to_string(i) + ".so";
      image.owned("more", "usr/lib/" + name, build_elf(needing({"libother.so.1"}, name)));
    }
    std::vector<std::string> needed{"libuse.so.1"};
    for (int i = 0; i < 20; ++i)
      needed.push_back("libmore" + std::to_string(i) + ".so");
    image.program(needing(needed));
    image.threads = threads;
    std::vector<std::string> all;
    for (const auto& [node, witness] : image.find().kept) {
      all.push_back(image.tree->path(node) + " " + std::string(witness.rule) + " " + witness.because + " " +
                    witness.detail);
    }
    return all;
  };
  const std::vector<std::string> one = lines(1);
  CHECK(one.size() > 30);
  CHECK(lines(4) == one);
}

TEST_CASE("keep: the image's own files stay, a package's go, edited ones stay") {
  KeepImage image = small_image();
  image.file("srv/templates/page.html", "x");
  image.owned("data", "usr/share/data/a", "x");
  // A conffile whose content is not the one of the package's checksum.
  image.owned("libuse", "etc/use.conf", "edited");
  const KeepResult result = image.find();
  CHECK(image.rule("srv/templates/page.html") == "application");
  CHECK(image.rule("usr/share/data/a") == "");
  CHECK(image.rule("var/lib/dpkg/status") == "");
}

TEST_CASE("keep: directories of kept packages and of nobody stay with their attributes") {
  KeepImage image = small_image();
  image.folder("var/spool/app", 0700, 7);
  image.folder("srv/empty");
  image.find();
  CHECK(image.rule("var/spool/app") == "directory");
  CHECK(image.rule("srv/empty") == "directory");
  CHECK(image.rule("usr/share/doc/libuse") == "directory");
}

TEST_CASE("keep: the user's globs and packages") {
  KeepImage image = small_image();
  image.owned("other", "usr/bin/other", build_elf(needing({"libother.so.1"})), 0755);
  image.keep.emplace_back("/usr/share/doc/**");
  image.keep_packages = {"other", "nosuch"};
  image.drop.emplace_back("/srv/big");
  image.file("srv/big", "x");
  const KeepResult result = image.find();
  CHECK(image.rule("usr/share/doc/libuse/changelog") == "--keep");
  CHECK(image.rule("usr/bin/other") == "--keep-package");
  // What is kept is a root itself: its library comes with it.
  CHECK(image.rule("usr/lib/libother.so.1") == "needed");
  CHECK(image.rule("srv/big") == "");
  CHECK(std::any_of(result.notices.begin(), result.notices.end(),
                    [](const std::string& line) { return line.find("nosuch") != std::string::npos; }));
}

TEST_CASE("keep: an object that loads by name and has no row stops the form and is named") {
  KeepImage image = small_image();
  ElfDescription forged = needing({}, "libforged.so.1");
  forged.symbols = {{"dlopen"}};
  image.program(needing({"libforged.so.1"}));
  image.owned("forged", "usr/lib/libforged.so.1", build_elf(forged));
  const KeepResult result = image.find();
  CHECK(result.weakest == Evidence::kUnknown);
  REQUIRE(result.stoppers.size() == 1);
  CHECK(result.stoppers[0].find("/usr/lib/libforged.so.1") != std::string::npos);
}

TEST_CASE("keep: auditors that the environment names are loaded with every glibc program") {
  KeepImage image = small_image();
  image.config.env = {"LD_AUDIT=/opt/libaudit.so:libcheck.so.1::libgone.so"};
  image.owned("audit", "opt/libaudit.so", build_elf(needing({"libother.so.1"}, "libaudit.so")));
  image.owned("audit", "usr/lib/libcheck.so.1", build_elf(needing({}, "libcheck.so.1")));
  const KeepResult result = image.find();
  CHECK(result.stoppers.empty());
  CHECK(image.rule("opt/libaudit.so") != "");
  CHECK(image.rule("usr/lib/libcheck.so.1") == "dlopen");
  CHECK(image.rule("usr/lib/libother.so.1") == "needed");
  const auto load = std::find_if(result.loads.begin(), result.loads.end(),
                                 [](const LoadFinding& item) { return item.finding.caller == "LD_AUDIT"; });
  REQUIRE(load != result.loads.end());
  CHECK(load->path == "/app");
  CHECK(load->found == std::vector<std::string>{"/opt/libaudit.so", "/usr/lib/libcheck.so.1"});
  // One that is missing is left out by the loader.
  CHECK(std::none_of(result.notices.begin(), result.notices.end(),
                     [](const std::string& line) { return line.find("libgone") != std::string::npos; }));
}

TEST_CASE("keep: without a glibc loader nobody asks for auditors") {
  KeepImage image = small_image();
  image.config.env = {"LD_AUDIT=libcheck.so.1"};
  image.owned("audit", "usr/lib/libcheck.so.1", build_elf(needing({}, "libcheck.so.1")));
  ElfDescription program = needing({"libuse.so.1"});
  program.interpreter = "/lib/ld-musl-x86_64.so.1";
  image.program(program);
  ElfDescription musl;
  musl.soname = "libc.musl-x86_64.so.1";
  musl.read_only = std::string("musl libc\0/lib:/usr/local/lib:/usr/lib\0", 40);
  image.owned("musl", "lib/ld-musl-x86_64.so.1", build_elf(musl), 0755);
  const KeepResult result = image.find();
  CHECK(image.rule("usr/lib/libcheck.so.1") == "");
  CHECK(std::none_of(result.loads.begin(), result.loads.end(),
                     [](const LoadFinding& item) { return item.finding.caller == "LD_AUDIT"; }));
}

TEST_CASE("keep: an interpreter of a language stops the form") {
  KeepImage image = small_image();
  image.owned("python", "usr/bin/python3.11", build_elf(needing({})), 0755);
  image.config.entrypoint = {"/usr/bin/python3.11", "/srv/app.py"};
  image.file("srv/app.py", "x");
  CHECK_FALSE(image.find().stoppers.empty());
}

TEST_CASE("keep: files that the environment, arguments and configuration files name are candidates") {
  KeepImage image = small_image();
  image.owned("data", "usr/share/data/env", "x");
  image.owned("data", "usr/share/data/named", "x");
  image.owned("data", "usr/share/data/argument", "x");
  image.owned("data", "usr/share/data/other", "x");
  image.config.env = {"DATA=/usr/share/data/env"};
  image.config.cmd = {"--file", "/usr/share/data/argument"};
  image.file("etc/app.yaml", "file: /usr/share/data/named\n");
  const KeepResult result = image.find();
  CHECK(image.rule("usr/share/data/env") == "environment");
  CHECK(image.rule("usr/share/data/named") == "configuration");
  CHECK(image.rule("usr/share/data/argument") == "argument");
  CHECK(image.rule("usr/share/data/other") == "");
  CHECK(result.weakest == Evidence::kCandidate);
}

}  // namespace
}  // namespace imgslim
