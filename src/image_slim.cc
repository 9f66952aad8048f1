// SPDX-License-Identifier: Apache-2.0
// The part of ImageWork that brings an image into the form distroless: new layers in place of the source's.
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <numeric>

#include "layers/at_once.h"
#include "layers/dedupe.h"
#include "layers/error.h"
#include "src/image_work.h"
#include "src/scanned_layers.h"
#include "src/verification.h"

namespace imgslim {
namespace {

// Each holds blocks of a MiB for every thread that compresses.
constexpr unsigned kLayersAtOnce = 2;

}  // namespace

KeepInput ImageWork::keep_input() const {
  return KeepInput{*files_,       packages_,     image_.config,          more_commands_,  leftovers_,
                   options_.keep, options_.drop, options_.keep_packages, options_.threads};
}

void ImageWork::find_closure() {
  // They hold what was read of the programs until the keep rule has read it too.
  const std::shared_future<std::vector<GoProgram>> programs =
      std::async(options_.threads > 1 ? std::launch::async : std::launch::deferred, [this] {
        return read_go_programs(*files_, roots_);
      }).share();
  const ContentReader reader = content_reader();
  leftovers_ = find_leftovers({tree_, *files_, reader, packages_, roots_, image_.config,
                               [&]() -> const std::vector<GoProgram>& { return programs.get(); }},
                              Form::kDistroless);
  programs.get();
  closure_ = find_kept(keep_input());
  forget_contents();
}

bool ImageWork::plan_slim() {
  const EqualFiles equal_files = [this](const auto& layer_of) {
    return find_equal_files(tree_, *contents_,
                            [&](NodeId node) { return stays_apart(node) ? std::nullopt : layer_of(node); });
  };
  slim_ = plan_slim_layers(keep_input(), *closure_, options_.hardlinks ? equal_files : EqualFiles(),
                           base_tables(),
                           base_layers_ == 0 ? std::vector<bool>() : find_repeats(tree_, *contents_));
  if (slim_->dropped == 0) {
    slim_.reset();
    return false;
  }
  slim_tables_ = tables_;
  slim_tables_.push_back(slim_->generated);
  std::vector<BlobPtr> blobs = blobs_;
  blobs.push_back(memory_blob(slim_->generated_bytes));
  forget_contents();
  slim_contents_ =
      std::make_unique<Contents>(slim_tables_, std::move(blobs), content_cache_bytes(slim_tables_.size()),
                                 replaced_, nullptr, cache_ == nullptr ? nullptr : &*facts_);
  changes_.assign(tables_.size(), LayerChange{});
  for (std::size_t i = base_layers_; i < changes_.size(); ++i)
    changes_[i].kind = LayerChange::Kind::kRemoved;
  slim_written_.assign(slim_->layers.size(), std::nullopt);
  return true;
}

std::vector<LayerTablePtr> ImageWork::base_tables() const {
  return {tables_.begin(), tables_.begin() + base_layers_};
}

// Derives what the commands reach again, from the planned layers alone: all that the source's verification
// found must be there as it was.
void ImageWork::check_slim() {
  Tree tree;
  for (const LayerTablePtr& table : base_tables())
    tree.apply(table);
  for (const SlimLayer& layer : slim_->layers)
    tree.apply(layer.layer.table);
  const auto place_of = [&](EntryRef file) {
    if (file.layer < base_layers_) return file;
    return slim_->layers[file.layer - base_layers_].layer.contents[file.entry];
  };
  const ContentReader read = [&](EntryRef file, std::uint64_t length) {
    return slim_contents_->read_front(file, length);
  };
  const ContentReader reader = [&](EntryRef file, std::uint64_t length) {
    return facts_->content(place_of(file), length, read);
  };
  const MappedFacts facts(*facts_, place_of);
  const TreeFileSystem files(tree, reader, &facts);
  const PackageDatabase packages = PackageDatabase::read(files);
  lost_shell_ = resolve_path(*files_, "/bin/sh").has_value() && !resolve_path(files, "/bin/sh");
  const Verification source = verify_closure({*files_, image_.config, packages_, more_commands_});
  VerificationInput input{files, image_.config, packages, more_commands_};
  input.strict = true;
  const Verification result = verify_closure(input, &source);
  for (const Finding& finding : result.findings) {
    if (finding.severity != Finding::Severity::kFailure) continue;
    throw Error(Failure::kVerification,
                image_.what + ": the planned image does not verify: " + finding.line());
  }
}

LayerFormat ImageWork::usual_format() const {
  // What most of the source's bytes are compressed with.
  std::map<Compression, std::uint64_t> bytes;
  for (const LayerTablePtr& table : tables_)
    bytes[table->compression] += table->plain_size;
  const auto most = std::max_element(bytes.begin(), bytes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return format_for(most == bytes.end() ? Compression::kGzip : most->first);
}

void ImageWork::rewrite_slim(ImageDestination* destination, WrittenLayers& written) {
  if (destination == nullptr) return check_slim();
  const LayerFormat format = usual_format();
  // Largest first, and two at a time: one is read and compared while the other is compressed. The check of
  // the plan runs beside them; nothing names what was written before all of it is done.
  std::vector<std::size_t> order(slim_->layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return slim_->layers[a].layer.table->plain_size > slim_->layers[b].layer.table->plain_size;
  });
  for_each_at_once(std::min(options_.threads, kLayersAtOnce), order.size() + 1, [&](std::size_t at) {
    if (at == 0) return check_slim();
    const std::size_t i = order[at - 1];
    slim_written_[i] = write_once(slim_->layers[i].layer, slim_tables_, *slim_contents_, format, *destination,
                                  written, [](const WrittenLayer&) { return true; });
  });
  forget_contents();
  // Its own result again: the same layers, so the source as it is.
  slim_changed_ = base_layers_ + slim_written_.size() != tables_.size();
  for (std::size_t i = base_layers_; i < tables_.size() && !slim_changed_; ++i) {
    slim_changed_ = slim_written_[i - base_layers_]->digest != image_.manifest.layers[i].descriptor.digest;
  }
  if (!slim_changed_) changes_.assign(tables_.size(), LayerChange{});
}

void ImageWork::report_slim(PlatformReport& report) const {
  for (const std::string& line : closure_->notices)
    report.findings.push_back(line);
  if (!is_slim()) return;
  report.lost_shell = lost_shell_;
  for (std::size_t i = 0; i < slim_->layers.size(); ++i) {
    const SlimLayer& planned = slim_->layers[i];
    LayerReport layer;
    layer.action = "new";
    layer.created_by = planned.name;
    layer.entries.after = planned.layer.table->entries.size();
    layer.unpacked.after = planned.layer.table->plain_size;
    if (slim_written_[i]) {
      layer.result_digest = slim_written_[i]->digest.text();
      layer.result_diff_id = slim_written_[i]->diff_id.text();
      layer.compressed.after = slim_written_[i]->size;
    } else {
      // The source's mean ratio: what else is known in a dry run.
      std::uint64_t blob = 0;
      std::uint64_t plain = 0;
      for (const LayerTablePtr& table : tables_) {
        blob += table->blob_size;
        plain += table->plain_size;
      }
      layer.compressed.after = compressed_share(layer.unpacked.after, blob, plain);
    }
    report.layers.push_back(std::move(layer));
  }
  std::map<std::string, RuleReport> rules;
  for (std::uint32_t k = 0; k < tables_.size(); ++k) {
    for (std::uint32_t i = 0; i < tables_[k]->entries.size(); ++i) {
      const Entry& entry = tables_[k]->entries[i];
      if (k < base_layers_) continue;
      const NodeId node = tree_.node_of({k, i});
      std::string id;
      std::string reason;
      if (node == kNone) {
        id = tree_.lookup(entry.path) == kNone ? "deleted" : "replaced";
        reason = "no container saw it";
      } else if (closure_->kept.contains(node)) {
        continue;
      } else if (const Leftover* leftover = leftovers_.find(node)) {
        id = leftover_rules()[leftover->rule].id;
        reason = leftover_rules()[leftover->rule].reason;
      } else {
        id = "not-reached";
        reason = "nothing that the image starts loads, starts or reads it";
      }
      RuleReport& rule = rules[id];
      rule.id = id;
      rule.reason = reason;
      ++rule.entries;
      rule.unpacked += entry.tar_bytes;
      rule.compressed += compressed_share(entry.tar_bytes, tables_[k]->blob_size, tables_[k]->plain_size);
    }
  }
  for (auto& [id, rule] : rules)
    report.rules.push_back(std::move(rule));
  std::stable_sort(report.rules.begin(), report.rules.end(),
                   [](const RuleReport& a, const RuleReport& b) { return a.unpacked > b.unpacked; });
  for (const std::string& line : closure_->notices)
    report.findings.push_back(line);
}

}  // namespace imgslim
