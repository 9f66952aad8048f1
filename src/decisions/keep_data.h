// SPDX-License-Identifier: Apache-2.0
// What programs read at run time, and what package managers generate, as rows of data: a new one is a row and
// a line in the tests' table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

// A fact about what is kept, or the row's wish for one ('*' in it stands for anything).
struct DataTrigger {
  enum class Kind : std::uint8_t {
    kAlways,
    kGoFunction,    // linked into a kept Go program
    kLibrary,       // SONAME or file name of a kept library
    kProgram,       // file name of a kept program
    kImport,        // dynamic symbol that a kept object other than the C library imports
    kEnvironment,   // variable of the image's environment
    kStaticGlibc,   // a program with glibc linked in
    kCharacterSet,  // the environment's locale has another one than UTF-8
  };
  Kind kind = Kind::kAlways;
  std::string_view name;
};

struct DataRow {
  std::string_view id;                  // "ca-certificates": the rule is "data:ca-certificates"
  std::vector<DataTrigger> triggers;    // any of them
  std::string_view unless_go;           // not for a Go program that has this function
  std::vector<std::string_view> keeps;  // globs; a directory stands for all below it
  std::string_view reason;
  std::string_view source;
  // Objects (file names, '*' stands for anything) whose import does not ask for it: they go on without.
  std::vector<std::string_view> unless_object = {};
};
std::span<const DataRow> data_rows();

struct ElfFacts;
struct GoFacts;
// Whether a row waits for a fact about `object` (a path).
bool wants(const DataRow& row, const DataTrigger& fact, std::string_view object);
// Numbers of the rows that an object's imports, its name and its Go functions ask for. `go` may be null.
std::vector<std::size_t> data_rows_of(const ElfFacts& facts, const GoFacts* go, bool is_static_glibc,
                                      std::string_view object);

// Files that no package lists and that are still a package's: its scripts and triggers make them. They are no
// application, and stay only where another rule reaches them.
struct GeneratedRow {
  std::string_view id;
  std::string_view owner;               // package, for people
  std::vector<std::string_view> globs;  // '**' any number of components
  std::string_view reason;
  bool links_only = false;
  std::string_view link_prefix = {};  // of a link's text
};
std::span<const GeneratedRow> generated_rows();

}  // namespace imgslim
