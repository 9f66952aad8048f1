// SPDX-License-Identifier: Apache-2.0
// Any bytes as a layer's record: refused, or a table that trees take and that is packed the same again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "layers/packed_layer.h"
#include "layers/tree.h"
#include "src/cache/cache_artifact.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  unpack_outputs(bytes);
  try {
    const LayerTablePtr table = unpack_layer(bytes);
    const std::string again = pack_layer(*table);
    if (pack_layer(*unpack_layer(again)) != again) std::abort();
    for (const Entry& entry : table->entries) {
      if (entry.data_offset + entry.stored_size > table->plain_size) std::abort();
    }
    Tree tree;
    tree.apply(table);
    tree.apply(table);
  } catch (const Error&) {
  }
  return 0;
}
