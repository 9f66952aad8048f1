// SPDX-License-Identifier: Apache-2.0
#include "src/facts/static_dlopen.h"

#include <algorithm>
#include <string_view>

#include "src/facts/code_references.h"

namespace imgslim {

namespace {

constexpr std::string_view kComplaint{"invalid mode parameter\0", 23};
constexpr std::uint64_t kLongestCheck = 256;  // of dlopen_doit, in front of its complaint
constexpr std::uint64_t kLongestStart = 96;   // of dlopen, in front of its use of dlopen_doit
constexpr std::uint32_t kLoad = 1;

// Where functions may start at or before an address.
std::vector<std::uint64_t> starts_before(const ElfImage& image, std::uint64_t place, std::uint64_t distance) {
  const bool x86 = image.facts().machine == static_cast<std::uint16_t>(ElfMachine::kX86_64);
  const std::uint64_t step = x86 ? 16 : 4;
  std::vector<std::uint64_t> starts;
  const std::uint64_t end = place - std::min(place, distance);
  for (std::uint64_t at = place / step * step; at >= end && at != 0; at -= step)
    starts.push_back(at);
  return starts;
}

}  // namespace

std::optional<std::vector<std::uint64_t>> find_static_dlopen(const ElfImage& image) {
  std::vector<std::uint64_t> complaints;
  for (const ElfSegment& segment : image.facts().segments) {
    if (segment.type != kLoad) continue;
    const std::string_view bytes = image.bytes_from(segment.address);
    const std::size_t at = bytes.find(kComplaint);
    if (at != std::string_view::npos) complaints.push_back(segment.address + at);
  }
  std::vector<std::uint64_t> found;
  if (complaints.empty()) return found;
  // dlopen_doit makes the complaint; dlopen hands its address to _dlerror_run.
  bool is_seen = false;
  for (const CodeReference& complaint : find_references(image, complaints)) {
    const auto users = find_references(image, starts_before(image, complaint.place, kLongestCheck));
    std::uint64_t doit = 0;
    for (const CodeReference& user : users) {
      if (!user.is_call) doit = std::max(doit, user.target);
    }
    for (const CodeReference& user : users) {
      if (user.is_call || user.target != doit) continue;
      is_seen = true;
      std::uint64_t start = 0;
      for (const CodeReference& call :
           find_references(image, starts_before(image, user.place, kLongestStart))) {
        start = std::max(start, call.target);
      }
      if (start != 0) found.push_back(start);
    }
  }
  if (!is_seen) return std::nullopt;
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace imgslim
