// SPDX-License-Identifier: Apache-2.0
// What scanners read of an image whose package manager is gone: records of the packages of which something is
// left. dpkg: one file a package in /var/lib/dpkg/status.d, and its checksums beside it (the convention of
// distroless images); apk: the database with the remaining packages and files.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/file_system.h"
#include "src/facts/package_owner.h"

namespace imgslim {

struct GeneratedFile {
  std::string path;  // absolute
  std::string content;
};

// Packages with at least one kept file that is no documentation, ascending. `kept`: whether a resolved path of a
// file or link is in the result.
std::vector<PackageId> packages_left(const PackageDatabase& packages,
                                     const std::function<bool(std::string_view)>& kept);

// Where dpkg's records go: a folder of files as distroless images have it, or dpkg's own files, where the package
// manager stays in a base.
enum class DpkgRecords { kFolder, kStatusFile };

// The records of `left`, with the lines of kept files only, sorted by path.
std::vector<GeneratedFile> package_records(const FileSystem& files, const PackageDatabase& packages,
                                           const std::vector<PackageId>& left,
                                           const std::function<bool(std::string_view)>& kept,
                                           DpkgRecords form = DpkgRecords::kFolder);

// Whether a path may be one of package_records().
bool is_package_record(std::string_view path);

}  // namespace imgslim
