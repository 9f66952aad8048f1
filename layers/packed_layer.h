// SPDX-License-Identifier: Apache-2.0
// A LayerTable as bytes and back: what of a layer need not be read a second time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "layers/layer_table.h"
#include "layers/packed.h"

namespace imgslim {

// Hands the bytes to `write`, a part at a time: the checkpoints of a large layer take some MB.
void pack_layer(const LayerTable& table, const std::function<void(std::string_view)>& write);
std::string pack_layer(const LayerTable& table);

// Takes one table's bytes. Throws Error{kIo} if the bytes are no table: whatever they are, what comes out
// keeps all that the readers of tables rely on (clean paths, contents inside the layer, indexes that exist).
// That it speaks of the blob it names is the caller's trust.
std::unique_ptr<LayerTable> unpack_layer(Unpacker& bytes);
// The same, of nothing else.
std::unique_ptr<LayerTable> unpack_layer(std::string_view bytes);

}  // namespace imgslim
