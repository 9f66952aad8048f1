// SPDX-License-Identifier: Apache-2.0
// The part of ImageWork that takes debug information out of an image's files.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/error.h"
#include "layers/layer_plan.h"
#include "layers/referrer.h"
#include "layers/tar.h"
#include "src/image_work.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

// Each takes several megabytes, beside those of the image's own layers.
constexpr unsigned kCompanionThreads = 2;

// A layer of which some files have other contents. What it does not change, it shares with the layer it was.
struct ReplacedTable : LayerTable {
  explicit ReplacedTable(LayerTablePtr table) : LayerTable(*table), original(std::move(table)) {}
  LayerTablePtr original;  // owns the texts of the entries
};

}  // namespace

std::vector<DebugCandidate> ImageWork::debug_candidates(const std::function<bool(NodeId)>& stays) const {
  std::map<EntryRef, DebugCandidate> found;
  tree_.walk([&](NodeId node) {
    if (tree_.type(node) != EntryType::kRegular || !stays(node)) return;
    const EntryRef file = tree_.inode_of(node).attributes;
    if (const auto known = found.find(file); known != found.end()) {
      known->second.names.push_back(node);
      return;
    }
    const auto observed = observed_debug_info(*tables_[file.layer], file.entry);
    if (!observed) return;
    if (observed->bytes == 0 && !observed->unreadable && !options_.debug_symbols) return;
    found[file] = {file, {node}, *observed};
  });
  std::vector<DebugCandidate> candidates;
  for (auto& [file, candidate] : found)
    candidates.push_back(std::move(candidate));
  return candidates;
}

// What speaks against a change that the file itself does not show.
std::optional<DebugFileReport> ImageWork::reason_to_leave(const DebugCandidate& candidate) const {
  DebugFileReport report;
  report.path = "/" + tree_.path(candidate.names.front());
  const Entry& entry = tree_.entry(candidate.file);
  report.size.before = report.size.after = entry.size;
  const auto leave = [&](LeftAlone reason, std::string detail) {
    report.left_alone = name_of(reason);
    report.detail = std::move(detail);
    return report;
  };
  for (const auto& [name, value] : tables_[candidate.file.layer]->xattr_sets[entry.xattrs]) {
    if (name == "security.ima" || name == "security.evm") return leave(LeftAlone::kIntegrityXattr, name);
  }
  for (const NodeId node : candidate.names) {
    const std::string path = "/" + tree_.path(node);
    for (const OwnedPath& owned : packages_.owners(path)) {
      if (owned.checksum_kind == OwnedPath::Checksum::kAbsent) continue;
      return leave(LeftAlone::kPackageChecksum, packages_.packages()[owned.package].name);
    }
    const std::string sum = "." + std::string(tree_.node(node).name) + ".hmac";
    if (tree_.child(tree_.node(node).parent, sum) != kNone) return leave(LeftAlone::kIntegrityFile, sum);
  }
  return std::nullopt;
}

void ImageWork::count_debug_info(const std::vector<DebugCandidate>& candidates) {
  for (const DebugCandidate& candidate : candidates) {
    const ObservedDebugInfo& observed = candidate.observed;
    if (observed.bytes == 0 || reason_to_leave(candidate)) continue;
    const LayerTable& layer = *tables_[candidate.file.layer];
    ++debug_info_.candidates;
    debug_info_.bytes += observed.bytes;
    // What is compressed in the file does not get smaller in the layer.
    const double ratio = layer.plain_size == 0
                             ? 1.0
                             : static_cast<double>(layer.blob_size) / static_cast<double>(layer.plain_size);
    debug_info_.compressed +=
        observed.compressed +
        static_cast<std::uint64_t>(static_cast<double>(observed.bytes - observed.compressed) *
                                   std::min(ratio, 1.0));
  }
}

void ImageWork::handle_debug_info(const std::function<bool(NodeId)>& stays) {
  if (debug_info_handled_) return;
  debug_info_handled_ = true;
  debug_info_.mode = name_of(options_.debug_info);
  debug_info_.symbols = options_.debug_symbols;
  const std::vector<DebugCandidate> candidates = debug_candidates(stays);
  if (options_.debug_info == DebugInfoMode::kKeep) return count_debug_info(candidates);
  if (candidates.empty()) return;

  const std::vector<bool> tied = tied_layers(tables_);
  debug_files_ =
      std::make_unique<DebugFiles>(options_.spool_directory, options_.debug_info == DebugInfoMode::kSplit,
                                   options_.debug_symbols, options_.threads);
  struct Replaced {
    std::uint64_t start = 0;
    std::shared_ptr<ReplacedTable> table;
    Hasher contents;
  };
  std::map<std::uint32_t, Replaced> layers;
  // By layer and entry, as they lie in the layers' streams.
  for (const DebugCandidate& candidate : candidates) {
    const std::uint32_t k = candidate.file.layer;
    std::optional<DebugFileReport> report = reason_to_leave(candidate);
    if (!report && (tied[k] || k < base_layers_)) {
      report.emplace();
      report->path = "/" + tree_.path(candidate.names.front());
      report->left_alone = name_of(LeftAlone::kCopiedLayer);
      report->size.before = report->size.after = tree_.entry(candidate.file).size;
    }
    if (report) {
      // Only what holds something is worth a line.
      if (candidate.observed.bytes > 0) debug_info_.files.push_back(std::move(*report));
      continue;
    }
    std::optional<DebugFiles::Replacement> replacement;
    const std::string path = "/" + tree_.path(candidate.names.front());
    report = debug_files_->take(*contents_, candidate.file, path, replacement);
    if (!report) continue;
    for (const NodeId link : candidate.names) {
      if (link != candidate.names.front()) report->links.push_back("/" + tree_.path(link));
    }
    debug_info_.files.push_back(*report);
    if (!replacement) continue;
    auto [layer, is_new] = layers.try_emplace(k);
    Replaced& replaced = layer->second;
    if (is_new) {
      replaced.start = replacement->offset;
      replaced.table = std::make_shared<ReplacedTable>(tables_[k]);
    }
    Entry& entry = replaced.table->entries[candidate.file.entry];
    entry.size = entry.stored_size = replacement->size;
    entry.crc = replacement->crc;
    entry.sparse = 0;
    entry.data_offset = replaced.table->plain_size + (replacement->offset - replaced.start);
    entry.tar_bytes = TarWriter::bytes_of(entry, *replaced.table);
    replaced.contents.update(report->result_digest);
  }
  std::sort(debug_info_.files.begin(), debug_info_.files.end(),
            [](const DebugFileReport& a, const DebugFileReport& b) { return a.path < b.path; });
  if (layers.empty()) return;

  // From here on the image is one whose files came so.
  replaced_.assign(tables_.size(), nullptr);
  for (auto& [k, replaced] : layers) {
    if (tables_[k]->diff_id) replaced.contents.update(tables_[k]->diff_id->text());
    replaced.table->diff_id =
        replaced.contents.finish();  // written layers are known by where their contents are from
    replaced_[k] = debug_files_->contents_from(replaced.start);
    tables_[k] = std::move(replaced.table);
  }
  tree_ = merge_layers(image_, tables_);
  contents_ = std::make_unique<Contents>(tables_, blobs_, content_cache_bytes(tables_.size()), replaced_);
}

std::string ImageWork::debug_info_reason() const {
  return options_.debug_info == DebugInfoMode::kSplit ? "debug information, kept beside the image"
                                                      : "debug information, named by --debug-info drop";
}

void ImageWork::add_debug_info_rule(PlatformReport& report) const {
  RuleReport rule;
  rule.id = kDebugInfoRule;
  rule.reason = debug_info_reason();
  for (const DebugFileReport& file : debug_info_.files) {
    if (!file.left_alone.empty()) continue;
    ++rule.entries;
    rule.unpacked += file.size.before - std::min(file.size.before, file.size.after);
  }
  if (rule.entries == 0) return;
  for (const LayerReport& layer : report.layers) {
    rule.compressed += layer.compressed.before;
    rule.compressed -= std::min(rule.compressed, layer.compressed.after);
  }
  for (const RuleReport& other : report.rules)
    rule.compressed -= std::min(rule.compressed, other.compressed);
  report.rules.push_back(std::move(rule));
  std::stable_sort(report.rules.begin(), report.rules.end(),
                   [](const RuleReport& a, const RuleReport& b) { return a.unpacked > b.unpacked; });
}

void ImageWork::write_companion_layer(ImageDestination& destination, WrittenLayers& written) {
  const DebugFiles::CompanionLayer companions = debug_files_->companion_layer();
  // No runtime unpacks it, and much of it may be compressed already: zstd, which takes a fraction of gzip's
  // time for such bytes, unless gzip was asked for.
  LayerFormat format = format_for(Compression::kZstd);
  if (!options_.compression) format.level = 0;
  format.threads = std::min(format.threads, kCompanionThreads);
  companion_layer_ = write_once(companions.layer, companions.tables, *companions.contents, format,
                                destination, written, [](const WrittenLayer&) { return true; });
  await_checks();
}

void ImageWork::write_companions(const ImageSource& source, ImageDestination& destination,
                                 const Descriptor& result) {
  if (!destination.holds_referrers()) return;
  std::vector<Descriptor> contents;
  // What an earlier run took out still belongs to the image.
  const std::vector<Descriptor> earlier = source.referrers(image_.descriptor.digest, kDebugArtifactType);
  if (!earlier.empty()) {
    const std::string what = image_.what + ": debug information " + earlier.back().digest.short_text();
    const Manifest manifest =
        Manifest::parse(source.read_document(earlier.back()), earlier.back().media_type, what);
    for (const LayerDescriptor& layer : manifest.layers) {
      const Descriptor& blob = layer.descriptor;
      contents.push_back({blob.media_type, blob.digest, blob.size, std::nullopt, blob.annotations, {}});
      if (!destination.has(blob)) destination.copy(blob, *source.open(blob));
    }
  }
  if (companion_layer_) {
    const WrittenLayer& layer = *companion_layer_;
    const std::string_view type = layer_media_type(media_type::kOciManifest, layer.compression);
    const bool known = std::any_of(contents.begin(), contents.end(),
                                   [&](const Descriptor& other) { return other.digest == layer.digest; });
    if (!known) contents.push_back({std::string(type), layer.digest, layer.size, std::nullopt, {}, {}});
  }
  if (contents.empty()) return;
  const ReferrerManifest manifest = make_referrer(result, kDebugArtifactType, contents);
  destination.put(manifest.config, kEmptyDocument);
  destination.put(manifest.descriptor, manifest.text);
  destination.publish_referrer(manifest.descriptor);
  debug_info_.artifact_digest = manifest.descriptor.digest.text();
}

}  // namespace imgslim
