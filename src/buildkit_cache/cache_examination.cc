// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache/cache_examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "layers/scan.h"
#include "src/buildkit_cache/normal_cache.h"

namespace imgslim {
namespace {

constexpr const char* kUncompressed = "containerd.io/uncompressed";
constexpr const char* kCreatedAt = "buildkit/createdat";

std::optional<Compression> compression_said_by(std::string_view media_type) {
  if (media_type == media_type::kOciLayer || media_type == media_type::kDockerLayer)
    return Compression::kNone;
  if (media_type == media_type::kOciLayerGzip || media_type == media_type::kDockerLayerGzip)
    return Compression::kGzip;
  if (media_type == media_type::kOciLayerZstd ||
      media_type == "application/vnd.docker.image.rootfs.diff.tar.zstd") {
    return Compression::kZstd;
  }
  return std::nullopt;
}

class Examiner {
 public:
  Examiner(const ImageSource& source, const ExaminationOptions& options)
      : source_(source), options_(options) {}

  Examination examine(const BuildkitCache& cache) {
    std::vector<std::pair<const CachePart*, const StatedLayer*>> wanted;
    std::set<Digest> seen;
    std::vector<Descriptor> to_read;
    for (const CachePart& part : cache.parts) {
      for (const Digest& blob : needed_blobs(part.config)) {
        const auto stated = part.layers.find(blob);
        if (stated == part.layers.end()) {
          fail(part, blob, "the manifest does not name it");
          continue;
        }
        wanted.emplace_back(&part, &stated->second);
        if (stated->second.foreign || options_.known.count(blob) != 0 || !seen.insert(blob).second) continue;
        to_read.push_back(stated->second.descriptor);
        total_ += stated->second.descriptor.size;
      }
    }
    if (options_.read) source_.will_read(to_read);
    for (const auto& [part, stated] : wanted)
      examine(*part, *stated);
    return std::move(result_);
  }

 private:
  void examine(const CachePart& part, const StatedLayer& stated) {
    const Digest& blob = stated.descriptor.digest;
    // Of an index the same layer may be part of several images.
    if (refused_.count(blob) != 0) return;
    if (stated.foreign) return refuse(part, blob, "it is non-distributable");
    if (stated.diff_id.empty()) fail(part, blob, fmt::format("the annotation {} is missing", kUncompressed));
    if (!stated.created_at.empty() && !is_rfc3339(stated.created_at))
      fail(part, blob, fmt::format("{} is no time: {}", kCreatedAt, printable(stated.created_at, 40)));
    if (!options_.read) return examine_statements(part, stated);
    const auto facts = facts_of(part, stated);
    if (!facts) return;
    if (facts->size != stated.descriptor.size) {
      fail(part, blob, fmt::format("it has {} bytes instead of {}", facts->size, stated.descriptor.size));
    }
    if (!stated.diff_id.empty() && stated.diff_id != facts->diff_id.text()) {
      return refuse(part, blob,
                    fmt::format("its content has the DiffID {}, not {}", facts->diff_id.text(),
                                printable(stated.diff_id, 80)));
    }
    if (compression_said_by(stated.descriptor.media_type) != facts->compression) {
      fail(part, blob,
           fmt::format("it is called {} but its compression is {}",
                       printable(stated.descriptor.media_type, 80), name_of(facts->compression)));
    }
    Descriptor descriptor{std::string(layer_media_type(media_type::kOciManifest, facts->compression)),
                          blob,
                          facts->size,
                          {},
                          {},
                          {}};
    descriptor.annotations.emplace(kUncompressed, facts->diff_id.text());
    if (is_rfc3339(stated.created_at)) descriptor.annotations.emplace(kCreatedAt, stated.created_at);
    result_.layers.insert_or_assign(blob, ExaminedLayer{std::move(descriptor), facts->source});
  }

  void examine_statements(const CachePart& part, const StatedLayer& stated) {
    const Descriptor& descriptor = stated.descriptor;
    if (!stated.diff_id.empty() && !Digest::parse(stated.diff_id))
      fail(part, descriptor.digest,
           fmt::format("{} is no digest: {}", kUncompressed, printable(stated.diff_id, 80)));
    if (!compression_said_by(descriptor.media_type))
      fail(part, descriptor.digest, fmt::format("it is called {}", printable(descriptor.media_type, 80)));
    try {
      source_.open(descriptor);
      result_.layers.insert_or_assign(descriptor.digest, ExaminedLayer{descriptor, &source_});
    } catch (const Error& error) {
      if (error.failure() != Failure::kBadImage) throw;
      refuse(part, descriptor.digest, error.what());
    }
  }

  std::optional<LayerFacts> facts_of(const CachePart& part, const StatedLayer& stated) {
    const Descriptor& descriptor = stated.descriptor;
    if (const auto known = options_.known.find(descriptor.digest); known != options_.known.end())
      return known->second;
    if (const auto read = read_.find(descriptor.digest); read != read_.end()) return read->second;
    try {
      const LayerFacts facts = read(descriptor);
      read_.emplace(descriptor.digest, facts);
      return facts;
    } catch (const Error& error) {
      if (error.failure() != Failure::kBadImage) throw;
      refuse(part, descriptor.digest, error.what());
      return std::nullopt;
    }
  }

  LayerFacts read(const Descriptor& descriptor) {
    ScanOptions scan;
    scan.threads = options_.threads;
    if (options_.progress) {
      scan.progress = [this](std::uint64_t done, std::uint64_t) {
        options_.progress(result_.bytes_read + done, total_);
      };
    }
    const std::vector<LayerTablePtr> tables = scan_layers(
        {ScanJob{source_.open(descriptor), descriptor.digest, descriptor.size, std::nullopt, "the blob"}},
        scan);
    ++result_.blobs_read;
    result_.bytes_read += descriptor.size;
    const LayerTable& table = *tables.front();
    return LayerFacts{descriptor.size, *table.diff_id, table.compression, &source_};
  }

  void fail(const CachePart& part, const Digest& blob, const std::string& text) {
    const std::string where = part.platform.empty() ? "" : part.platform + ", ";
    result_.problems.push_back({true, fmt::format("{}layer {}: {}", where, blob.short_text(), text)});
  }

  // Nothing that needs the blob can be a result, in no part.
  void refuse(const CachePart& part, const Digest& blob, const std::string& text) {
    fail(part, blob, text);
    refused_.insert(blob);
    result_.layers.erase(blob);
  }

  const ImageSource& source_;
  const ExaminationOptions& options_;
  Examination result_;
  std::map<Digest, LayerFacts> read_;
  std::set<Digest> refused_;
  std::uint64_t total_ = 0;
};

}  // namespace

std::vector<CacheProblem> record_problems(const BuildkitCache& cache) {
  std::vector<CacheProblem> problems;
  for (const CachePart& part : cache.parts) {
    const std::string where = part.platform.empty() ? "" : part.platform + ", ";
    const std::vector<CacheRecord>& records = part.config.records;
    std::set<std::string> roots;
    std::size_t again = 0;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (records[i].inputs.empty() && !roots.insert(records[i].digest).second) ++again;
      for (const std::vector<CacheInput>& alternatives : records[i].inputs) {
        if (alternatives.empty()) {
          problems.push_back(
              {true, fmt::format("{}record {}: an input has no key; BuildKit imports nothing", where, i)});
        }
        const auto random =
            std::find_if(alternatives.begin(), alternatives.end(),
                         [&](const CacheInput& input) { return records[input.link].is_random(); });
        if (random == alternatives.end()) continue;
        problems.push_back(
            {true, fmt::format("{}record {}: needs record {}, whose key never comes again; BuildKit "
                               "imports nothing",
                               where, i, random->link)});
      }
    }
    if (again > 0) {
      problems.push_back(
          {false, fmt::format("{}records without inputs that repeat the key of another: {}; Docker "
                              "20.10 takes the last alone",
                              where, again)});
    }
  }
  return problems;
}

Examination examine_layers(const ImageSource& source, const BuildkitCache& cache,
                           const ExaminationOptions& options) {
  return Examiner(source, options).examine(cache);
}

}  // namespace imgslim
