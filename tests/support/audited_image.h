// SPDX-License-Identifier: Apache-2.0
// An image from layers written as lines (tar_builder.h) and its audit, for tests of src/audit.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "layers/digest.h"
#include "layers/scan.h"
#include "src/audit/audit.h"
#include "tests/support/tar_builder.h"

namespace imgslim::testing {

struct LayerText {
  std::string tar;
  std::string step = "RUN step";
};

// Layers from lines, each with a step of its own.
inline std::vector<LayerText> layers_of_lines(std::initializer_list<std::string_view> layers) {
  std::vector<LayerText> out;
  for (const std::string_view lines : layers)
    out.push_back({tar_of_lines(lines), fmt::format("RUN step-{}", out.size() + 1)});
  return out;
}

// `empty_after`: history entries without a layer, by the number of layers before them. `options` as given.
inline ImageAudit audit_of(const std::vector<LayerText>& layers, const AuditOptions& options = {},
                           const std::vector<std::pair<std::size_t, std::string>>& empty_after = {},
                           const std::string& name = "oci:test", const std::string& labels = "{}") {
  std::string ids;
  std::string descriptors;
  std::string history;
  const auto comma = [](const std::string& text) { return text.empty() ? "" : ","; };
  const auto add_empty = [&](std::size_t at) {
    for (const auto& [after, step] : empty_after) {
      if (after == at)
        history += fmt::format(R"({}{{"created_by":"{}","empty_layer":true}})", comma(history), step);
    }
  };
  std::vector<ScanJob> jobs;
  std::vector<BlobPtr> blobs;
  add_empty(0);
  for (const LayerText& layer : layers) {
    const Digest digest = digest_of(layer.tar);
    ids += fmt::format("{}\"{}\"", comma(ids), digest.text());
    descriptors +=
        fmt::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}})",
                    comma(descriptors), digest.text(), layer.tar.size());
    history += fmt::format(R"({}{{"created_by":"{}"}})", comma(history), layer.step);
    blobs.push_back(memory_blob(layer.tar));
    jobs.push_back({blobs.back(), digest, layer.tar.size(), digest, "layer"});
    add_empty(jobs.size());
  }
  const std::string config = fmt::format(
      R"({{"architecture":"amd64","os":"linux","config":{{"Cmd":["/app"],"Labels":{}}},"history":[{}],"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
      labels, history, ids);
  const std::string manifest = fmt::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{}]}})",
      digest_of(config).text(), config.size(), descriptors);
  const SourceImage image{
      {std::string(media_type::kOciManifest), digest_of(manifest), manifest.size(), {}, {}, {}},
      Manifest::parse(manifest, media_type::kOciManifest, "test"),
      ImageConfig::parse(config, layers.size(), "test"),
      "test"};
  ScanOptions scan;
  scan.threads = 1;
  scan.observers = [](std::size_t) { return audit_observers(); };
  return audit_image(name, image, scan_layers(jobs, scan), blobs, options);
}

// Sum of what is put down to entries and to what is between them; of a layer.
inline std::uint64_t attributed(const ImageAudit& audit, std::uint32_t layer) {
  std::uint64_t sum = audit.layers[layer].unpacked.end + audit.layers[layer].unpacked.unknown;
  for (const Entry& entry : audit.tables[layer]->entries)
    sum += entry.tar_bytes;
  return sum;
}
inline std::uint64_t attributed_compressed(const ImageAudit& audit, std::uint32_t layer) {
  std::uint64_t sum = audit.layers[layer].end_compressed;
  for (const AuditRow& row : audit.layers[layer].rows)
    sum += row.compressed;
  return sum;
}

}  // namespace imgslim::testing
