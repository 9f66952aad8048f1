// SPDX-License-Identifier: Apache-2.0
// What was found in the files of one layer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace imgslim {

// Thread safe.
class LayerFindings {
 public:
  using Map = std::map<std::pair<std::uint32_t, std::string>, std::string>;

  LayerFindings() = default;
  explicit LayerFindings(Map facts);

  // `entry`: its number in the layer's table.
  std::optional<std::string> find(std::uint32_t entry, std::string_view fact) const;
  // The first to say it is believed. What would make all facts too many is not taken.
  void add(std::uint32_t entry, std::string_view fact, std::string_view data);
  // Whether add() took something.
  bool has_grown() const;
  // Hands the bytes of packed(Map) of all to `write`, a fact at a time: together they are many.
  void pack(const std::function<void(std::string_view)>& write) const;

 private:
  mutable std::mutex mutex_;
  Map facts_;
  std::uint64_t bytes_ = 0;
  bool has_grown_ = false;
};

}  // namespace imgslim
