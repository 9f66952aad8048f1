// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "src/audit/budgets.h"
#include "src/audit/elf_sections.h"
#include "src/audit/go_sizes.h"
#include "tests/support/audited_image.h"
#include "tests/support/go_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

GoDescription service() {
  GoDescription d;
  d.module_text =
      "path\texample.org/a/cmd/a\nmod\texample.org/a\tv1.2.0\th1:main\ndep\tgithub.com/x/y\tv1.0.0\th1:xy\n"
      "dep\tgithub.com/x/y/v2\tv2.1.0\th1:xy2\ndep\tgithub.com/z/unused\tv0.1.0\th1:z\n";
  d.functions = {{"runtime.main", 64},
                 {"main.main", 32},
                 {"example.org/a/store.Open", 48},
                 {"github.com/x/y/z.(*T).F", 80},
                 {"github.com/x/y/v2/z.G", 112},
                 {"net/http.Get", 16}};
  return d;
}

std::uint64_t sum(const std::vector<NamedBytes>& rows) {
  std::uint64_t all = 0;
  for (const NamedBytes& row : rows)
    all += row.bytes;
  return all;
}

const GoModuleBytes& module_named(const GoProgramSize& program, std::string_view path) {
  for (const GoModuleBytes& module : program.modules) {
    if (module.path == path) return module;
  }
  throw std::logic_error("no such module");
}

}  // namespace

TEST_CASE("go sizes: parts add up to the file") {
  const std::string bytes = build_go(service());
  const auto program = measure_go("/app", bytes);
  REQUIRE(program);
  CHECK(program->size == bytes.size());
  CHECK(sum(program->parts) == bytes.size());
}

TEST_CASE("go sizes: code belongs to the longest module path that it lies below") {
  const auto program = measure_go("/app", build_go(service()));
  REQUIRE(program);
  CHECK(program->main_module == "example.org/a");
  CHECK(module_named(*program, "example.org/a").code == 32 + 48);
  CHECK(module_named(*program, "example.org/a").is_main);
  CHECK(module_named(*program, "github.com/x/y").code == 80);
  CHECK(module_named(*program, "github.com/x/y/v2").code == 112);
  CHECK(module_named(*program, "github.com/x/y/v2").version == "v2.1.0");
  CHECK(module_named(*program, "github.com/z/unused").code == 0);
  CHECK(module_named(*program, "std").code == 64 + 16);
  REQUIRE(module_named(*program, "std").packages.size() == 2);
  CHECK(module_named(*program, "std").packages[0].name == "runtime");
}

TEST_CASE("go sizes: embedded files are a part of their own") {
  GoDescription d = service();
  d.files = {{"web/a.js", std::string(3000, 'x')}, {"web/b.js", std::string(10, 'y')}};
  const std::string bytes = build_go(d);
  const auto program = measure_go("/app", bytes);
  REQUIRE(program);
  CHECK(sum(program->parts) == bytes.size());
  if (!program->embedded.empty()) {
    CHECK(program->embedded[0].name == "web/a.js");
    CHECK(program->embedded[0].bytes == 3000);
  }
}

TEST_CASE("go sizes: no Go program is none") {
  CHECK(!measure_go("/x", "#!/bin/sh\n"));
  CHECK(!measure_go("/x", build_elf({})));
  CHECK(!measure_go("/x", ""));
}

TEST_CASE("go sizes: the audit finds Go programs while layers stream, and go-sum holds them") {
  TarBuilder builder;
  builder.entry('0', "usr/bin/app", "", {}, build_go(service()));
  const ImageAudit image = audit_of({{builder.closed(), "COPY app"}});
  REQUIRE(image.go_programs.size() == 1);
  CHECK(image.go_programs[0].path == "/usr/bin/app");

  const auto broken = [&](const std::string& go_sum, const std::string& go_mod) {
    const Settings settings = parse_settings("budgets: {go-sum: go.sum}", "x");
    BudgetInput input{settings.budgets, nullptr, nullptr, nullptr};
    input.read_host = [&](const std::string& file) -> std::optional<std::string> {
      if (file == "go.sum") return go_sum;
      return go_mod.empty() ? std::nullopt : std::optional(go_mod);
    };
    std::vector<std::string> lines;
    for (const BrokenRule& rule : check_budgets(image, "i", input))
      lines.push_back(rule.text);
    return lines;
  };
  const std::string good =
      "github.com/x/y v1.0.0 h1:xy\ngithub.com/x/y v1.0.0/go.mod h1:m\ngithub.com/x/y/v2 v2.1.0 h1:xy2\n"
      "github.com/z/unused v0.1.0 h1:z\n";
  CHECK(broken(good, "").empty());
  CHECK(broken(good, "// comment\nmodule example.org/a // here\n").empty());
  const auto other = broken(good, "module example.org/b\n");
  REQUIRE(other.size() == 1);
  CHECK(other[0] == "go.sum: no Go program of example.org/b is in the image");
  const auto wrong = broken("github.com/x/y v1.0.0 h1:other\ngithub.com/x/y/v2 v2.1.0 h1:xy2\n", "");
  REQUIRE(wrong.size() == 2);
  CHECK(wrong[0].find(
            "github.com/x/y v1.0.0 of layer 1 (COPY app), no package, /usr/bin/app has h1:xy, go.sum says "
            "h1:other") != std::string::npos);
  CHECK(wrong[1].find("github.com/z/unused v0.1.0 of") != std::string::npos);
}

TEST_CASE("elf sections: hostile headers give none") {
  std::string bytes = build_elf({});
  CHECK_NOTHROW(read_elf_sections({{0, bytes}}, bytes.size()));
  for (std::size_t at = 0; at < 64; ++at) {
    std::string broken = bytes;
    broken[at] = '\xff';
    for (const ElfSection& section : read_elf_sections({{0, broken}}, broken.size()))
      CHECK(section.offset + section.size <= broken.size());
  }
  CHECK(read_elf_sections({}, 100).empty());
  CHECK(read_elf_sections({{0, bytes.substr(0, 20)}}, bytes.size()).empty());
}
