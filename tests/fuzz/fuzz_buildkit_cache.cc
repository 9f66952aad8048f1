// SPDX-License-Identifier: Apache-2.0
// Any bytes as a config of a BuildKit cache, or as inline records: what is accepted has a normal form that is
// its own normal form and reads the same again.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "layers/error.h"
#include "src/buildkit_cache/normal_cache.h"

using namespace imgslim;

namespace {

// Some blobs are not usable, by their digest, so that results are lost on the way.
NormalCache normal_of(const CacheConfig& config, bool all) {
  return make_normal({&config}, [all](const Digest& blob) { return all || blob.hex().back() != '0'; });
}

void check(const std::function<CacheConfig()>& parse) {
  CacheConfig config;
  try {
    config = parse();
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) std::abort();
    return;
  }
  for (const bool all : {true, false}) {
    const NormalCache normal = normal_of(config, all);
    const std::string text = dump_cache_config(normal.config);
    // An error now would be a bug, and so is another text.
    const CacheConfig again = parse_cache_config(text, "what was written");
    if (dump_cache_config(again) != text || dump_cache_config(normal_of(again, true).config) != text)
      std::abort();
    if (all && needed_blobs(normal.config).size() > needed_blobs(config).size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check([text] { return parse_cache_config(text, "input"); });
  const std::vector<Digest> layers{digest_of("a"), digest_of("empty"), digest_of("empty"), digest_of("b")};
  check([&] { return parse_inline_records(text, layers, "input"); });
  return 0;
}
