// SPDX-License-Identifier: Apache-2.0
// The package database while it is read: what the readers of dpkg's and apk's files share.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/facts/package_owner.h"

namespace imgslim {

struct PackageDatabase::State {
  static constexpr std::size_t kMaxProblems = 100;

  std::vector<Package> packages;
  std::vector<OwnedPath> paths;
  std::vector<std::uint32_t> by_package;  // indices into paths
  std::vector<std::size_t> package_start;
  std::vector<std::string> problems;
  std::vector<std::shared_ptr<const FileBytes>> held;  // views point into them
  std::deque<std::string> texts;                       // and into these

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
  void problem(std::string text) {
    if (problems.size() < kMaxProblems) problems.push_back(std::move(text));
  }
};

// Brings recorded paths to where they are in the image.
class PathResolver {
 public:
  PathResolver(const FileSystem& files, PackageDatabase::State& state) : files_(files), state_(state) {}

  // `recorded` is absolute and lives as long as the database; the last component is not followed.
  std::string_view resolve(std::string_view recorded);

 private:
  std::string_view directory(std::string_view path);

  const FileSystem& files_;
  PackageDatabase::State& state_;
  std::unordered_map<std::string_view, std::string_view> directories_;
  // Lists name a directory's files one after the other.
  std::string_view last_recorded_;
  std::string_view last_resolved_;
};

// A database file's bytes, which live as long as the database; empty if there is none.
std::string_view read_held(const FileSystem& files, const std::string& path, PackageDatabase::State& state);
// Takes the next line off `text`.
std::string_view next_line(std::string_view& text);
// Lower-case hexadecimal digits alone.
bool is_hex(std::string_view text);

void read_dpkg(const FileSystem& files, PackageDatabase::State& state, PathResolver& resolver);
void read_apk(const FileSystem& files, const std::string& path, PackageDatabase::State& state,
              PathResolver& resolver);

}  // namespace imgslim
