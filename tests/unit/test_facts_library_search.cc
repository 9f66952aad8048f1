// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "src/facts/library_search.h"
#include "src/facts/search_cost.h"
#include "tests/support/elf_builder.h"
#include "tests/support/table_file_system.h"

namespace imgslim {
namespace {

using testing::build_elf;
using testing::ElfDescription;
using testing::TableFileSystem;

constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";

// An image with a loader of this version that has the tables of a real one.
class Image : public TableFileSystem {
 public:
  explicit Image(const std::string& version = "2.38") {
    ElfDescription loader;
    loader.soname = "ld-linux-x86-64.so.2";
    loader.read_only = std::string("\0", 1) + "/lib/" + '\0' + "/usr/lib/" + '\0' +
                       std::string("\5\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0", 16) + "/etc/ld.so.cache" + '\0' +
                       "glibc-ld.so.cache" + '\0' + "x86-64-v4:x86-64-v3:x86-64-v2" + '\0' +
                       "ld.so (GNU libc) stable release version " + version + ".\n" + '\0';
    file(kLoader, build_elf(loader));
  }
  void program(const std::string& path, std::vector<std::string> needed, ElfDescription extra = {}) {
    extra.interpreter = kLoader;
    extra.needed = std::move(needed);
    file(path, build_elf(extra));
  }
  void library(const std::string& path, std::vector<std::string> needed = {}, ElfDescription extra = {}) {
    extra.needed = std::move(needed);
    if (!extra.soname) extra.soname = path.substr(path.rfind('/') + 1);
    file(path, build_elf(extra));
  }
};

ElfDescription with_rpath(std::string path) {
  ElfDescription result;
  result.rpath = std::move(path);
  return result;
}

ElfDescription with_runpath(std::string path) {
  ElfDescription result;
  result.runpath = std::move(path);
  return result;
}

// "name=path (rule)" of every library, then "-name" of what is missing.
std::string loaded(const Image& image, const std::string& program, const SearchOptions& options = {}) {
  ObjectCache cache(image);
  const LibrarySearch search = LibrarySearch::start(cache, program, options);
  std::string text;
  for (const std::size_t index : search.scope()) {
    if (index < 2) continue;
    const SearchedObject& object = search.objects()[index];
    text += object.path + " (" + std::string(name_of(object.rule)) + ") ";
  }
  for (const auto& library : search.missing())
    text += "-" + library.name + " ";
  return text + search.fatal();
}

}  // namespace

TEST_CASE("loader: facts come out of its bytes") {
  const Image image("2.36");
  ObjectCache cache(image);
  const auto loader = cache.loader(kLoader);
  REQUIRE(loader);
  CHECK(loader->kind == LoaderKind::kGlibc);
  CHECK(loader->version == "2.36");
  CHECK(loader->legacy_hwcaps);
  CHECK(loader->directories == std::vector<std::string>{"/lib/", "/usr/lib/"});
  CHECK(loader->lib == "lib");
  CHECK(loader->cache_path == "/etc/ld.so.cache");
  CHECK(loader->hwcaps == std::vector<std::string>{"x86-64-v4", "x86-64-v3", "x86-64-v2"});
  CHECK(hwcaps_subdirectories(*loader, *cpu_named("x86-64-v4")).size() == 11);
  CHECK(hwcaps_subdirectories(*loader, *cpu_named("Skylake-Server")).size() == 19);
  const Image newer("2.37");
  ObjectCache other(newer);
  CHECK(hwcaps_subdirectories(*other.loader(kLoader), *cpu_named("x86-64-v4")).size() == 4);
}

TEST_CASE("library search: RPATH is inherited, RUNPATH is not") {
  Image image;
  image.library("/opt/a/liba.so", {"libb.so"});
  image.library("/opt/a/libb.so");
  image.program("/bin/runpath", {"liba.so"}, with_runpath("/opt/a"));
  image.program("/bin/rpath", {"liba.so"}, with_rpath("/opt/a"));
  CHECK(loaded(image, "/bin/runpath") == "/opt/a/liba.so (runpath) -libb.so ");
  CHECK(loaded(image, "/bin/rpath") == "/opt/a/liba.so (rpath) /opt/a/libb.so (rpath) ");
}

TEST_CASE("library search: origin of a linked program is where the link leads") {
  Image image;
  image.library("/app/lib/liba.so");
  image.program("/app/bin/prog", {"liba.so", "$ORIGIN/../lib/libo.so"}, with_runpath("$ORIGIN/../lib"));
  image.library("/app/lib/libo.so");
  image.link("/usr/bin/prog", "../../app/bin/prog");
  CHECK(loaded(image, "/usr/bin/prog") ==
        "/app/bin/../lib/liba.so (runpath) /app/bin/../lib/libo.so (direct) ");
}

TEST_CASE("library search: first SONAME wins, a hard link is the same object") {
  Image image;
  image.library("/a/libsame.so");
  image.library("/b/libsame.so");
  image.library("/a/libfirst.so", {"libsame.so"}, with_runpath("/a"));
  image.library("/a/libsecond.so", {"libsame.so"}, with_runpath("/b"));
  image.hard_link("/a/libhard.so", "/a/libsame.so");
  image.program("/bin/prog", {"libfirst.so", "libsecond.so", "libhard.so"}, with_runpath("/a"));
  // libhard.so is loaded first, and its SONAME answers for libsame.so.
  CHECK(loaded(image, "/bin/prog") ==
        "/a/libfirst.so (runpath) /a/libsecond.so (runpath) /a/libhard.so (runpath) ");
}

TEST_CASE("library search: LD_LIBRARY_PATH with both separators and empty elements") {
  Image image;
  image.library("/libcwd.so");
  image.library("/x/libx.so");
  image.program("/bin/prog", {"libcwd.so", "libx.so"});
  SearchOptions options;
  options.library_path = "/none;:/x";
  CHECK(loaded(image, "/bin/prog", options) == "libcwd.so (LD_LIBRARY_PATH) /x/libx.so (LD_LIBRARY_PATH) ");
  options.secure = true;
  CHECK(loaded(image, "/bin/prog", options) == "-libcwd.so -libx.so ");
}

TEST_CASE("library search: cache, NODEFLIB and a stale entry") {
  Image image;
  image.library("/opt/libn.so");
  image.library("/lib/libs.so");
  LdCacheEntry n, s, gone;
  n.flags = s.flags = gone.flags = 0x0303;
  n.name = "libn.so", n.path = "/opt/libn.so";
  s.name = "libs.so", s.path = "/lib/libs.so";
  gone.name = "libg.so", gone.path = "/opt/gone/libg.so";
  image.library("/usr/lib/libg.so");
  image.file("/etc/ld.so.cache", write_ld_cache({n, s, gone}));
  image.program("/bin/prog", {"libn.so", "libs.so", "libg.so"});
  CHECK(loaded(image, "/bin/prog") ==
        "/opt/libn.so (cache) /lib/libs.so (cache) /usr/lib/libg.so (default directory) ");
  ElfDescription nodeflib;
  nodeflib.flags_1 = 0x800;
  image.program("/bin/nodeflib", {"libn.so", "libs.so"}, nodeflib);
  CHECK(loaded(image, "/bin/nodeflib") == "/opt/libn.so (cache) -libs.so ");
}

TEST_CASE("library search: another class is passed over, a text file ends the load") {
  Image image;
  ElfDescription other;
  other.is_64 = false;
  other.machine = EM_386;
  image.library("/x/liba.so", {}, other);
  image.library("/lib/liba.so");
  image.program("/bin/prog", {"liba.so"}, with_runpath("/x"));
  CHECK(loaded(image, "/bin/prog") == "/lib/liba.so (default directory) ");
  image.file("/x/liba.so", std::string(100, 'x'));
  CHECK(loaded(image, "/bin/prog").find("/x/liba.so: invalid ELF header") != std::string::npos);
}

TEST_CASE("library search: copies for other CPUs are part of the closure") {
  Image image;
  image.library("/lib/liba.so");
  image.library("/lib/glibc-hwcaps/x86-64-v3/liba.so", {"libextra.so"});
  image.library("/lib/libextra.so");
  image.program("/bin/prog", {"liba.so"});
  ObjectCache cache(image);
  const LibraryClosure closure = search_libraries(cache, "/bin/prog", {});
  std::vector<std::string> paths;
  for (const auto* object : closure.all_objects())
    paths.push_back(object->path + object->hwcaps);
  CHECK(paths == std::vector<std::string>{"/bin/prog", kLoader, "/lib/liba.so",
                                          "/lib/glibc-hwcaps/x86-64-v3/liba.soglibc-hwcaps/x86-64-v3",
                                          "/lib/libextra.so"});
}

TEST_CASE("library search: missing versions") {
  Image image;
  ElfDescription provider;
  provider.versions_defined = {"liba.so", "A_1"};
  image.library("/lib/liba.so", {}, provider);
  ElfDescription program;
  program.versions_needed = {{"liba.so", {"A_1", "A_2"}}};
  image.program("/bin/prog", {"liba.so"}, program);
  ObjectCache cache(image);
  const auto search = LibrarySearch::start(cache, "/bin/prog", {});
  REQUIRE(search.missing_versions().size() == 1);
  CHECK(search.missing_versions()[0].version == "A_2");
}

TEST_CASE("library search: dlopen uses the RUNPATH of its caller, and leaves nothing when it fails") {
  Image image;
  image.library("/lib/liba.so", {}, with_runpath("/plugins"));
  image.library("/plugins/libp.so");
  image.library("/plugins/libq.so", {"libabsent.so"});
  image.program("/bin/prog", {"liba.so"});
  ObjectCache cache(image);
  auto search = LibrarySearch::start(cache, "/bin/prog", {});
  CHECK_FALSE(search.open(0, "libp.so").object);
  const auto failed = search.open(2, "libq.so");
  CHECK_FALSE(failed.object);
  CHECK(failed.loaded.size() == 1);
  CHECK(search.objects().size() == 3);
  const auto opened = search.open(2, "libp.so");
  REQUIRE(opened.object);
  CHECK(search.objects()[*opened.object].path == "/plugins/libp.so");
  CHECK(search.open(0, "libp.so").already_loaded);
}

TEST_CASE("search cost: a missing directory is remembered, an empty one is not") {
  Image image;
  image.library("/lib/liba.so");
  image.library("/lib/libb.so");
  image.directory("/empty");
  image.program("/bin/prog", {"liba.so", "libb.so"});
  ObjectCache cache(image);
  SearchOptions options;
  options.library_path = "/missing:/empty";
  const auto costs = search_costs(cache, "/bin/prog", options, {{"", "libabsent.so"}});
  // No cache: /missing once, /empty for each library, one look for the cache.
  CHECK(costs.today.count.failed_opens == 1 + 2 + 1);
  CHECK(costs.today.count.failed_stats == 1);
  CHECK(costs.with_generated_cache.count.failed_opens == 1 + 2);
  CHECK(costs.today.dlopens[0].count.failed_opens == 3);
  CHECK(costs.today.dlopens[0].count.failed_stats == 1);
}

}  // namespace imgslim
