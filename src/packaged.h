// SPDX-License-Identifier: Apache-2.0
// The packages that run on any distribution bring a loader, a C library and all libraries along
// (launcher.cc).
#pragma once

#include <string>

namespace imgslim {

// To be called before anything else: behind a loader of its own, the process takes no modules of the host's
// for the C library's name services and for OpenSSL, as they were made for other versions of these.
void keep_to_own_libraries();

// The path to start this program again; as far as is known, one that outlives an update. Empty if there is
// none.
std::string own_program();

}  // namespace imgslim
