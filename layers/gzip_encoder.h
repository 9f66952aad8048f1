// SPDX-License-Identifier: Apache-2.0
// The gzip encoder behind make_encoder(). Internal to the room.
#pragma once

#include <memory>

#include "layers/compression.h"

namespace imgslim {

// `level` is 1 to 9.
std::unique_ptr<Encoder> make_gzip_encoder(int level, unsigned threads, Sink& out);

}  // namespace imgslim
