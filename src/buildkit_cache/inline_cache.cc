// SPDX-License-Identifier: Apache-2.0
// The cache in an image's own config: the records alone, whose layers are the image's by their position.
#include <fmt/format.h>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "src/buildkit_cache/cache_source.h"

namespace imgslim {
namespace {

constexpr std::string_view kInlineKey = "moby.buildkit.cache.v0";

// Standard base64 (RFC 4648) with its padding; nothing if it is none.
std::optional<std::string> decode_base64(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>((bits >> held) & 0xff);
  }
  return out;
}

}  // namespace

std::optional<CachePart> read_inline_cache(const Manifest& manifest, const ImageConfig& config,
                                           const std::string& what) {
  refuse_other_case(config.json, {kInlineKey}, what + ", config");
  if (find_member(config.json, kInlineKey) == nullptr) return std::nullopt;
  const auto text = decode_base64(string_member(config.json, kInlineKey, what + ", config"));
  if (!text) throw_bad_image(fmt::format("{}: \"{}\" is not base64", what, kInlineKey));

  CachePart part;
  part.what = what;
  part.platform = config.platform.text();
  std::vector<Digest> blobs;
  for (const LayerDescriptor& layer : manifest.layers)
    blobs.push_back(layer.descriptor.digest);
  part.config = parse_inline_records(*text, blobs, what + ", inline cache");

  std::vector<std::string> created;
  if (const Json* history = find_member(config.json, "history")) {
    for (std::size_t i = 0; i < config.history.size(); ++i) {
      if (config.history[i].empty_layer) continue;
      created.push_back(string_member(history->at(i), "created", what + ", history"));
      part.steps.push_back(config.history[i].created_by);
    }
  }
  part.steps.resize(blobs.size());
  created.resize(blobs.size());
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    StatedLayer stated{manifest.layers[i].descriptor, config.diff_ids[i].text(), created[i],
                       manifest.layers[i].foreign};
    const auto earlier = part.layers.find(blobs[i]);
    if (earlier != part.layers.end() && earlier->second.diff_id != stated.diff_id)
      throw_bad_image(fmt::format("{}: two DiffIDs for the layer {}", what, blobs[i].short_text()));
    part.layers.insert_or_assign(blobs[i], std::move(stated));
  }
  return part;
}

}  // namespace imgslim
