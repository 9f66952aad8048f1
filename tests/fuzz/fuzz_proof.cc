// SPDX-License-Identifier: Apache-2.0
// Any bytes as a certificate: what is read is written the same again, and its parts can be asked for.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "src/explanation.h"
#include "src/proof.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imgslim;
  try {
    const Proof proof = read_proof({reinterpret_cast<const char*>(data), size}, "proof");
    const std::string text = write_proof(proof);
    if (!(read_proof(text, "again") == proof)) std::abort();
    for (const ProofPlatform& platform : proof.platforms) {
      std::size_t asked = 0;
      for (const ProofPath& path : platform.paths) {
        if (platform.find(path.path) != &path) std::abort();
        if (++asked > 50) break;
        if (witness_chain(platform, path.path).empty()) std::abort();
        to_text(explain({platform}, path.path));
      }
      for (const ProofGroup& group : platform.groups) {
        if (platform.group_of(group.path) != &group) std::abort();
      }
      explain({platform}, "**/a*");
    }
  } catch (const Error&) {
  }
  return 0;
}
