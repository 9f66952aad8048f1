// SPDX-License-Identifier: Apache-2.0
// What is known of libraries, programs and Go packages that load or start something by a name that their
// code does not show, as rows of data, each with its source. A row says what starts it and what it needs;
// it is no guess about one file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace imgslim {

enum class KnowledgeKind : std::uint8_t {
  kLibrary,    // `key`: SONAME of a shared object, or its file name
  kProgram,    // `key`: file name of a program
  kGoPackage,  // `key`: import path; a trailing "/..." takes what is below too, a "/vN" after a module's
               // path is ignored; with "vendor/" in front, what a release of Go holds in its standard library
};

struct KnowledgeRow {
  KnowledgeKind kind = KnowledgeKind::kLibrary;
  std::string_view key = {};                 // '*' stands for anything, in SONAMEs and file names
  std::vector<std::string_view> names = {};  // SONAMEs to load, or programs to start
  std::vector<std::string_view> paths = {};  // globs of files to keep where they exist; {LIB}: the folder of
                                             // the object itself
  std::vector<std::string_view> variables = {};  // of the environment, that name other files
  std::string_view trigger = {};                 // what makes it happen
  // The program goes on without a missing target: it takes another way, leaves out a facility that is an
  // extra, or misses what only a configuration of the user's own names. Nothing is kept for it then. Where a
  // request that is the program's ordinary work ends in an error instead, this is false, and what the image
  // has is kept.
  bool missing_handled = false;
  std::string_view source = {};  // where this was read
};

// Rows about dlopen and data files, and about programs started.
const std::vector<KnowledgeRow>& dlopen_knowledge();
const std::vector<KnowledgeRow>& exec_knowledge();

// First row of an object by its SONAME or, without one, by the last part of its path; null if none.
const KnowledgeRow* dlopen_row_of(std::string_view object);
const KnowledgeRow* exec_row_of(std::string_view object);
// Row of a Go package whose names are unknown (`name` empty) or hold `name`; null if none.
const KnowledgeRow* exec_row_of_go_package(std::string_view package, std::string_view name);
const KnowledgeRow* dlopen_row_of_go_package(std::string_view package);

// '*' stands for any number of bytes.
bool matches_glob(std::string_view text, std::string_view glob);

}  // namespace imgslim
