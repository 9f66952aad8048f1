// SPDX-License-Identifier: Apache-2.0
#include "src/cache/layer_record.h"

#include <utility>

#include "layers/compression.h"
#include "layers/error.h"
#include "layers/packed.h"
#include "layers/packed_layer.h"
#include "layers/stream.h"
#include "src/cache/code_id.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxPlain = std::uint64_t{2} << 30;
constexpr std::size_t kUsualRatio = 4;
constexpr int kLevel = 1;  // written once a layer, and read back at the speed of any other

}  // namespace

std::string pack_record(const LayerRecord& record, unsigned threads) {
  std::string text;
  const auto out = sink_to([&](std::span<const std::byte> bytes) { text += as_text(bytes); });
  const auto encoder = make_encoder(Compression::kZstd, kLevel, threads, *out);
  const auto write = [&](std::string_view bytes) { encoder->write(as_bytes(bytes)); };
  write(packed(std::string(code_id())));
  pack_layer(*record.table, write);
  record.facts->pack(write);
  encoder->finish();
  return text;
}

std::optional<LayerRecord> unpack_record(std::string text, const Digest& layer) {
  try {
    DecodeLimits limits;
    limits.max_plain_bytes = kMaxPlain;
    // Mostly windows of checkpoints, which are compressed already. What is not used of it costs nothing.
    std::string plain;
    plain.reserve(kUsualRatio * text.size());
    Decoder decoder(memory_blob(std::move(text)), Compression::kZstd, limits);
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    while (const std::size_t count = decoder.read(buffer))
      plain += as_text(std::span(buffer).first(count));
    Unpacker unpacker(plain);
    if (unpacker.text() != code_id()) return std::nullopt;
    LayerRecord record;
    record.table = unpack_layer(unpacker);
    LayerFindings::Map facts;
    unpacker(facts);
    if (!unpacker.at_end() || record.table->digest != layer) return std::nullopt;
    record.facts = std::make_shared<LayerFindings>(std::move(facts));
    return record;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace imgslim
