// SPDX-License-Identifier: Apache-2.0
// Whether what scanners read of packages is what is there.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "layers/error.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

// What distributions and dpkg's path-exclude leave out of an image that is whole.
bool is_documentation(std::string_view path) {
  constexpr std::string_view kFolders[] = {"/usr/share/doc/",     "/usr/share/man/",     "/usr/share/info/",
                                           "/usr/share/groff/",   "/usr/share/locale/",  "/usr/share/linda/",
                                           "/usr/share/lintian/", "/usr/share/doc-base/"};
  return std::any_of(std::begin(kFolders), std::end(kFolders),
                     [&](std::string_view folder) { return path.starts_with(folder); });
}

// A record written for what is left, one file a package: every line of it speaks of a file that is there.
bool is_filtered(const Package& package) {
  return package.record.starts_with("/var/lib/dpkg/status.d/");
}

std::string name_of(const Package& package) {
  return printable(package.name) + " " + printable(package.version);
}

}  // namespace

void verify_packages(const FileSystem& files, const PackageDatabase& packages, FindingList& findings) {
  for (const std::string& problem : packages.problems())
    findings.note("package", "", problem, {}, problem);
  const auto paths = packages.paths();
  for (PackageId id = 0; id < packages.packages().size(); ++id) {
    const Package& package = packages.packages()[id];
    const std::vector<std::string> chain{printable(package.record), "package " + name_of(package)};
    std::unordered_set<std::string_view> parents;
    for (const std::uint32_t index : packages.paths_of(id)) {
      const std::string_view path = paths[index].path;
      parents.insert(path.substr(0, path.rfind('/')));
    }
    // Where there are checksums, what has none may be a directory.
    const bool any_checksum = std::any_of(
        packages.paths_of(id).begin(), packages.paths_of(id).end(),
        [&](std::uint32_t index) { return paths[index].checksum_kind != OwnedPath::Checksum::kAbsent; });
    std::size_t recorded = 0;
    std::size_t left = 0;
    std::size_t stale = 0;
    std::size_t missing = 0;
    std::string_view first_stale;
    std::string_view first_missing;
    for (const std::uint32_t index : packages.paths_of(id)) {
      const OwnedPath& owned = paths[index];
      if (owned.path == "/" || parents.contains(owned.path)) continue;
      const auto status = files.status(owned.path);
      if (status && status->kind == FileKind::kDirectory) continue;
      const bool has_checksum = owned.checksum_kind != OwnedPath::Checksum::kAbsent;
      if (!status && any_checksum && !has_checksum) continue;
      const bool is_stale = !status && has_checksum && is_filtered(package);
      if (is_stale && stale++ == 0) first_stale = owned.recorded;
      if (is_documentation(owned.path)) continue;
      ++recorded;
      if (status) {
        ++left;
      } else if (!owned.conffile && !is_stale) {
        if (missing++ == 0) first_missing = owned.path;
      }
    }
    if (stale > 0) {
      findings.failure("package", package.record, fmt::format("{} md5sums {}", package.name, stale), chain,
                       fmt::format("its md5sums name {} file{} not there, {} is the first", stale,
                                   stale == 1 ? " that is" : "s that are", printable(first_stale)));
    }
    if (recorded > 0 && left == 0) {
      findings.failure("package", package.record, package.name, chain,
                       fmt::format("recorded, but none of its {} files is there", recorded));
    } else if (missing > 0) {
      findings.note("package", package.record, package.name, chain,
                    fmt::format("{} of {} recorded files are not there, {} is the first", missing, recorded,
                                printable(first_missing)));
    }
  }
}

}  // namespace imgslim
