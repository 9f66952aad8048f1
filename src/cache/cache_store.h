// SPDX-License-Identifier: Apache-2.0
// The cache on this machine: small texts by kind and key, one file each under XDG_CACHE_HOME, bounded. What
// is damaged, foreign or gone is not found; what cannot be written is not kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace imgslim {

class CacheStore {
 public:
  // `directory` comes into being with the first text; an empty one keeps nothing. `kind` is a folder in it:
  // "layers".
  CacheStore(std::string directory, std::string_view kind);
  std::optional<std::string> find(std::string_view key) const;
  // Whether there is a file for it, damaged or not.
  bool holds(std::string_view key) const;
  void store(std::string_view key, std::string_view text) const;
  // Removes what was not used for longest until the files are so few and small.
  void trim(std::uint64_t max_bytes, std::uint64_t max_files) const;

 private:
  std::string file_of(std::string_view key) const;
  std::string folder_;
};

}  // namespace imgslim
