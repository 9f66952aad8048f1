// SPDX-License-Identifier: Apache-2.0
#include "src/facts/package_owner.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "layers/error.h"
#include "src/facts/package_owner_state.h"

namespace imgslim {
namespace {

using State = PackageDatabase::State;

constexpr std::uint64_t kMaxDatabaseBytes = 256u << 20;  // one file
constexpr std::size_t kMaxPath = 4096;                   // PATH_MAX: no longer one is in an image

std::string_view parent_of(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}
std::string_view base_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string_view PathResolver::resolve(std::string_view recorded) {
  while (recorded.size() > 1 && recorded.ends_with('/'))
    recorded.remove_suffix(1);
  if (recorded.size() <= 1) return "/";
  if (recorded.size() > kMaxPath) return recorded;
  const std::string_view recorded_parent = parent_of(recorded);
  if (recorded_parent != last_recorded_) {
    last_resolved_ = directory(recorded_parent);
    last_recorded_ = recorded_parent;
  }
  const std::string_view parent = last_resolved_;
  if (parent == recorded_parent) return recorded;
  return state_.keep(std::string(parent == "/" ? "" : parent).append("/").append(base_of(recorded)));
}

// "" and what it returns stand for directories without a slash at the end.
std::string_view PathResolver::directory(std::string_view path) {
  if (path.empty()) return {};
  const auto found = directories_.find(path);
  if (found != directories_.end()) return found->second;
  // Missing parents first, without recursion: the depth is the database's.
  std::vector<std::string_view> missing;
  std::string_view known;
  for (std::string_view at = path; !at.empty(); at = parent_of(at)) {
    const auto entry = directories_.find(at);
    if (entry != directories_.end()) {
      known = entry->second;
      break;
    }
    missing.push_back(at);
  }
  for (std::size_t i = missing.size(); i-- > 0;) {
    const std::string_view at = missing[i];
    const std::string_view parent = i + 1 < missing.size() ? directories_[missing[i + 1]] : known;
    std::string_view result = at;
    if (parent != parent_of(at)) result = state_.keep(std::string(parent).append("/").append(base_of(at)));
    const auto status = files_.status(result);
    if (status && status->kind == FileKind::kSymlink) {
      if (auto target = resolve_path(files_, result)) {
        result = *target == "/" ? std::string_view() : state_.keep(std::move(*target));
      }
    }
    directories_[at] = result;
  }
  return directories_[path];
}

std::string_view read_held(const FileSystem& files, const std::string& path, State& state) {
  const auto resolved = resolve_path(files, path);
  if (!resolved) return {};
  auto bytes = files.read(*resolved, kMaxDatabaseBytes);
  if (!bytes) {
    const auto status = files.status(*resolved);
    if (status && status->kind == FileKind::kRegular) state.problem(path + ": too large to read");
    return {};
  }
  state.held.push_back(bytes);
  return bytes->bytes();
}

namespace {

// Brings packages into their order and drops records without a name, with their paths.
void sort_packages(State& state) {
  std::vector<PackageId> order;
  for (PackageId id = 0; id < state.packages.size(); ++id) {
    if (state.packages[id].name.empty()) {
      state.problem(printable(state.packages[id].record) + ": a record without a package name");
      continue;
    }
    Package& package = state.packages[id];
    if (package.source.empty()) package.source = package.name;
    if (package.source_version.empty()) package.source_version = package.version;
    order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](PackageId a, PackageId b) {
    const Package& left = state.packages[a];
    const Package& right = state.packages[b];
    return std::tie(left.kind, left.name, left.architecture) <
           std::tie(right.kind, right.name, right.architecture);
  });
  std::vector<PackageId> new_id(state.packages.size(), std::numeric_limits<PackageId>::max());
  std::vector<Package> sorted;
  sorted.reserve(order.size());
  for (const PackageId id : order) {
    new_id[id] = static_cast<PackageId>(sorted.size());
    sorted.push_back(std::move(state.packages[id]));
  }
  state.packages = std::move(sorted);
  std::erase_if(state.paths, [&](const OwnedPath& owned) {
    return new_id[owned.package] == std::numeric_limits<PackageId>::max();
  });
  for (OwnedPath& owned : state.paths)
    owned.package = new_id[owned.package];
}

struct ByPath {
  bool operator()(const OwnedPath& a, std::string_view b) const { return a.path < b; }
  bool operator()(std::string_view a, const OwnedPath& b) const { return a < b.path; }
};

}  // namespace

bool is_documentation(std::string_view path) {
  constexpr std::string_view kFolders[] = {
      "/usr/share/doc/",      "/usr/share/man/",   "/usr/share/info/",     "/usr/share/locale/",
      "/usr/share/licenses/", "/usr/share/groff/", "/usr/share/doc-base/", "/usr/share/lintian/",
      "/usr/share/linda/",    "/usr/share/bug/"};
  return std::any_of(std::begin(kFolders), std::end(kFolders),
                     [&](std::string_view folder) { return path.starts_with(folder); });
}

PackageDatabase::PackageDatabase() : state_(std::make_unique<State>()) {}
PackageDatabase::PackageDatabase(PackageDatabase&&) noexcept = default;
PackageDatabase& PackageDatabase::operator=(PackageDatabase&&) noexcept = default;
PackageDatabase::~PackageDatabase() = default;

PackageDatabase PackageDatabase::read(const FileSystem& files) {
  PackageDatabase database;
  State& state = *database.state_;
  PathResolver resolver(files, state);
  read_dpkg(files, state, resolver);
  std::set<std::string> seen;  // newer Alpine: /lib/apk is under /usr/lib
  for (const char* path : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}) {
    const auto resolved = resolve_path(files, path);
    if (resolved && seen.insert(*resolved).second) read_apk(files, path, state, resolver);
  }
  sort_packages(state);
  std::sort(state.paths.begin(), state.paths.end(), [](const OwnedPath& a, const OwnedPath& b) {
    const int order = a.path.compare(b.path);
    return order != 0 ? order < 0 : std::tie(a.package, a.recorded) < std::tie(b.package, b.recorded);
  });
  state.package_start.assign(state.packages.size() + 1, 0);
  for (const OwnedPath& owned : state.paths)
    ++state.package_start[owned.package + 1];
  for (std::size_t i = 1; i < state.package_start.size(); ++i)
    state.package_start[i] += state.package_start[i - 1];
  std::vector<std::size_t> next = state.package_start;
  state.by_package.resize(state.paths.size());
  for (std::uint32_t i = 0; i < state.paths.size(); ++i)
    state.by_package[next[state.paths[i].package]++] = i;
  return database;
}

const std::vector<Package>& PackageDatabase::packages() const {
  return state_->packages;
}
std::span<const OwnedPath> PackageDatabase::paths() const {
  return state_->paths;
}
const std::vector<std::string>& PackageDatabase::problems() const {
  return state_->problems;
}

std::span<const OwnedPath> PackageDatabase::owners(std::string_view path) const {
  const auto [first, last] = std::equal_range(state_->paths.begin(), state_->paths.end(), path, ByPath{});
  return {first, last};
}

std::optional<PackageId> PackageDatabase::owner(std::string_view path) const {
  const auto found = owners(path);
  if (found.empty()) return std::nullopt;
  return found.front().package;
}

std::span<const std::uint32_t> PackageDatabase::paths_of(PackageId package) const {
  if (package >= state_->packages.size()) return {};
  const std::size_t start = state_->package_start[package];
  return std::span(state_->by_package).subspan(start, state_->package_start[package + 1] - start);
}

}  // namespace imgslim
