// SPDX-License-Identifier: Apache-2.0
// The parts of a docker:// name.
#pragma once

#include <string>

#include "layers/image_name.h"

namespace imgslim {

std::string host_of(const ImageName& name);
std::string repository_of(const ImageName& name);

}  // namespace imgslim
