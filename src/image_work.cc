// SPDX-License-Identifier: Apache-2.0
#include "src/image_work.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/at_once.h"
#include "layers/dedupe.h"
#include "layers/error.h"
#include "src/facts/roots_from.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

// Whether a rewritten layer is better than the one it would replace: less to move, or less to store at next
// to no cost (gzip finds a nearby repeat by itself, so a file stored once may save unpacked bytes alone).
bool saves_bytes(const LayerTable& before, const WrittenLayer& after) {
  if (after.size < before.blob_size) return true;
  if (after.plain_size >= before.plain_size) return false;
  const std::uint64_t growth = after.size - before.blob_size;
  return growth <= (before.plain_size - after.plain_size) / 16 && growth <= before.blob_size / 50;
}

constexpr std::string_view kUserDrop = "--drop";

struct RuleText {
  std::string_view id;
  std::string_view reason;
};
constexpr RuleText kLosslessRules[] = {
    {"replaced", "a later layer shows something else there"},
    {"deleted", "a later layer deleted it"},
    {"repeated", "lower layers already show exactly this"},
    {"emptied", "an entry with nothing left to say"},
    {"linked", "equal files of one layer, stored once"},
};

std::vector<Command> more_commands(const OptimizeOptions& options, const ImageConfig& config);
std::vector<std::string> homes_of(std::string_view passwd);

}  // namespace

std::uint64_t compressed_share(std::uint64_t part, std::uint64_t blob_size, std::uint64_t plain_size) {
  if (plain_size == 0) return 0;
  return static_cast<std::uint64_t>(static_cast<double>(part) * static_cast<double>(blob_size) /
                                    static_cast<double>(plain_size));
}

ImageWork::ImageWork(const SourceImage& image, const OptimizeOptions& options)
    : image_(image), options_(options) {}

void ImageWork::merge(const ScannedLayers& layers) {
  tables_ = source_tables_ = layers.tables_of(image_);
  blobs_ = layers.blobs_of(image_);
  tree_ = merge_layers(image_, tables_);
  cache_ = layers.cache();
  facts_.emplace(tables_, layers.facts_of(image_));
  contents_ = layers.contents_of(image_, cache_ == nullptr ? nullptr : &*facts_);
}

void ImageWork::forget_contents() const {
  if (contents_) contents_->forget();
  if (slim_contents_) slim_contents_->forget();
}

void ImageWork::find_facts() {
  files_ = std::make_unique<TreeFileSystem>(tree_, content_reader(), &*facts_);
  packages_ = PackageDatabase::read(*files_);
  more_commands_ = more_commands(options_, image_.config);
  roots_ = find_roots(*files_, image_.config, more_commands_);

  in_place_ = {"/var", "/run", "/tmp", "/home", "/root"};
  for (const std::string& volume : image_.config.volumes)
    in_place_.push_back(volume);
  if (const auto passwd = files_->read("/etc/passwd", 1 << 20)) {
    // The home folders of system accounts (/bin, /usr/sbin, /) are root's: nobody writes there.
    for (const std::string& home : homes_of(passwd->bytes())) {
      const auto resolved = resolve_path(*files_, home);
      const NodeId node = resolved ? files_->node(*resolved) : kNone;
      const Entry* entry = node == kNone ? nullptr : tree_.attributes(node);
      if (entry != nullptr && (entry->uid != 0 || (entry->mode & 0022) != 0)) in_place_.push_back(*resolved);
    }
  }
  for (std::string& path : in_place_) {
    if (const auto resolved = resolve_path(*files_, path)) path = *resolved;
  }
  forget_contents();
}

// Whether a program may write this file in place, so that it must not share its storage.
bool ImageWork::stays_apart(NodeId node) const {
  const std::string path = "/" + tree_.path(node);
  return std::any_of(in_place_.begin(), in_place_.end(), [&](const std::string& directory) {
    return directory == "/" ||
           (path.starts_with(directory) && path.size() > directory.size() && path[directory.size()] == '/');
  });
}

ContentReader ImageWork::content_reader() const {
  const ContentReader read = [this](EntryRef file, std::uint64_t length) {
    return contents_->read_front(file, length);
  };
  return [this, read](EntryRef file, std::uint64_t length) { return facts_->content(file, length, read); };
}

void ImageWork::plan(Form wanted) {
  Form form = wanted;
  if (form == Form::kDistroless) {
    handle_debug_info([this](NodeId node) { return closure_->kept.contains(node); });
    if (plan_slim()) return;
    form = Form::kTidy;
  }
  // What else could go of an image that has its form lies in the base, where hiding it saves nothing.
  const bool is_done = form != wanted && base_layers_ > 0;
  request_ = PlanRequest{};
  request_.dropped.assign(tree_.node_limit(), false);
  if (form != Form::kLossless && !is_done) {
    const ContentReader reader = content_reader();
    leftovers_ = find_leftovers({tree_, *files_, reader, packages_, roots_, image_.config}, form);
    const auto named_by = [&](const std::vector<Glob>& globs, NodeId node) {
      if (globs.empty()) return false;
      const std::string path = tree_.path(node);
      return std::any_of(globs.begin(), globs.end(), [&](const Glob& glob) { return glob.covers(path); });
    };
    for (const Leftover& leftover : leftovers_.claimed) {
      if (named_by(options_.keep, leftover.node)) continue;
      request_.dropped[leftover.node] = true;
      rule_of_[leftover.node] = leftover_rules()[leftover.rule].id;
    }
    if (!options_.drop.empty()) {
      tree_.walk([&](NodeId node) {
        if (tree_.type(node) != EntryType::kRegular || request_.dropped[node]) return;
        if (!named_by(options_.drop, node) || named_by(options_.keep, node)) return;
        request_.dropped[node] = true;
        rule_of_[node] = kUserDrop;
      });
    }
  }
  handle_debug_info([this](NodeId node) { return !request_.dropped[node]; });
  if (!is_done) request_.repeats = find_repeats(tree_, *contents_);
  for (const BlobPtr& contents : replaced_)
    request_.replaced.push_back(contents != nullptr);
  if (form != Form::kLossless && !is_done) {
    if (options_.hardlinks) {
      request_.same_as = find_equal_files(tree_, *contents_, [&](NodeId node) {
        return request_.dropped[node] || stays_apart(node) ? std::nullopt : layer_it_came_from(tree_, node);
      });
    }
  }
  forget_contents();
  request_.pinned.assign(tables_.size(), false);
  request_.drop_overlay_xattrs = form != Form::kLossless;
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const bool replaced = i < request_.replaced.size() && request_.replaced[i];
    request_.pinned[i] = i < base_layers_ || (!request_.drop_overlay_xattrs && !replaced &&
                                              !overlay_xattrs_in(*tables_[i]).empty());
  }
  plan_ = plan_layers(tree_, tables_, request_);
}

LayerFormat ImageWork::format_for(Compression source) const {
  return LayerFormat{options_.compression.value_or(source), options_.compression_level, options_.threads};
}

std::optional<WrittenLayer> ImageWork::write_once(const PlannedLayer& layer,
                                                  const std::vector<LayerTablePtr>& tables,
                                                  const Contents& contents, const LayerFormat& format,
                                                  ImageDestination& destination, WrittenLayers& written,
                                                  const std::function<bool(const WrittenLayer&)>& accept) {
  const Digest key = layer_key(layer, tables, format);
  {
    const std::lock_guard lock(written_mutex_);
    if (const auto known = written.find(key); known != written.end()) return known->second;
  }
  if (cache_ != nullptr) {
    if (const auto known = cache_->find_output(key, destination)) {
      if (!accept(*known)) return std::nullopt;
      const std::lock_guard lock(written_mutex_);
      return written.emplace(key, *known).first->second;
    }
  }
  const std::unique_ptr<BlobWriter> blob = destination.start_blob();
  const WrittenLayer result = write_layer(layer, contents, format, *blob);
  if (!accept(result)) return std::nullopt;
  blob->commit(result.digest, result.size);
  // Beside what is written next, and beside the documents at last.
  checks_.add([this, key, result, &layer,
               written_blob = destination.open(Descriptor{"", result.digest, result.size, {}, {}, {}})] {
    check_written_layer(written_blob, result, layer);
    if (cache_ != nullptr) cache_->add_output(key, result);
  });
  if (options_.threads == 1) await_checks();
  const std::lock_guard lock(written_mutex_);
  return written.emplace(key, result).first->second;
}

void ImageWork::rewrite(ImageDestination* destination, WrittenLayers& written) {
  // Nothing of the image waits for the companions, so that they are written beside it.
  const bool companions = destination != nullptr && destination->holds_referrers() && debug_files_ &&
                          debug_files_->has_companions();
  for_each_at_once(options_.threads, companions ? 2 : 1, [&](std::size_t at) {
    if (at == 1) return write_companion_layer(*destination, written);
    if (slim_) return rewrite_slim(destination, written);
    rewrite_layers(destination, written);
  });
}

void ImageWork::rewrite_layers(ImageDestination* destination, WrittenLayers& written) {
  while (true) {
    changes_.assign(tables_.size(), LayerChange{});
    bool again = false;
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      const PlannedLayer& layer = plan_.layers[i];
      if (!layer.rewritten) continue;
      if (layer.empty()) {
        changes_[i].kind = LayerChange::Kind::kRemoved;
        continue;
      }
      changes_[i].kind = LayerChange::Kind::kRewritten;
      if (destination == nullptr) continue;
      const bool replaced = i < request_.replaced.size() && request_.replaced[i];
      const auto accept = [&](const WrittenLayer& result) {
        return replaced || saves_bytes(*tables_[i], result);
      };
      changes_[i].written = write_once(layer, tables_, *contents_, format_for(tables_[i]->compression),
                                       *destination, written, accept);
      if (!changes_[i].written) {
        request_.pinned[i] = true;
        again = true;
      }
    }
    forget_contents();
    if (!again) return;
    await_checks();
    plan_ = plan_layers(tree_, tables_, request_);
  }
}

EditedImage ImageWork::edit(const std::optional<std::string>& created) const {
  if (is_slim()) {
    std::vector<NewLayer> layers;
    for (std::size_t i = 0; i < slim_->layers.size(); ++i) {
      layers.push_back({slim_written_[i].value(), "imgslim: " + slim_->layers[i].name});
    }
    return replace_layers(image_.manifest, image_.config, base_layers_, layers, created);
  }
  return edit_image(image_.manifest, image_.config, changes_, created);
}

std::vector<RuleReport> ImageWork::rule_reports() const {
  std::map<std::string, RuleReport> rules;
  for (const GoneEntry& gone : plan_.gone) {
    const std::string id =
        gone.reason == Gone::kDropped ? rule_of_.at(gone.node) : std::string(name_of(gone.reason));
    RuleReport& rule = rules[id];
    rule.id = id;
    ++rule.entries;
    rule.unpacked += gone.bytes;
    const LayerTable& layer = *tables_[gone.entry.layer];
    rule.compressed += compressed_share(gone.bytes, layer.blob_size, layer.plain_size);
  }
  for (const RuleText& text : kLosslessRules) {
    if (const auto rule = rules.find(std::string(text.id)); rule != rules.end())
      rule->second.reason = text.reason;
  }
  for (const LeftoverRule& text : leftover_rules()) {
    if (const auto rule = rules.find(std::string(text.id)); rule != rules.end())
      rule->second.reason = text.reason;
  }
  if (const auto rule = rules.find(std::string(kUserDrop)); rule != rules.end()) {
    rule->second.reason = "named by --drop";
  }
  std::vector<RuleReport> sorted;
  for (auto& [id, rule] : rules)
    sorted.push_back(std::move(rule));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const RuleReport& a, const RuleReport& b) { return a.unpacked > b.unpacked; });
  return sorted;
}

PlatformReport ImageWork::report() const {
  PlatformReport report;
  report.platform = image_.config.platform.text();
  report.source_digest = image_.descriptor.digest.text();
  report.kind = name_of(roots_.kind);

  std::vector<std::string> steps;
  for (const HistoryItem& item : image_.config.history) {
    if (!item.empty_layer) steps.push_back(item.created_by);
  }
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const LayerTable& table = *tables_[i];
    LayerReport layer;
    layer.source_digest = image_.manifest.layers[i].descriptor.digest.text();
    layer.created_by = i < steps.size() ? steps[i] : "";
    layer.compressed.before = table.blob_size;
    layer.unpacked.before = table.plain_size;
    layer.entries.before = table.entries.size();
    const LayerChange& change = changes_[i];
    if (is_slim() && i >= base_layers_) {
      layer.action = "replaced";
    } else if (change.kind == LayerChange::Kind::kCopied) {
      layer.action = "copied";
      layer.result_digest = layer.source_digest;
      layer.result_diff_id = image_.config.diff_ids[i].text();
      layer.compressed.after = layer.compressed.before;
      layer.unpacked.after = layer.unpacked.before;
      layer.entries.after = layer.entries.before;
    } else if (change.kind == LayerChange::Kind::kRemoved) {
      layer.action = "removed";
    } else {
      const PlannedLayer& planned = plan_.layers[i];
      layer.action = "rewritten";
      layer.entries.after = planned.table->entries.size();
      layer.unpacked.after = planned.table->plain_size;
      if (change.written) {
        layer.result_digest = change.written->digest.text();
        layer.result_diff_id = change.written->diff_id.text();
        layer.compressed.after = change.written->size;
        layer.unpacked.after = change.written->plain_size;
      } else {
        layer.compressed.after =
            compressed_share(planned.table->plain_size, table.blob_size, table.plain_size);
      }
    }
    report.layers.push_back(std::move(layer));
    if ((is_slim() && i >= base_layers_) || change.kind == LayerChange::Kind::kRewritten) {
      if (const std::vector<std::string> names = overlay_xattrs_in(table); !names.empty()) {
        report.warnings.push_back(
            fmt::format("layer {}: attributes that are overlayfs' own are not carried over: {}", i + 1,
                        printable(fmt::format("{}", fmt::join(names, ", ")))));
      }
    }
    for (const std::string& warning : table.warnings)
      report.warnings.push_back(fmt::format("layer {}: {}", i + 1, warning));
  }
  for (const TreeNotice& notice : tree_.notices()) {
    report.warnings.push_back(fmt::format("layer {}: {}", notice.entry.layer + 1, notice.text));
  }
  if (slim_) {
    report_slim(report);
  } else {
    report.rules = rule_reports();
  }
  report.base_layers = base_layers_;
  for (std::size_t i = base_layers_; i < report.layers.size(); ++i)
    report.above_base += report.layers[i].compressed.after;
  report.debug_info = debug_info_;
  add_debug_info_rule(report);
  for (const Root& root : roots_.roots) {
    report.roots.push_back(RootReport{root.command.origin, root.command.argv, root.program});
  }
  for (const RootFinding& finding : roots_.findings)
    report.findings.push_back(finding.text);
  for (const std::string& line : leftovers_.spared)
    report.findings.push_back(line);
  return report;
}

namespace {

std::vector<Command> more_commands(const OptimizeOptions& options, const ImageConfig& config) {
  std::vector<Command> commands;
  for (const std::string& line : options.also_run)
    commands.push_back(command_from_line(line, "--also-run " + line));
  for (const std::string& file : options.roots_from) {
    for (Command& command : commands_from_deployment_file(file, config, {}))
      commands.push_back(std::move(command));
  }
  return commands;
}

// The home directories in passwd(5) text.
std::vector<std::string> homes_of(std::string_view passwd) {
  std::vector<std::string> homes;
  while (!passwd.empty()) {
    const std::string_view line = passwd.substr(0, passwd.find('\n'));
    passwd.remove_prefix(std::min(passwd.size(), line.size() + 1));
    std::size_t start = 0;
    for (int field = 0; field < 5 && start != std::string_view::npos; ++field) {
      start = line.find(':', start);
      if (start != std::string_view::npos) ++start;
    }
    if (start == std::string_view::npos) continue;
    const std::string_view home = line.substr(start, line.find(':', start) - start);
    // The root directory is the home of users that have none.
    if (home.size() > 1 && home[0] == '/') homes.emplace_back(home);
  }
  return homes;
}

}  // namespace

}  // namespace imgslim
