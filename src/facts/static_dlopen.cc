// SPDX-License-Identifier: Apache-2.0
#include "src/facts/static_dlopen.h"

#include <algorithm>
#include <string_view>

#include "src/facts/code_references.h"

namespace imgslim {

namespace {

struct Kind {
  std::string_view caller;
  std::string_view complaint;
  std::size_t name;
};
constexpr Kind kKinds[] = {
    {"dlopen", {"invalid mode parameter\0", 23}, 0},
    {"dlmopen", {"invalid namespace\0", 18}, 1},
};
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

// False: the complaint is there, but not the code that makes it.
bool find_loaders(const ElfImage& image, const Kind& kind, std::vector<StaticLoader>& found) {
  std::vector<std::uint64_t> complaints;
  for (const ElfSegment& segment : image.facts().segments) {
    if (segment.type != kLoad) continue;
    const std::string_view bytes = image.bytes_from(segment.address);
    const std::size_t at = bytes.find(kind.complaint);
    if (at != std::string_view::npos) complaints.push_back(segment.address + at);
  }
  if (complaints.empty()) return true;
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
      const StaticLoader loader{kind.caller, start, kind.name};
      if (start != 0 && std::find(found.begin(), found.end(), loader) == found.end()) found.push_back(loader);
    }
  }
  return is_seen;
}

}  // namespace

std::optional<std::vector<StaticLoader>> find_static_loaders(const ElfImage& image) {
  std::vector<StaticLoader> found;
  for (const Kind& kind : kKinds) {
    if (!find_loaders(image, kind, found)) return std::nullopt;
  }
  std::sort(found.begin(), found.end(),
            [](const StaticLoader& a, const StaticLoader& b) { return a.start < b.start; });
  return found;
}

}  // namespace imgslim
