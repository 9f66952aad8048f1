// SPDX-License-Identifier: Apache-2.0
// Whether what scanners read of packages is what is there.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "layers/error.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

// A record written for what is left: every line of it speaks of a file that is there. dpkg's are one file a
// package; apk's database is one where apk itself is gone.
bool is_filtered(const Package& package, bool has_apk) {
  return package.kind == PackageKind::kApk ? !has_apk : package.record.starts_with("/var/lib/dpkg/status.d/");
}

// What package scripts make on every installation, so that no list of files names it.
struct MadeByPackage {
  std::string_view package;
  std::string_view path;
  std::string_view beside = {};  // only where this is there
  int before_debian = 0;         // only in releases before this one
};
constexpr MadeByPackage kMade[] = {
    {"base-files", "/etc/passwd"},
    {"base-files", "/etc/group"},
    {"base-files", "/etc/nsswitch.conf"},
    {"base-files", "/etc/localtime", "/etc/timezone"},
    {"base-files", "/etc/timezone", "/etc/localtime", 13},
    {"ca-certificates", "/etc/ssl/certs/ca-certificates.crt"},
};

// 12 of "12.11"; what is no number counts as the newest.
int debian_release(const FileSystem& files) {
  const auto path = resolve_path(files, "/etc/debian_version");
  const auto content = path ? files.read(*path, 4096) : nullptr;
  const std::string_view text = content ? content->bytes() : std::string_view();
  const std::string_view digits = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
  return digits.empty() || digits.size() > 4 ? 9999 : std::stoi(std::string(digits));
}

// Link or not, whatever it leads to.
bool is_there(const FileSystem& files, std::string_view path) {
  const auto place = resolve_path(files, path, false);
  return place && files.status(*place);
}

// A folder of certificates whose links have OpenSSL's names (c_rehash(1)): "3513523f.0" -> "Name.pem".
// Programs look for the first, and each certificate has one.
void verify_hashed_folder(const FileSystem& files, const std::string& folder, Finding::Severity severity,
                          FindingList& findings) {
  std::set<std::string> named;
  bool hashed = false;
  const std::vector<std::string> names = files.list(folder);
  const auto is_hash = [](std::string_view name) {
    return name.size() > 9 && name[8] == '.' && name.find_first_not_of("0123456789abcdef") == 8 &&
           name.find_first_not_of("0123456789", 9) == std::string_view::npos;
  };
  for (const std::string& name : names) {
    const auto link = is_hash(name) ? files.read_link(join_path(folder, name)) : std::nullopt;
    if (!link) continue;
    hashed = true;
    named.insert(*link);
    const std::string why = why_unresolved(files, join_path(folder, name));
    if (!why.empty())
      findings.add(severity, "package", join_path(folder, name), *link, {printable(join_path(folder, name))},
                   why);
  }
  for (const std::string& name : names) {
    if (!hashed || !name.ends_with(".pem") || named.contains(name)) continue;
    findings.add(severity, "package", join_path(folder, name), "", {printable(join_path(folder, name))},
                 "no link with the hash of the certificate's name leads to it");
  }
}

std::string name_of(const Package& package) {
  return printable(package.name) + " " + printable(package.version);
}

}  // namespace

void verify_packages(const FileSystem& files, const PackageDatabase& packages, FindingList& findings) {
  for (const std::string& problem : packages.problems())
    findings.note("package", "", problem, {}, problem);
  const auto paths = packages.paths();
  const bool has_apk = resolve_path(files, "/sbin/apk").has_value();
  // In a full image it is for its owner to say what stays of that.
  const int release = debian_release(files);
  for (const Package& package : packages.packages()) {
    if (package.kind != PackageKind::kDpkg) continue;
    const auto severity =
        is_filtered(package, has_apk) ? Finding::Severity::kFailure : Finding::Severity::kNote;
    for (const MadeByPackage& made : kMade) {
      if (package.name != made.package || is_there(files, made.path)) continue;
      if (!made.beside.empty() && !is_there(files, made.beside)) continue;
      if (made.before_debian != 0 && release >= made.before_debian) continue;
      findings.add(severity, "package", std::string(made.path), package.name,
                   {printable(package.record), "package " + name_of(package), std::string(made.path)},
                   "not there; every installation has it");
    }
    if (package.name == "ca-certificates") verify_hashed_folder(files, "/etc/ssl/certs", severity, findings);
  }
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
      const bool filtered = is_filtered(package, has_apk);
      if (!status && any_checksum && !has_checksum && !filtered) continue;
      const bool is_stale = !status && filtered;
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
      findings.failure("package", package.record, fmt::format("{} lists {}", package.name, stale), chain,
                       fmt::format("its records name {} file{} not there, {} is the first", stale,
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
