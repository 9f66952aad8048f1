// SPDX-License-Identifier: Apache-2.0
#include "src/copy.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "layers/error.h"
#include "layers/image_edit.h"
#include "layers/referrer.h"
#include "registry/work_queue.h"

namespace imgslim {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxDocuments = 10000;
constexpr std::size_t kThreads = 4;
constexpr auto kProgressInterval = std::chrono::milliseconds(200);
constexpr const char* kDescribes = "vnd.docker.reference.digest";
constexpr int kCopyReportVersion = 1;

// Whether an entry of an index is no document, as in BuildKit's caches, whose layers and config are entries.
bool names_blob(const Descriptor& entry) {
  return !is_document_type(entry.media_type) &&
         !entry.media_type.starts_with("application/vnd.docker.distribution.manifest.");
}

// What the image consists of, before anything moves.
struct CopyPlan {
  std::vector<Descriptor> blobs;                              // configs and layers, each once
  std::vector<std::pair<Descriptor, std::string>> documents;  // manifests and indexes, children first
  std::vector<Descriptor> left_out;
  std::vector<std::string> left_out_platforms;
  int images = 0;
  bool zstd = false;
};

class Planner {
 public:
  Planner(const ImageSource& source, const CopyOptions& options) : source_(source), options_(options) {}

  // The document that the destination will name.
  Descriptor plan() {
    const auto root = add(source_.root(), 0);
    if (!root) {
      throw_usage(fmt::format("{} has no image for the platforms asked for; it has {}", source_.name(),
                              plan_.left_out_platforms.empty()
                                  ? std::string("none")
                                  : fmt::format("{}", fmt::join(plan_.left_out_platforms, ", "))));
    }
    return *root;
  }
  CopyPlan take() { return std::move(plan_); }

 private:
  std::optional<Descriptor> add(const Descriptor& descriptor, int depth) {
    if (depth > kMaxDepth) throw_bad_image(source_.name() + ": indexes are nested too deeply");
    if (++documents_ > kMaxDocuments) throw_bad_image(source_.name() + ": too many manifests");
    const std::string what = fmt::format("{}, {}", source_.name(), descriptor.digest.short_text());
    const std::string text = source_.read_document(descriptor);
    if (classify_document(parse_json(text, what), descriptor.media_type, what) == DocumentKind::kIndex) {
      return add_index(descriptor, text, depth, what);
    }
    return add_manifest(descriptor, text, what);
  }

  std::optional<Descriptor> add_index(const Descriptor& descriptor, const std::string& text, int depth,
                                      const std::string& what) {
    const Index index = Index::parse(text, descriptor.media_type, what);
    std::vector<std::optional<Descriptor>> entries;
    bool whole = true;
    for (const Descriptor& entry : index.manifests) {
      if (names_blob(entry)) {
        plan_.zstd = plan_.zstd || entry.media_type.ends_with("+zstd");
        add_blob(entry);
        entries.push_back(entry);
        continue;
      }
      const bool lost = is_attestation(entry) && describes_left_out(entry);
      entries.push_back(lost ? std::nullopt : add(entry, depth + 1));
      whole = whole && entries.back() && entries.back()->digest == entry.digest;
    }
    if (whole) return document(descriptor, text);
    if (std::none_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.has_value(); })) {
      return std::nullopt;
    }
    std::string edited = edit_index(index, entries);
    Descriptor result = descriptor;
    result.digest = digest_of(edited);
    result.size = edited.size();
    return document(result, std::move(edited));
  }

  std::optional<Descriptor> add_manifest(const Descriptor& descriptor, const std::string& text,
                                         const std::string& what) {
    Manifest manifest = Manifest::parse(text, descriptor.media_type, what);
    const bool image = manifest.is_image() && !is_attestation(descriptor);
    if (image && !options_.platforms.empty()) {
      const std::string config = source_.read_document(manifest.config);
      const Platform platform =
          ImageConfig::parse(config, manifest.layers.size(), what + ", config").platform;
      const bool wanted = std::any_of(options_.platforms.begin(), options_.platforms.end(),
                                      [&](const Platform& asked) { return platform.matches(asked); });
      if (!wanted) {
        plan_.left_out.push_back(descriptor);
        plan_.left_out_platforms.push_back(platform.text());
        return std::nullopt;
      }
    }
    if (image) ++plan_.images;
    add_blob(manifest.config);
    for (const LayerDescriptor& layer : manifest.layers) {
      plan_.zstd = plan_.zstd || layer.descriptor.media_type.ends_with("+zstd");
      if (!layer.foreign) add_blob(layer.descriptor);
    }
    const Transport to = options_.destination.transport;
    if (source_.made_root() && manifest.is_docker() &&
        (to == Transport::kOci || to == Transport::kOciArchive)) {
      // Readers of layouts take OCI's media types alone.
      const Manifest converted = to_oci(manifest);
      std::string edited = dump_json(converted.json);
      const Descriptor result{converted.media_type, digest_of(edited), edited.size(), {}, {}, {}};
      return document(result, std::move(edited));
    }
    return document(descriptor, text);
  }

  bool describes_left_out(const Descriptor& entry) const {
    const auto found = entry.annotations.find(kDescribes);
    return found != entry.annotations.end() &&
           std::any_of(plan_.left_out.begin(), plan_.left_out.end(),
                       [&](const Descriptor& gone) { return gone.digest.text() == found->second; });
  }

  void add_blob(const Descriptor& descriptor) {
    if (seen_.insert(descriptor.digest).second) plan_.blobs.push_back(descriptor);
  }
  Descriptor document(const Descriptor& descriptor, std::string text) {
    if (seen_.insert(descriptor.digest).second) plan_.documents.emplace_back(descriptor, std::move(text));
    return descriptor;
  }

  const ImageSource& source_;
  const CopyOptions& options_;
  CopyPlan plan_;
  std::set<Digest> seen_;
  std::size_t documents_ = 0;
};

// Shows how much went while others work.
class Watch {
 public:
  Watch(Progress& progress, const ImageStores& stores, std::uint64_t total)
      : thread_([this, &progress, &stores, total](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!changed_.wait_for(lock, stop, kProgressInterval, [] { return false; }) &&
                 !stop.stop_requested()) {
            const TransferReport now = stores.transfers();
            const std::uint64_t moved = std::max(now.pulled.bytes, now.pushed.bytes);
            progress.at(std::min(total, moved + now.skipped.bytes + now.mounted.bytes), total);
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

Json counted(const TransferCount& count) {
  return Json{{"blobs", count.blobs}, {"bytes", count.bytes}};
}

}  // namespace

CopyReport copy_image(const CopyOptions& options, Progress& progress) {
  ImageStores stores(options.network, options.spool_directory);
  const std::unique_ptr<ImageSource> source = stores.open_source(options.source);
  Planner planner(*source, options);
  const Descriptor root = planner.plan();
  const CopyPlan plan = planner.take();
  const std::unique_ptr<ImageDestination> destination =
      stores.open_destination(options.destination, {plan.images > 1, plan.zstd}, &options.source);

  std::uint64_t total = 0;
  for (const Descriptor& blob : plan.blobs)
    total += blob.size;
  progress.begin(fmt::format("copying {} blobs, {}", plan.blobs.size(), human_bytes(total)));
  {
    const Watch watch(progress, stores, total);
    WorkQueue work(kThreads);
    for (const Descriptor& blob : plan.blobs)
      work.add([&source, &destination, &blob] { destination->take(*source, blob); });
    work.wait();
    for (const auto& [descriptor, text] : plan.documents)
      destination->put(descriptor, text);

    CopyReport report;
    if (options.referrers) {
      for (const auto& [descriptor, text] : plan.documents) {
        for (const Descriptor& referrer : source->referrers(descriptor.digest, "")) {
          if (copy_referrer(*source, referrer, *destination)) ++report.referrers;
        }
      }
    }
    destination->publish(root);
    report.source = source->name();
    report.source_digest = source->root().digest.text();
    report.destination = destination->name();
    report.result_digest = root.digest.text();
    report.left_out = plan.left_out_platforms;
    report.transfers = stores.transfers();
    return report;
  }
}

Json to_json(const TransferReport& transfers) {
  Json json;
  json["pulled"] = counted(transfers.pulled);
  json["pushed"] = counted(transfers.pushed);
  json["mounted"] = counted(transfers.mounted);
  json["skipped"] = counted(transfers.skipped);
  return json;
}

Json to_json(const CopyReport& report) {
  Json json;
  json["version"] = kCopyReportVersion;
  json["source"] = Json{{"name", printable(report.source)}, {"digest", report.source_digest}};
  json["result"] = Json{{"name", printable(report.destination)}, {"digest", report.result_digest}};
  json["left_out"] = report.left_out;
  json["referrers"] = report.referrers;
  json["transfers"] = to_json(report.transfers);
  return json;
}

std::string to_text(const TransferReport& transfers) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view verb, const TransferCount& count) {
    if (count.blobs == 0 && count.bytes == 0) return;
    parts.push_back(fmt::format("{} {} blob{}, {}", verb, count.blobs, count.blobs == 1 ? "" : "s",
                                human_bytes(count.bytes)));
  };
  add("pulled", transfers.pulled);
  add("pushed", transfers.pushed);
  add("mounted", transfers.mounted);
  add("skipped", transfers.skipped);
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace imgslim
