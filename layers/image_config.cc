// SPDX-License-Identifier: Apache-2.0
// Image configs (image-spec config.md).
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/manifest.h"

namespace imgslim {
namespace {

std::vector<Digest> parse_diff_ids(const Json& document, std::size_t layer_count, std::string_view what) {
  std::vector<Digest> out;
  if (const Json* rootfs = find_member(document, "rootfs")) {
    const std::string where = fmt::format("{}: rootfs", what);
    require_object(*rootfs, where);
    refuse_other_case(*rootfs, {"type", "diff_ids"}, where);
    // The specification demands a type, but slim writes none.
    const std::string type = string_member(*rootfs, "type", where);
    if (!type.empty() && type != "layers") {
      throw_bad_image(fmt::format("{}: type \"{}\" is not \"layers\"", where, printable(type)));
    }
    if (const Json* ids = find_member(*rootfs, "diff_ids")) {
      if (!ids->is_array()) throw_bad_image(fmt::format("{}: \"diff_ids\" is not a list", where));
      for (const Json& id : *ids) {
        const auto digest = id.is_string() ? Digest::parse(id.get<std::string>()) : std::nullopt;
        if (!digest) throw_bad_image(fmt::format("{}: DiffID {} is not a digest", where, out.size() + 1));
        out.push_back(*digest);
      }
    }
  }
  if (out.size() != layer_count) {
    throw_bad_image(fmt::format("{}: {} DiffIDs for {} layers", what, out.size(), layer_count));
  }
  return out;
}

std::vector<HistoryItem> parse_history(const Json& document, std::size_t layer_count, std::string_view what) {
  const Json* history = find_member(document, "history");
  if (history == nullptr) return {};
  if (!history->is_array()) throw_bad_image(fmt::format("{}: \"history\" is not a list", what));
  std::vector<HistoryItem> out;
  for (const Json& item : *history) {
    const std::string where = fmt::format("{}: history item {}", what, out.size() + 1);
    require_object(item, where);
    out.push_back({string_member(item, "created_by", where), bool_member(item, "empty_layer", where)});
  }
  const auto filled = static_cast<std::size_t>(
      std::count_if(out.begin(), out.end(), [](const HistoryItem& item) { return !item.empty_layer; }));
  if (!out.empty() && filled != layer_count) {
    throw_bad_image(fmt::format("{}: the history has {} layers, the manifest {}", what, filled, layer_count));
  }
  return out;
}

}  // namespace

ImageConfig ImageConfig::parse(std::string_view text, std::size_t layer_count, std::string_view what) {
  ImageConfig out;
  out.json = parse_json(text, what);
  const Json& document = out.json;
  require_object(document, what);
  refuse_other_case(document, {"architecture", "os", "variant", "config", "rootfs", "history"}, what);
  out.platform = {string_member(document, "os", what), string_member(document, "architecture", what),
                  string_member(document, "variant", what)};
  out.diff_ids = parse_diff_ids(document, layer_count, what);
  out.history = parse_history(document, layer_count, what);

  const Json* config = find_member(document, "config");
  if (config == nullptr) return out;
  const std::string where = fmt::format("{}: config", what);
  require_object(*config, where);
  out.env = strings_member(*config, "Env", where);
  out.entrypoint = strings_member(*config, "Entrypoint", where);
  out.cmd = strings_member(*config, "Cmd", where);
  out.shell = strings_member(*config, "Shell", where);
  out.user = string_member(*config, "User", where);
  out.working_dir = string_member(*config, "WorkingDir", where);
  if (const Json* healthcheck = find_member(*config, "Healthcheck")) {
    require_object(*healthcheck, fmt::format("{}: Healthcheck", where));
    out.healthcheck = strings_member(*healthcheck, "Test", fmt::format("{}: Healthcheck", where));
  }
  if (const Json* volumes = find_member(*config, "Volumes")) {
    require_object(*volumes, fmt::format("{}: Volumes", where));
    for (const auto& item : volumes->items())
      out.volumes.push_back(item.key());
  }
  return out;
}

}  // namespace imgslim
