// SPDX-License-Identifier: Apache-2.0
#include "src/facts/knowledge_base.h"

#include <algorithm>

#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// "github.com/a/b/v2/c" -> "github.com/a/b/c"
std::string without_major_version(std::string_view package) {
  std::string result;
  while (!package.empty()) {
    const std::size_t end = std::min(package.find('/'), package.size());
    const std::string_view part = package.substr(0, end);
    const bool version =
        part.size() >= 2 && part[0] == 'v' &&
        std::all_of(part.begin() + 1, part.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!version) {
      if (!result.empty()) result += '/';
      result += part;
    }
    package.remove_prefix(std::min(end + 1, package.size()));
  }
  return result;
}

bool matches_package(std::string_view package, std::string_view key) {
  constexpr std::string_view kBelow = "/...";
  if (key.size() > kBelow.size() && key.substr(key.size() - kBelow.size()) == kBelow) {
    key.remove_suffix(kBelow.size());
    return package.substr(0, key.size()) == key &&
           (package.size() == key.size() || package[key.size()] == '/');
  }
  return package == key;
}

// Packages that a Debian or a vendored build copies carry their path behind a "vendor/".
std::string_view without_vendor(std::string_view package) {
  constexpr std::string_view kVendor = "/vendor/";
  const std::size_t at = package.rfind(kVendor);
  if (at != std::string_view::npos) return package.substr(at + kVendor.size());
  return package.substr(0, 7) == "vendor/" ? package.substr(7) : package;
}

const KnowledgeRow* row_of_object(const std::vector<KnowledgeRow>& rows, std::string_view object) {
  const std::string_view name = last_part(object);
  for (const KnowledgeRow& row : rows) {
    if (row.kind != KnowledgeKind::kGoPackage && matches_glob(name, row.key)) return &row;
  }
  return nullptr;
}

// The first row that matches counts.
std::vector<KnowledgeRow> joined(std::initializer_list<const std::vector<KnowledgeRow>*> tables) {
  std::vector<KnowledgeRow> rows;
  for (const auto* table : tables)
    rows.insert(rows.end(), table->begin(), table->end());
  return rows;
}

}  // namespace

bool matches_glob(std::string_view text, std::string_view glob) {
  std::size_t t = 0;
  std::size_t g = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*')
    ++g;
  return g == glob.size();
}

const std::vector<KnowledgeRow>& dlopen_knowledge() {
  static const std::vector<KnowledgeRow> rows =
      joined({&rows_of_dlopen_system(), &rows_of_dlopen_security(), &rows_of_dlopen_graphics(),
              &rows_of_dlopen_languages(), &rows_of_dlopen_programs(), &rows_of_dlopen_go()});
  return rows;
}

const std::vector<KnowledgeRow>& exec_knowledge() {
  static const std::vector<KnowledgeRow> rows =
      joined({&rows_of_exec_services(), &rows_of_exec_containers(), &rows_of_exec_go(),
              &rows_of_exec_programs(), &rows_of_exec_libraries()});
  return rows;
}

const KnowledgeRow* dlopen_row_of(std::string_view object) {
  return row_of_object(dlopen_knowledge(), object);
}

const KnowledgeRow* exec_row_of(std::string_view object) {
  return row_of_object(exec_knowledge(), object);
}

const KnowledgeRow* exec_row_of_go_package(std::string_view package, std::string_view name) {
  const std::string path = without_major_version(without_vendor(package));
  const std::string_view program = last_part(name);
  for (const KnowledgeRow& row : exec_knowledge()) {
    if (row.kind != KnowledgeKind::kGoPackage || !matches_package(path, row.key)) continue;
    if (name.empty() || std::any_of(row.names.begin(), row.names.end(),
                                    [&](std::string_view known) { return last_part(known) == program; })) {
      return &row;
    }
  }
  return nullptr;
}

const KnowledgeRow* dlopen_row_of_go_package(std::string_view package) {
  const std::string path = without_major_version(without_vendor(package));
  const std::string whole = without_major_version(package);
  for (const KnowledgeRow& row : dlopen_knowledge()) {
    if (row.kind != KnowledgeKind::kGoPackage) continue;
    const bool in_standard_library = row.key.substr(0, 7) == "vendor/";
    if (matches_package(in_standard_library ? whole : path, row.key)) return &row;
  }
  return nullptr;
}

}  // namespace imgslim
