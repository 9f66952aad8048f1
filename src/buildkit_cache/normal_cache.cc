// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache/normal_cache.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

namespace imgslim {
namespace {

// The layers of a config from the bottom up: each after its parent.
std::vector<std::uint32_t> layers_by_parent(const std::vector<CacheLayer>& layers) {
  std::vector<std::uint32_t> order;
  std::vector<bool> placed(layers.size(), false);
  std::vector<std::uint32_t> path;
  for (std::uint32_t i = 0; i < layers.size(); ++i) {
    path.clear();
    for (auto at = static_cast<std::int32_t>(i); at != kNoParent && !placed[static_cast<std::size_t>(at)];
         at = layers[static_cast<std::size_t>(at)].parent) {
      path.push_back(static_cast<std::uint32_t>(at));
      placed[static_cast<std::size_t>(at)] = true;
    }
    order.insert(order.end(), path.rbegin(), path.rend());
  }
  return order;
}

// A layer that is not among those collected, which as a parent is none.
constexpr std::int32_t kNoNumber = kNoParent;

// What a layer is, whatever its number: the blobs of it and of those below it.
struct LayerPlace {
  std::uint32_t depth = 0;
  Digest chain;
};

// Collects the layers and records of several configs, each once.
class Collector {
 public:
  explicit Collector(const std::function<bool(const Digest&)>& usable) : usable_(usable) {}

  void add(const CacheConfig& config) {
    find_usable_layers(config);
    const std::vector<std::uint32_t> order = records_by_need(config, "the cache");
    const std::vector<bool> needed = find_needed(config, order);
    std::vector<std::optional<std::uint32_t>> number(config.records.size());
    for (const std::uint32_t i : order) {
      if (needed[i]) number[i] = add_record(config, config.records[i], number);
    }
  }

  NormalCache finish() {
    drop_repeated_results();
    sort_layers();
    sort_records();
    return std::move(normal_);
  }

 private:
  // What two records must share to be one.
  struct RecordPlace {
    Digest id;
    std::vector<std::vector<std::tuple<std::string, std::string, Digest>>> inputs;  // selector, key, id
  };

  void find_usable_layers(const CacheConfig& config) {
    blob_usable_.assign(config.layers.size(), false);
    chain_usable_.assign(config.layers.size(), false);
    layer_number_.assign(config.layers.size(), kNoNumber);
    for (const std::uint32_t i : layers_by_parent(config.layers)) {
      const CacheLayer& layer = config.layers[i];
      blob_usable_[i] = usable_(layer.blob);
      chain_usable_[i] = blob_usable_[i] &&
                         (layer.parent == kNoParent || chain_usable_[static_cast<std::size_t>(layer.parent)]);
    }
  }

  bool is_usable(const CacheChain& chain) const {
    return std::all_of(chain.layers.begin(), chain.layers.end(),
                       [&](std::uint32_t layer) { return blob_usable_[layer]; });
  }

  // Records that can be hit and are of use: with a result, or on the way to one.
  std::vector<bool> find_needed(const CacheConfig& config, const std::vector<std::uint32_t>& order) {
    alive_.assign(config.records.size(), false);
    std::vector<bool> needed(config.records.size(), false);
    for (const std::uint32_t i : order) {
      const CacheRecord& record = config.records[i];
      if (record.is_random()) {
        ++normal_.random_records;
        continue;
      }
      alive_[i] = std::all_of(record.inputs.begin(), record.inputs.end(), [&](const auto& alternatives) {
        return std::any_of(alternatives.begin(), alternatives.end(),
                           [&](const CacheInput& input) { return alive_[input.link]; });
      });
      if (!alive_[i]) {
        ++normal_.incomplete_records;
        continue;
      }
      for (const CacheResult& result : record.results) {
        if (chain_usable_[result.layer]) {
          needed[i] = true;
        } else {
          ++normal_.lost_results;
        }
      }
      for (const CacheChain& chain : record.chains) {
        if (is_usable(chain)) {
          needed[i] = true;
        } else {
          ++normal_.lost_results;
        }
      }
    }
    for (auto i = order.rbegin(); i != order.rend(); ++i) {
      if (!needed[*i]) {
        if (alive_[*i]) ++normal_.idle_records;
        continue;
      }
      for (const auto& alternatives : config.records[*i].inputs) {
        for (const CacheInput& input : alternatives) {
          if (alive_[input.link]) needed[input.link] = true;
        }
      }
    }
    return needed;
  }

  // The layer's number among all; those below it come first, if they are usable.
  std::uint32_t add_layer(const CacheConfig& config, std::uint32_t index) {
    std::vector<std::uint32_t> path;
    for (auto at = static_cast<std::int32_t>(index); at != kNoParent;
         at = config.layers[static_cast<std::size_t>(at)].parent) {
      const auto place = static_cast<std::uint32_t>(at);
      if (!blob_usable_[place]) break;
      path.push_back(place);
      if (layer_number_[place] != kNoNumber) break;
    }
    for (auto place = path.rbegin(); place != path.rend(); ++place) {
      if (layer_number_[*place] != kNoNumber) continue;
      const CacheLayer& layer = config.layers[*place];
      const std::int32_t below =
          layer.parent == kNoParent ? kNoParent : layer_number_[static_cast<std::size_t>(layer.parent)];
      layer_number_[*place] = intern_layer(layer.blob, below);
    }
    return static_cast<std::uint32_t>(layer_number_[index]);
  }

  std::int32_t intern_layer(const Digest& blob, std::int32_t parent) {
    const auto number = static_cast<std::int32_t>(normal_.config.layers.size());
    const auto [place, is_new] = known_layers_.emplace(std::pair(blob, parent), number);
    if (is_new) {
      normal_.config.layers.push_back({blob, parent});
      if (parent == kNoParent) {
        layer_places_.push_back({0, digest_of(blob.text())});
      } else {
        const LayerPlace& below = layer_places_[static_cast<std::size_t>(parent)];
        layer_places_.push_back({below.depth + 1, digest_of(below.chain.text() + " " + blob.text())});
      }
    }
    return place->second;
  }

  std::uint32_t add_record(const CacheConfig& config, const CacheRecord& source,
                           const std::vector<std::optional<std::uint32_t>>& number) {
    CacheRecord record;
    record.digest = source.digest;
    RecordPlace place{digest_of(""), {}};
    Hasher hasher;
    hasher.update(source.digest);
    for (const std::vector<CacheInput>& alternatives : source.inputs) {
      std::set<std::pair<std::string, std::uint32_t>> once;
      place.inputs.emplace_back();
      for (const CacheInput& input : alternatives) {
        if (!number[input.link] || !once.emplace(input.selector, *number[input.link]).second) continue;
        const std::uint32_t link = *number[input.link];
        place.inputs.back().emplace_back(input.selector, normal_.config.records[link].digest,
                                         record_places_[link].id);
      }
      record.inputs.emplace_back();
      for (const auto& [selector, link] : once)
        record.inputs.back().push_back({link, selector});
      std::sort(place.inputs.back().begin(), place.inputs.back().end());
      hasher.update("\n");
      for (const auto& [selector, key, id] : place.inputs.back())
        hasher.update(std::to_string(selector.size()) + " " + selector + id.text() + " ");
    }
    place.id = hasher.finish();
    const auto index = static_cast<std::uint32_t>(normal_.config.records.size());
    const auto [known, is_new] = known_records_.emplace(place.id, index);
    if (is_new) {
      normal_.config.records.push_back(std::move(record));
      record_places_.push_back(std::move(place));
    } else {
      ++normal_.repeated_records;
    }
    add_results(config, source, normal_.config.records[known->second]);
    return known->second;
  }

  void add_results(const CacheConfig& config, const CacheRecord& source, CacheRecord& record) {
    for (const CacheResult& result : source.results) {
      if (chain_usable_[result.layer])
        record.results.push_back({add_layer(config, result.layer), result.created_at});
    }
    for (const CacheChain& chain : source.chains) {
      if (!is_usable(chain)) continue;
      CacheChain added{{}, chain.created_at};
      for (const std::uint32_t layer : chain.layers)
        added.layers.push_back(add_layer(config, layer));
      record.chains.push_back(std::move(added));
    }
  }

  // Records that became one may have the same results.
  void drop_repeated_results() {
    for (CacheRecord& record : normal_.config.records) {
      std::set<std::pair<std::uint32_t, std::string>> results;
      std::erase_if(record.results, [&](const CacheResult& result) {
        return !results.emplace(result.layer, result.created_at).second;
      });
      std::set<std::pair<std::vector<std::uint32_t>, std::string>> chains;
      std::erase_if(record.chains, [&](const CacheChain& chain) {
        return !chains.emplace(chain.layers, chain.created_at).second;
      });
    }
  }

  // By blob and, as an empty layer's blob comes several times, by the place in its chain.
  void sort_layers() {
    std::vector<CacheLayer>& layers = normal_.config.layers;
    std::vector<std::uint32_t> order(layers.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::tie(layers[a].blob, layer_places_[a].depth, layer_places_[a].chain) <
             std::tie(layers[b].blob, layer_places_[b].depth, layer_places_[b].chain);
    });
    std::vector<std::uint32_t> number(layers.size());
    for (std::uint32_t i = 0; i < order.size(); ++i)
      number[order[i]] = i;
    std::vector<CacheLayer> sorted;
    for (const std::uint32_t old : order) {
      sorted.push_back(layers[old]);
      std::int32_t& parent = sorted.back().parent;
      if (parent != kNoParent) parent = static_cast<std::int32_t>(number[static_cast<std::size_t>(parent)]);
    }
    layers = std::move(sorted);
    for (CacheRecord& record : normal_.config.records) {
      for (CacheResult& result : record.results)
        result.layer = number[result.layer];
      for (CacheChain& chain : record.chains) {
        for (std::uint32_t& layer : chain.layers)
          layer = number[layer];
      }
    }
  }

  // As BuildKit does, by key, number of inputs, numbers of alternatives, selectors and keys of these; and
  // where that decides nothing, by what the record is.
  bool comes_before(std::uint32_t a, std::uint32_t b) const {
    const CacheRecord& left = normal_.config.records[a];
    const CacheRecord& right = normal_.config.records[b];
    if (left.digest != right.digest) return left.digest < right.digest;
    const auto& inputs = record_places_[a].inputs;
    const auto& others = record_places_[b].inputs;
    if (inputs.size() != others.size()) return inputs.size() < others.size();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].size() != others[i].size()) return inputs[i].size() < others[i].size();
      for (std::size_t j = 0; j < inputs[i].size(); ++j) {
        const auto& [selector, key, id] = inputs[i][j];
        const auto& [other_selector, other_key, other_id] = others[i][j];
        if (selector != other_selector) return selector < other_selector;
        if (key != other_key) return key < other_key;
      }
    }
    return record_places_[a].id < record_places_[b].id;
  }

  void sort_records() {
    std::vector<CacheRecord>& records = normal_.config.records;
    std::vector<std::uint32_t> order(records.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return comes_before(a, b); });
    std::vector<std::uint32_t> number(records.size());
    for (std::uint32_t i = 0; i < order.size(); ++i)
      number[order[i]] = i;
    std::vector<CacheRecord> sorted;
    for (const std::uint32_t old : order) {
      sorted.push_back(std::move(records[old]));
      for (std::vector<CacheInput>& alternatives : sorted.back().inputs) {
        for (CacheInput& input : alternatives)
          input.link = number[input.link];
        std::sort(alternatives.begin(), alternatives.end(), [](const CacheInput& x, const CacheInput& y) {
          return std::tie(x.link, x.selector) < std::tie(y.link, y.selector);
        });
      }
    }
    records = std::move(sorted);
  }

  const std::function<bool(const Digest&)>& usable_;
  NormalCache normal_;
  std::map<std::pair<Digest, std::int32_t>, std::int32_t> known_layers_;
  std::vector<LayerPlace> layer_places_;  // by layer
  std::map<Digest, std::uint32_t> known_records_;
  std::vector<RecordPlace> record_places_;  // by record
  // Of the config that is being added.
  std::vector<bool> blob_usable_;   // the layer's own blob
  std::vector<bool> chain_usable_;  // and those of all below it
  std::vector<bool> alive_;         // records that can be hit
  std::vector<std::int32_t> layer_number_;
};

}  // namespace

std::set<Digest> needed_blobs(const CacheConfig& config) {
  std::set<Digest> blobs;
  std::vector<bool> seen(config.layers.size(), false);
  for (const CacheRecord& record : config.records) {
    for (const CacheResult& result : record.results) {
      for (auto at = static_cast<std::int32_t>(result.layer);
           at != kNoParent && !seen[static_cast<std::size_t>(at)];
           at = config.layers[static_cast<std::size_t>(at)].parent) {
        seen[static_cast<std::size_t>(at)] = true;
        blobs.insert(config.layers[static_cast<std::size_t>(at)].blob);
      }
    }
    for (const CacheChain& chain : record.chains) {
      for (const std::uint32_t layer : chain.layers)
        blobs.insert(config.layers[layer].blob);
    }
  }
  return blobs;
}

NormalCache make_normal(const std::vector<const CacheConfig*>& parts,
                        const std::function<bool(const Digest&)>& usable) {
  Collector collector(usable);
  for (const CacheConfig* part : parts)
    collector.add(*part);
  return collector.finish();
}

}  // namespace imgslim
