// SPDX-License-Identifier: Apache-2.0
// The keys that `dive --json` writes, so that what reads them goes on working. Waste and efficiency are ours.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

#include "layers/error.h"
#include "layers/tar.h"
#include "src/audit/formats.h"

namespace imgslim {
namespace {

// Go's os.FileMode: permission bits, and flags from the top.
std::uint32_t file_mode(const Entry& entry) {
  std::uint32_t mode = entry.mode & 0777;
  if ((entry.mode & 04000) != 0) mode |= 1u << 23;
  if ((entry.mode & 02000) != 0) mode |= 1u << 22;
  if ((entry.mode & 01000) != 0) mode |= 1u << 20;
  if (entry.type == EntryType::kDirectory) mode |= 1u << 31;
  if (entry.type == EntryType::kSymlink) mode |= 1u << 27;
  if (entry.type == EntryType::kBlockDevice) mode |= 1u << 26;
  if (entry.type == EntryType::kCharacterDevice) mode |= (1u << 26) | (1u << 21);
  if (entry.type == EntryType::kFifo) mode |= 1u << 25;
  return mode;
}

std::string name_in_layer(const Entry& entry) {
  const std::string path = printable(entry.path, std::string_view::npos);
  if (entry.type == EntryType::kOpaqueWhiteout) return path.empty() ? ".wh..wh..opq" : path + "/.wh..wh..opq";
  if (entry.type != EntryType::kWhiteout) return path;
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".wh." + path;
  return path.substr(0, slash + 1) + ".wh." + path.substr(slash + 1);
}

}  // namespace

Json to_dive_json(const Audit& audit) {
  if (audit.images.size() != 1) {
    throw_usage(
        fmt::format("dive's JSON holds one image, not {}; --platform chooses one", audit.images.size()));
  }
  const ImageAudit& image = audit.images.front();
  struct Reference {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    bool hidden = false;
  };
  std::map<std::string_view, Reference> references;
  Json layers = Json::array();
  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < image.tables.size(); ++i) {
    Json files = Json::array();
    std::uint64_t bytes = 0;
    for (std::uint32_t k = 0; k < image.tables[i]->entries.size(); ++k) {
      const Entry& entry = image.entry({i, k});
      const std::uint64_t size = entry.type == EntryType::kRegular ? entry.size : 0;
      files.push_back({{"path", name_in_layer(entry)},
                       {"typeFlag", static_cast<int>(type_in_tar(entry.type))},
                       {"linkName", printable(entry.link, std::string_view::npos)},
                       {"size", size},
                       {"fileMode", file_mode(entry)},
                       {"uid", entry.uid},
                       {"gid", entry.gid},
                       {"isDir", entry.type == EntryType::kDirectory}});
      bytes += size;
      if (entry.type == EntryType::kDirectory || entry.type == EntryType::kOpaqueWhiteout) continue;
      Reference& reference = references[entry.path];
      ++reference.count;
      if (entry.type != EntryType::kRegular) continue;
      reference.bytes += size;
      reference.hidden = reference.hidden || image.row({i, k}).visibility != Visibility::kVisible;
    }
    all += bytes;
    layers.push_back({{"index", i},
                      {"id", image.diff_ids[i]},
                      {"digestId", image.layer_digests[i]},
                      {"sizeBytes", bytes},
                      {"command", printable(image.steps[i], std::string_view::npos)},
                      {"fileList", std::move(files)}});
  }
  std::vector<std::pair<std::string_view, Reference>> wasted;
  for (const auto& [path, reference] : references) {
    if (reference.hidden && reference.bytes > 0) wasted.emplace_back(path, reference);
  }
  std::stable_sort(wasted.begin(), wasted.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  Json list = Json::array();
  for (const auto& [path, reference] : wasted) {
    list.push_back({{"count", reference.count},
                    {"sizeBytes", reference.bytes},
                    {"file", "/" + printable(path, std::string_view::npos)}});
  }
  return {{"layer", std::move(layers)},
          {"image",
           {{"sizeBytes", all},
            {"inefficientBytes", image.waste.bytes},
            {"efficiencyScore", image.waste.efficiency},
            {"fileReference", std::move(list)}}}};
}

}  // namespace imgslim
