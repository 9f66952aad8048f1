// SPDX-License-Identifier: Apache-2.0
#include "src/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

#include "layers/compression.h"
#include "layers/digest.h"
#include "layers/error.h"
#include "src/copy.h"
#include "src/progress.h"
#include "src/version.h"

namespace imgslim {
namespace {

constexpr int kReportVersion = 1;

Json to_json(const BeforeAfter& value) {
  return Json{{"before", value.before}, {"after", value.after}};
}

Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

// Names of an image may be any bytes; JSON is UTF-8.
Json lines(const std::vector<std::string>& texts) {
  Json array = Json::array();
  for (const std::string& text : texts)
    array.push_back(printable(text, 2000));
  return array;
}

Json to_json(const DebugInfoReport& debug_info) {
  Json json;
  json["mode"] = debug_info.mode;
  json["symbols"] = debug_info.symbols;
  json["candidates"] = Json{
      {"files", debug_info.candidates}, {"bytes", debug_info.bytes}, {"compressed", debug_info.compressed}};
  json["artifact_digest"] = or_null(debug_info.artifact_digest);
  json["files"] = Json::array();
  for (const DebugFileReport& file : debug_info.files) {
    Json item;
    item["path"] = printable(file.path, 4096);
    item["links"] = Json::array();
    for (const std::string& link : file.links)
      item["links"].push_back(printable(link, 4096));
    item["left_alone"] = or_null(file.left_alone);
    item["detail"] = or_null(printable(file.detail, 400));
    item["size"] = to_json(file.size);
    item["source_digest"] = or_null(file.source_digest);
    item["result_digest"] = or_null(file.result_digest);
    item["loaded_digest"] = or_null(file.loaded_digest);
    item["sections"] = Json::array();
    for (const TakenSection& section : file.sections)
      item["sections"].push_back(printable(section.name));
    item["companion"] = or_null(file.companion);
    json["files"].push_back(std::move(item));
  }
  return json;
}

Json to_json(const BuildkitCacheReport& cache) {
  Json json;
  json["source"] =
      Json{{"name", printable(cache.source)}, {"digest", cache.source_digest}, {"form", cache.source_form}};
  json["result"] =
      Json{{"name", or_null(printable(cache.destination))}, {"digest", cache.digest}, {"form", cache.form}};
  json["records"] = to_json(cache.records);
  json["layers"] = to_json(cache.layers);
  json["blobs"] = Json{{"count", cache.blobs}, {"bytes", cache.bytes}};
  json["problems"] = lines(cache.problems);
  return json;
}

// What the table says of debug information, one line each.
std::vector<std::string> debug_info_lines(const DebugInfoReport& debug_info) {
  std::vector<std::string> lines;
  if (debug_info.candidates > 0) {
    lines.push_back(fmt::format("--debug-info split would save about {} ({} unpacked) in {} {}",
                                human_bytes(debug_info.compressed), human_bytes(debug_info.bytes),
                                debug_info.candidates, debug_info.candidates == 1 ? "file" : "files"));
  }
  std::map<std::string, std::size_t> left;
  std::size_t taken = 0;
  for (const DebugFileReport& file : debug_info.files) {
    if (file.left_alone.empty()) {
      ++taken;
    } else {
      ++left[file.left_alone];
    }
  }
  if (taken > 0) {
    const std::string where =
        debug_info.artifact_digest.empty()
            ? "gone"
            : "in " + debug_info.artifact_digest.substr(0, 19) + " (imgslim debug-info)";
    lines.push_back(
        fmt::format("debug information of {} {} is {}", taken, taken == 1 ? "file" : "files", where));
  }
  for (const auto& [reason, count] : left) {
    lines.push_back(fmt::format("debug information left alone in {} {}: {}", count,
                                count == 1 ? "file" : "files", reason));
  }
  return lines;
}

Json to_json(const PlatformReport& platform) {
  Json json;
  json["platform"] = platform.platform;
  json["source_digest"] = platform.source_digest;
  json["result_digest"] = or_null(platform.result_digest);
  json["kind"] = platform.kind;
  json["compressed"] = to_json(platform.compressed());
  json["unpacked"] = to_json(platform.unpacked());
  json["layers"] = Json::array();
  for (const LayerReport& layer : platform.layers) {
    Json item;
    item["source_digest"] = layer.source_digest;
    item["result_digest"] = or_null(layer.result_digest);
    item["result_diff_id"] = or_null(layer.result_diff_id);
    item["created_by"] = printable(layer.created_by, 4000);
    item["action"] = layer.action;
    item["compressed"] = to_json(layer.compressed);
    item["unpacked"] = to_json(layer.unpacked);
    item["entries"] = to_json(layer.entries);
    json["layers"].push_back(std::move(item));
  }
  json["rules"] = Json::array();
  for (const RuleReport& rule : platform.rules) {
    json["rules"].push_back(Json{{"id", rule.id},
                                 {"reason", rule.reason},
                                 {"entries", rule.entries},
                                 {"unpacked", rule.unpacked},
                                 {"compressed", rule.compressed}});
  }
  json["roots"] = Json::array();
  for (const RootReport& root : platform.roots) {
    json["roots"].push_back(Json{{"origin", printable(root.origin)},
                                 {"argv", lines(root.argv)},
                                 {"program", or_null(printable(root.program, 4096))}});
  }
  json["debug_info"] = to_json(platform.debug_info);
  json["findings"] = lines(platform.findings);
  json["warnings"] = lines(platform.warnings);
  json["lost_inline_cache"] = platform.lost_inline_cache;
  json["lost_shell"] = platform.lost_shell;
  if (platform.base_layers > 0) {
    json["base"] = Json::object();
    json["base"]["layers"] = platform.base_layers;
    json["base"]["bytes_to_pull_above"] = platform.above_base;
  }
  return json;
}

std::string percent(const BeforeAfter& value) {
  if (value.before == value.after) return "";
  const double less = 100.0 * (1.0 - static_cast<double>(value.after) / static_cast<double>(value.before));
  return fmt::format("{:+.0f} %", -less + 0.0);
}

std::string sizes(const BeforeAfter& value) {
  if (value.before == value.after) return human_bytes(value.before);
  return fmt::format("{} > {}", human_bytes(value.before), human_bytes(value.after));
}

// Build steps begin with what all have in common; the words behind it tell them apart.
std::string step_text(const std::string& created_by) {
  std::string text = created_by;
  for (const std::string_view lead : {"/bin/sh -c #(nop) ", "/bin/sh -c ", "RUN /bin/sh -c "}) {
    if (text.starts_with(lead)) {
      text.erase(0, lead.size());
      break;
    }
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return printable(text, 1000);
}

// Cut to `width` columns (names are mostly ASCII; a cut inside a sequence is avoided).
std::string fit(std::string text, std::size_t width) {
  if (text.size() <= width) return text;
  std::size_t end = width > 2 ? width - 2 : width;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  text.resize(end);
  return text + "..";
}

Json to_json(const CacheReport& cache) {
  Json json;
  json["whole_run"] = cache.whole_run;
  json["layers"] = Json::array();
  for (const CacheReport::Layer& layer : cache.layers)
    json["layers"].push_back(
        Json{{"digest", layer.digest}, {"from", printable(layer.origin)}, {"bytes", layer.bytes}});
  json["outputs"] = Json{{"blobs", cache.outputs}, {"bytes", cache.output_bytes}};
  return json;
}

std::vector<std::string> cache_lines(const CacheReport& cache) {
  if (cache.whole_run) return {"cache: an earlier run did the same, and its result is there"};
  std::vector<std::string> lines;
  std::uint64_t bytes = 0;
  std::set<std::string> origins;
  for (const CacheReport::Layer& layer : cache.layers) {
    bytes += layer.bytes;
    origins.insert(printable(layer.origin));
  }
  if (!cache.layers.empty()) {
    lines.push_back(fmt::format("cache: {} layers, {}, not read again ({})", cache.layers.size(),
                                human_bytes(bytes), fmt::join(origins, ", ")));
  }
  if (cache.outputs > 0) {
    lines.push_back(fmt::format("cache: {} layers, {}, not written again", cache.outputs,
                                human_bytes(cache.output_bytes)));
  }
  return lines;
}

}  // namespace

BeforeAfter PlatformReport::compressed() const {
  BeforeAfter sum;
  for (const LayerReport& layer : layers) {
    sum.before += layer.compressed.before;
    sum.after += layer.compressed.after;
  }
  return sum;
}

BeforeAfter PlatformReport::unpacked() const {
  BeforeAfter sum;
  for (const LayerReport& layer : layers) {
    sum.before += layer.unpacked.before;
    sum.after += layer.unpacked.after;
  }
  return sum;
}

Json to_json(const Report& report) {
  Json json;
  json["version"] = kReportVersion;
  json["tool"] = Json{{"name", "imgslim"}, {"version", kVersion}, {"libraries", encoder_versions()}};
  json["source"] = Json{{"name", printable(report.source)}, {"digest", report.source_digest}};
  json["result"] =
      Json{{"name", or_null(printable(report.destination))}, {"digest", or_null(report.result_digest)}};
  json["form"] = name_of(report.form);
  json["stopped_by"] = or_null(report.stopped_by);
  json["changed"] = report.changed;
  json["dry_run"] = report.dry_run;
  json["platforms"] = Json::array();
  for (const PlatformReport& platform : report.platforms)
    json["platforms"].push_back(to_json(platform));
  json["left_out"] = lines(report.left_out);
  json["attestations_dropped"] = report.attestations_dropped;
  json["proof"] = nullptr;
  if (!report.proof.empty()) {
    json["proof"] =
        Json{{"digest", digest_of(report.proof).text()}, {"referrer", or_null(report.proof_referrer)}};
  }
  json["buildkit_cache"] = report.buildkit_cache ? to_json(*report.buildkit_cache) : Json(nullptr);
  json["transfers"] = to_json(report.transfers);
  json["cache"] = to_json(report.cache);
  return json;
}

std::string to_text(const Report& report, int width) {
  const std::size_t columns = static_cast<std::size_t>(std::clamp(width, 60, 160));
  std::string out;
  const auto add = [&](const std::string& line) {
    std::size_t end = line.find_last_not_of(' ');
    out += line.substr(0, end == std::string::npos ? 0 : end + 1) + '\n';
  };
  for (const PlatformReport& platform : report.platforms) {
    add(fit(fmt::format("{}  {}  form {}{}", printable(report.source), platform.platform,
                        name_of(report.form), report.changed ? "" : ", nothing to gain"),
            columns));
    const std::size_t step_width = columns - 3 - 11 - 19 - 19 - 3;
    add(fmt::format("{:>3} {:<10} {:>19} {:>19} {}", "", "layer", "compressed", "unpacked", "step"));
    for (std::size_t i = 0; i < platform.layers.size(); ++i) {
      const LayerReport& layer = platform.layers[i];
      add(fmt::format("{:>3} {:<10} {:>19} {:>19} {}", i + 1, layer.action, sizes(layer.compressed),
                      sizes(layer.unpacked), fit(step_text(layer.created_by), step_width)));
    }
    add(fmt::format("{:>3} {:<10} {:>19} {:>19} {}", "", "all", sizes(platform.compressed()),
                    sizes(platform.unpacked()), percent(platform.compressed())));
    if (!platform.rules.empty()) {
      add("");
      add(fmt::format("{:<16} {:>8} {:>11} {:>11} {}", "gone by rule", "entries", "compressed", "unpacked",
                      "reason"));
      for (const RuleReport& rule : platform.rules) {
        add(fmt::format("{:<16} {:>8} {:>11} {:>11} {}", fit(rule.id, 16), rule.entries,
                        human_bytes(rule.compressed), human_bytes(rule.unpacked),
                        fit(rule.reason, columns - 51)));
      }
    }
    const std::vector<std::string> debug_info = debug_info_lines(platform.debug_info);
    if (!debug_info.empty()) add("");
    for (const std::string& line : debug_info)
      add(fit(line, columns));
    add("");
  }
  if (!report.left_out.empty()) add(fmt::format("left out: {}", fmt::join(report.left_out, ", ")));
  for (const std::string& line : cache_lines(report.cache))
    add(fit(line, columns));
  if (report.dry_run) {
    add("dry run: nothing was written; compressed sizes of rewritten layers are estimates");
  } else {
    add(fmt::format("{} {}", printable(report.destination), report.result_digest));
  }
  if (report.buildkit_cache) {
    const BuildkitCacheReport& cache = *report.buildkit_cache;
    add(fmt::format("BuildKit cache{}{} {}: {} form, {} records, {} layers, {}",
                    cache.destination.empty() ? "" : " ", printable(cache.destination), cache.digest,
                    cache.form, cache.records.after, cache.layers.after, human_bytes(cache.bytes)));
  }
  if (report.transfers.any()) add(to_text(report.transfers));
  return out;
}

}  // namespace imgslim
