// SPDX-License-Identifier: Apache-2.0
#include "src/audit/footprint.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "src/audit/words.h"

namespace imgslim {
namespace {

// An audit of an image of a million files.
constexpr JsonLimits kAuditLimits{std::size_t{1} << 30, 64, 50000000};

// Names as the JSON has them, so that an audit and its own document compare as equal.
std::string text(std::string_view bytes) {
  return printable(bytes, std::string_view::npos);
}

const Json& array_in(const Json& object, std::string_view key, std::string_view what) {
  static const Json kEmpty = Json::array();
  const Json* found = find_member(object, key);
  if (found == nullptr) return kEmpty;
  if (!found->is_array()) throw_bad_image(fmt::format("{}: {} is not an array", what, key));
  return *found;
}

std::uint64_t size_in(const Json& object, std::string_view key, std::string_view what) {
  return size_member(object, key, what).value_or(0);
}

FootprintProgram program_from(const Json& json, std::string_view what) {
  FootprintProgram program;
  program.size = size_in(json, "bytes", what);
  for (const Json& part : array_in(json, "parts", what)) {
    require_object(part, what);
    program.parts[string_member(part, "name", what)] = size_in(part, "bytes", what);
  }
  for (const Json& row : array_in(json, "modules", what)) {
    require_object(row, what);
    FootprintModule& module = program.modules[string_member(row, "module", what)];
    module.version = string_member(row, "version", what);
    module.code = size_in(row, "code", what);
    module.is_main = bool_member(row, "main", what);
    for (const Json& package : array_in(row, "packages", what)) {
      require_object(package, what);
      module.packages[string_member(package, "name", what)] = size_in(package, "bytes", what);
    }
  }
  return program;
}

Footprint footprint_from(const Json& json, std::string_view what) {
  require_object(json, what);
  Footprint out;
  out.name = string_member(json, "name", what);
  out.platform = string_member(json, "platform", what);
  out.digest = string_member(json, "digest", what);
  out.compressed = size_in(json, "compressed", what);
  out.unpacked = size_in(json, "unpacked", what);
  for (const Json& package : array_in(json, "packages", what)) {
    require_object(package, what);
    out.package_versions[string_member(package, "package", what)] = string_member(package, "version", what);
  }
  for (const Json& program : array_in(json, "go", what)) {
    require_object(program, what);
    out.programs[string_member(program, "path", what)] = program_from(program, what);
  }
  for (const Json& row : array_in(json, "layers", what)) {
    require_object(row, what);
    const auto index = static_cast<std::uint32_t>(out.layers.size());
    out.layers.push_back({string_member(row, "digest", what), step_text(string_member(row, "step", what)),
                          bool_member(row, "base", what), size_in(row, "compressed", what),
                          size_in(row, "unpacked", what)});
    for (const Json& entry : array_in(row, "entries", what)) {
      require_object(entry, what);
      if (string_member(entry, "type", what) != "file") continue;
      FootprintFile file;
      file.content = size_in(entry, "content", what);
      file.unpacked = file.content + size_in(entry, "headers", what) + size_in(entry, "padding", what);
      file.compressed = size_in(entry, "compressed", what);
      const std::string crc = string_member(entry, "crc64", what);
      std::from_chars(crc.data(), crc.data() + crc.size(), file.checksum, 16);
      file.layer = index;
      file.hidden = find_member(entry, "hidden") != nullptr;
      file.package = string_member(entry, "package", what);
      out.files.emplace(string_member(entry, "path", what), std::move(file));
    }
  }
  return out;
}

}  // namespace

std::string_view name_of(Owner owner) {
  switch (owner) {
    case Owner::kBase:
      return "base";
    case Owner::kDependency:
      return "dependency";
    case Owner::kOwn:
      return "own code";
  }
  return "";
}

Footprint footprint_of(const ImageAudit& audit) {
  Footprint out;
  out.name = text(audit.name);
  out.platform = text(audit.platform);
  out.digest = audit.digest;
  out.compressed = audit.compressed();
  out.unpacked = audit.unpacked();
  for (const Package& package : audit.packages)
    out.package_versions[text(package.name)] = text(package.version);
  for (const GoProgramSize& program : audit.go_programs) {
    FootprintProgram& to = out.programs[text(program.path)];
    to.size = program.size;
    for (const NamedBytes& part : program.parts)
      to.parts[part.name] = part.bytes;
    for (const GoModuleBytes& module : program.modules) {
      FootprintModule& row = to.modules[text(module.path)];
      row = {text(module.version), module.code, module.is_main, {}};
      for (const NamedBytes& package : module.packages)
        row.packages[text(package.name)] = package.bytes;
    }
  }
  for (std::uint32_t i = 0; i < audit.tables.size(); ++i) {
    const LayerTable& table = *audit.tables[i];
    out.layers.push_back({audit.layer_digests[i], step_text(audit.steps[i]), i < audit.base_layers,
                          table.blob_size, table.plain_size});
    for (std::uint32_t k = 0; k < table.entries.size(); ++k) {
      const Entry& entry = table.entries[k];
      if (entry.type != EntryType::kRegular) continue;
      const AuditRow& row = audit.layers[i].rows[k];
      FootprintFile file{entry.stored_size,
                         entry.tar_bytes,
                         row.compressed,
                         entry.size > 0 ? entry.crc : 0,
                         i,
                         row.visibility != Visibility::kVisible,
                         text(package_of(audit, {i, k}))};
      out.files.emplace("/" + text(entry.path), std::move(file));
    }
  }
  return out;
}

std::vector<Footprint> read_footprints(std::string_view json, std::string_view what) {
  try {
    const Json document = parse_json(json, what, kAuditLimits);
    require_object(document, what);
    if (size_member(document, "version", what) != 1 || find_member(document, "images") == nullptr) {
      throw_usage(fmt::format("{}: it is no document of imgslim audit --format json", what));
    }
    std::vector<Footprint> out;
    for (const Json& image : array_in(document, "images", what))
      out.push_back(footprint_from(image, what));
    return out;
  } catch (const Error& error) {
    throw_usage(error.what());
  }
}

}  // namespace imgslim
