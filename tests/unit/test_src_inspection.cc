// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <sstream>

#include "layers/error.h"
#include "src/inspected_tree.h"
#include "src/inspection.h"
#include "src/text_page.h"
#include "src/tree_names.h"
#include "tests/support/elf_builder.h"
#include "tests/support/table_file_system.h"

namespace imgslim {
namespace {

using testing::build_elf;
using testing::ElfDescription;
using testing::TableFileSystem;

constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";

// A tree with a loader that has the tables of a real one, and a library in /lib.
TableFileSystem small_tree() {
  TableFileSystem tree;
  tree.file(kLoader, testing::build_glibc_loader());
  ElfDescription library;
  library.soname = "liba.so";
  library.needed = {"libb.so"};
  library.symbols = {{"plug_x_init", true, testing::kElfCode}};
  tree.file("/lib/liba.so", build_elf(library));
  return tree;
}

std::string program(std::vector<std::string> needed) {
  ElfDescription elf;
  elf.interpreter = kLoader;
  elf.needed = std::move(needed);
  return build_elf(elf);
}

Inspection inspect(const TableFileSystem& tree, const std::string& path, InspectionOptions options = {}) {
  ObjectCache cache(tree);
  return imgslim::inspect(cache, path, options);
}

Failure failure_of(const TableFileSystem& tree, const std::string& path, InspectionOptions options = {}) {
  try {
    inspect(tree, path, std::move(options));
  } catch (const Error& error) {
    return error.failure();
  }
  return Failure::kVerification;
}

TEST_CASE("inspect: a missing library is a fault and stands below the one that needs it") {
  TableFileSystem tree = small_tree();
  tree.file("/app", program({"liba.so"}));
  const Inspection found = inspect(tree, "/app");
  REQUIRE(found.libraries);
  REQUIRE(found.advice.size() >= 1);
  CHECK(found.advice.front().id == "missing-library");
  CHECK(found.advice.front().fault);
  const std::string text = to_text(found, {});
  CHECK(text.find("\n  liba.so               /lib/liba.so (default directory)\n") != std::string::npos);
  CHECK(text.find("\n    libb.so             not found, tried ") != std::string::npos);
  const Json json = to_json(found);
  CHECK(json["version"] == 1);
  CHECK(json["libraries"]["missing"][0]["name"] == "libb.so");
  CHECK(json["libraries"]["objects"][0]["resolved"] == "/app");
  CHECK(json["go"].is_null());
}

TEST_CASE("inspect: a generated cache and LD_LIBRARY_PATH are weighed by look-ups") {
  TableFileSystem tree = small_tree();
  tree.file("/usr/lib/libb.so", build_elf([] {
              ElfDescription library;
              library.soname = "libb.so";
              return library;
            }()));
  tree.file("/app", program({"liba.so"}));
  InspectionOptions options;
  options.env = {"LD_LIBRARY_PATH=/x:/y:/z"};
  options.cpu = "x86-64-v3";
  const Inspection found = inspect(tree, "/app", options);
  REQUIRE(found.cost);
  CHECK(found.cost->today.count.failed_opens > found.cost->with_generated_cache.count.failed_opens);
  std::vector<std::string> ids;
  for (const Advice& advice : found.advice)
    ids.push_back(advice.id);
  CHECK(std::find(ids.begin(), ids.end(), "library-path") != ids.end());
  CHECK(std::find(ids.begin(), ids.end(), "ld-so-cache") != ids.end());
  for (std::size_t i = 1; i < found.advice.size(); ++i) {
    CHECK(found.advice[i - 1].lookups >= found.advice[i].lookups);
  }
}

TEST_CASE("inspect: what is no program has its own status") {
  TableFileSystem tree = small_tree();
  tree.file("/text", "hello");
  tree.file("/short", "\177ELF");
  tree.file("/app", program({}));
  InspectionOptions arm;
  arm.cpu = "armv8.1-a";
  CHECK(failure_of(tree, "/none") == Failure::kIo);
  CHECK(failure_of(tree, "/text") == Failure::kIo);
  CHECK(failure_of(tree, "/lib") == Failure::kIo);
  CHECK(failure_of(tree, "/short") == Failure::kBadImage);
  CHECK(failure_of(tree, "/app", arm) == Failure::kUsage);
}

TEST_CASE("inspect: a script shows its interpreter") {
  TableFileSystem tree = small_tree();
  tree.file("/bin/sh", program({}));
  tree.file("/run", "#!/bin/sh\nexec /bin/sh -c true\n");
  const Inspection found = inspect(tree, "/run");
  CHECK_FALSE(found.elf);
  CHECK(to_text(found, {}).find("\n  interpreter    /bin/sh\n") != std::string::npos);
  CHECK(to_json(found)["elf"].is_null());
}

TEST_CASE("inspect: names with stars and exported symbols are looked up in the tree") {
  TableFileSystem tree = small_tree();
  tree.file("/lib/gconv/B.so", "x");
  tree.file("/lib/gconv/A.so", "x");
  tree.file("/lib/gconv/deep/C.so", "x");
  tree.link("/usr/share/lib", "/lib");
  CHECK(files_matching(tree, "/usr/share/*/gconv/*.so") ==
        std::vector<std::string>{"/lib/gconv/A.so", "/lib/gconv/B.so"});
  CHECK(files_matching(tree, "/none/*").empty());
  ObjectCache cache(tree);
  CHECK(objects_exporting(cache, {"plug_*_init"}) == std::vector<std::string>{"/lib/liba.so"});
  CHECK(objects_exporting(cache, {"other"}).empty());
}

TEST_CASE("inspect: Go modules take the code of their packages") {
  GoFacts go;
  go.build.emplace();
  go.build->go_version = "go1.22.5";
  go.build->main_module = GoModule{"example.org/app", "v1.0.0", "", {}};
  go.build->dependencies = {{"example.org/lib", "v1.2.3", "", {}}, {"example.org/lib/v2", "v2.0.1", "", {}}};
  go.packages = {
      {"", 1},       {"example.org/lib", 10}, {"example.org/lib/v2/x", 300},      {"example.org/library", 20},
      {"main", 500}, {"net/http", 4000},      {"vendor/golang.org/x/net/dns", 50}};
  const auto sizes = module_sizes(go);
  std::string text;
  for (const GoModuleSize& size : sizes)
    text += size.path + "@" + size.version + "=" + std::to_string(size.code_bytes) + " ";
  CHECK(text ==
        "std@go1.22.5=4050 example.org/app@v1.0.0=500 example.org/lib/v2@v2.0.1=300 "
        "example.org/library@=20 example.org/lib@v1.2.3=10 @=1 ");
}

TEST_CASE("inspect: the path in an image is what follows the last colon and slash") {
  using Split = std::pair<std::string, std::string>;
  CHECK(split_image_path("oci:dir:/app") == Split{"oci:dir", "/app"});
  CHECK(split_image_path("oci:/abs/dir:tag:/usr/bin/app") == Split{"oci:/abs/dir:tag", "/usr/bin/app"});
  CHECK(split_image_path("docker://host/repo:/app") == Split{"docker://host/repo", "/app"});
  CHECK_FALSE(split_image_path("oci:/abs/dir"));
  CHECK_FALSE(split_image_path("docker://host/repo"));
  CHECK_FALSE(split_image_path("/usr/bin/app"));
}

TEST_CASE("text page: words wrap at the width and are never broken") {
  TextPage page(40);
  page.heading("Title");
  page.item(2, "lead", 10, "one two three four five six seven eight nine");
  page.item(2, "a lead that is long", 10, "text");
  page.item(2, "x", 10, std::string(60, 'p') + " end");
  CHECK(page.text() ==
        "Title\n"
        "  lead    one two three four five six\n"
        "          seven eight nine\n"
        "  a lead that is long\n"
        "          text\n"
        "  x       " +
            std::string(60, 'p') +
            "\n"
            "          end\n");
}

}  // namespace
}  // namespace imgslim
