// SPDX-License-Identifier: Apache-2.0
// Prints what the project knows of Go programs, one JSON object for each file, for comparison with Go's own
// tools: imgslim_go_facts [--time] FILE... With --time also the processor time of reading them.
#include <nlohmann/json.hpp>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "layers/error.h"
#include "layers/json.h"
#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace {

using namespace imgslim;

Json module_json(const GoModule& module) {
  Json json = {{"path", module.path}, {"version", module.version}, {"sum", module.sum}};
  if (module.replaced_by) {
    json["replaced_by"] = {{"path", module.replaced_by->first}, {"version", module.replaced_by->second}};
  }
  return json;
}

Json facts_json(const GoFacts& facts) {
  Json json = Json::object();
  if (facts.build) {
    json["version"] = facts.build->go_version;
    json["path"] = facts.build->main_path;
    if (facts.build->main_module) json["main"] = module_json(*facts.build->main_module);
    json["deps"] = Json::array();
    for (const GoModule& module : facts.build->dependencies)
      json["deps"].push_back(module_json(module));
    json["settings"] = Json::array();
    for (const auto& [key, value] : facts.build->settings)
      json["settings"].push_back({key, value});
  }
  json["pclntab"] = facts.pclntab_version;
  json["functions"] = facts.functions.size();
  json["packages"] = Json::object();
  for (const GoPackage& package : facts.packages)
    json["packages"][printable(package.path)] = package.code_bytes;
  json["init"] = Json::array();
  for (const std::string& name : facts.init_functions) {
    json["init"].push_back({{"package", printable(go_package_of(name))}, {"function", printable(name)}});
  }
  json["cgo"] = facts.cgo_packages;
  json["embeds"] = Json::array();
  for (const GoEmbedTree& tree : facts.embeds) {
    Json files = Json::array();
    for (const GoEmbeddedFile& file : tree.files) {
      files.push_back(
          {{"name", printable(file.name)}, {"size", file.size}, {"hash_matches", file.hash_matches}});
    }
    json["embeds"].push_back(files);
  }
  json["linkage"] = facts.linkage ? std::string(name_of(*facts.linkage)) : "";
  json["free_rebuild"] = facts.rebuild_without_cgo_is_free;
  json["opaque"] = facts.opaque;
  json["problems"] = facts.problems;
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  bool timed = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--time") {
      timed = true;
      continue;
    }
    std::ifstream in(argv[i], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const std::clock_t start = std::clock();
    const auto elf = read_elf(bytes);
    std::optional<GoFacts> facts;
    if (elf) {
      const ElfImage image(*elf, bytes);
      facts = read_go(image, bytes);
    }
    const double spent = 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    Json json = {{"file", argv[i]}, {"size", bytes.size()}};
    json["go"] = facts ? facts_json(*facts) : Json(nullptr);
    if (timed) json["milliseconds"] = spent;
    std::puts(json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return 0;
}
