// SPDX-License-Identifier: Apache-2.0
// Where settings are found: the file calls of settings.h.
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "layers/error.h"
#include "src/settings.h"

namespace imgslim {
namespace {

constexpr const char* kName = "imgslim.yaml";
constexpr std::size_t kMaxBytes = std::size_t{256} << 10;

bool exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

std::string read_text(const std::string& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) throw_io("cannot read " + file, errno);
  if (S_ISDIR(status.st_mode)) throw_usage(file + " is a directory");
  std::ifstream in(file, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.is_open()) throw_io("cannot read " + file, errno);
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string Settings::path_of(std::string_view path) const {
  if (path.starts_with('/') || file.empty()) return std::string(path);
  const std::size_t slash = file.rfind('/');
  return (slash == std::string::npos ? std::string() : file.substr(0, slash + 1)) + std::string(path);
}

Settings read_settings(const std::string& file) {
  const std::string text = read_text(file);
  Settings settings;
  if (const std::string name = last_part(file); name == ".dive-ci" || name == ".dive.yaml") {
    settings.budgets = parse_dive_rules(text, file);
  } else {
    settings = parse_settings(text, file);
  }
  settings.file = file;
  return settings;
}

Settings find_settings(const std::string& directory) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(directory.c_str(), nullptr), &std::free);
  if (!real) throw_io("cannot read " + directory, errno);
  Settings settings;
  std::string dive;
  for (std::string at = real.get();; at = at.substr(0, at.rfind('/'))) {
    for (const char* name : {".dive-ci", ".dive.yaml"}) {
      if (dive.empty() && exists(at + "/" + name)) dive = at + "/" + name;
    }
    if (exists(at + "/" + kName)) {
      settings = read_settings(at + "/" + kName);
      break;
    }
    if (at.empty() || exists(at + "/.git")) break;
  }
  if (!settings.budgets.any() && !dive.empty()) {
    const Budgets rules = read_settings(dive).budgets;
    const std::vector<Glob> ignore = settings.budgets.ignore;
    settings.budgets = rules;
    settings.budgets.ignore = ignore;
    if (settings.file.empty()) settings.file = dive;
  }
  return settings;
}

}  // namespace imgslim
