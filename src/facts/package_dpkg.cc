// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <utility>

#include "layers/error.h"
#include "src/facts/package_owner_state.h"

namespace imgslim {
namespace {

using State = PackageDatabase::State;

// Takes the next word off `text`.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

class DpkgReader {
 public:
  DpkgReader(const FileSystem& files, State& state, PathResolver& resolver)
      : files_(files), state_(state), resolver_(resolver) {}

  void read() {
    read_diversions();
    const std::string status = "/var/lib/dpkg/status";
    const std::vector<std::string> info_names = files_.list(resolved_directory("/var/lib/dpkg/info"));
    info_.insert(info_names.begin(), info_names.end());
    for (const Deb822Paragraph& paragraph : parse_deb822(read_held(files_, status, state_))) {
      if (const auto id = add_package(paragraph, status, true)) add_info_files(*id, paragraph);
    }
    for (const std::string& name : files_.list(resolved_directory("/var/lib/dpkg/status.d"))) {
      if (name.ends_with(".md5sums") || name.ends_with(".list") || name.starts_with('.')) continue;
      const std::string path = "/var/lib/dpkg/status.d/" + name;
      for (const Deb822Paragraph& paragraph : parse_deb822(read_held(files_, path, state_))) {
        const auto id = add_package(paragraph, path, false);
        if (!id) continue;
        std::string_view list = read_held(files_, path + ".list", state_);
        if (list.empty() && info_.contains(name + ".list"))
          list = read_held(files_, "/var/lib/dpkg/info/" + name + ".list", state_);
        add_files(*id, list, read_held(files_, path + ".md5sums", state_), paragraph);
      }
    }
  }

 private:
  std::string resolved_directory(const std::string& path) {
    return resolve_path(files_, path).value_or(path);
  }

  // dpkg-divert(1): three lines each: from, to, package (":" is the administrator).
  void read_diversions() {
    std::string_view text = read_held(files_, "/var/lib/dpkg/diversions", state_);
    while (!text.empty()) {
      const std::string_view from = next_line(text);
      const std::string_view to = next_line(text);
      const std::string_view package = next_line(text);
      if (!from.starts_with('/') || !to.starts_with('/')) {
        state_.problem("/var/lib/dpkg/diversions: a path is not absolute");
        return;
      }
      diversions_[from] = {to, package};
    }
  }

  std::optional<PackageId> add_package(const Deb822Paragraph& paragraph, const std::string& record,
                                       bool with_status) {
    Package package;
    const auto text = [&](std::string_view field) {
      return std::string(find_field(paragraph, field).value_or(std::string_view()));
    };
    package.kind = PackageKind::kDpkg;
    package.name = text("Package");
    package.version = text("Version");
    package.architecture = text("Architecture");
    package.maintainer = text("Maintainer");
    package.origin = text("Origin");
    package.essential = text("Essential") == "yes";
    package.record = record;
    if (package.name.empty() || package.name.find('/') != std::string::npos) {
      state_.problem(printable(record) + ": a record without a usable package name");
      return std::nullopt;
    }
    if (with_status) {
      const std::string status = text("Status");
      const std::string_view state = std::string_view(status).substr(status.rfind(' ') + 1);
      if (state == "not-installed" || state == "config-files" || state.empty()) return std::nullopt;
    }
    // "glibc (2.36-9)" where name or version differ from the binary package's
    const std::string source = text("Source");
    std::string_view rest = source;
    package.source = next_word(rest);
    const std::size_t open = rest.find('(');
    const std::size_t close = rest.find(')');
    if (open != std::string_view::npos && close != std::string_view::npos && close > open) {
      package.source_version = rest.substr(open + 1, close - open - 1);
    }
    if (package.source.empty()) package.source = package.name;
    if (package.source_version.empty()) package.source_version = package.version;
    state_.packages.push_back(std::move(package));
    return static_cast<PackageId>(state_.packages.size() - 1);
  }

  void add_info_files(PackageId id, const Deb822Paragraph& paragraph) {
    const Package& package = state_.packages[id];
    std::string stem = package.name + ":" + package.architecture;
    if (!info_.contains(stem + ".list")) stem = package.name;
    std::string_view list;
    std::string_view sums;
    const std::string folder = "/var/lib/dpkg/info/";
    if (info_.contains(stem + ".list")) {
      list = read_held(files_, folder + stem + ".list", state_);
    } else {
      state_.problem("/var/lib/dpkg/info: no file list of package " + printable(package.name));
    }
    if (info_.contains(stem + ".md5sums")) sums = read_held(files_, folder + stem + ".md5sums", state_);
    add_files(id, list, sums, paragraph);
  }

  void add_files(PackageId id, std::string_view list, std::string_view sums,
                 const Deb822Paragraph& paragraph) {
    by_path_.clear();
    while (!list.empty()) {
      const std::string_view line = next_line(list);
      if (line == "/.") {
        add_path(id, "/");
      } else if (line.starts_with('/')) {
        add_path(id, line);
      } else if (!line.empty()) {
        state_.problem("file list of package " + printable(state_.packages[id].name) +
                       ": a path is not absolute");
      }
    }
    // "<md5>  <path>", no slash in front
    while (!sums.empty()) {
      std::string_view line = next_line(sums);
      if (line.size() < 35 || !is_hex(line.substr(0, 32)) || line[32] != ' ') continue;
      std::string_view name = line.substr(34);
      if (name.starts_with("./")) name.remove_prefix(2);
      if (name.empty()) continue;
      std::string path = "/";
      path += name;
      OwnedPath& owned = path_of(id, path);
      owned.checksum_kind = OwnedPath::Checksum::kMd5;
      owned.checksum = line.substr(0, 32);
    }
    // Conffiles: " /etc/x <md5> [obsolete] [remove-on-upgrade]"
    const std::string_view conffiles = find_field(paragraph, "Conffiles").value_or(std::string_view());
    std::string_view lines = conffiles;
    while (!lines.empty()) {
      std::string_view line = next_line(lines);
      for (const std::string_view flag : {" obsolete", " remove-on-upgrade", " obsolete"}) {
        if (line.ends_with(flag)) line.remove_suffix(flag.size());
      }
      const std::size_t sum = line.rfind(' ');
      if (sum == std::string_view::npos || !line.starts_with('/')) continue;
      OwnedPath& owned = path_of(id, std::string(line.substr(0, sum)));
      owned.conffile = true;
      const std::string_view digest = line.substr(sum + 1);
      if (is_md5(digest)) {
        owned.checksum_kind = OwnedPath::Checksum::kMd5;
        owned.checksum = state_.keep(std::string(digest));
      }
    }
  }

  static bool is_md5(std::string_view text) { return text.size() == 32 && is_hex(text); }

  OwnedPath& path_of(PackageId id, const std::string& path) {
    const auto found = by_path_.find(path);
    if (found != by_path_.end()) return state_.paths[found->second];
    return state_.paths[add_path(id, state_.keep(path))];
  }

  std::size_t add_path(PackageId id, std::string_view recorded) {
    const auto [entry, is_new] = by_path_.try_emplace(recorded, state_.paths.size());
    if (!is_new) return entry->second;
    OwnedPath owned;
    owned.recorded = recorded;
    owned.package = id;
    const auto diversion = diversions_.find(recorded);
    const bool diverted =
        diversion != diversions_.end() && diversion->second.second != state_.packages[id].name;
    owned.path = resolver_.resolve(diverted ? diversion->second.first : recorded);
    state_.paths.push_back(owned);
    return state_.paths.size() - 1;
  }

  const FileSystem& files_;
  State& state_;
  PathResolver& resolver_;
  std::set<std::string, std::less<>> info_;
  std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>> diversions_;
  std::unordered_map<std::string_view, std::size_t> by_path_;  // of the package at hand
};

}  // namespace

void read_dpkg(const FileSystem& files, State& state, PathResolver& resolver) {
  DpkgReader(files, state, resolver).read();
}

}  // namespace imgslim
