// SPDX-License-Identifier: Apache-2.0
// What one image weighs, by name: what two audits are compared by. Made from an audit, or read back from the
// JSON that one wrote.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "layers/json.h"
#include "src/audit/audit.h"

namespace imgslim {

// Whose bytes they are.
enum class Owner : std::uint8_t {
  kBase,        // a layer of the base image
  kDependency,  // a package of a distribution, a module that is not the main one, the standard library
  kOwn,         // everything else
};
std::string_view name_of(Owner owner);  // "base", "dependency", "own code"

struct FootprintLayer {
  std::string digest;
  std::string step;
  bool base = false;
  std::uint64_t compressed = 0;
  std::uint64_t unpacked = 0;
};

struct FootprintFile {
  std::uint64_t content = 0;
  std::uint64_t unpacked = 0;
  std::uint64_t compressed = 0;
  std::uint64_t checksum = 0;  // CRC-64 of the content
  std::uint32_t layer = 0;
  bool hidden = false;
  std::string package;
};

struct FootprintModule {
  std::string version;
  std::uint64_t code = 0;
  bool is_main = false;
  std::map<std::string, std::uint64_t> packages;
};

struct FootprintProgram {
  std::uint64_t size = 0;
  std::map<std::string, FootprintModule> modules;
  std::map<std::string, std::uint64_t> parts;  // of the file: "debug information", ..
};

struct Footprint {
  std::string name;
  std::string platform;
  std::string digest;
  std::uint64_t compressed = 0;
  std::uint64_t unpacked = 0;
  std::vector<FootprintLayer> layers;
  // By path; entries of one path in several layers stand one behind the other, from the bottom up.
  std::multimap<std::string, FootprintFile> files;
  std::map<std::string, std::string> package_versions;
  std::map<std::string, FootprintProgram> programs;  // Go programs by path
};

Footprint footprint_of(const ImageAudit& audit);
// The images of a document of imgslim-audit(5). Throws Error{kUsage} naming `what`.
std::vector<Footprint> read_footprints(std::string_view json, std::string_view what);

}  // namespace imgslim
