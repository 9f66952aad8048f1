// SPDX-License-Identifier: Apache-2.0
// Facts of a Go program, from Go 1.16 on, found without sections or symbols: build info, the function
// table (pclntab), module data, packages, init functions, cgo, embedded files.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/facts/elf.h"

namespace imgslim {

struct GoModule {
  std::string path;
  std::string version;
  std::string sum;                                                 // "h1:..."
  std::optional<std::pair<std::string, std::string>> replaced_by;  // path, version; `sum` is then its sum
};

// What `go version -m` shows (debug/buildinfo).
struct GoBuildInfo {
  std::string go_version;  // "go1.22.5"
  std::string main_path;   // package path of main
  std::optional<GoModule> main_module;
  std::vector<GoModule> dependencies;
  std::vector<std::pair<std::string, std::string>> settings;  // in order
  std::optional<std::string_view> setting(std::string_view key) const;
};

struct GoFunction {
  std::uint64_t start = 0;  // address
  std::uint64_t end = 0;    // of the next function, or of the text
  std::string_view name;    // "net/http.(*Server).Serve"; points into the file's bytes
};

struct GoPackage {
  std::string path;  // "net/http"; "" for what belongs to no Go package
  std::uint64_t code_bytes = 0;
};

struct GoEmbeddedFile {
  std::string name;  // directories end in '/'
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::array<unsigned char, 16> hash{};
  bool hash_matches = false;  // recomputed over the content by this Go version's rule
};

struct GoEmbedTree {
  std::uint64_t address = 0;
  std::vector<GoEmbeddedFile> files;  // as stored: by directory, then name
};

// How a Go program is linked and what that means (the truth table of imgslim-inspect(1)).
enum class GoLinkage {
  kStatic,             // no interpreter, no dynamic section: runs in scratch
  kStaticPie,          // CGO_ENABLED=0 -buildmode=pie: needs the loader, no library
  kStaticGlibc,        // cgo, -static against glibc: may still load NSS, gconv, dlopen targets
  kStaticMusl,         // cgo, -static against musl: dlopen cannot work
  kDynamicCgo,         // cgo: needs loader and libraries
  kDynamicWithoutCgo,  // purego and the like: imports without cgo
  kPlugin,             // -buildmode=plugin or c-shared
};
std::string_view name_of(GoLinkage linkage);

struct GoFacts {
  std::optional<GoBuildInfo> build;
  std::string pclntab_version;  // "1.16", "1.18", "1.20"; empty: none found
  std::uint64_t text = 0;       // moduledata.text
  std::uint64_t end_of_text = 0;
  std::vector<GoFunction> functions;        // sorted by start
  std::vector<GoPackage> packages;          // sorted by path
  std::vector<std::string> init_functions;  // names in the order they run before main
  std::vector<std::string> cgo_packages;    // Go packages with C calls, sorted
  std::vector<GoEmbedTree> embeds;
  std::optional<GoLinkage> linkage;
  // CGO_ENABLED=0 would give the same program: cgo is used by net, os/user, runtime/cgo alone.
  bool rebuild_without_cgo_is_free = false;
  std::string opaque;  // why facts are missing: "packed with UPX", "obfuscated by garble"; else empty
  std::vector<std::string> problems;

  // The function an address lies in, nullptr if none.
  const GoFunction* function_at(std::uint64_t address) const;
  const GoFunction* function_named(std::string_view name) const;
};

// Facts of a Go program, nothing if the file is none. `elf` must outlive the result.
std::optional<GoFacts> read_go(const ElfImage& elf, std::string_view bytes);

// The package of a function name: "net/http.(*Server).Serve" -> "net/http"; escaped dots ("%2e") decoded.
std::string go_package_of(std::string_view function_name);

}  // namespace imgslim
