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
               // path is ignored
};

struct KnowledgeRow {
  KnowledgeKind kind = KnowledgeKind::kLibrary;
  std::string_view key;                     // '*' stands for anything, in SONAMEs and file names
  std::vector<std::string_view> names;      // SONAMEs to load, or programs to start
  std::vector<std::string_view> paths;      // globs of files to keep where they exist; {LIB}: the folder of
                                            // the object itself
  std::vector<std::string_view> variables;  // of the environment, that name other files
  std::string_view trigger;                 // what makes it happen
  // A missing target is taken as "not there", or is an error of that one request or optional facility, or is
  // only wanted by one who names it in a configuration of his own: the program goes on, nothing is kept for
  // it.
  bool missing_handled = false;
  std::string_view source;  // where this was read
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
