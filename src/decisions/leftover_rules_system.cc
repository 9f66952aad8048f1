// SPDX-License-Identifier: Apache-2.0
// Rows for what package managers of distributions and system tools leave.
#include <algorithm>
#include <array>

#include "src/decisions/leftover_search.h"

namespace imgslim {
namespace {

constexpr std::string_view kXz =
    "\xfd"
    "7zXZ";
constexpr std::string_view kGzip = "\x1f\x8b";

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

// "host_path_InRelease", "host_path_Packages.lz4": the URL with '/' as '_', then the index's name.
bool is_apt_index(std::string_view name) {
  for (const std::string_view end : {".lz4", ".gz", ".xz", ".bz2", ".zst", ".yml"}) {
    if (name.ends_with(end)) name.remove_suffix(end.size());
  }
  if (name.ends_with(".yml")) name.remove_suffix(4);
  if (ends_with_any(name, {"_InRelease", "_Release", "_Release.gpg", "_Packages", "_Sources"})) return true;
  for (const std::string_view part :
       {"_Translation-", "_Contents-", "_Components-", "_icons-", "_Commands-"}) {
    if (name.rfind(part) != std::string_view::npos) return true;
  }
  return false;
}

void find_apt_lists(LeftoverSearch& search, NodeId lists) {
  if (search.parent_name(lists) != "apt") return;
  bool signed_index = false;
  search.each_file(lists, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (!ends_with_any(name, {"_InRelease", "_Release"})) return;
    signed_index = signed_index || search.begins_with(file, "-----BEGIN PGP SIGNED MESSAGE-----") ||
                   search.begins_with(file, "Origin: ") || search.begins_with(file, "Archive: ");
  });
  if (!signed_index) return;
  const auto claim = [&](NodeId file) {
    if (is_apt_index(search.name(file))) search.claim(file, lists);
  };
  search.each_file(lists, claim);
  search.each_file(search.directory_in(lists, "partial"), claim);
}

void find_apt_archives(LeftoverSearch& search, NodeId archives) {
  if (search.parent_name(archives) != "apt") return;
  const auto claim = [&](NodeId file) {
    if (search.name(file).ends_with(".deb") && search.begins_with(file, "!<arch>\ndebian-binary")) {
      search.claim(file, archives);
    }
  };
  search.each_file(archives, claim);
  search.each_file(search.directory_in(archives, "partial"), claim);
}

void find_apt_cache(LeftoverSearch& search, NodeId file) {
  if (search.has_head(file, "\xdc\x76\xfe\x98")) search.claim(file, file);
}

void find_dpkg_log(LeftoverSearch& search, NodeId file) {
  if (search.parent_name(file) != "log") return;
  const std::string line = search.beginning(file, 64);
  // "2025-06-24 14:36:25 startup archives unpack"
  if (line.size() < 28 || line[4] != '-' || line[7] != '-' || line[13] != ':' || line[16] != ':') return;
  const std::string_view verb = std::string_view(line).substr(20);
  for (const std::string_view known :
       {"startup ", "status ", "install ", "upgrade ", "configure ", "trigproc "}) {
    if (verb.starts_with(known)) return search.claim(file, file);
  }
}

void find_alternatives_log(LeftoverSearch& search, NodeId file) {
  if (search.begins_with(file, "update-alternatives ")) search.claim(file, file);
}

void find_apt_log(LeftoverSearch& search, NodeId file) {
  if (search.parent_name(file) != "apt") return;
  if (search.begins_with(file, "\nStart-Date: ") || search.begins_with(file, "\nLog started: ") ||
      (search.name(file).starts_with("eipp.log") && search.has_head(file, kXz))) {
    search.claim(file, file);
  }
}

void find_bootstrap_log(LeftoverSearch& search, NodeId file) {
  if (search.parent_name(file) != "log") return;
  const std::string text = search.beginning(file, 8192);
  for (const std::string_view known :
       {" URL:http", "gpgv: ", "Selecting previously unselected package ", "dpkg: "}) {
    if (text.find(known) != std::string::npos) return search.claim(file, file);
  }
}

// The database beside it is of the same kind: X-old of X.
void find_dpkg_backup(LeftoverSearch& search, NodeId file) {
  const std::string_view name = search.name(file);
  const NodeId current = search.file_in(search.parent(file), name.substr(0, name.size() - 4));
  if (current == kNone) return;
  if (search.parent_name(file) == "dpkg") {
    const bool known = name == "status-old"
                           ? search.has_head(file, "Package:") && search.has_head(current, "Package:")
                           : search.file_in(search.parent(file), "status") != kNone;
    if (known) search.claim(file, file);
  } else if (search.parent_name(file) == "debconf") {
    if (search.begins_with(file, "Name: ")) search.claim(file, file);
  }
}

void find_apk_cache(LeftoverSearch& search, NodeId index) {
  // APKINDEX.<first 8 digits of the URL's hash>.tar.gz
  const std::string_view name = search.name(index);
  if (name.size() != 24 || !is_hex_name(name.substr(9, 8), 8) || !name.ends_with(".tar.gz")) return;
  if (!search.has_head(index, kGzip)) return;
  const NodeId folder = search.parent(index);
  search.claim(index, index);
  search.each_file(folder, [&](NodeId file) {
    const std::string_view package = search.name(file);
    // name-version.<8 digits>.apk
    if (package.ends_with(".apk") && package.size() > 13 && search.has_head(file, kGzip) &&
        is_hex_name(package.substr(package.size() - 12, 8), 8)) {
      search.claim(file, file);
    }
  });
}

void find_dnf_cache(LeftoverSearch& search, NodeId cache) {
  if (search.parent_name(cache) != "cache") return;
  search.each_file(cache, [&](NodeId file) {
    const std::string_view name = search.name(file);
    if (ends_with_any(name, {".solv", ".solvx"}) && search.has_head(file, "SOLV")) search.claim(file, cache);
  });
  // A repository: NAME-<16 hex digits>/repodata/repomd.xml (yum: NAME/repomd.xml)
  search.each_directory(cache, [&](NodeId repository) {
    NodeId metadata = search.directory_in(repository, "repodata");
    if (metadata == kNone) metadata = repository;
    if (!search.begins_with(search.file_in(metadata, "repomd.xml"), "<?xml ")) return;
    search.each_file(metadata, [&](NodeId file) {
      const std::string_view name = search.name(file);
      if (name == "repomd.xml" || name == "repomd.xml.asc" || name == "cachecookie" ||
          ends_with_any(name, {".xml.gz", ".xml.xz", ".xml.zst", ".xml.zck", ".sqlite", ".sqlite.bz2",
                               ".sqlite.gz", ".sqlite.xz", ".yaml.gz", ".yaml.xz", ".solv", ".solvx"})) {
        search.claim(file, cache);
      }
    });
    search.each_file(search.directory_in(repository, "packages"), [&](NodeId file) {
      if (search.has_head(file, "\xed\xab\xee\xdb")) search.claim(file, cache);
    });
  });
}

void find_ldconfig_cache(LeftoverSearch& search, NodeId file) {
  if (search.begins_with(file, "glibc-ld.so.auxcache-")) search.claim(file, file);
}

void find_man_index(LeftoverSearch& search, NodeId tag) {
  const std::string text = search.beginning(tag, 512);
  if (!text.starts_with("Signature: 8a477f597d28d172789f06886806bc55") ||
      text.find("man-db") == std::string::npos) {
    return;
  }
  const NodeId cache = search.parent(tag);
  const auto claim_index = [&](NodeId folder) { search.claim(search.file_in(folder, "index.db"), cache); };
  claim_index(cache);
  search.each_directory(cache, claim_index);
}

void find_ccache(LeftoverSearch& search, NodeId tag) {
  const std::string text = search.beginning(tag, 512);
  if (!text.starts_with("Signature: 8a477f597d28d172789f06886806bc55") ||
      text.find("ccache") == std::string::npos) {
    return;
  }
  // ccache 4: <cache>/X/CACHEDIR.TAG beside X/Y/<hash>R, X/stats
  const NodeId folder = search.parent(tag);
  search.each_directory(folder, [&](NodeId level) {
    if (!is_hex_name(search.name(level), 1) && !is_hex_name(search.name(level), 2)) return;
    search.each_file_below(level, [&](NodeId file) {
      const std::string_view name = search.name(file);
      const bool hash = name.size() >= 28 && std::all_of(name.begin(), name.end() - 1, [](char c) {
                          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'v');
                        });
      if (hash || name == "stats") search.claim(file, folder);
    });
  });
}

// ET_CORE in the ELF header, in either byte order.
void find_core_dump(LeftoverSearch& search, NodeId file) {
  const std::string_view name = search.name(file);
  if (name != "core" &&
      !std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return;
  if (!search.has_head(file, "\177ELF")) return;
  const std::string header = search.beginning(file, 18);
  if (header.size() == 18 && header[16] + header[17] == 4 && (header[16] == 0 || header[17] == 0)) {
    search.claim(file, file);
  }
}

}  // namespace

std::span<const LeftoverRule> system_leftover_rules() {
  static const std::vector<LeftoverRule> rules = {
      {"apt-lists",
       "a folder apt/lists with an index that apt's sources signed",
       "package lists are read by apt alone, and fetched again by apt-get update",
       Form::kTidy,
       {"lists"},
       {"apt", "apt-get", "apt-cache", "aptitude"},
       false,
       find_apt_lists},
      {"apt-archives",
       "Debian packages (ar with debian-binary) in a folder apt/archives",
       "what was in them is installed",
       Form::kTidy,
       {"archives"},
       {"apt", "apt-get", "aptitude"},
       false,
       find_apt_archives},
      {"apt-cache",
       "apt's cache header",
       "made anew by apt whenever it is missing",
       Form::kTidy,
       {"pkgcache.bin", "srcpkgcache.bin"},
       {},
       false,
       find_apt_cache},
      {"dpkg-log",
       "lines as dpkg writes them",
       "a log of the image's building",
       Form::kTidy,
       {"dpkg.log*"},
       {},
       false,
       find_dpkg_log},
      {"alternatives-log",
       "lines as update-alternatives writes them",
       "a log of the image's building",
       Form::kTidy,
       {"alternatives.log*"},
       {},
       false,
       find_alternatives_log},
      {"apt-log",
       "apt's own first line (history, terminal), xz (dependency problem)",
       "a log of the image's building",
       Form::kTidy,
       {"history.log*", "term.log*", "eipp.log*"},
       {},
       false,
       find_apt_log},
      {"bootstrap-log",
       "lines as debootstrap, gpgv and dpkg write them",
       "a log of the image's building",
       Form::kTidy,
       {"bootstrap.log"},
       {},
       false,
       find_bootstrap_log},
      {"dpkg-backup",
       "NAME-old beside NAME in dpkg's or debconf's database",
       "the state before the last change; nothing reads it",
       Form::kTidy,
       {"status-old", "diversions-old", "statoverride-old", "available-old", "config.dat-old",
        "templates.dat-old", "passwords.dat-old"},
       {},
       false,
       find_dpkg_backup},
      {"apk-cache",
       "APKINDEX.<hash>.tar.gz and NAME.<hash>.apk, gzip",
       "package lists and packages that apk fetches again",
       Form::kTidy,
       {"APKINDEX.*"},
       {"apk"},
       false,
       find_apk_cache},
      {"dnf-cache",
       "repomd.xml of a repository, solv files, RPM packages in a folder cache/dnf or cache/yum",
       "package lists and packages that dnf fetches again",
       Form::kTidy,
       {"dnf", "yum", "libdnf5"},
       {"dnf", "dnf5", "dnf-3", "yum", "microdnf"},
       false,
       find_dnf_cache},
      {"ldconfig-cache",
       "ldconfig's auxiliary cache header",
       "made anew by ldconfig; the loader never reads it",
       Form::kTidy,
       {"aux-cache"},
       {},
       false,
       find_ldconfig_cache},
      {"man-index",
       "a cache folder tagged by man-db",
       "made anew by mandb",
       Form::kTidy,
       {"CACHEDIR.TAG"},
       {"man", "apropos", "whatis", "mandb"},
       false,
       find_man_index},
      {"ccache",
       "a cache folder tagged by ccache",
       "results of compilations, made anew",
       Form::kTidy,
       {"CACHEDIR.TAG"},
       {"ccache"},
       false,
       find_ccache},
      {"core-dump",
       "ELF files of type core named core or core.PID",
       "memory of a program that died in the build",
       Form::kTidy,
       {"core", "core.*"},
       {"gdb"},
       true,
       find_core_dump},
  };
  return rules;
}

}  // namespace imgslim
