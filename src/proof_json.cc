// SPDX-License-Identifier: Apache-2.0
// Writes the document of imgslim-proof(5). Paths are rows in the order of a walk, each with its depth and
// last name; attributes and witnesses are tables that the rows point into.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "src/proof_parts.h"

namespace imgslim {
namespace {

// Where each directory's name ends, the path of row `index` is its parent's and one name.
std::size_t depth_of(std::string_view path) {
  return path == "/" ? 0 : static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
}

std::string_view last_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

class Writer {
 public:
  Json write(const Proof& proof) {
    Json json;
    json["version"] = kProofVersion;
    json["tool"] = {{"name", "imgslim"}, {"version", proof.version}, {"rules", proof.rules}};
    json["tool"]["libraries"] = Json::object();
    for (const auto& [name, version] : proof.libraries)
      json["tool"]["libraries"][name] = version;
    json["form"] = name_of(proof.form);
    json["accept"] = name_of(proof.accept);
    json["options"] = texts(proof.options);
    json["source"] = proof.source_digest;
    json["result"] = proof.result_digest;
    json["platforms"] = Json::array();
    for (const ProofPlatform& platform : proof.platforms)
      json["platforms"].push_back(write(platform));
    return json;
  }

 private:
  static Json texts(const std::vector<std::string>& values) {
    Json array = Json::array();
    for (const std::string& value : values)
      array.push_back(escape_bytes(value));
    return array;
  }

  Json write(const ProofPlatform& platform) {
    Json json;
    json["platform"] = escape_bytes(platform.platform);
    json["source"] = platform.source_digest;
    json["result"] = platform.result_digest;
    json["weakest"] = name_of(platform.weakest);
    json["bytes"] = {{"source", platform.source_bytes},
                     {"kept", platform.kept_bytes},
                     {"padding", platform.padding_bytes}};
    json["roots"] = Json::array();
    for (const ProofRoot& root : platform.roots) {
      json["roots"].push_back({{"origin", escape_bytes(root.origin)},
                               {"argv", texts(root.argv)},
                               {"program", escape_bytes(root.program)}});
    }
    json["attributes"] = Json::array();
    for (const ProofAttributes& attributes : platform.attributes)
      json["attributes"].push_back(attributes_text(attributes));
    json["witnesses"] = Json::array();
    for (const ProofWitness& witness : platform.witnesses) {
      Json because = witness.path ? Json(*witness.path) : Json(escape_bytes(witness.origin));
      json["witnesses"].push_back(Json::array({escape_bytes(witness.rule), name_of(witness.evidence),
                                               std::move(because), escape_bytes(witness.detail)}));
    }
    json["paths"] = Json::array();
    for (const ProofPath& path : platform.paths) {
      Json row = Json::array(
          {depth_of(path.path), escape_bytes(last_name(path.path)), path.attributes, path.witness});
      const char type = platform.attributes[path.attributes].type;
      if (type == 'f') {
        row.push_back(path.size);
        row.push_back(fmt::format("{:016x}", path.crc));
      } else if (type == 'l') {
        row.push_back(escape_bytes(path.link));
      }
      json["paths"].push_back(std::move(row));
    }
    json["rules"] = Json::array();
    for (const ProofRule& rule : platform.rules) {
      json["rules"].push_back({{"id", escape_bytes(rule.id)},
                               {"reason", escape_bytes(rule.reason)},
                               {"entries", rule.entries},
                               {"bytes", rule.bytes}});
    }
    json["dropped"] = Json::array();
    for (const ProofGroup& group : platform.groups)
      json["dropped"].push_back(
          Json::array({escape_bytes(group.path), group.rule, group.entries, group.bytes}));
    for (const ProofDebugFile& file : platform.debug_files)
      json["debug_info"].push_back(write(platform, file));
    json["findings"] = Json::array();
    for (const ProofFinding& finding : platform.findings)
      json["findings"].push_back(write(platform, finding));
    json["not_covered"] = texts(platform.not_covered);
    return json;
  }

  // A kept path by its number, another one as text.
  static Json place(const ProofPlatform& platform, const std::string& path) {
    const ProofPath* found = platform.find(path);
    if (found == nullptr) return escape_bytes(path);
    return static_cast<std::uint64_t>(found - platform.paths.data());
  }

  static Json write(const ProofPlatform& platform, const ProofDebugFile& file) {
    Json json;
    json["path"] = place(platform, file.path);
    json["before"] = {{"digest", file.source_digest}, {"size", file.source_size}};
    json["after"] = {{"digest", file.result_digest}, {"size", file.result_size}};
    json["loaded"] = file.loaded_digest;
    json["sections"] = Json::array();
    for (const TakenSection& section : file.sections)
      json["sections"].push_back(Json::array({escape_bytes(section.name), section.bytes}));
    if (!file.companion.empty()) json["companion"] = file.companion;
    return json;
  }

  static Json write(const ProofPlatform& platform, const ProofFinding& finding) {
    Json json;
    json["kind"] = finding.kind == ProofFinding::Kind::kLoad ? "dlopen" : "exec";
    json["path"] = place(platform, finding.path);
    json["evidence"] = name_of(finding.evidence);
    if (finding.site != 0) json["site"] = finding.site;
    const auto text = [&](const char* key, const std::string& value) {
      if (!value.empty()) json[key] = escape_bytes(value);
    };
    text("callee", finding.callee);
    text("function", finding.function);
    text("package", finding.package);
    if (!finding.names.empty()) json["names"] = texts(finding.names);
    if (!finding.symbols.empty()) json["symbols"] = texts(finding.symbols);
    for (const std::string& path : finding.found)
      json["found"].push_back(place(platform, path));
    if (finding.may_be_missing) json["may_be_missing"] = true;
    text("reason", finding.reason);
    return json;
  }
};

}  // namespace

std::string attributes_text(const ProofAttributes& a) {
  std::string text = fmt::format("{} {:04o} {} {}", a.type, a.mode, a.uid, a.gid);
  if (!a.xattrs.empty()) text += " " + a.xattrs;
  return text;
}

std::string escape_bytes(std::string_view bytes) {
  return printable(bytes, std::numeric_limits<std::size_t>::max());
}

std::optional<std::string> unescape_bytes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 4 || text[i + 1] != 'x') return std::nullopt;
    unsigned byte = 0;
    for (const char c : text.substr(i + 2, 2)) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(c);
      if (digit == std::string_view::npos) return std::nullopt;
      byte = byte << 4 | static_cast<unsigned>(digit);
    }
    out += static_cast<char>(byte);
    i += 3;
  }
  return out;
}

std::string write_proof(const Proof& proof) {
  return dump_json(Writer().write(proof)) + "\n";
}

}  // namespace imgslim
