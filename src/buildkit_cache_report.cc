// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "src/buildkit_cache/normal_cache.h"
#include "src/progress.h"

namespace imgslim {
namespace {

constexpr int kCacheReportVersion = 1;

Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

void describe_part(const CachePart& part, CacheDescription& out, std::set<Digest>& blobs) {
  std::vector<std::size_t> results_of(part.config.layers.size(), 0);
  for (const CacheRecord& record : part.config.records) {
    ++out.records;
    if (record.inputs.empty()) ++out.roots;
    if (!record.results.empty() || !record.chains.empty()) ++out.results;
    for (const CacheResult& result : record.results)
      ++results_of[result.layer];
    for (const CacheChain& chain : record.chains)
      ++results_of[chain.layers.back()];
  }
  for (std::size_t i = 0; i < part.config.layers.size(); ++i) {
    CacheLayerLine line{part.platform, part.config.layers[i].blob, 0, "", "", "", "", results_of[i]};
    if (const auto stated = part.layers.find(line.blob); stated != part.layers.end()) {
      line.size = stated->second.descriptor.size;
      line.media_type = stated->second.descriptor.media_type;
      line.diff_id = stated->second.diff_id;
      line.created_at = stated->second.created_at;
    }
    line.step = part.steps[i];
    if (blobs.insert(line.blob).second) {
      ++out.blobs;
      out.bytes += line.size;
    }
    out.layers.push_back(std::move(line));
  }
}

std::string on_one_line(const std::string& step) {
  std::string text = step;
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return printable(text, 1000);
}

// Cut to `columns` bytes, not inside a character.
std::string fit(std::string text, std::size_t columns) {
  if (text.size() <= columns) return text;
  std::size_t end = columns > 2 ? columns - 2 : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return text.substr(0, end) + "..";
}

}  // namespace

bool CacheDescription::ok() const {
  return std::none_of(problems.begin(), problems.end(),
                      [](const CacheProblem& problem) { return problem.failure; });
}

CacheDescription describe_cache(const BuildkitCache& cache, const Examination& examination, bool verified) {
  CacheDescription out;
  out.name = cache.name;
  out.digest = cache.root.digest.text();
  out.form = cache.form;
  if (cache.config) {
    out.manifest_bytes = cache.root.size;
    out.config_bytes = cache.config->size;
  }
  std::set<Digest> blobs;
  std::vector<const CacheConfig*> configs;
  for (const CachePart& part : cache.parts) {
    describe_part(part, out, blobs);
    configs.push_back(&part.config);
  }
  const NormalCache normal =
      make_normal(configs, [&](const Digest& blob) { return examination.layers.count(blob) != 0; });
  out.useful_records = normal.config.records.size();
  out.useful_layers = normal.config.layers.size();
  out.useful_config_bytes = dump_cache_config(normal.config).size();
  out.problems = cache.problems;
  for (const std::vector<CacheProblem>& more : {record_problems(cache), examination.problems})
    out.problems.insert(out.problems.end(), more.begin(), more.end());
  if (normal.config.layers.empty()) out.problems.push_back({true, "no build can get a result from it"});
  if (normal.idle_records > 0)
    out.problems.push_back(
        {false, fmt::format("records that lead to no result of use: {}", normal.idle_records)});
  out.verified = verified;
  out.blobs_read = examination.blobs_read;
  out.bytes_read = examination.bytes_read;
  return out;
}

Json to_json(const CacheDescription& cache) {
  Json json;
  json["version"] = kCacheReportVersion;
  json["kind"] = "buildkit";
  json["name"] = printable(cache.name);
  json["digest"] = cache.digest;
  json["form"] = name_of(cache.form);
  json["manifest_bytes"] = cache.form == CacheForm::kInline ? Json(nullptr) : Json(cache.manifest_bytes);
  json["config_bytes"] = cache.form == CacheForm::kInline ? Json(nullptr) : Json(cache.config_bytes);
  json["largest_bytes"] = kMaxImportedBytes;
  json["records"] = Json{{"all", cache.records}, {"roots", cache.roots}, {"with_result", cache.results}};
  json["layers"] = Json::array();
  for (const CacheLayerLine& layer : cache.layers) {
    Json item;
    item["platform"] = or_null(layer.platform);
    item["digest"] = layer.blob.text();
    item["size"] = layer.size;
    item["media_type"] = or_null(printable(layer.media_type));
    item["diff_id"] = or_null(printable(layer.diff_id));
    item["created_at"] = or_null(printable(layer.created_at));
    item["step"] = or_null(printable(layer.step, 4000));
    item["records"] = layer.records;
    json["layers"].push_back(std::move(item));
  }
  json["blobs"] = Json{{"count", cache.blobs}, {"bytes", cache.bytes}};
  json["useful"] = Json{{"records", cache.useful_records},
                        {"layers", cache.useful_layers},
                        {"config_bytes", cache.useful_config_bytes}};
  json["verified"] =
      cache.verified ? Json{{"blobs", cache.blobs_read}, {"bytes", cache.bytes_read}} : Json(nullptr);
  json["ok"] = cache.ok();
  json["problems"] = Json::array();
  for (const CacheProblem& problem : cache.problems) {
    json["problems"].push_back(
        Json{{"severity", problem.failure ? "failure" : "note"}, {"text", printable(problem.text, 2000)}});
  }
  return json;
}

std::string to_text(const CacheDescription& cache, int width) {
  const std::size_t columns = static_cast<std::size_t>(std::clamp(width, 60, 160));
  std::string out = fmt::format("{} {}\n", printable(cache.name), cache.digest);
  const auto add = [&](const std::string& line) {
    const std::size_t end = line.find_last_not_of(' ');
    out += line.substr(0, end == std::string::npos ? 0 : end + 1) + '\n';
  };
  add(cache.form == CacheForm::kInline
          ? std::string("BuildKit cache, inline")
          : fmt::format("BuildKit cache, {} form; config {} of at most {}", name_of(cache.form),
                        human_bytes(cache.config_bytes), human_bytes(kMaxImportedBytes)));
  add(fmt::format("{} records, {} without inputs, {} with a result", cache.records, cache.roots,
                  cache.results));
  add(fmt::format("{} layers in {} blobs, {}", cache.layers.size(), cache.blobs, human_bytes(cache.bytes)));
  add(fmt::format("of use: {} records, {} layers, a config of {}", cache.useful_records, cache.useful_layers,
                  human_bytes(cache.useful_config_bytes)));
  if (!cache.layers.empty()) {
    add("");
    add(fmt::format("{:<19} {:>9} {:>7} {:<20} {}", "layer", "size", "results", "created", "step"));
    std::string platform;
    for (const CacheLayerLine& layer : cache.layers) {
      if (layer.platform != platform) add((platform = layer.platform) + ":");
      add(fmt::format("{:<19} {:>9} {:>7} {:<20} {}", layer.blob.short_text(), human_bytes(layer.size),
                      layer.records, fit(printable(layer.created_at), 20),
                      fit(on_one_line(layer.step), columns - 59)));
    }
  }
  if (!cache.problems.empty()) add("");
  for (const CacheProblem& problem : cache.problems)
    add(fmt::format("{}: {}", problem.failure ? "problem" : "note", printable(problem.text, 400)));
  if (cache.verified) {
    add("");
    add(fmt::format("{} blobs read, {}: {}", cache.blobs_read, human_bytes(cache.bytes_read),
                    cache.ok() ? "all that the cache states holds" : "not all that the cache states holds"));
  }
  return out;
}

}  // namespace imgslim
