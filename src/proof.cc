// SPDX-License-Identifier: Apache-2.0
#include "src/proof.h"

#include <algorithm>

#include "layers/tar.h"

namespace imgslim {
namespace {

// The element with that path in a list sorted by path_less.
template <class Element>
const Element* find_path(const std::vector<Element>& sorted, std::string_view path) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), path,
                                   [](const Element& a, std::string_view b) { return path_less(a.path, b); });
  return at != sorted.end() && at->path == path ? &*at : nullptr;
}

}  // namespace

std::uint64_t ProofDebugFile::section_bytes() const {
  std::uint64_t sum = 0;
  for (const TakenSection& section : sections)
    sum += section.bytes;
  return sum;
}

const ProofPath* ProofPlatform::find(std::string_view path) const {
  return find_path(paths, path);
}

const ProofDebugFile* ProofPlatform::find_debug_file(std::string_view path) const {
  return find_path(debug_files, path);
}

const ProofGroup* ProofPlatform::group_of(std::string_view path) const {
  while (true) {
    if (const ProofGroup* group = find_path(groups, path)) return group;
    if (path.size() <= 1) return nullptr;
    const std::size_t slash = path.rfind('/');
    path = slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
  }
}

const ProofPlatform* Proof::find(std::string_view digest) const {
  const auto at = std::find_if(platforms.begin(), platforms.end(), [&](const ProofPlatform& platform) {
    return platform.result_digest == digest;
  });
  return at == platforms.end() ? nullptr : &*at;
}

std::vector<const ProofPath*> witness_chain(const ProofPlatform& platform, std::string_view path) {
  std::vector<const ProofPath*> chain;
  std::vector<bool> seen(platform.paths.size(), false);
  for (const ProofPath* at = platform.find(path); at != nullptr;) {
    const auto index = static_cast<std::size_t>(at - platform.paths.data());
    if (seen[index]) break;
    seen[index] = true;
    chain.push_back(at);
    const ProofWitness& witness = platform.witnesses[at->witness];
    at = witness.path ? &platform.paths[*witness.path] : nullptr;
  }
  return chain;
}

}  // namespace imgslim
