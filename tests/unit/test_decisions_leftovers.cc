// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <set>

#include "src/decisions/leftover_search.h"
#include "src/decisions/leftovers.h"
#include "tests/support/tar_builder.h"

namespace imgslim {
namespace {

using testing::TarAttributes;
using testing::TarBuilder;
using Paths = std::set<std::string>;

const std::string kElf = "\177ELF\2\1\1";
const std::string kCore = kElf + std::string(9, '\0') + std::string("\4\0", 2) + "memory";
const std::string kGzip = "\x1f\x8b\x08 gzip";
const std::string kZip = "PK\x03\x04 zip";
const std::string kGoReadme =
    "This directory holds cached build artifacts from the Go build system.\nRun ...\n";
const std::string kTag = "Signature: 8a477f597d28d172789f06886806bc55\n";

std::string hex(std::size_t length) {
  return std::string(length, 'a');
}

// An image of one layer, with what a search needs.
struct Image {
  std::string bytes;
  Tree tree;
  ContentReader content;
  std::unique_ptr<TreeFileSystem> files;
  PackageDatabase packages;
  Roots roots;
  ImageConfig config;

  explicit Image(const TarBuilder& builder, ImageConfig image_config = {})
      : bytes(builder.closed()), config(std::move(image_config)) {
    tree.apply(testing::index_tar(bytes));
    content = [this](EntryRef ref, std::uint64_t length) {
      const Entry& entry = tree.entry(ref);
      return bytes.substr(entry.data_offset, std::min(length, entry.stored_size));
    };
    files = std::make_unique<TreeFileSystem>(tree, content);
    packages = PackageDatabase::read(*files);
    roots = find_roots(*files, config);
  }
  Leftovers find(Form form) const {
    // What the rows about Go sources compare with.
    const GoProgram program{"/bin/app", "example.com/app", {{5, {digest_of("asset")}}}};
    const std::vector<GoProgram> programs{program};
    const auto all = [&]() -> const std::vector<GoProgram>& { return programs; };
    return find_leftovers({tree, *files, content, packages, roots, config, all}, form);
  }
  // "RULE PATH" of what goes.
  Paths gone(Form form = Form::kTidy) const {
    Paths paths;
    for (const Leftover& leftover : find(form).claimed) {
      paths.insert(std::string(leftover_rules()[leftover.rule].id) + " " + tree.path(leftover.node));
    }
    return paths;
  }
};

// A row for each rule: a tree that its producer left, what goes, and the same names without the signature.
struct Row {
  std::string_view rule;
  std::vector<std::pair<std::string, std::string>> files;
  Paths gone;
  std::string unsign;  // of this file the content is taken away: nothing goes any more
  Form form = Form::kTidy;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> rows = {
      {"apt-lists",
       {{"var/lib/apt/lists/h_InRelease", "-----BEGIN PGP SIGNED MESSAGE-----\n"},
        {"var/lib/apt/lists/h_main_binary-amd64_Packages.lz4", "x"},
        {"var/lib/apt/lists/note.txt", "x"}},
       {"var/lib/apt/lists/h_InRelease", "var/lib/apt/lists/h_main_binary-amd64_Packages.lz4"},
       "var/lib/apt/lists/h_InRelease"},
      {"apt-archives",
       {{"var/cache/apt/archives/a_1_amd64.deb", "!<arch>\ndebian-binary   1"},
        {"var/cache/apt/archives/b.deb", "other"}},
       {"var/cache/apt/archives/a_1_amd64.deb"},
       "var/cache/apt/archives/a_1_amd64.deb"},
      {"apt-cache",
       {{"var/cache/apt/pkgcache.bin", "\xdc\x76\xfe\x98 more"}},
       {"var/cache/apt/pkgcache.bin"},
       "var/cache/apt/pkgcache.bin"},
      {"dpkg-log",
       {{"var/log/dpkg.log", "2025-06-24 14:36:25 startup archives unpack\n"}},
       {"var/log/dpkg.log"},
       "var/log/dpkg.log"},
      {"alternatives-log",
       {{"var/log/alternatives.log", "update-alternatives 2025-06-24 14:36:53: run\n"}},
       {"var/log/alternatives.log"},
       "var/log/alternatives.log"},
      {"apt-log",
       {{"var/log/apt/history.log", "\nStart-Date: 2025-06-24\n"}, {"var/log/apt/term.log", "my own log\n"}},
       {"var/log/apt/history.log"},
       "var/log/apt/history.log"},
      {"bootstrap-log",
       {{"var/log/bootstrap.log", "gpgv: Signature made\n"}},
       {"var/log/bootstrap.log"},
       "var/log/bootstrap.log"},
      {"dpkg-backup",
       {{"var/lib/dpkg/status-old", "Package: a\n"}, {"var/lib/dpkg/status", "Package: a\n"}},
       {"var/lib/dpkg/status-old"},
       "var/lib/dpkg/status-old"},
      {"apk-cache",
       {{"var/cache/apk/APKINDEX.0123abcd.tar.gz", kGzip}, {"var/cache/apk/a-1.0123abcd.apk", kGzip}},
       {"var/cache/apk/APKINDEX.0123abcd.tar.gz", "var/cache/apk/a-1.0123abcd.apk"},
       "var/cache/apk/APKINDEX.0123abcd.tar.gz"},
      {"dnf-cache",
       {{"var/cache/dnf/base-0123456789abcdef/repodata/repomd.xml", "<?xml version"},
        {"var/cache/dnf/base-0123456789abcdef/repodata/x-primary.xml.gz", kGzip},
        {"var/cache/dnf/base-0123456789abcdef/packages/a.rpm", "\xed\xab\xee\xdb"}},
       {"var/cache/dnf/base-0123456789abcdef/repodata/repomd.xml",
        "var/cache/dnf/base-0123456789abcdef/repodata/x-primary.xml.gz",
        "var/cache/dnf/base-0123456789abcdef/packages/a.rpm"},
       "var/cache/dnf/base-0123456789abcdef/repodata/repomd.xml"},
      {"ldconfig-cache",
       {{"var/cache/ldconfig/aux-cache", "glibc-ld.so.auxcache-1.0"}},
       {"var/cache/ldconfig/aux-cache"},
       "var/cache/ldconfig/aux-cache"},
      {"man-index",
       {{"var/cache/man/CACHEDIR.TAG", kTag + "# created by man-db.\n"}, {"var/cache/man/de/index.db", "x"}},
       {"var/cache/man/de/index.db"},
       "var/cache/man/CACHEDIR.TAG"},
      {"ccache",
       {{"root/.cache/ccache/CACHEDIR.TAG", kTag + "# created by ccache.\n"},
        {"root/.cache/ccache/0/1/" + hex(30) + "R", "x"},
        {"root/.cache/ccache/0/mine.txt", "x"}},
       {"root/.cache/ccache/0/1/" + hex(30) + "R"},
       "root/.cache/ccache/CACHEDIR.TAG"},
      {"core-dump",
       {{"srv/core.12", kCore}, {"srv/core", kElf + std::string(11, '\3')}},
       {"srv/core.12"},
       "srv/core.12"},
      {"go-build-cache",
       {{"root/.cache/go-build/README", kGoReadme},
        {"root/.cache/go-build/00/" + hex(64) + "-a", "x"},
        {"root/.cache/go-build/00/" + hex(64) + "-d", "x"},
        {"root/.cache/go-build/00/notes", "x"}},
       {"root/.cache/go-build/README", "root/.cache/go-build/00/" + hex(64) + "-a",
        "root/.cache/go-build/00/" + hex(64) + "-d"},
       "root/.cache/go-build/README"},
      {"go-module-cache",
       {{"go/pkg/mod/cache/download/x.org/m/@v/v1.0.0.zip", kZip},
        {"go/pkg/mod/cache/download/x.org/m/@v/v1.0.0.info", "{\"Version\":\"v1.0.0\"}"},
        {"go/pkg/mod/x.org/m@v1.0.0/a.go", "package m"},
        {"go/pkg/mod/x.org/plain/a.go", "package m"},
        {"go/pkg/mod/golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64/src/a.go", "package a"}},
       {"go/pkg/mod/cache/download/x.org/m/@v/v1.0.0.zip", "go/pkg/mod/cache/download/x.org/m/@v/v1.0.0.info",
        "go/pkg/mod/x.org/m@v1.0.0/a.go"},
       ""},
      {"npm-cache",
       {{"root/.npm/_cacache/index-v5/aa/bb/" + hex(60), "x"},
        {"root/.npm/_cacache/content-v2/sha512/aa/bb/" + hex(124), "x"},
        {"root/.npm/_logs/2024-debug-0.log", "0 verbose cli\n"}},
       {"root/.npm/_cacache/index-v5/aa/bb/" + hex(60),
        "root/.npm/_cacache/content-v2/sha512/aa/bb/" + hex(124), "root/.npm/_logs/2024-debug-0.log"},
       ""},
      {"yarn-cache",
       {{"usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0123-integrity/node_modules/a/.yarn-metadata.json",
         "{\n  \"manifest\": {"},
        {"usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0123-integrity/node_modules/a/index.js", "x"}},
       {"usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0123-integrity/node_modules/a/.yarn-metadata.json",
        "usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0123-integrity/node_modules/a/index.js"},
       "usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0123-integrity/node_modules/a/.yarn-metadata.json"},
      {"pnpm-store",
       {{"root/store/v3/files/00/" + hex(126) + "-index.json", "{}"},
        {"root/store/v3/files/00/" + hex(126), "x"}},
       {"root/store/v3/files/00/" + hex(126) + "-index.json", "root/store/v3/files/00/" + hex(126)},
       "root/store/v3/files/00/" + hex(126) + "-index.json"},
      {"pip-cache",
       {{"root/.cache/pip/http-v2/a/b/c/d/e/" + hex(56), "cc=4,x"},
        {"root/.cache/pip/http-v2/a/b/c/d/e/" + hex(56) + ".body", "x"}},
       {"root/.cache/pip/http-v2/a/b/c/d/e/" + hex(56),
        "root/.cache/pip/http-v2/a/b/c/d/e/" + hex(56) + ".body"},
       "root/.cache/pip/http-v2/a/b/c/d/e/" + hex(56)},
      {"cargo-registry",
       {{"c/registry/cache/index.crates.io-6f17d22bba15001f/a-1.crate", kGzip},
        {"c/registry/src/index.crates.io-6f17d22bba15001f/a-1/.cargo-ok", "{}"},
        {"c/registry/src/index.crates.io-6f17d22bba15001f/a-1/Cargo.toml", "x"},
        {"c/registry/src/mine/a-1/Cargo.toml", "x"}},
       {"c/registry/cache/index.crates.io-6f17d22bba15001f/a-1.crate",
        "c/registry/src/index.crates.io-6f17d22bba15001f/a-1/.cargo-ok",
        "c/registry/src/index.crates.io-6f17d22bba15001f/a-1/Cargo.toml"},
       ""},
      {"composer-cache",
       {{"root/.composer/cache/repo/https---repo.packagist.org/p.json", "{}"},
        {"root/.composer/cache/files/a/b/" + hex(40) + ".zip", kZip}},
       {"root/.composer/cache/repo/https---repo.packagist.org/p.json",
        "root/.composer/cache/files/a/b/" + hex(40) + ".zip"},
       "root/.composer/cache/repo/https---repo.packagist.org/p.json"},
      {"gem-cache",
       {{"g/cache/a-1.gem", "metadata.gz"}, {"g/specifications/a-1.gemspec", "x"}, {"g/gems/a-1/a.rb", "x"}},
       {"g/cache/a-1.gem"},
       "g/cache/a-1.gem"},
      {"maven-notes",
       {{"m/a/_remote.repositories", "#NOTE: This is a Maven Resolver internal implementation file, its"},
        {"m/a/a.jar.sha1", "00"},
        {"m/a/a.jar", kZip}},
       {"m/a/_remote.repositories", "m/a/a.jar.sha1"},
       "m/a/_remote.repositories"},
      {"go-toolchain",
       {{"usr/local/go/VERSION", "go1.22.5\n"},
        {"usr/local/go/bin/go", kElf},
        {"usr/local/go/pkg/tool/linux_amd64/compile", kElf}},
       {"usr/local/go/VERSION", "usr/local/go/bin/go", "usr/local/go/pkg/tool/linux_amd64/compile"},
       "usr/local/go/VERSION",
       Form::kDistroless},
      {"headers",
       {{"usr/include/a.h", "x"}, {"usr/lib/x", "x"}, {"usr/include/a.txt", "x"}},
       {"usr/include/a.h"},
       "",
       Form::kDistroless},
      {"static-library", {{"usr/lib/a.a", "!<arch>\n"}}, {"usr/lib/a.a"}, "usr/lib/a.a", Form::kDistroless},
      {"manual-pages",
       {{"usr/share/man/de/man1/a.1.gz", kGzip}},
       {"usr/share/man/de/man1/a.1.gz"},
       "",
       Form::kDistroless},
      {"documentation",
       {{"usr/share/doc/a/README", "x"}, {"usr/share/doc/a/copyright", "x"}},
       {"usr/share/doc/a/README"},
       "",
       Form::kDistroless},
      {"info-pages",
       {{"usr/share/info/a.info.gz", kGzip}},
       {"usr/share/info/a.info.gz"},
       "",
       Form::kDistroless},
      {"go-source",
       {{"src/go.mod", "// built\nmodule example.com/app\n\ngo 1.22\n"},
        {"src/main.go", "package main\n"},
        {"src/web/app.js", "asset"},
        {"src/web/new.js", "other"},
        {"src/settings.yaml", "x"},
        {"other/app.js", "asset"}},
       {"src/go.mod", "src/main.go", "src/web/app.js"},
       "src/go.mod",
       Form::kDistroless},
  };
  return rows;
}

TEST_CASE("leftovers: every rule takes what its producer signed, and only then") {
  std::set<std::string_view> tested;
  for (const Row& row : rows()) {
    CAPTURE(row.rule);
    tested.insert(row.rule);
    TarBuilder signed_tree;
    TarBuilder unsigned_tree;
    for (const auto& [path, content] : row.files) {
      signed_tree.file(path, content);
      unsigned_tree.file(path, path == row.unsign ? "something else" : content);
    }
    Paths expected;
    for (const std::string& path : row.gone)
      expected.insert(std::string(row.rule) + " " + path);
    const Image image(signed_tree);
    CHECK(image.gone(row.form) == expected);
    CHECK(image.gone(Form::kLossless).empty());
    if (row.form == Form::kDistroless) CHECK(image.gone(Form::kTidy).empty());
    if (!row.unsign.empty()) CHECK(Image(unsigned_tree).gone(row.form).empty());
  }
  for (const LeftoverRule& rule : leftover_rules()) {
    CAPTURE(rule.id);
    CHECK(tested.contains(rule.id));
    CHECK_FALSE(rule.signature.empty());
    CHECK_FALSE(rule.reason.empty());
  }
}

TEST_CASE("leftovers: a rule is one row") {
  static constexpr auto kFind = [](LeftoverSearch& search, NodeId file) {
    if (search.has_head(file, "JUNK")) search.claim(file, file);
  };
  const std::vector<LeftoverRule> rules = {
      {"junk", "begins with JUNK", "test", Form::kTidy, {"*.junk"}, {}, false, kFind}};
  TarBuilder builder;
  builder.file("a/x.junk", "JUNK").file("a/y.junk", "DATA").file("a/z.txt", "JUNK");
  const Image image(builder);
  const LeftoverContext context{image.tree,     *image.files, image.content,
                                image.packages, image.roots,  image.config};
  const Leftovers leftovers = find_leftovers(context, Form::kTidy, rules);
  REQUIRE(leftovers.claimed.size() == 1);
  CHECK(image.tree.path(leftovers.claimed[0].node) == "a/x.junk");
  CHECK(leftovers.find(leftovers.claimed[0].node) != nullptr);
  CHECK(leftovers.find(Tree::kRoot) == nullptr);
}

// A module cache with one file more, of which the test says whether it goes.
TarBuilder modules() {
  TarBuilder builder;
  builder.file("go/pkg/mod/cache/download/x.org/m/@v/v1.0.0.zip", kZip);
  return builder;
}
const std::string kModuleFile = "go/pkg/mod/x.org/m@v1.0.0/a";
const std::string kModuleGone = "go-module-cache " + kModuleFile;

TEST_CASE("leftovers: programs, scripts and libraries stay") {
  TarAttributes executable;
  executable.mode = 0755;
  CHECK(Image(modules().file(kModuleFile, "text")).gone().contains(kModuleGone));
  CHECK(Image(modules().file(kModuleFile, "text", executable)).gone().contains(kModuleGone));
  CHECK_FALSE(Image(modules().file(kModuleFile, kElf, executable)).gone().contains(kModuleGone));
  CHECK_FALSE(Image(modules().file(kModuleFile, kElf)).gone().contains(kModuleGone));
  CHECK_FALSE(Image(modules().file(kModuleFile, "#!/bin/sh\n", executable)).gone().contains(kModuleGone));
}

TEST_CASE("leftovers: volumes, reached trees, named folders, users of a cache, packages") {
  TarAttributes executable;
  executable.mode = 0755;
  ImageConfig config;
  config.cmd = {"/app"};
  TarBuilder builder = modules().file(kModuleFile, "text").file("app", kElf, executable);
  CHECK(Image(builder, config).gone().contains(kModuleGone));

  ImageConfig volume = config;
  volume.volumes = {"/go"};
  CHECK(Image(builder, volume).gone().empty());
  CHECK(Image(builder, volume).find(Form::kTidy).spared.size() == 1);

  ImageConfig named = config;
  named.cmd = {"/app", "--dir=/go/pkg"};
  CHECK(Image(builder, named).gone().empty());

  ImageConfig reached = config;
  reached.cmd = {"/go/pkg/mod/x.org/m@v1.0.0/tool"};
  TarBuilder with_tool = builder;
  with_tool.file("go/pkg/mod/x.org/m@v1.0.0/tool", kElf, executable);
  CHECK(Image(with_tool, reached).gone().empty());
  CHECK_FALSE(Image(with_tool, config).gone().empty());

  ImageConfig user = config;
  user.cmd = {"sh", "-c", "go run ."};
  TarBuilder with_go = builder;
  with_go.file("usr/bin/sh", kElf, executable).file("usr/bin/go", kElf, executable);
  CHECK(Image(with_go, user).gone().empty());
  CHECK_FALSE(Image(with_go, config).gone().empty());

  TarBuilder owned = builder;
  owned
      .file("var/lib/dpkg/status",
            "Package: m\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n")
      .file("var/lib/dpkg/info/m.list", "/" + kModuleFile + "\n");
  CHECK_FALSE(Image(owned, config).gone().contains(kModuleGone));
}

TEST_CASE("leftovers: a file with several names goes with all of them or not at all") {
  CHECK(Image(modules().file(kModuleFile, "text").hard_link(kModuleFile + "2", kModuleFile)).gone().size() ==
        3);
  CHECK(Image(modules().file(kModuleFile, "text").hard_link("srv/kept", kModuleFile)).gone().size() == 1);
}

}  // namespace
}  // namespace imgslim
