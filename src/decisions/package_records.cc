// SPDX-License-Identifier: Apache-2.0
#include "src/decisions/package_records.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace imgslim {
namespace {

constexpr std::string_view kStatusFolder = "/var/lib/dpkg/status.d/";
constexpr std::string_view kStatusFile = "/var/lib/dpkg/status";
constexpr std::string_view kInfoFolder = "/var/lib/dpkg/info/";
constexpr std::string_view kApkDatabase = "/lib/apk/db/installed";
constexpr std::uint64_t kMaxDatabase = std::uint64_t{256} << 20;

// Calls `visit` for each paragraph of `text` (separated by empty lines).
void each_paragraph(std::string_view text, const std::function<void(std::string_view)>& visit) {
  while (!text.empty()) {
    const std::size_t end = text.find("\n\n");
    const std::string_view paragraph = text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
    if (!paragraph.empty() && paragraph != "\n") visit(paragraph);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 2);
    while (!text.empty() && text.front() == '\n')
      text.remove_prefix(1);
  }
}

template <class Visit>
void each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    visit(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

// A paragraph of dpkg's status as `dpkg-deb --field` would show it: without the state of the installation,
// and with the conffiles that are left.
std::string control_text(std::string_view paragraph, const std::set<std::string_view>& conffiles) {
  std::string out;
  std::string_view field;
  bool skipping = false;
  each_line(paragraph, [&](std::string_view line) {
    if (line.empty()) return;
    if (line.front() != ' ' && line.front() != '\t') {
      field = line.substr(0, line.find(':'));
      skipping = field == "Status" || field == "Config-Version" || field == "Triggers-Pending" ||
                 field == "Triggers-Awaited" || (field == "Conffiles" && conffiles.empty());
    } else if (field == "Conffiles" && !skipping) {
      const std::string_view path = line.substr(std::min(line.size(), line.find_first_not_of(" \t")));
      if (!conffiles.contains(path.substr(0, path.find(' ')))) return;
    }
    if (!skipping) out.append(line).append("\n");
  });
  return out;
}

std::string_view field_of(std::string_view paragraph, std::string_view name) {
  std::string_view value;
  each_line(paragraph, [&](std::string_view line) {
    if (value.empty() && line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      value = line.substr(name.size() + 1);
      while (value.starts_with(" "))
        value.remove_prefix(1);
    }
  });
  return value;
}

std::vector<GeneratedFile> dpkg_records(const FileSystem& files, const PackageDatabase& packages,
                                        const std::vector<PackageId>& left,
                                        const std::function<bool(std::string_view)>& kept, DpkgRecords form) {
  // Each record file is read once.
  std::map<std::string, std::vector<PackageId>> by_record;
  std::map<std::string, int> same_name;
  for (const PackageId id : left) {
    const Package& package = packages.packages()[id];
    if (package.kind != PackageKind::kDpkg) continue;
    by_record[package.record].push_back(id);
    ++same_name[package.name];
  }
  std::vector<GeneratedFile> records;
  std::string status;
  for (const auto& [record, ids] : by_record) {
    const auto bytes = files.read(record, kMaxDatabase);
    if (bytes == nullptr) continue;
    std::map<std::pair<std::string_view, std::string_view>, std::string_view> paragraphs;
    each_paragraph(bytes->bytes(), [&](std::string_view paragraph) {
      paragraphs.emplace(std::pair(field_of(paragraph, "Package"), field_of(paragraph, "Architecture")),
                         paragraph);
    });
    for (const PackageId id : ids) {
      const Package& package = packages.packages()[id];
      const auto paragraph = paragraphs.find({package.name, package.architecture});
      if (paragraph == paragraphs.end()) continue;
      const std::string name =
          same_name[package.name] > 1 ? package.name + ":" + package.architecture : package.name;
      std::string sums;
      std::set<std::string> list;
      std::set<std::string_view> conffiles;
      for (const std::uint32_t index : packages.paths_of(id)) {
        const OwnedPath& path = packages.paths()[index];
        if (!kept(path.path)) continue;
        list.emplace(path.path == "/" ? "/." : path.recorded);
        if (path.conffile) {
          conffiles.insert(path.recorded);
        } else if (path.checksum_kind == OwnedPath::Checksum::kMd5) {
          std::string_view recorded = path.recorded;
          while (recorded.starts_with("/"))
            recorded.remove_prefix(1);
          sums.append(path.checksum).append("  ").append(recorded).append("\n");
        }
      }
      std::string lines;
      for (const std::string& line : list)
        lines.append(line).append("\n");
      if (form == DpkgRecords::kFolder) {
        records.push_back({std::string(kStatusFolder) + name, control_text(paragraph->second, conffiles)});
        records.push_back({std::string(kStatusFolder) + name + ".md5sums", sums});
        records.push_back({std::string(kInfoFolder) + name + ".list", lines});
        continue;
      }
      status.append(paragraph->second).append("\n");
      // dpkg names the files of packages that several architectures may have together by both.
      std::string stem = std::string(kInfoFolder) + package.name + ":" + package.architecture;
      if (!files.status(stem + ".list")) stem = std::string(kInfoFolder) + package.name;
      if (kept(stem + ".list")) continue;
      records.push_back({stem + ".md5sums", sums});
      records.push_back({stem + ".list", lines});
    }
  }
  if (!status.empty()) records.push_back({std::string(kStatusFile), status});
  return records;
}

// apk-tools' installed database: paragraphs with P: (name), F: (folder), R: (file), a:, Z: and others behind
// them.
std::vector<GeneratedFile> apk_records(const FileSystem& files, const PackageDatabase& packages,
                                       const std::vector<PackageId>& left,
                                       const std::function<bool(std::string_view)>& kept) {
  std::set<std::string_view> names;
  for (const PackageId id : left) {
    const Package& package = packages.packages()[id];
    if (package.kind == PackageKind::kApk) names.insert(package.name);
  }
  if (names.empty()) return {};
  const auto path = resolve_path(files, kApkDatabase);
  const auto bytes = path ? files.read(*path, kMaxDatabase) : nullptr;
  if (bytes == nullptr) return {};
  std::string out;
  each_paragraph(bytes->bytes(), [&](std::string_view paragraph) {
    if (!names.contains(field_of(paragraph, "P"))) return;
    std::string folder;
    bool skipping = false;
    each_line(paragraph, [&](std::string_view line) {
      if (line.empty()) return;
      if (line.starts_with("F:")) {
        folder = line.substr(2);
        skipping = false;
      } else if (line.starts_with("R:")) {
        const std::string file = "/" + folder + (folder.empty() ? "" : "/") + std::string(line.substr(2));
        const auto resolved = resolve_path(files, file, false);
        skipping = !resolved || !kept(*resolved);
      } else if (line.starts_with("M:")) {
        skipping = false;
      }
      if (!skipping) out.append(line).append("\n");
    });
    out += "\n";
  });
  return {{*path, out}};
}

}  // namespace

namespace {

// The folders that are links where /usr is merged. Old packages list them without any file below.
bool is_merged_folder(std::string_view recorded) {
  constexpr std::string_view kFolders[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libo32", "/libx32"};
  return std::find(std::begin(kFolders), std::end(kFolders), recorded) != std::end(kFolders);
}

}  // namespace

std::vector<PackageId> packages_left(const PackageDatabase& packages,
                                     const std::function<bool(std::string_view)>& kept) {
  std::vector<PackageId> left;
  for (PackageId id = 0; id < packages.packages().size(); ++id) {
    const auto paths = packages.paths_of(id);
    // A folder to the package is a link where /usr is merged: what else it lists below tells.
    std::set<std::string_view> folders;
    for (const std::uint32_t index : paths) {
      const std::string_view recorded = packages.paths()[index].recorded;
      folders.insert(recorded.substr(0, recorded.rfind('/')));
    }
    const bool any = std::any_of(paths.begin(), paths.end(), [&](std::uint32_t index) {
      const OwnedPath& owned = packages.paths()[index];
      return !is_documentation(owned.path) && !folders.contains(owned.recorded) &&
             !is_merged_folder(owned.recorded) && kept(owned.path);
    });
    if (any) left.push_back(id);
  }
  return left;
}

bool is_package_record(std::string_view path) {
  const bool is_list =
      path.starts_with(kInfoFolder) && (path.ends_with(".list") || path.ends_with(".md5sums"));
  return is_list || path.starts_with(kStatusFolder) || path == kStatusFile || path.ends_with(kApkDatabase);
}

std::vector<GeneratedFile> package_records(const FileSystem& files, const PackageDatabase& packages,
                                           const std::vector<PackageId>& left,
                                           const std::function<bool(std::string_view)>& kept,
                                           DpkgRecords form) {
  std::vector<GeneratedFile> records = dpkg_records(files, packages, left, kept, form);
  for (GeneratedFile& file : apk_records(files, packages, left, kept))
    records.push_back(std::move(file));
  std::sort(records.begin(), records.end(),
            [](const GeneratedFile& a, const GeneratedFile& b) { return a.path < b.path; });
  return records;
}

}  // namespace imgslim
