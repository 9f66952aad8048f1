// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "src/facts/go_binary.h"
#include "tests/support/go_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

// A file with what was read of it; names of functions point into `bytes`.
struct Program {
  explicit Program(std::string file) : bytes(std::move(file)), elf(*read_elf(bytes)), image(elf, bytes) {
    go = read_go(image, bytes);
  }
  explicit Program(const GoDescription& d) : Program(build_go(d)) {}
  std::string bytes;
  ElfFacts elf;
  ElfImage image;
  std::optional<GoFacts> go;
};

GoDescription service() {
  GoDescription d;
  d.functions = {{"runtime.init", 16},
                 {"runtime.main", 64},
                 {"example.org/a/yaml%2ev3.init.0", 8},
                 {"example.org/a/yaml%2ev3.Text", 24},
                 {"main.init", 16},
                 {"main.main", 32}};
  d.tasks = {{{0}, {}}, {{2}, {}}, {{4}, {0, 1}}};
  d.runtime_tasks = 1;
  return d;
}

std::uint64_t code_bytes(const GoFacts& facts, std::string_view path) {
  for (const GoPackage& package : facts.packages) {
    if (package.path == path) return package.code_bytes;
  }
  return 0;
}

bool has_problem(const GoFacts& facts, std::string_view part) {
  return std::any_of(facts.problems.begin(), facts.problems.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("go binary: functions, packages and init order in every layout, fixed and position independent") {
  for (const bool pie : {false, true}) {
    for (const auto& layout :
         {std::pair{0xfffffffau, "1.16"}, {0xfffffff0u, "1.18"}, {0xfffffff1u, "1.20"}}) {
      const std::uint32_t magic = layout.first;
      const std::string name = layout.second;
      CAPTURE(pie);
      CAPTURE(name);
      GoDescription d = service();
      d.magic = magic;
      d.position_independent = pie;
      d.init_graph = magic != 0xfffffff1u;
      const Program program(d);
      REQUIRE(program.go);
      const GoFacts& go = *program.go;
      CHECK(go.problems.empty());
      CHECK(go.opaque.empty());
      CHECK(go.pclntab_version == name);
      REQUIRE(go.functions.size() == 6);
      CHECK(go.functions[3].name == "example.org/a/yaml%2ev3.Text");
      CHECK(go.functions[3].end - go.functions[3].start == 24);
      CHECK(go.end_of_text - go.text == 160);
      CHECK(code_bytes(go, "runtime") == 80);
      CHECK(code_bytes(go, "example.org/a/yaml.v3") == 32);
      CHECK(go.init_functions ==
            std::vector<std::string>{"runtime.init", "example.org/a/yaml%2ev3.init.0", "main.init"});
      CHECK(go.function_at(go.text + 16)->name == "runtime.main");
      CHECK(go.function_at(go.text + 79)->name == "runtime.main");
      CHECK(go.function_at(go.end_of_text) == nullptr);
      CHECK(go.function_at(go.text - 1) == nullptr);
      CHECK(go.function_named("main.main")->start == go.text + 128);
      CHECK(go.function_named("main.nothing") == nullptr);
    }
  }
}

TEST_CASE("go binary: a header without the start of the text is enough") {
  GoDescription d = service();
  d.with_text_start = false;
  d.version = "go1.26.0";
  const Program program(d);
  REQUIRE(program.go);
  CHECK(program.go->function_at(program.go->text)->name == "runtime.init");
}

TEST_CASE("go binary: tasks wait for each other in any order, each runs once") {
  GoDescription d = service();
  d.magic = 0xfffffff0;
  d.init_graph = true;
  d.functions.push_back({"example.org/b.init", 8});
  // 3 (b) waits for the runtime and comes before 1 in main's list.
  d.tasks = {{{0}, {}}, {{2}, {0, 3}}, {{4}, {3, 1, 0}}, {{6}, {0}}};
  const Program program(d);
  REQUIRE(program.go);
  CHECK(program.go->init_functions == std::vector<std::string>{"runtime.init", "example.org/b.init",
                                                               "example.org/a/yaml%2ev3.init.0",
                                                               "main.init"});
}

TEST_CASE("go binary: without tasks the names of init functions remain, with a doubt") {
  GoDescription d = service();
  d.tasks.clear();
  d.runtime_tasks = 0;
  const Program program(d);
  REQUIRE(program.go);
  CHECK(program.go->init_functions.size() == 3);
  CHECK(has_problem(*program.go, "init"));
}

TEST_CASE("go binary: build info without a table is still a Go program") {
  GoDescription d = service();
  d.with_module_data = false;
  const Program program(d);
  REQUIRE(program.go);
  CHECK(program.go->build->go_version == "go1.22.5");
  CHECK(program.go->functions.empty());
  CHECK(has_problem(*program.go, "no function table"));
}

TEST_CASE("go binary: a C program is none") {
  ElfDescription d;
  d.needed = {"libc.so.6"};
  d.data = std::string(4096, 'x');
  CHECK(!Program(build_elf(d)).go);
}

TEST_CASE("go binary: a program that only carries a Go program as data is none") {
  ElfDescription d;
  d.needed = {"libc.so.6"};
  d.type = ET_EXEC;
  d.read_only = build_go(service());
  CHECK(!Program(build_elf(d)).go);
}

TEST_CASE("go binary: packed and obfuscated programs are named") {
  ElfDescription packed;
  packed.dynamic = false;
  packed.type = ET_EXEC;
  packed.code = "UPX!" + std::string(100, '\x90') + "UPX!";
  // UPX has one segment from the start of the file, its header right behind the program headers.
  std::string file = build_elf(packed);
  file.replace(600, 4, "UPX!");
  const Program upx(file);
  REQUIRE(upx.go);
  CHECK(upx.go->opaque == "packed with UPX");

  GoDescription d = service();
  d.magic = 0x12345678;
  d.with_build_info = false;
  const Program garbled(d);
  REQUIRE(garbled.go);
  CHECK(garbled.go->opaque == "obfuscated by garble");
  CHECK(garbled.go->functions.size() == 6);
}

TEST_CASE("go binary: embedded files with every release's hash") {
  using namespace std::string_literals;
  GoDescription d = service();
  // SHA-256 of "abc" starts ba7816bf 8f01cfea 414140de 5dae2223.
  const std::string sum = "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"s;
  std::string complement = sum;
  for (char& byte : complement)
    byte = static_cast<char>(~byte);
  d.files = {{"a/", ""},
             {"b.txt", "abc", "\x45"s + sum.substr(1)},
             {"c.txt", "abc", "\xbb"s + sum.substr(1)},
             {"a/x.txt", "abc", sum},
             {"a/y.txt", "abc", complement},
             {"a/z.txt", "abd", sum}};
  for (const bool pie : {false, true}) {
    d.position_independent = pie;
    const Program program(d);
    REQUIRE(program.go);
    REQUIRE(program.go->embeds.size() == 1);
    const auto& files = program.go->embeds[0].files;
    REQUIRE(files.size() == 6);
    CHECK(files[0].name == "a/");
    CHECK(files[3].name == "a/x.txt");
    CHECK(files[3].size == 3);
    for (const std::size_t i : {1, 2, 3, 4}) {
      CAPTURE(i);
      CHECK(files[i].hash_matches);
    }
    CHECK(!files[5].hash_matches);
  }
}

TEST_CASE("go binary: a slice that points behind itself is no tree unless it holds sorted names") {
  for (const auto& names :
       {std::pair<std::string, std::string>{"b", "a"}, {"a", "../b"}, {"a", "/b"}, {"a", "a"}}) {
    GoDescription d = service();
    d.files = {{names.first, "x"}, {names.second, "y"}};
    CHECK(Program(d).go->embeds.empty());
  }
}

TEST_CASE("go binary: cut and changed files give fewer facts and no crash") {
  GoDescription d = service();
  d.files = {{"a.txt", "abc"}};
  const std::string whole = build_go(d);
  std::size_t with_functions = 0;
  for (std::size_t size = 64; size < whole.size(); size += 97) {
    const std::string cut = whole.substr(0, size);
    const auto elf = read_elf(cut);
    REQUIRE(elf);
    const ElfImage image(*elf, cut);
    const auto go = read_go(image, cut);
    if (go && !go->functions.empty()) ++with_functions;
  }
  CHECK(with_functions < whole.size() / 97);
}
