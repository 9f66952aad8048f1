// SPDX-License-Identifier: Apache-2.0
// Every data rule is a row: what it waits for brings its files, and nothing else does.
#include <doctest/doctest.h>

#include "src/decisions/keep_data.h"
#include "tests/support/go_builder.h"
#include "tests/support/keep_image.h"

namespace imgslim {
namespace {

using testing::build_elf;
using testing::ElfDescription;
using testing::GoDescription;
using testing::KeepImage;
using testing::needing;
using Kind = DataTrigger::Kind;

// A name that a glob matches.
std::string example_of(std::string_view glob) {
  std::string name;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '*' || glob[i] == '?') {
      name += '1';
    } else if (glob[i] == '[') {
      name += glob[i + 1];
      i = glob.find(']', i);
    } else {
      name += glob[i];
    }
  }
  return name;
}

// An image with a package's files at all places that the row names, and if `fires` with what it waits for.
KeepImage image_for(const DataRow& row, const DataTrigger& trigger, bool fires) {
  KeepImage image;
  for (const std::string_view glob : row.keeps) {
    // A file in a folder of that name does for files and for folders.
    image.owned("data", example_of(glob).substr(1) + "/inside", "x");
  }
  const std::string name = example_of(trigger.name);
  image.owned("libc6", "lib64/ld-linux-x86-64.so.2", testing::build_glibc_loader(), 0755);
  ElfDescription app = needing({});
  if (!fires) {
    app.interpreter.reset();
    app.dynamic = false;
  }
  image.program(app);
  if (!fires) return image;
  switch (trigger.kind) {
    case Kind::kAlways:
      break;
    case Kind::kGoFunction: {
      GoDescription go;
      go.functions = {{"main.main"}, {name}};
      std::sort(go.functions.begin(), go.functions.end(),
                [](const auto& a, const auto& b) { return a.name < b.name; });
      image.file("app", testing::build_go(go), 0755);
      break;
    }
    case Kind::kLibrary:
      app.needed = {name};
      image.program(app);
      image.owned("library", "usr/lib/" + name, build_elf(needing({}, name)));
      break;
    case Kind::kProgram:
      image.owned("program", "usr/bin/" + name, build_elf(needing({})), 0755);
      image.config.entrypoint = {"/usr/bin/" + name};
      break;
    case Kind::kImport:
      app.symbols = {{name}};
      image.program(app);
      break;
    case Kind::kEnvironment:
      image.config.env = {name + "=x"};
      break;
    case Kind::kStaticGlibc:
      app.interpreter.reset();
      app.dynamic = false;
      app.read_only = std::string("/etc/ld.so.cache\0", 17);
      app.type = ET_EXEC;
      image.program(app);
      break;
    case Kind::kCharacterSet:
      image.config.env = {"LC_ALL=de_DE"};
      break;
  }
  return image;
}

TEST_CASE("keep data: every row keeps its files when one of its triggers is there, and only then") {
  for (const DataRow& row : data_rows()) {
    CAPTURE(row.id);
    CHECK_FALSE(row.reason.empty());
    CHECK_FALSE(row.source.empty());
    const std::string rule = "data:" + std::string(row.id);
    for (const DataTrigger& trigger : row.triggers) {
      CAPTURE(trigger.name);
      KeepImage with = image_for(row, trigger, true);
      with.find();
      for (const std::string_view glob : row.keeps) {
        CAPTURE(glob);
        CHECK(with.rule(example_of(glob).substr(1) + "/inside") == rule);
      }
      if (trigger.kind == Kind::kAlways) continue;
      KeepImage without = image_for(row, trigger, false);
      without.find();
      for (const std::string_view glob : row.keeps) {
        CAPTURE(glob);
        CHECK(without.rule(example_of(glob).substr(1) + "/inside") == "");
      }
    }
  }
}

TEST_CASE("keep data: a row is not for objects that go on without") {
  for (const DataRow& row : data_rows()) {
    for (const std::string_view object : row.unless_object) {
      for (const DataTrigger& trigger : row.triggers) {
        if (trigger.kind != Kind::kImport) continue;
        CHECK_FALSE(wants(row, {Kind::kImport, trigger.name}, "/usr/bin/" + example_of(object)));
        CHECK(wants(row, {Kind::kImport, trigger.name}, "/usr/bin/anything"));
      }
    }
  }
}

TEST_CASE("keep data: time zones that are compiled in need no files") {
  for (const bool compiled_in : {false, true}) {
    KeepImage image;
    image.owned("tzdata", "usr/share/zoneinfo/UTC", "TZif");
    GoDescription go;
    go.functions = {{"main.main"}, {"time.LoadLocation"}};
    if (compiled_in) go.functions.push_back({"time/tzdata.loadFromEmbeddedTZData"});
    image.config.entrypoint = {"/app"};
    image.file("app", testing::build_go(go), 0755);
    image.find();
    CHECK((image.rule("usr/share/zoneinfo/UTC") == "") == compiled_in);
  }
}

TEST_CASE("keep data: generated files are no application") {
  for (const GeneratedRow& row : generated_rows()) {
    CAPTURE(row.id);
    CHECK_FALSE(row.reason.empty());
    CHECK_FALSE(row.owner.empty());
    CHECK_FALSE(row.globs.empty());
  }
  KeepImage image;
  image.program(needing({}));
  image.owned("module", "usr/lib/python3/a.py", "x");
  image.file("usr/lib/python3/__pycache__/a.cpython-311.pyc", "x");
  image.file("srv/__pycache__/own.cpython-311.pyc", "x");
  image.file("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0755);
  image.file("var/lib/dpkg/available", "x");
  image.link("usr/bin/editor", "/etc/alternatives/editor");
  image.find();
  CHECK(image.rule("usr/lib/python3/__pycache__/a.cpython-311.pyc") == "");
  CHECK(image.rule("srv/__pycache__/own.cpython-311.pyc") == "application");
  CHECK(image.rule("usr/sbin/policy-rc.d") == "");
  CHECK(image.rule("var/lib/dpkg/available") == "");
  CHECK(image.rule("usr/bin/editor") == "");
}

}  // namespace
}  // namespace imgslim
