// SPDX-License-Identifier: Apache-2.0
// Which package put a file into the image, by the databases of dpkg (dpkg(1), FILES; distroless
// status.d) and apk (lib/apk/db/installed, apk-tools v2). Paths are compared as
// they are in the image: the directory a database names is resolved through the image's own links (/lib ->
// /usr/lib), diversions are applied.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/facts/file_system.h"

namespace imgslim {

// Whether a path is documentation, translations among it: what distributions and dpkg's path-exclude leave out of
// an image that is whole. Such a file alone keeps no package.
bool is_documentation(std::string_view path);

enum class PackageKind : std::uint8_t { kDpkg, kApk };

struct Package {
  PackageKind kind = PackageKind::kDpkg;
  std::string name;
  std::string version;
  std::string architecture;
  std::string source;          // name of the source package, never empty
  std::string source_version;  // never empty
  std::string maintainer;
  std::string origin;  // dpkg "Origin", apk "url"
  std::string record;  // file the record is in: "/var/lib/dpkg/status", "/var/lib/dpkg/status.d/base"
  bool essential = false;
};

using PackageId = std::uint32_t;

// One line of a package's file list.
struct OwnedPath {
  enum class Checksum : std::uint8_t { kAbsent, kMd5, kSha1 };
  std::string_view path;      // in the image: absolute, directories resolved, diverted
  std::string_view recorded;  // as the database says, absolute
  PackageId package = 0;
  bool conffile = false;
  Checksum checksum_kind = Checksum::kAbsent;
  std::string_view checksum;  // lower-case hex
};

class PackageDatabase {
 public:
  PackageDatabase();
  PackageDatabase(PackageDatabase&&) noexcept;
  PackageDatabase& operator=(PackageDatabase&&) noexcept;
  ~PackageDatabase();

  // Reads what databases there are; an image without one gives an empty result. Damaged records are left out
  // and named in problems(). Linear in the databases' bytes.
  static PackageDatabase read(const FileSystem& files);

  // Sorted by kind, name, architecture. Only installed ones (dpkg: status "... installed" and the states in
  // between that have files).
  const std::vector<Package>& packages() const;
  // All that packages list, sorted by path, then package. Views live as long as the database.
  std::span<const OwnedPath> paths() const;
  // What lists this resolved path; directories have many owners.
  std::span<const OwnedPath> owners(std::string_view path) const;
  // The package of a file, nothing if there is none.
  std::optional<PackageId> owner(std::string_view path) const;
  // What one package lists, sorted by path (indices into paths()).
  std::span<const std::uint32_t> paths_of(PackageId package) const;
  const std::vector<std::string>& problems() const;

  struct State;  // private to package_owner.cc

 private:
  std::unique_ptr<State> state_;
};

// One paragraph of deb822 text (deb822(5)): field names in lower case, continuation lines joined by '\n'.
struct Deb822Field {
  std::string_view name;  // as it stands
  std::string value;
};
using Deb822Paragraph = std::vector<Deb822Field>;
// The value of a field, case-insensitive, nothing if it is not there.
std::optional<std::string_view> find_field(const Deb822Paragraph& paragraph, std::string_view name);
// Paragraphs of `text`; lines that are neither field nor continuation are skipped. Views point into `text`.
std::vector<Deb822Paragraph> parse_deb822(std::string_view text);

}  // namespace imgslim
