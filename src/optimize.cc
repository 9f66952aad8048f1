// SPDX-License-Identifier: Apache-2.0
#include "src/optimize.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/at_once.h"
#include "layers/error.h"
#include "layers/image_edit.h"
#include "layers/image_store.h"
#include "src/buildkit_cache_copy.h"
#include "src/certificate.h"
#include "src/debug_info_observer.h"
#include "src/document_writer.h"
#include "src/image_set.h"
#include "src/image_work.h"
#include "src/run_record.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

struct FormChoice {
  Form form = Form::kTidy;
  std::string stopped_by;
};

// What speaks against the form distroless for an image; empty if nothing does.
std::string what_stops_distroless(ImageWork& work, Evidence accept) {
  const std::string platform = work.image().config.platform.text();
  if (work.roots().kind != ImageKind::kApplication) {
    return fmt::format("{}: {}: {}", platform, name_of(work.roots().kind), work.roots().kind_reason);
  }
  work.find_closure();
  const KeepResult& closure = work.closure();
  if (closure.weakest <= accept) return "";
  if (closure.stoppers.empty()) {
    return fmt::format("{}: it rests on evidence of the class {}", platform, name_of(closure.weakest));
  }
  const std::size_t more = closure.stoppers.size() - 1;
  return fmt::format("{}: {}{}", platform, closure.stoppers.front(),
                     more > 0 ? fmt::format(" (and {} more)", more) : "");
}

// The form for all images, and what stopped a stronger one. The strongest that every image reaches.
FormChoice choose_form(const OptimizeOptions& options, const std::vector<std::unique_ptr<ImageWork>>& works) {
  if (options.form && *options.form != Form::kDistroless) return {*options.form, ""};
  const bool must = options.form == Form::kDistroless || options.min_form == Form::kDistroless;
  for (const auto& work : works) {
    const std::string stopped_by = what_stops_distroless(*work, options.accept);
    if (stopped_by.empty()) continue;
    if (must)
      throw Error(Failure::kFormNotReached, fmt::format("form distroless is not reached: {}", stopped_by));
    return {Form::kTidy, stopped_by};
  }
  return {Form::kDistroless, ""};
}

void note_stopper(Form form, const std::string& stopped_by, Progress& progress) {
  progress.note(fmt::format("form {}: {}", name_of(form), stopped_by));
}

// How many of an image's lowest layers are asked to stay.
std::uint32_t base_of(const OptimizeOptions& options, const SourceImage& image, ImageStores& stores) {
  const std::vector<Digest>& diff_ids = image.config.diff_ids;
  if (options.keep_base > diff_ids.size()) {
    throw Error(Failure::kUsage, fmt::format("--keep-base {}: {} has {} layers", options.keep_base,
                                             image.what, diff_ids.size()));
  }
  if (!options.base_image) return options.keep_base;
  const std::unique_ptr<ImageSource> source = stores.open_source(*options.base_image);
  const ImageSet set = read_image_set(*source, {});
  for (const SourceImage& base : set.images) {
    const std::vector<Digest>& lowest = base.config.diff_ids;
    const bool is_base =
        lowest.size() <= diff_ids.size() && std::equal(lowest.begin(), lowest.end(), diff_ids.begin());
    if (is_base && !lowest.empty()) return static_cast<std::uint32_t>(lowest.size());
  }
  throw Error(Failure::kUsage, fmt::format("--keep-base {}: {} was not built on it, its lowest layers differ",
                                           source->name(), image.what));
}

DestinationNeeds needs_of(const ImageSet& set, const OptimizeOptions& options) {
  DestinationNeeds needs;
  needs.several_platforms = set.images.size() > 1;
  needs.zstd = options.compression == Compression::kZstd;
  for (const SourceImage& image : set.images) {
    for (const LayerDescriptor& layer : image.manifest.layers) {
      needs.zstd = needs.zstd || layer.descriptor.media_type.ends_with("+zstd");
    }
  }
  return needs;
}

// Readers of layouts (skopeo, umoci) take OCI's media types alone; a manifest that was made here, because the
// source has none, may as well be OCI's.
void convert_to_oci(ImageSet& set, const ImageSource& source, const std::optional<ImageName>& destination) {
  if (!source.made_root() || !destination) return;
  if (destination->transport != Transport::kOci && destination->transport != Transport::kOciArchive) return;
  for (SourceImage& image : set.images) {
    if (!image.manifest.is_docker()) continue;
    image.manifest = to_oci(image.manifest);
    image.to_oci = true;
  }
}

// The certificate, put beside the image. That of a source which is its own result is kept, with all else that
// refers to it.
Certificate certify(const OptimizeOptions& options, Form form, const ImageSource& source,
                    const Descriptor& root, const std::vector<std::unique_ptr<ImageWork>>& works,
                    const DocumentWriter& writer, ImageDestination& destination, Progress& progress) {
  Certificate certificate;
  const bool same = root.digest == source.root().digest;
  if (same) {
    copy_referrers(source, root.digest, destination);
    if (auto found = find_certificate(source, root.digest); found && speaks_of(*found, root.digest)) {
      certificate = std::move(*found);
      if (destination.holds_referrers()) return certificate;
      certificate.referrer.clear();
    }
  }
  if (certificate.text.empty()) {
    std::vector<std::string> digests;
    for (std::size_t i = 0; i < works.size(); ++i)
      digests.push_back(writer.result_digest(i));
    certificate.text =
        write_proof(make_proof(options, form, source.root().digest.text(), root, works, digests));
  }
  if (!attach_certificate(destination, root, certificate) && !options.keeps_proof) {
    progress.note(
        fmt::format("{} has no place for the certificate; --proof FILE writes it", destination.name()));
  }
  return certificate;
}

// What this run wrote.
void keep_for_later(const OptimizeOptions& options, ImageCache& cache, ImageStores& stores) {
  const auto& name = options.destination;
  const bool is_readable =
      name && (name->transport == Transport::kOci || name->transport == Transport::kDocker);
  const std::unique_ptr<ImageSource> result = is_readable ? stores.open_source(*name) : nullptr;
  cache.save(result.get());
}

}  // namespace

Report optimize(const OptimizeOptions& options, Progress& progress) {
  // Open: the documents behind the name. What the destination cannot hold is said before any work.
  ImageStores stores(options.network, options.spool_directory);
  const std::unique_ptr<ImageSource> source = stores.open_source(options.source);
  const RunRecord record(options, *source, stores);
  if (std::optional<Report> done = record.find()) {
    if (!done->stopped_by.empty()) note_stopper(done->form, done->stopped_by, progress);
    done->transfers = stores.transfers();
    return *std::move(done);
  }
  ImageSet set = read_image_set(*source, options.platforms);
  convert_to_oci(set, *source, options.destination);
  std::unique_ptr<ImageDestination> destination;
  if (options.destination)
    destination = stores.open_destination(*options.destination, needs_of(set, options), &options.source);

  if (options.debug_info == DebugInfoMode::kSplit && destination && !destination->holds_referrers()) {
    throw_usage(
        fmt::format("--debug-info split needs a place for the debug information beside the image, which {} "
                    "is not; a layout is one",
                    destination->name()));
  }

  std::optional<BuildkitCacheCopy> buildkit_cache;
  if (options.buildkit_cache) {
    buildkit_cache.emplace(*options.buildkit_cache, options.source, *source, set, options.destination,
                           options.dry_run, stores);
  }

  // Tree: every layer is read once, all digests are checked. What an earlier run read is taken from its
  // cache.
  std::optional<ImageCache> cache;
  if (options.cache.is_used()) cache.emplace(options.cache, stores, progress);
  const auto make_observers = [] {
    Observers observers;
    observers.push_back(make_debug_info_observer());
    return observers;
  };
  const ScannedLayers layers(*source, set, options.threads, progress, make_observers,
                             cache ? &*cache : nullptr);
  if (buildkit_cache) buildkit_cache->prepare(layers, options.threads, progress);
  std::vector<std::unique_ptr<ImageWork>> works;
  for (const SourceImage& image : set.images) {
    works.push_back(std::make_unique<ImageWork>(image, options));
    works.back()->merge(layers);
    works.back()->keep_base(base_of(options, image, stores));
  }

  // Facts, and from all of them the form.
  for (const auto& work : works)
    work->find_facts();
  const FormChoice choice = choose_form(options, works);
  if (!choice.stopped_by.empty()) note_stopper(choice.form, choice.stopped_by, progress);

  // Keep and plan. From here on it is fixed what goes.
  for (const auto& work : works)
    work->plan(choice.form);

  // Rewrite: new layers only, each read back and compared with the plan.
  progress.begin("writing layers");
  WrittenLayers written;
  for (const auto& work : works)
    work->rewrite(destination.get(), written);
  progress.end();

  // Write: unchanged blobs, configs, manifests and indexes; the name comes last.
  DocumentWriter writer(*source, destination.get(), works, options.source_date_epoch);
  const std::optional<Descriptor> root = writer.write(set);
  for (std::size_t i = 0; destination && i < works.size(); ++i) {
    if (const auto result = writer.result(i)) works[i]->write_companions(*source, *destination, *result);
  }
  Certificate certificate;
  if (destination && root)
    certificate = certify(options, choice.form, *source, *root, works, writer, *destination, progress);

  // Report.
  Report report;
  report.source = source->name();
  report.source_digest = source->root().digest.text();
  report.destination = destination ? destination->name() : "";
  report.result_digest = root ? root->digest.text() : "";
  report.form = choice.form;
  report.stopped_by = choice.stopped_by;
  report.changed = writer.changed();
  report.dry_run = !destination;
  report.left_out = set.left_out;
  report.attestations_dropped = writer.attestations_dropped();
  report.proof = certificate.text;
  report.proof_referrer = certificate.referrer;
  for (std::size_t i = 0; i < works.size(); ++i) {
    report.platforms.push_back(works[i]->report());
    report.platforms.back().result_digest = writer.result_digest(i);
    report.platforms.back().lost_inline_cache = writer.lost_inline_cache(i);
  }

  // Publish. What was read of the source is true whether that works or not, and packing it takes the memory
  // that the trees had.
  for (const auto& work : works)
    work->await_checks();
  works.clear();
  for_each_at_once(options.threads, cache ? 2 : 1, [&](std::size_t at) {
    if (at == 1) return cache->save_layers();
    if (!destination || !root) return;
    if (buildkit_cache) {
      // What both name is then there already.
      destination->await_blobs();
      buildkit_cache->publish();
    }
    destination->publish(*root);
  });
  report.transfers = stores.transfers();
  if (buildkit_cache) report.buildkit_cache = buildkit_cache->report();
  if (cache) {
    keep_for_later(options, *cache, stores);
    report.cache = cache->report();
    record.store(report);
  }
  return report;
}

}  // namespace imgslim
