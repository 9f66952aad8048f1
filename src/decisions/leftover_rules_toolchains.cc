// SPDX-License-Identifier: Apache-2.0
// Rows for what only the form distroless lets go: whole toolchains, what compilers and people read.
#include "src/decisions/leftover_search.h"

namespace imgslim {
namespace {

// GOROOT: VERSION ("go1.22.5"), pkg/tool, src/runtime.
void find_go_toolchain(LeftoverSearch& search, NodeId version) {
  if (!search.has_head(version, "go1.") && !search.has_head(version, "devel go")) return;
  const NodeId root = search.parent(version);
  if (root == Tree::kRoot || search.directory_in(search.directory_in(root, "pkg"), "tool") == kNone) return;
  if (search.file_in(search.directory_in(root, "bin"), "go") == kNone) return;
  search.claim_all_below(root, root);
}

// An include folder of a prefix: beside lib or bin.
void find_headers(LeftoverSearch& search, NodeId include) {
  const NodeId prefix = search.parent(include);
  if (prefix == kNone ||
      (search.tree().child(prefix, "lib") == kNone && search.tree().child(prefix, "bin") == kNone)) {
    return;
  }
  search.each_file_below(include, [&](NodeId file) {
    const std::string_view name = search.name(file);
    for (const std::string_view end : {".h", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".inc", ".ipp", ".tcc"}) {
      if (name.ends_with(end)) return search.claim(file, file);
    }
  });
}

void find_static_library(LeftoverSearch& search, NodeId file) {
  if (search.has_head(file, "!<arch>\n") || search.has_head(file, "!<thin>\n")) search.claim(file, file);
}

// share/man/man1 .. man9, with or without a language between.
void find_manual_pages(LeftoverSearch& search, NodeId man) {
  if (search.parent_name(man) != "share" && search.parent_name(man) != "local") return;
  const auto claim_sections = [&](NodeId folder) {
    search.each_directory(folder, [&](NodeId section) {
      const std::string_view name = search.name(section);
      if (name.size() < 4 || !name.starts_with("man") || name[3] < '1' || name[3] > '9') return;
      search.each_file(section, [&](NodeId file) { search.claim(file, file); });
    });
  };
  claim_sections(man);
  search.each_directory(man, claim_sections);
}

// Everything but the files that licences ask to be kept.
void find_documentation(LeftoverSearch& search, NodeId doc) {
  if (search.parent_name(doc) != "share") return;
  search.each_file_below(doc, [&](NodeId file) {
    const std::string_view name = search.name(file);
    for (const std::string_view kept : {"copyright", "LICENSE", "LICENCE", "COPYING", "NOTICE"}) {
      if (name.starts_with(kept)) return;
    }
    search.claim(file, file);
  });
}

void find_info_pages(LeftoverSearch& search, NodeId info) {
  if (search.parent_name(info) != "share") return;
  search.each_file(info, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (name.find(".info") != std::string_view::npos ||
        search.begins_with(file, "This is the file .../info/dir")) {
      search.claim(file, file);
    }
  });
}

}  // namespace

std::span<const LeftoverRule> toolchain_leftover_rules() {
  static const std::vector<LeftoverRule> rules = {
      {"go-toolchain",
       "a VERSION file of Go beside bin/go and pkg/tool",
       "compiles programs; runs none of the image's",
       Form::kDistroless,
       {"VERSION"},
       {"go", "gofmt"},
       true,
       find_go_toolchain},
      {"headers",
       "C and C++ headers in an include folder beside lib or bin",
       "read by compilers alone",
       Form::kDistroless,
       {"include"},
       {},
       false,
       find_headers},
      {"static-library",
       "an ar archive named .a",
       "read by linkers alone",
       Form::kDistroless,
       {"*.a"},
       {},
       true,
       find_static_library},
      {"manual-pages",
       "section folders man1 to man9 in share/man",
       "read by people",
       Form::kDistroless,
       {"man"},
       {"man"},
       false,
       find_manual_pages},
      {"documentation",
       "share/doc without copyright and licence files",
       "read by people",
       Form::kDistroless,
       {"doc"},
       {},
       false,
       find_documentation},
      {"info-pages",
       "info files in share/info",
       "read by people",
       Form::kDistroless,
       {"info"},
       {"info"},
       false,
       find_info_pages},
  };
  return rules;
}

}  // namespace imgslim
