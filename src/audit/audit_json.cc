// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "layers/error.h"
#include "src/audit/formats.h"
#include "src/audit/words.h"
#include "src/decisions/leftovers.h"
#include "src/version.h"

namespace imgslim {
namespace {

// Names of any length, made fit for JSON.
std::string text(std::string_view bytes) {
  return printable(bytes, std::string_view::npos);
}

std::string path_of(const ImageAudit& audit, EntryRef ref) {
  return "/" + text(audit.entry(ref).path);
}

Json or_null(std::string_view value) {
  return value.empty() ? Json(nullptr) : Json(text(value));
}

Json sum_json(const Bytes& bytes) {
  return {{"files", bytes.files}, {"unpacked", bytes.unpacked}, {"compressed", bytes.compressed}};
}

std::string_view type_of(EntryType type) {
  switch (type) {
    case EntryType::kRegular:
      return "file";
    case EntryType::kHardLink:
      return "hard link";
    case EntryType::kSymlink:
      return "link";
    case EntryType::kDirectory:
      return "directory";
    case EntryType::kWhiteout:
      return "whiteout";
    case EntryType::kOpaqueWhiteout:
      return "opaque";
    default:
      return "special";
  }
}

Json entry_json(const ImageAudit& audit, EntryRef ref) {
  const Entry& entry = audit.entry(ref);
  const AuditRow& row = audit.row(ref);
  Json out{{"path", path_of(audit, ref)},  {"type", type_of(entry.type)},  {"content", entry.stored_size},
           {"headers", headers_of(entry)}, {"padding", padding_of(entry)}, {"compressed", row.compressed}};
  if (entry.type == EntryType::kRegular && entry.size > 0) out["crc64"] = fmt::format("{:016x}", entry.crc);
  if (entry.type == EntryType::kHardLink) out["to"] = "/" + text(entry.link);
  if (row.package != kNone) out["package"] = text(audit.packages[row.package].name);
  if (row.rule != kNone) out["rule"] = leftover_rules()[row.rule].id;
  if (row.visibility != Visibility::kVisible && row.visibility != Visibility::kMarker) {
    out["hidden"] = name_of(row.visibility);
    out["hidden_by"] = row.hidden_by + 1;
    if (row.again.is) out["written_again"] = row.again.text();
  }
  return out;
}

Json layers_json(const ImageAudit& audit) {
  Json layers = Json::array();
  for (std::uint32_t i = 0; i < audit.tables.size(); ++i) {
    const LayerTable& table = *audit.tables[i];
    const LayerAttribution& layer = audit.layers[i];
    Json entries = Json::array();
    for (std::uint32_t k = 0; k < table.entries.size(); ++k)
      entries.push_back(entry_json(audit, {i, k}));
    layers.push_back({{"layer", i + 1},
                      {"digest", audit.layer_digests[i]},
                      {"diff_id", audit.diff_ids[i]},
                      {"step", or_null(audit.steps[i])},
                      {"base", i < audit.base_layers},
                      {"compression", name_of(table.compression)},
                      {"compressed", table.blob_size},
                      {"unpacked", table.plain_size},
                      {"content", layer.unpacked.content},
                      {"headers", layer.unpacked.headers},
                      {"padding", layer.unpacked.padding},
                      {"end", layer.unpacked.end},
                      {"unknown", layer.unpacked.unknown},
                      {"end_compressed", layer.end_compressed},
                      {"hidden", layer.hidden_content},
                      {"entries", std::move(entries)}});
  }
  return layers;
}

Json waste_json(const ImageAudit& audit) {
  Json groups = Json::array();
  for (const WasteGroup& group : audit.waste.groups) {
    groups.push_back({{"hidden_by", group.hidden_by + 1},
                      {"lies_in", group.lies_in + 1},
                      {"how", name_of(group.how)},
                      {"written_again", or_null(group.change)},
                      {"files", group.files},
                      {"bytes", group.bytes},
                      {"compressed", group.compressed},
                      {"largest", path_of(audit, group.largest)},
                      {"text", waste_text(audit, group)}});
  }
  const Waste& waste = audit.waste;
  return {{"copies", waste.copies},
          {"visible", waste.visible},
          {"bytes", waste.bytes},
          {"efficiency", waste.efficiency},
          {"user_bytes", waste.user_bytes},
          {"user_copies", waste.user_copies},
          {"user_percent", waste.user_percent},
          {"groups", std::move(groups)}};
}

Json dive_json(const DiveFigures& dive) {
  return {{"efficiency", dive.efficiency},
          {"wasted_bytes", dive.wasted_bytes},
          {"wasted_percent", dive.has_percent ? Json(dive.wasted_percent) : Json(nullptr)}};
}

Json named_json(const std::vector<NamedBytes>& rows) {
  Json out = Json::array();
  for (const NamedBytes& row : rows)
    out.push_back({{"name", text(row.name)}, {"bytes", row.bytes}});
  return out;
}

Json go_json(const GoProgramSize& program) {
  Json modules = Json::array();
  for (const GoModuleBytes& module : program.modules) {
    modules.push_back({{"module", text(module.path)},
                       {"version", or_null(module.version)},
                       {"sum", or_null(module.sum)},
                       {"main", module.is_main},
                       {"code", module.code},
                       {"packages", named_json(module.packages)}});
  }
  return {{"path", text(program.path)},
          {"bytes", program.size},
          {"go", or_null(program.go_version)},
          {"main_module", or_null(program.main_module)},
          {"linkage", or_null(program.linkage)},
          {"opaque", or_null(program.opaque)},
          {"parts", named_json(program.parts)},
          {"modules", std::move(modules)},
          {"embedded", named_json(program.embedded)}};
}

Json sums_json(const std::vector<NamedSum>& sums, std::string_view name, std::string_view detail) {
  Json out = Json::array();
  for (const NamedSum& sum : sums) {
    Json row{{std::string(name), text(sum.name)}};
    if (!detail.empty()) row[std::string(detail)] = or_null(sum.detail);
    row.update(sum_json(sum.bytes));
    out.push_back(std::move(row));
  }
  return out;
}

Json image_json(const ImageAudit& audit) {
  LayerBytes sum;
  for (const LayerAttribution& layer : audit.layers) {
    sum.content += layer.unpacked.content;
    sum.headers += layer.unpacked.headers;
    sum.padding += layer.unpacked.padding;
    sum.end += layer.unpacked.end;
    sum.unknown += layer.unpacked.unknown;
  }
  Json directories = Json::array();
  for (const NamedSum& row : audit.directory_sums) {
    Json object{{"directory", "/" + text(row.name)}};
    object.update(sum_json(row.bytes));
    directories.push_back(std::move(object));
  }
  Json debug = Json::array();
  for (const DebugBytes& file : audit.debug) {
    debug.push_back(
        {{"path", path_of(audit, file.file)}, {"debug", file.bytes.debug}, {"symbols", file.bytes.symbols}});
  }
  Json go = Json::array();
  for (const GoProgramSize& program : audit.go_programs)
    go.push_back(go_json(program));
  Json forms = Json::object();
  for (const FormSaving& form : audit.forms)
    forms[form.form] = sum_json(form.bytes);
  Json advice = Json::array();
  for (const SizeAdvice& line : audit.advice)
    advice.push_back({{"bytes", line.bytes}, {"compressed", line.compressed}, {"text", line.text}});
  return {{"name", text(audit.name)},
          {"platform", text(audit.platform)},
          {"digest", audit.digest},
          {"revision", or_null(audit.revision)},
          {"compressed", audit.compressed()},
          {"unpacked", audit.unpacked()},
          {"entries", audit.entries()},
          {"content", sum.content},
          {"headers", sum.headers},
          {"padding", sum.padding},
          {"end", sum.end},
          {"unknown", sum.unknown},
          {"base", {{"layers", audit.base_layers}, {"known_by", audit.base_known_by}}},
          {"waste", waste_json(audit)},
          {"dive", dive_json(audit.dive)},
          {"forms", std::move(forms)},
          {"advice", std::move(advice)},
          {"packages", sums_json(audit.package_sums, "package", "version")},
          {"rules", sums_json(audit.rule_sums, "rule", "reason")},
          {"directories", std::move(directories)},
          {"go", std::move(go)},
          {"debug", std::move(debug)},
          {"layers", layers_json(audit)}};
}

}  // namespace

Json to_json(const Audit& audit, const std::vector<BrokenRule>& broken) {
  Json images = Json::array();
  for (const ImageAudit& image : audit.images)
    images.push_back(image_json(image));
  Json equal = Json::array();
  for (const EqualFiles& group : audit.equal) {
    Json places = Json::array();
    for (const EqualFiles::Place& place : group.places) {
      const ImageAudit& image = audit.images[place.image];
      places.push_back(
          {{"image", place.image}, {"layer", place.file.layer + 1}, {"path", path_of(image, place.file)}});
    }
    equal.push_back({{"size", group.size},
                     {"saving", group.saving},
                     {"across_images", group.across_images},
                     {"files", std::move(places)}});
  }
  Json rules = Json::array();
  for (const BrokenRule& rule : broken)
    rules.push_back({{"image", text(rule.image)}, {"rule", rule.rule}, {"text", rule.text}});
  return {{"version", 1},
          {"tool", {{"name", "imgslim"}, {"version", kVersion}}},
          {"images", std::move(images)},
          {"shared_layer_bytes", audit.shared_layer_bytes},
          {"equal", std::move(equal)},
          {"broken", std::move(rules)}};
}

}  // namespace imgslim
