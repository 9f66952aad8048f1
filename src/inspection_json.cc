// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "layers/error.h"
#include "layers/hex.h"
#include "src/inspection.h"
#include "src/inspection_words.h"
#include "src/version.h"

namespace imgslim {
namespace {

// Names of an image may be any bytes; JSON is UTF-8.
std::string text(std::string_view bytes) {
  return printable(bytes, 4096);
}

Json or_null(std::string_view bytes) {
  return bytes.empty() ? Json(nullptr) : Json(text(bytes));
}

Json lines(const std::vector<std::string>& texts) {
  Json array = Json::array();
  for (const std::string& item : texts)
    array.push_back(text(item));
  return array;
}

Json versions_json(const std::vector<SymbolVersion>& versions) {
  Json array = Json::array();
  for (const SymbolVersion& version : versions) {
    Json item;
    if (!version.file.empty()) item["file"] = text(version.file);
    item["name"] = text(version.name);
    if (version.weak) item["weak"] = true;
    array.push_back(std::move(item));
  }
  return array;
}

Json file_json(const Inspection& facts) {
  const InspectedFile& file = facts.file;
  Json json;
  json["path"] = text(file.path);
  json["resolved"] = text(file.resolved);
  json["links"] = lines(file.links);
  json["size"] = file.size;
  json["package"] = or_null(file.package);
  json["kind"] = facts.elf ? "elf" : "script";
  return json;
}

Json elf_json(const Inspection& facts) {
  const ElfFacts& elf = *facts.elf;
  Json json;
  json["machine"] = machine_name(elf);
  json["bits"] = elf.is_64 ? 64 : 32;
  json["linkage"] = name_of(facts.linkage);
  json["interpreter"] = elf.interpreter ? Json(text(*elf.interpreter)) : Json(nullptr);
  json["soname"] = elf.soname ? Json(text(*elf.soname)) : Json(nullptr);
  json["rpath"] = elf.rpath ? Json(text(*elf.rpath)) : Json(nullptr);
  json["runpath"] = elf.runpath ? Json(text(*elf.runpath)) : Json(nullptr);
  json["needed"] = lines(elf.needed);
  json["versions_needed"] = versions_json(elf.versions_needed);
  json["versions_defined"] = versions_json(elf.versions_defined);
  json["build_id"] = or_null(elf.build_id);
  json["loaded_bytes"] = facts.file.loaded_bytes;
  json["has_symbol_table"] = facts.file.has_symbol_table;
  json["has_debug_info"] = facts.file.has_debug_info;
  return json;
}

Json object_json(const Inspection& facts, const SearchedObject& object) {
  Json json;
  json["name"] = text(object.name);
  json["requester"] = object.requester ? Json(*object.requester) : Json(nullptr);
  json["request"] = name_of(object.request);
  json["rule"] = name_of(object.rule);
  json["path_owner"] = object.path_owner ? Json(*object.path_owner) : Json(nullptr);
  json["path"] = text(object.path);
  json["resolved"] = text(object.resolved);
  json["links"] = lines(object.links);
  json["hwcaps"] = or_null(object.hwcaps);
  const auto package = facts.packages.find(object.resolved);
  json["package"] = package == facts.packages.end() ? Json(nullptr) : or_null(package->second);
  return json;
}

Json libraries_json(const Inspection& facts) {
  const LibrarySearch& search = *facts.libraries;
  Json json;
  const LoaderFacts& loader = search.loader();
  json["loader"] = Json{{"kind", loader.kind == LoaderKind::kGlibc  ? Json("glibc")
                                 : loader.kind == LoaderKind::kMusl ? Json("musl")
                                                                    : Json(nullptr)},
                        {"version", or_null(loader.version)},
                        {"directories", lines(loader.directories)}};
  json["bytes"] = facts.library_bytes;
  json["objects"] = Json::array();
  for (const SearchedObject& object : search.objects())
    json["objects"].push_back(object_json(facts, object));
  json["scope"] = search.scope();
  json["edges"] = Json::array();
  for (const SearchEdge& edge : search.edges()) {
    json["edges"].push_back(Json{{"from", edge.from},
                                 {"to", edge.to ? Json(*edge.to) : Json(nullptr)},
                                 {"name", text(edge.name)},
                                 {"request", name_of(edge.request)}});
  }
  json["missing"] = Json::array();
  for (const MissingLibrary& missing : search.missing()) {
    json["missing"].push_back(
        Json{{"name", text(missing.name)},
             {"requester", missing.requester ? Json(*missing.requester) : Json(nullptr)},
             {"request", name_of(missing.request)},
             {"optional", missing.optional},
             {"why", text(missing.why)},
             {"searched", lines(missing.searched)}});
  }
  json["missing_versions"] = Json::array();
  for (const MissingVersion& missing : search.missing_versions()) {
    json["missing_versions"].push_back(Json{{"version", text(missing.version)},
                                            {"requester", missing.requester},
                                            {"provider", missing.provider}});
  }
  json["other_cpus"] = Json::array();
  for (const SearchedObject& object : facts.other_cpus) {
    // Indexes of another search mean nothing here.
    json["other_cpus"].push_back(Json{{"name", text(object.name)},
                                      {"rule", name_of(object.rule)},
                                      {"path", text(object.path)},
                                      {"resolved", text(object.resolved)},
                                      {"hwcaps", or_null(object.hwcaps)}});
  }
  json["fatal"] = or_null(search.fatal());
  return json;
}

Json names_json(const std::vector<FoundName>& names) {
  Json array = Json::array();
  for (const FoundName& name : names)
    array.push_back(Json{{"name", text(name.name)}, {"paths", lines(name.paths)}});
  return array;
}

// What a finding of either kind begins with: where the call is and what speaks for it.
template <class Finding>
Json site_json(const std::string& object, Evidence evidence, std::string_view caller,
               const Finding& finding) {
  Json json;
  json["object"] = text(object);
  json["class"] = name_of(evidence);
  json["caller"] = text(caller);
  json["site"] = finding.site;
  json["function"] = or_null(finding.function);
  json["package"] = or_null(finding.package);
  return json;
}

Json dlopen_json(const InspectedDlopen& item) {
  const DlopenFinding& finding = item.finding;
  Json json = site_json(item.object, finding.evidence, finding.caller, finding);
  json["names"] = names_json(item.names);
  json["symbols"] = lines(finding.symbols);
  json["exporters"] = item.exporters_searched ? lines(item.exporters) : Json(nullptr);
  json["files"] = names_json(item.files);
  json["variables"] = Json::array();
  if (finding.row != nullptr) {
    for (const std::string_view name : finding.row->variables)
      json["variables"].push_back(name);
  }
  json["may_be_missing"] = finding.may_be_missing;
  json["reason"] = text(finding.reason);
  json["source"] = finding.row != nullptr ? Json(finding.row->source) : Json(nullptr);
  return json;
}

Json exec_json(const InspectedExec& item) {
  const ExecFinding& finding = item.finding;
  Json json = site_json(item.object, item.evidence, finding.callee, finding);
  json["main_module"] = finding.main_module;
  json["names"] = names_json(item.names);
  json["itself"] = finding.itself;
  json["missing_handled"] = finding.missing_handled;
  json["reason"] = text(finding.reason);
  json["source"] = finding.row != nullptr ? Json(finding.row->source) : Json(nullptr);
  return json;
}

Json module_json(const GoModule& module) {
  Json json{{"path", text(module.path)}, {"version", or_null(module.version)}, {"sum", or_null(module.sum)}};
  if (module.replaced_by) {
    json["replaced_by"] =
        Json{{"path", text(module.replaced_by->first)}, {"version", or_null(module.replaced_by->second)}};
  }
  return json;
}

Json go_json(const Inspection& facts) {
  const GoFacts& go = *facts.go;
  Json json;
  json["version"] = go.build ? or_null(go.build->go_version) : Json(nullptr);
  json["linkage"] = go.linkage ? Json(name_of(*go.linkage)) : Json(nullptr);
  json["main_path"] = go.build ? or_null(go.build->main_path) : Json(nullptr);
  json["main_module"] =
      go.build && go.build->main_module ? module_json(*go.build->main_module) : Json(nullptr);
  json["dependencies"] = Json::array();
  json["settings"] = Json::array();
  if (go.build) {
    for (const GoModule& module : go.build->dependencies)
      json["dependencies"].push_back(module_json(module));
    for (const auto& [key, value] : go.build->settings) {
      json["settings"].push_back(Json{{"key", text(key)}, {"value", text(value)}});
    }
  }
  json["modules"] = Json::array();
  for (const GoModuleSize& module : facts.modules) {
    json["modules"].push_back(Json{{"path", text(module.path)},
                                   {"version", or_null(module.version)},
                                   {"code_bytes", module.code_bytes},
                                   {"packages", module.packages}});
  }
  json["packages"] = Json::array();
  for (const GoPackage& package : go.packages) {
    json["packages"].push_back(Json{{"path", text(package.path)}, {"code_bytes", package.code_bytes}});
  }
  json["init_functions"] = lines(go.init_functions);
  json["cgo_packages"] = lines(go.cgo_packages);
  json["rebuild_without_cgo_is_free"] = go.rebuild_without_cgo_is_free;
  json["embeds"] = Json::array();
  for (const GoEmbedTree& tree : go.embeds) {
    Json files = Json::array();
    for (const GoEmbeddedFile& file : tree.files) {
      const bool is_directory = file.name.ends_with('/');
      files.push_back(Json{{"name", text(file.name)},
                           {"size", file.size},
                           {"hash", is_directory ? Json(nullptr) : Json(hex_of(file.hash))},
                           {"hash_matches", is_directory ? Json(nullptr) : Json(file.hash_matches)}});
    }
    json["embeds"].push_back(std::move(files));
  }
  json["function_table"] = or_null(go.pclntab_version);
  json["opaque"] = or_null(go.opaque);
  return json;
}

Json count_json(const ProbeCount& count) {
  return Json{{"opens", count.opens},
              {"failed_opens", count.failed_opens},
              {"stats", count.stats},
              {"failed_stats", count.failed_stats}};
}

Json probes_json(const std::vector<SearchProbe>& probes) {
  Json array = Json::array();
  for (const SearchProbe& probe : probes) {
    array.push_back(
        Json{{"call", call_words(probe.call)}, {"failed", probe.failed}, {"path", text(probe.path)}});
  }
  return array;
}

Json cost_json(const SearchCost& cost) {
  Json json;
  json["before_main"] = Json{{"count", count_json(cost.count)}, {"paths", probes_json(cost.before_main)}};
  json["dlopens"] = Json::array();
  for (const DlopenCost& call : cost.dlopens) {
    json["dlopens"].push_back(Json{{"caller", or_null(call.call.caller)},
                                   {"name", text(call.call.name)},
                                   {"loaded", call.loaded},
                                   {"count", count_json(call.count)},
                                   {"paths", probes_json(call.probes)}});
  }
  json["fatal"] = or_null(cost.fatal);
  return json;
}

Json script_json(const Inspection& facts) {
  Json json;
  json["steps"] = Json::array();
  for (const ScriptStep& step : facts.script) {
    json["steps"].push_back(
        Json{{"kind", step.kind}, {"words", lines(step.words)}, {"path", or_null(step.path)}});
  }
  json["files"] = Json::array();
  for (const ReachedFile& file : facts.script_files) {
    json["files"].push_back(
        Json{{"path", text(file.path)}, {"class", name_of(file.evidence)}, {"why", text(file.why)}});
  }
  json["findings"] = lines(facts.script_findings);
  return json;
}

}  // namespace

Json to_json(const Inspection& facts) {
  Json json;
  json["version"] = kInspectionVersion;
  json["tool"] = Json{{"name", "imgslim"}, {"version", kVersion}};
  json["tree"] = or_null(facts.tree);
  json["file"] = file_json(facts);
  json["kind"] = kind_words(facts);
  json["script"] = facts.elf ? Json(nullptr) : script_json(facts);
  json["elf"] = facts.elf ? elf_json(facts) : Json(nullptr);
  json["cpu"] = or_null(facts.cpu);
  json["libraries"] = facts.libraries ? libraries_json(facts) : Json(nullptr);
  json["dlopens"] = Json::array();
  for (const InspectedDlopen& item : facts.dlopens)
    json["dlopens"].push_back(dlopen_json(item));
  json["execs"] = Json::array();
  for (const InspectedExec& item : facts.execs)
    json["execs"].push_back(exec_json(item));
  json["go"] = facts.go ? go_json(facts) : Json(nullptr);
  json["search_cost"] = nullptr;
  if (facts.cost) {
    json["search_cost"] = Json{{"today", cost_json(facts.cost->today)},
                               {"without_cache", cost_json(facts.cost->without_cache)},
                               {"with_generated_cache", cost_json(facts.cost->with_generated_cache)}};
  }
  json["advice"] = Json::array();
  for (const Advice& advice : facts.advice) {
    json["advice"].push_back(Json{{"id", advice.id},
                                  {"text", advice.text},
                                  {"bytes", advice.bytes},
                                  {"lookups", advice.lookups},
                                  {"fault", advice.fault}});
  }
  json["problems"] = lines(facts.problems);
  return json;
}

}  // namespace imgslim
