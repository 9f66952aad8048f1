// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "src/facts/go_binary.h"
#include "tests/support/go_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

constexpr const char* kModules =
    "path\texample.org/a/cmd/a\n"
    "mod\texample.org/a\tv1.0.0\th1:main\n"
    "dep\texample.org/b\tv0.1.0\th1:b\n"
    "dep\texample.org/c\tv0.2.0\n"
    "=>\texample.org/fork\tv0.2.1\th1:fork\n"
    "dep\texample.org/d\tv0.3.0\th1:d\n"
    "build\t-ldflags=\"-X main.text=a\\tb \\u00e9\"\n"
    "build\tCGO_ENABLED=1\n"
    "build\tempty=\n"
    "build\t\"odd key\"=`raw \\ text`\n"
    "unknown\tline\n";

GoDescription with_text(const std::string& text) {
  GoDescription d;
  d.functions = {{"main.main", 16}};
  d.module_text = text;
  return d;
}

std::optional<GoFacts> facts_of(const std::string& file) {
  const auto elf = read_elf(file);
  REQUIRE(elf);
  const ElfImage image(*elf, file);
  auto facts = read_go(image, file);
  if (facts) facts->functions.clear();  // their names do not outlive the file
  return facts;
}

}  // namespace

TEST_CASE("go build info: both forms, fixed and position independent") {
  for (const bool inline_info : {true, false}) {
    for (const bool pie : {true, false}) {
      GoDescription d = with_text(kModules);
      d.inline_build_info = inline_info;
      d.position_independent = pie;
      const auto facts = facts_of(build_go(d));
      REQUIRE(facts);
      CHECK(facts->problems.empty());
      REQUIRE(facts->build);
      const GoBuildInfo& build = *facts->build;
      CHECK(build.go_version == "go1.22.5");
      CHECK(build.main_path == "example.org/a/cmd/a");
      REQUIRE(build.main_module);
      CHECK(build.main_module->path == "example.org/a");
      CHECK(build.main_module->sum == "h1:main");
      REQUIRE(build.dependencies.size() == 3);
      CHECK(build.dependencies[0].sum == "h1:b");
      CHECK(!build.dependencies[0].replaced_by);
      CHECK(build.dependencies[1].path == "example.org/c");
      CHECK(build.dependencies[1].replaced_by ==
            std::pair<std::string, std::string>{"example.org/fork", "v0.2.1"});
      CHECK(build.dependencies[1].sum == "h1:fork");
      CHECK(build.dependencies[2].version == "v0.3.0");
      CHECK(build.setting("-ldflags") == "-X main.text=a\tb \xc3\xa9");
      CHECK(build.setting("CGO_ENABLED") == "1");
      CHECK(build.setting("empty") == "");
      CHECK(build.setting("odd key") == "raw \\ text");
      CHECK(!build.setting("GOOS"));
      CHECK(build.settings.size() == 4);
    }
  }
}

TEST_CASE("go build info: lines that are wrong are problems") {
  for (const std::string line :
       {"mod\tonly-a-path\n", "dep\ta\tb\tc\td\n", "=>\ta\tb\tc\n", "build\t=x\n", "build\tnokey\n",
        "build\tkey=\"open\n", "build\t\"key=x\n", "build\tkey=\"\\q\"\n"}) {
    CAPTURE(line);
    const auto facts = facts_of(build_go(with_text("path\ta\n" + line)));
    REQUIRE(facts);
    REQUIRE(facts->problems.size() == 1);
    CHECK(facts->problems[0].find("line 2") != std::string::npos);
    CHECK(facts->build->settings.empty());
  }
}

TEST_CASE("go build info: text without its frame is not read") {
  GoDescription d = with_text("path\texample.org/a");  // no newline before the frame
  const auto facts = facts_of(build_go(d));
  REQUIRE(facts);
  CHECK(facts->build->go_version == "go1.22.5");
  CHECK(facts->build->main_path.empty());
}

TEST_CASE("bad input 63: go build info with pointers and lengths outside the file is accepted as none") {
  GoDescription d = with_text(kModules);
  for (const bool inline_info : {true, false}) {
    d.inline_build_info = inline_info;
    std::string file = build_go(d);
    // The second hit is the aligned one.
    const std::size_t magic = file.find("\xff Go buildinf:", file.find("\xff Go buildinf:") + 1);
    REQUIRE(magic != std::string::npos);
    if (inline_info) {
      file.replace(magic + 32, 9, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
    } else {
      file.replace(magic + 16, 8, "\xff\xff\xff\xff\xff\xff\xff\x7f");
    }
    const auto facts = facts_of(file);
    REQUIRE(facts);
    CHECK(!facts->build);
    CHECK(!facts->problems.empty());
  }
}
