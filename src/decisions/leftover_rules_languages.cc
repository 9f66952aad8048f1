// SPDX-License-Identifier: Apache-2.0
// Rows for the build and download caches of languages.
#include <algorithm>

#include "src/decisions/leftover_search.h"

namespace imgslim {
namespace {

constexpr std::string_view kGzip = "\x1f\x8b";
constexpr std::string_view kZip = "PK\x03\x04";

// cmd/go/internal/cache: README, 256 folders, <64 hex digits>-a (action) and -d (data).
void find_go_build_cache(LeftoverSearch& search, NodeId readme) {
  if (!search.begins_with(readme, "This directory holds cached build artifacts from the Go build system."))
    return;
  const NodeId cache = search.parent(readme);
  bool folders = false;
  search.each_directory(cache, [&](NodeId folder) {
    if (!is_hex_name(search.name(folder), 2)) return;
    folders = true;
    search.each_file(folder, [&](NodeId file) {
      const std::string_view name = search.name(file);
      if (name.size() == 66 && is_hex_name(name.substr(0, 64), 64) &&
          (name.ends_with("-a") || name.ends_with("-d"))) {
        search.claim(file, cache);
      }
    });
  });
  if (!folders) return;
  for (const std::string_view name : {"README", "trim.txt", "testexpire.txt", "log.txt"}) {
    search.claim(search.file_in(cache, name), cache);
  }
  // go test -fuzz
  search.each_directory(search.directory_in(cache, "fuzz"),
                        [&](NodeId folder) { search.claim_all_below(folder, cache); });
}

// NAME@VERSION as the go command names module folders.
bool is_module_folder(std::string_view name) {
  const std::size_t at = name.rfind('@');
  return at != std::string_view::npos && at > 0 && at + 2 < name.size() && name[at + 1] == 'v' &&
         name[at + 2] >= '0' && name[at + 2] <= '9';
}

// What the go command downloaded of a module: @v/VERSION.info beside .mod, .zip and .ziphash.
std::uint64_t claim_go_downloads(LeftoverSearch& search, NodeId versions, NodeId unit) {
  std::uint64_t known = 0;
  search.each_file(versions, [&](NodeId file) {
    const std::string_view name = search.name(file);
    const bool zip = name.ends_with(".zip") && search.has_head(file, kZip);
    const bool info = name.ends_with(".info") && search.has_head(file, "{\"Versio");
    const bool other =
        name.ends_with(".mod") || name.ends_with(".ziphash") || name.ends_with(".lock") || name == "list";
    if (!zip && !info && !other) return;
    ++known;
    search.claim(file, unit);
  });
  return known;
}

// GOMODCACHE: cache/download/MODULE/@v/..., MODULE@VERSION/... (go.dev/ref/mod, "Module cache").
void find_go_module_cache(LeftoverSearch& search, NodeId download) {
  if (search.parent_name(download) != "cache") return;
  const NodeId top = search.parent(search.parent(download));
  if (top == kNone || top == Tree::kRoot) return;
  std::uint64_t known = 0;
  std::vector<NodeId> open{download};
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    search.each_directory(at, [&](NodeId folder) {
      if (search.name(folder) == "@v") {
        known += claim_go_downloads(search, folder, top);
      } else if (search.name(folder) == "sumdb" && at == download) {
        search.each_file_below(folder, [&](NodeId file) { search.claim(file, top); });
      } else {
        open.push_back(folder);
      }
    });
  }
  if (known == 0) return;
  search.claim(search.file_in(search.parent(download), "lock"), top);
  // Extracted modules. A toolchain among them is no cache: it holds programs.
  search.each_directory(top, [&](NodeId folder) {
    if (folder != search.parent(download)) open.push_back(folder);
  });
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    if (is_module_folder(search.name(at))) {
      if (!search.name(at).starts_with("toolchain@") || search.parent_name(at) != "golang.org") {
        search.claim_all_below(at, top);
      }
      continue;
    }
    search.each_directory(at, [&](NodeId folder) { open.push_back(folder); });
  }
}

// cacache (npm 5 and later): index-v5/xx/yy/<rest of a SHA-256>, content-v2/sha512/xx/yy/<rest>.
void find_npm_cache(LeftoverSearch& search, NodeId cache) {
  const NodeId index = search.directory_in(cache, "index-v5");
  const NodeId content = search.directory_in(cache, "content-v2");
  if (index == kNone || content == kNone) return;
  const auto claim = [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (name.size() >= 32 && is_hex_name(name, name.size())) search.claim(file, cache);
  };
  search.each_file_below(index, claim);
  search.each_file_below(content, claim);
  const NodeId logs = search.directory_in(search.parent(cache), "_logs");
  search.each_file(logs, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (name.find("-debug-") != std::string_view::npos && name.ends_with(".log") &&
        (search.has_head(file, "0 verbos") || search.has_head(file, "0 info it"))) {
      search.claim(file, logs);
    }
  });
}

// Yarn 1: <cache>/v6/npm-NAME-VERSION-HASH-integrity/node_modules/NAME/.yarn-metadata.json
void find_yarn_cache(LeftoverSearch& search, NodeId metadata) {
  if (!search.begins_with(metadata, "{\n  \"manifest\": {")) return;
  NodeId at = search.parent(metadata);
  for (int up = 0; up < 3 && at != kNone && search.name(at) != "node_modules"; ++up)
    at = search.parent(at);
  if (at == kNone || search.name(at) != "node_modules") return;
  const NodeId package = search.parent(at);
  const std::string_view version = package == kNone ? "" : search.parent_name(package);
  if (version.size() < 2 || version[0] != 'v' || version[1] < '1' || version[1] > '9') return;
  if (!search.name(package).starts_with("npm-")) return;
  search.claim_all_below(package, search.parent(package));
}

// pnpm: <store>/v3/files/xx/<rest of a SHA-512>[-index.json]
void find_pnpm_store(LeftoverSearch& search, NodeId files) {
  const std::string_view version = search.parent_name(files);
  if (version.size() < 2 || version[0] != 'v' || version[1] < '0' || version[1] > '9') return;
  bool indexed = false;
  std::vector<NodeId> found;
  search.each_directory(files, [&](NodeId folder) {
    if (!is_hex_name(search.name(folder), 2)) return;
    search.each_file(folder, [&](NodeId file) {
      std::string_view name = search.name(file);
      if (name.ends_with("-index.json")) {
        name.remove_suffix(11);
        indexed = indexed || search.has_head(file, "{");
      }
      if (is_hex_name(name, 126)) found.push_back(file);
    });
  });
  if (!indexed) return;
  for (const NodeId file : found)
    search.claim(file, files);
}

// pip: http/a/b/c/d/e/<56 hex digits> (CacheControl's "cc="), wheels/aa/bb/cc/<rest>/NAME.whl
void find_pip_cache(LeftoverSearch& search, NodeId folder) {
  if (search.parent_name(folder) != "pip") return;
  const NodeId cache = search.parent(folder);
  if (search.name(folder) == "wheels") {
    search.each_file_below(folder, [&](NodeId file) {
      const std::string_view name = search.name(file);
      if (name.ends_with(".whl") && search.has_head(file, kZip) &&
          is_hex_name(search.parent_name(file), 58)) {
        search.claim(file, cache);
      }
    });
    return;
  }
  search.each_file_below(folder, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (is_hex_name(name, 56) && search.has_head(file, "cc=")) search.claim(file, cache);
    if (name.ends_with(".body") && is_hex_name(name.substr(0, name.size() - 5), 56) &&
        search.has_head(search.file_in(search.parent(file), name.substr(0, name.size() - 5)), "cc=")) {
      search.claim(file, cache);
    }
  });
}

// "index.crates.io-6f17d22bba15001f": a registry's name and hash.
bool is_registry_name(std::string_view name) {
  return name.size() > 17 && name[name.size() - 17] == '-' && is_hex_name(name.substr(name.size() - 16), 16);
}

// CARGO_HOME/registry: cache/REGISTRY/*.crate, src/REGISTRY/NAME-VERSION/.cargo-ok, index/REGISTRY/.
void find_cargo_registry(LeftoverSearch& search, NodeId registry) {
  search.each_directory(search.directory_in(registry, "cache"), [&](NodeId folder) {
    if (!is_registry_name(search.name(folder))) return;
    search.each_file(folder, [&](NodeId file) {
      if (search.name(file).ends_with(".crate") && search.has_head(file, kGzip)) search.claim(file, registry);
    });
  });
  search.each_directory(search.directory_in(registry, "src"), [&](NodeId folder) {
    if (!is_registry_name(search.name(folder))) return;
    search.each_directory(folder, [&](NodeId crate) {
      if (search.file_in(crate, ".cargo-ok") != kNone && search.file_in(crate, "Cargo.toml") != kNone) {
        search.claim_all_below(crate, registry);
      }
    });
  });
  search.each_directory(search.directory_in(registry, "index"), [&](NodeId folder) {
    if (is_registry_name(search.name(folder)))
      search.claim_all_below(search.directory_in(folder, ".cache"), registry);
  });
}

// Composer: cache/files/VENDOR/PACKAGE/<40 hex digits>.zip, cache/repo/https---repo.packagist.org/*.json
void find_composer_cache(LeftoverSearch& search, NodeId files) {
  const NodeId cache = search.parent(files);
  const NodeId repositories = search.directory_in(cache, "repo");
  bool known = false;
  search.each_directory(repositories, [&](NodeId folder) {
    if (!search.name(folder).starts_with("https---")) return;
    search.each_file(folder, [&](NodeId file) {
      if (!search.name(file).ends_with(".json") || !search.has_head(file, "{")) return;
      known = true;
      search.claim(file, cache);
    });
  });
  if (!known) return;
  search.each_file_below(files, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (name.ends_with(".zip") && name.size() >= 44 && search.has_head(file, kZip)) search.claim(file, cache);
  });
}

// RubyGems: cache/NAME-VERSION.gem (tar) beside specifications/NAME-VERSION.gemspec and gems/NAME-VERSION/.
void find_gem_cache(LeftoverSearch& search, NodeId cache) {
  const NodeId home = search.parent(cache);
  const NodeId specifications = home == kNone ? kNone : search.directory_in(home, "specifications");
  if (specifications == kNone || search.directory_in(home, "gems") == kNone) return;
  search.each_file(cache, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (!name.ends_with(".gem")) return;
    const bool archive = search.has_head(file, "metadata") || search.has_head(file, "data.tar");
    if (archive && search.file_in(specifications, std::string(name) + "spec") != kNone)
      search.claim(file, cache);
  });
}

// Maven's notes on where it downloaded what; the libraries themselves may be on a class path.
void find_maven_notes(LeftoverSearch& search, NodeId notes) {
  if (!search.begins_with(notes, "#NOTE: This is a Maven Resolver internal implementation file")) return;
  search.claim(notes, notes);
  search.each_file(search.parent(notes), [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (name.ends_with(".lastUpdated") || (name.ends_with(".sha1") && search.size(file) <= 256)) {
      search.claim(file, file);
    }
  });
}

}  // namespace

std::span<const LeftoverRule> language_leftover_rules() {
  static const std::vector<LeftoverRule> rules = {
      {"go-build-cache",
       "the README that the Go build cache writes, beside folders 00 to ff",
       "results of compilations, made anew by go build",
       Form::kTidy,
       {"README"},
       {"go"},
       false,
       find_go_build_cache},
      {"go-module-cache",
       "cache/download with @v folders of modules, beside MODULE@VERSION folders",
       "sources of modules that are compiled in, fetched again by go",
       Form::kTidy,
       {"download"},
       {"go"},
       false,
       find_go_module_cache},
      {"npm-cache",
       "a folder _cacache with index-v5 and content-v2",
       "downloads that npm fetches again",
       Form::kTidy,
       {"_cacache"},
       {"npm", "npx", "npm-cli.js", "npx-cli.js"},
       false,
       find_npm_cache},
      {"yarn-cache",
       "the .yarn-metadata.json of a package in Yarn 1's cache",
       "downloads that yarn fetches again",
       Form::kTidy,
       {".yarn-metadata.json"},
       {"yarn", "yarnpkg", "yarn.js"},
       false,
       find_yarn_cache},
      {"pnpm-store",
       "a store with index files, named by SHA-512",
       "downloads that pnpm fetches again; what is linked into a project stays",
       Form::kTidy,
       {"files"},
       {"pnpm", "pnpx", "pnpm.cjs"},
       false,
       find_pnpm_store},
      {"pip-cache",
       "responses as CacheControl stores them, wheels under hashed folders",
       "downloads that pip fetches again",
       Form::kTidy,
       {"http", "http-v2", "wheels"},
       {"pip", "pip3"},
       false,
       find_pip_cache},
      {"cargo-registry",
       "registry folders with a hash, crates (gzip), .cargo-ok beside Cargo.toml",
       "sources of crates that are compiled in, fetched again by cargo",
       Form::kTidy,
       {"registry"},
       {"cargo"},
       false,
       find_cargo_registry},
      {"composer-cache",
       "cache/repo of a Composer repository, archives under cache/files",
       "downloads that Composer fetches again",
       Form::kTidy,
       {"files"},
       {"composer", "composer.phar"},
       false,
       find_composer_cache},
      {"gem-cache",
       "a .gem archive whose specification is installed beside it",
       "what was in it is installed",
       Form::kTidy,
       {"cache"},
       {"gem", "bundle", "bundler"},
       false,
       find_gem_cache},
      {"maven-notes",
       "the first line of Maven Resolver's _remote.repositories",
       "notes on downloads, read by mvn alone",
       Form::kTidy,
       {"_remote.repositories"},
       {"mvn"},
       false,
       find_maven_notes},
  };
  return rules;
}

}  // namespace imgslim
