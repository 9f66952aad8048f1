// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "src/facts/go_binary.h"
#include "tests/support/go_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

struct Case {
  std::string what;
  std::vector<std::string> functions;
  std::string settings;
  bool interpreter;
  std::vector<std::string> needed;
  std::string strings;  // in read-only data
  GoLinkage linkage;
  bool free_rebuild;
};

GoFacts facts_of(const Case& item) {
  GoDescription d;
  d.functions = {{"main.main"}};
  for (const std::string& name : item.functions)
    d.functions.push_back({name});
  d.module_text = "path\tx\n" + item.settings;
  d.elf.dynamic = item.interpreter;
  if (item.interpreter) d.elf.interpreter = "/lib64/ld-linux-x86-64.so.2";
  d.elf.needed = item.needed;
  d.files = {{"a", item.strings}};
  const std::string file = build_go(d);
  const auto elf = read_elf(file);
  REQUIRE(elf);
  const ElfImage image(*elf, file);
  auto facts = read_go(image, file);
  REQUIRE(facts);
  facts->functions.clear();
  return *facts;
}

}  // namespace

TEST_CASE("go linkage: the truth table") {
  const std::string off = "build\tCGO_ENABLED=0\n";
  const std::string on = "build\tCGO_ENABLED=1\n";
  const std::string glibc = "glibc.malloc.arena_max";
  const std::string musl = "No error information";
  const Case cases[] = {
      {"no cgo", {}, off, false, {}, "", GoLinkage::kStatic, false},
      {"no cgo, position independent", {}, off, true, {}, "", GoLinkage::kStaticPie, false},
      {"cgo allowed, not used", {}, on, false, {}, "", GoLinkage::kStatic, false},
      {"cgo handles without cgo", {"runtime/cgo.NewHandle"}, off, false, {}, "", GoLinkage::kStatic, false},
      {"net and os/user",
       {"net._C2func_getaddrinfo", "os/user._Cfunc_free", "runtime/cgo.init"},
       on,
       true,
       {"libc.so.6", "libresolv.so.2"},
       "",
       GoLinkage::kDynamicCgo,
       true},
      {"the same with the race detector",
       {"net._C2func_getaddrinfo"},
       on + "build\t-race=true\n",
       true,
       {"libc.so.6"},
       "",
       GoLinkage::kDynamicCgo,
       false},
      {"net and a library of its own",
       {"net._C2func_getaddrinfo"},
       on,
       true,
       {"libc.so.6", "libpcap.so.0.8"},
       "",
       GoLinkage::kDynamicCgo,
       false},
      {"a driver in C",
       {"net._C2func_getaddrinfo", "github.com/mattn/go-sqlite3._Cfunc_sqlite3_open"},
       on,
       true,
       {"libc.so.6"},
       "",
       GoLinkage::kDynamicCgo,
       false},
      {"purego",
       {"github.com/ebitengine/purego.Dlopen"},
       off,
       true,
       {"libdl.so.2"},
       "",
       GoLinkage::kDynamicWithoutCgo,
       false},
      {"static glibc", {"net._Cfunc_getaddrinfo"}, on, false, {}, glibc, GoLinkage::kStaticGlibc, true},
      {"static musl", {"net._Cfunc_getaddrinfo"}, on, false, {}, musl, GoLinkage::kStaticMusl, true},
      {"glibc's words without its code", {}, off, false, {}, musl, GoLinkage::kStatic, false},
      {"plugin",
       {},
       on + "build\t-buildmode=c-shared\n",
       false,
       {"libc.so.6"},
       "",
       GoLinkage::kPlugin,
       false},
  };
  for (const Case& item : cases) {
    CAPTURE(item.what);
    const GoFacts facts = facts_of(item);
    REQUIRE(facts.linkage);
    CHECK(name_of(*facts.linkage) == name_of(item.linkage));
    CHECK(facts.rebuild_without_cgo_is_free == item.free_rebuild);
  }
}

TEST_CASE("go linkage: packages with C calls are listed once and sorted") {
  const GoFacts facts = facts_of({"",
                                  {"os/user._Cfunc_b", "os/user._Cfunc_a", "net._C2func_x", "main._Cgo_use"},
                                  "",
                                  true,
                                  {"libc.so.6"},
                                  "",
                                  GoLinkage::kDynamicCgo,
                                  true});
  CHECK(facts.cgo_packages == std::vector<std::string>{"net", "os/user"});
}
