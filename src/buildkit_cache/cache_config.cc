// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache/cache_config.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "layers/error.h"
#include "layers/json_fields.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxLayers = 20000;
constexpr std::size_t kMaxRecords = 200000;
constexpr std::size_t kMaxSelector = 1024;

const Json* list_member(const Json& object, std::string_view key, std::string_view what) {
  const Json* list = find_member(object, key);
  if (list != nullptr && !list->is_array())
    throw_bad_image(fmt::format("{}: \"{}\" is not a list", what, key));
  return list;
}

// The number of something there are `count` of.
std::uint32_t index_from(const Json& value, std::size_t count, std::string_view key, std::string_view what) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() < count
                        : value.is_number_integer() && value.get<std::int64_t>() >= 0 &&
                              static_cast<std::uint64_t>(value.get<std::int64_t>()) < count;
  if (!fits) throw_bad_image(fmt::format("{}: \"{}\" names none of the {} there are", what, key, count));
  return value.get<std::uint32_t>();
}

std::uint32_t index_member(const Json& object, std::string_view key, std::size_t count,
                           std::string_view what) {
  const Json* value = find_member(object, key);
  if (value == nullptr) throw_bad_image(fmt::format("{}: \"{}\" is missing", what, key));
  return index_from(*value, count, key, what);
}

std::string time_member(const Json& object, std::string_view what) {
  std::string text = string_member(object, "createdAt", what);
  if (!text.empty() && !is_rfc3339(text)) {
    throw_bad_image(fmt::format("{}: \"createdAt\" is no time: {}", what, printable(text, 40)));
  }
  return text;
}

CacheLayer layer_from(const Json& json, std::size_t count, const std::string& what) {
  require_object(json, what);
  refuse_other_case(json, {"blob", "parent", "annotations"}, what);
  const std::string text = string_member(json, "blob", what);
  const auto blob = Digest::parse(text);
  if (!blob) throw_bad_image(fmt::format("{}: \"{}\" is not a digest", what, printable(text, 80)));
  // Go leaves a zero out, so that a layer without this field stands on layer 0.
  CacheLayer layer{*blob, 0};
  if (const Json* parent = find_member(json, "parent")) {
    const bool none = parent->is_number_integer() && !parent->is_number_unsigned() && *parent == kNoParent;
    layer.parent = none ? kNoParent : static_cast<std::int32_t>(index_from(*parent, count, "parent", what));
  }
  if (layer.parent >= static_cast<std::int32_t>(count)) throw_bad_image(what + ": \"parent\" names no layer");
  return layer;
}

CacheRecord record_from(const Json& json, std::size_t layers, std::size_t records, const std::string& what) {
  require_object(json, what);
  refuse_other_case(json, {"layers", "chains", "digest", "inputs"}, what);
  CacheRecord record;
  record.digest = string_member(json, "digest", what);
  if (!record.is_random() && !Digest::parse(record.digest)) {
    throw_bad_image(fmt::format("{}: \"{}\" is not a digest", what, printable(record.digest, 80)));
  }
  if (const Json* results = list_member(json, "layers", what)) {
    for (const Json& item : *results) {
      const std::string where = what + ", result";
      require_object(item, where);
      refuse_other_case(item, {"layer", "createdAt"}, where);
      record.results.push_back({index_member(item, "layer", layers, where), time_member(item, where)});
    }
  }
  if (const Json* chains = list_member(json, "chains", what)) {
    for (const Json& item : *chains) {
      const std::string where = what + ", chain";
      require_object(item, where);
      refuse_other_case(item, {"layers", "createdAt"}, where);
      CacheChain chain{{}, time_member(item, where)};
      if (const Json* list = list_member(item, "layers", where)) {
        for (const Json& layer : *list)
          chain.layers.push_back(index_from(layer, layers, "layers", where));
      }
      if (chain.layers.empty()) throw_bad_image(where + ": has no layers");
      record.chains.push_back(std::move(chain));
    }
  }
  if (const Json* inputs = list_member(json, "inputs", what)) {
    for (const Json& alternatives : *inputs) {
      const std::string where = fmt::format("{}, input {}", what, record.inputs.size() + 1);
      record.inputs.emplace_back();
      // Go writes a list of none as null.
      if (alternatives.is_null()) continue;
      if (!alternatives.is_array()) throw_bad_image(where + ": is not a list");
      for (const Json& item : alternatives) {
        require_object(item, where);
        refuse_other_case(item, {"selector", "link"}, where);
        CacheInput input{index_member(item, "link", records, where), string_member(item, "selector", where)};
        if (input.selector.size() > kMaxSelector) throw_bad_image(where + ": the selector is too long");
        record.inputs.back().push_back(std::move(input));
      }
    }
  }
  return record;
}

void check_layer_loops(const CacheConfig& config, std::string_view what) {
  // A walk down marks what it passes with its own number; one that meets its own mark is in a circle.
  std::vector<std::size_t> walk_of(config.layers.size(), 0);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    for (auto at = static_cast<std::int32_t>(i); at != kNoParent;
         at = config.layers[static_cast<std::size_t>(at)].parent) {
      std::size_t& mark = walk_of[static_cast<std::size_t>(at)];
      if (mark == i + 1) throw_bad_image(fmt::format("{}: layer {} is below itself", what, at));
      if (mark != 0) break;
      mark = i + 1;
    }
  }
}

void read_records(const Json* records, CacheConfig& config, std::string_view what) {
  if (records == nullptr) return;
  if (records->size() > kMaxRecords)
    throw_bad_image(fmt::format("{}: {} records, more than {}", what, records->size(), kMaxRecords));
  for (const Json& item : *records) {
    config.records.push_back(record_from(item, config.layers.size(), records->size(),
                                         fmt::format("{}: record {}", what, config.records.size())));
  }
  records_by_need(config, what);
}

Json results_json(const CacheRecord& record) {
  Json list = Json::array();
  for (const CacheResult& result : record.results) {
    Json item;
    item["layer"] = result.layer;
    if (!result.created_at.empty()) item["createdAt"] = result.created_at;
    list.push_back(std::move(item));
  }
  return list;
}

Json chains_json(const CacheRecord& record) {
  Json list = Json::array();
  for (const CacheChain& chain : record.chains) {
    Json item;
    item["layers"] = chain.layers;
    if (!chain.created_at.empty()) item["createdAt"] = chain.created_at;
    list.push_back(std::move(item));
  }
  return list;
}

Json inputs_json(const CacheRecord& record) {
  Json list = Json::array();
  for (const std::vector<CacheInput>& alternatives : record.inputs) {
    Json inner = Json::array();
    for (const CacheInput& input : alternatives) {
      Json item;
      if (!input.selector.empty()) item["selector"] = input.selector;
      item["link"] = input.link;
      inner.push_back(std::move(item));
    }
    list.push_back(std::move(inner));
  }
  return list;
}

}  // namespace

std::vector<std::uint32_t> records_by_need(const CacheConfig& config, std::string_view what) {
  const std::size_t count = config.records.size();
  std::vector<std::uint32_t> waits(count, 0);                // links not in the order yet
  std::vector<std::vector<std::uint32_t>> needed_by(count);  // once for each link
  for (std::uint32_t i = 0; i < count; ++i) {
    for (const std::vector<CacheInput>& alternatives : config.records[i].inputs) {
      for (const CacheInput& input : alternatives) {
        ++waits[i];
        needed_by[input.link].push_back(i);
      }
    }
  }
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (waits[i] == 0) order.push_back(i);
  }
  for (std::size_t at = 0; at < order.size(); ++at) {
    for (const std::uint32_t user : needed_by[order[at]]) {
      if (--waits[user] == 0) order.push_back(user);
    }
  }
  if (order.size() != count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (waits[i] != 0) throw_bad_image(fmt::format("{}: record {} needs itself", what, i));
    }
  }
  return order;
}

CacheConfig parse_cache_config(std::string_view text, std::string_view what) {
  const Json json = parse_json(text, what);
  require_object(json, what);
  refuse_other_case(json, {"layers", "records"}, what);
  CacheConfig config;
  if (const Json* layers = list_member(json, "layers", what)) {
    if (layers->size() > kMaxLayers)
      throw_bad_image(fmt::format("{}: {} layers, more than {}", what, layers->size(), kMaxLayers));
    for (const Json& item : *layers) {
      config.layers.push_back(
          layer_from(item, layers->size(), fmt::format("{}: layer {}", what, config.layers.size())));
    }
  }
  check_layer_loops(config, what);
  read_records(list_member(json, "records", what), config, what);
  return config;
}

CacheConfig parse_inline_records(std::string_view text, const std::vector<Digest>& layers,
                                 std::string_view what) {
  const Json json = parse_json(text, what);
  CacheConfig config;
  for (const Digest& layer : layers)
    config.layers.push_back({layer, static_cast<std::int32_t>(config.layers.size()) - 1});
  if (json.is_null()) return config;
  if (!json.is_array()) throw_bad_image(fmt::format("{}: not a list of records", what));
  read_records(&json, config, what);
  return config;
}

std::string dump_cache_config(const CacheConfig& config) {
  Json json = Json::object();
  if (!config.layers.empty()) {
    Json& layers = json["layers"] = Json::array();
    for (const CacheLayer& layer : config.layers) {
      Json item;
      item["blob"] = layer.blob.text();
      // Zero must be left out: that is how BuildKit's own reads back.
      if (layer.parent != 0) item["parent"] = layer.parent;
      layers.push_back(std::move(item));
    }
  }
  if (!config.records.empty()) {
    Json& records = json["records"] = Json::array();
    for (const CacheRecord& record : config.records) {
      Json item;
      if (!record.results.empty()) item["layers"] = results_json(record);
      if (!record.chains.empty()) item["chains"] = chains_json(record);
      item["digest"] = record.digest;
      if (!record.inputs.empty()) item["inputs"] = inputs_json(record);
      records.push_back(std::move(item));
    }
  }
  return dump_json(json);
}

bool is_rfc3339(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t digits) -> int {
    if (at + digits > text.size()) return -1;
    int value = 0;
    for (std::size_t i = at; i < at + digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const auto between = [](int value, int least, int most) { return value >= least && value <= most; };
  if (text.size() < 20 || text.size() > 64) return false;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return false;
  const int year = number(0, 4);
  const int month = number(5, 2);
  if (year < 0 || !between(month, 1, 12)) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (!between(number(8, 2), 1, kDays[month - 1] + (month == 2 && leap ? 1 : 0))) return false;
  if (!between(number(11, 2), 0, 23) || !between(number(14, 2), 0, 59) || !between(number(17, 2), 0, 59))
    return false;
  std::size_t at = 19;
  if (text[at] == '.') {
    const std::size_t end = text.find_first_not_of("0123456789", at + 1);
    if (end == std::string_view::npos || end == at + 1) return false;
    at = end;
  }
  if (text.substr(at) == "Z") return true;
  return text.size() == at + 6 && (text[at] == '+' || text[at] == '-') && text[at + 3] == ':' &&
         between(number(at + 1, 2), 0, 23) && between(number(at + 4, 2), 0, 59);
}

}  // namespace imgslim
