// SPDX-License-Identifier: Apache-2.0
#include "src/cache/layer_findings.h"

#include "layers/packed.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;

}  // namespace

LayerFindings::LayerFindings(Map facts) : facts_(std::move(facts)) {
  for (const auto& [key, data] : facts_)
    bytes_ += key.second.size() + data.size();
}

std::optional<std::string> LayerFindings::find(std::uint32_t entry, std::string_view fact) const {
  const std::lock_guard lock(mutex_);
  const auto known = facts_.find({entry, std::string(fact)});
  if (known == facts_.end()) return std::nullopt;
  return known->second;
}

void LayerFindings::add(std::uint32_t entry, std::string_view fact, std::string_view data) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t more = fact.size() + data.size();
  if (more > kMaxBytes - bytes_) return;
  if (!facts_.try_emplace({entry, std::string(fact)}, data).second) return;
  bytes_ += more;
  has_grown_ = true;
}

bool LayerFindings::has_grown() const {
  const std::lock_guard lock(mutex_);
  return has_grown_;
}

void LayerFindings::pack(const std::function<void(std::string_view)>& write) const {
  const std::lock_guard lock(mutex_);
  write(packed(facts_.size()));
  for (const auto& [key, data] : facts_) {
    write(packed(key));
    write(packed(data));
  }
}

}  // namespace imgslim
