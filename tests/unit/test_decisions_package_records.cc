// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/decisions/package_records.h"
#include "tests/support/table_files.h"

namespace imgslim {
namespace {

// A merged /usr, three packages: one with a program, one with documentation alone, one that lists a folder
// which is a link now and nothing below it.
TableFiles merged() {
  TableFiles files;
  files.link("/lib", "usr/lib").directory("/usr/lib").directory("/usr/bin");
  std::string status;
  for (const std::string name : {"doc", "old", "tool"}) {
    status += "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n";
    files.file("/usr/share/doc/" + name + "/copyright", "terms");
  }
  files.file("/var/lib/dpkg/status", status);
  files.file("/var/lib/dpkg/info/tool.list", "/.\n/lib\n/lib/tool\n/usr/share/doc/tool/copyright\n");
  files.file("/var/lib/dpkg/info/doc.list", "/.\n/usr/share/doc/doc/copyright\n/usr/share/locale/x\n");
  files.file("/var/lib/dpkg/info/old.list", "/.\n/lib\n/usr/share/doc/old/copyright\n");
  files.file("/usr/lib/tool", "x").file("/usr/share/locale/x", "y");
  return files;
}

std::set<std::string> names_of(const PackageDatabase& packages, const std::vector<PackageId>& ids) {
  std::set<std::string> names;
  for (const PackageId id : ids)
    names.insert(packages.packages()[id].name);
  return names;
}

TEST_CASE("package records: documentation and folders of a merged usr keep no package") {
  const TableFiles files = merged();
  const PackageDatabase packages = PackageDatabase::read(files);
  REQUIRE(packages.packages().size() == 3);
  CHECK(names_of(packages, packages_left(packages, [](std::string_view path) { return path != "/"; })) ==
        std::set<std::string>{"tool"});
  CHECK(packages_left(packages, [](std::string_view path) {
          return path != "/" && path != "/usr/lib/tool";
        }).empty());
}

TEST_CASE("package records: the paragraph of a package without its status, and a list of what is left") {
  const TableFiles files = merged();
  const PackageDatabase packages = PackageDatabase::read(files);
  const auto kept = [](std::string_view path) { return path == "/usr/lib/tool"; };
  const auto records =
      package_records(files, packages, packages_left(packages, kept), kept, DpkgRecords::kFolder);
  std::map<std::string, std::string> by_path;
  for (const GeneratedFile& file : records)
    by_path[file.path] = file.content;
  REQUIRE(by_path.contains("/var/lib/dpkg/status.d/tool"));
  CHECK(by_path["/var/lib/dpkg/status.d/tool"].find("Version: 1\n") != std::string::npos);
  CHECK(by_path["/var/lib/dpkg/status.d/tool"].find("Status:") == std::string::npos);
  CHECK(by_path["/var/lib/dpkg/info/tool.list"] == "/lib/tool\n");
  CHECK(by_path.size() == 3);
  for (const auto& [path, content] : by_path)
    CHECK(is_package_record(path));
  CHECK_FALSE(is_package_record("/var/lib/dpkg/info/tool.postinst"));
}

}  // namespace
}  // namespace imgslim
