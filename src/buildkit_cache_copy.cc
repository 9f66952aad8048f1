// SPDX-License-Identifier: Apache-2.0
#include "src/buildkit_cache_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "registry/remote_names.h"

namespace imgslim {
namespace {

// A config this large is soon one that BuildKit does not import.
constexpr std::uint64_t kLargeConfig = std::uint64_t{900} << 10;

bool same_place(const ImageName& a, const ImageName& b) {
  // A digest alone names nothing that could be replaced.
  if ((!a.digest.empty() && a.reference.empty()) || (!b.digest.empty() && b.reference.empty())) return false;
  const auto reference = [](const ImageName& name) {
    return name.reference.empty() ? "latest" : name.reference;
  };
  return a.transport == b.transport && a.location == b.location && reference(a) == reference(b);
}

std::string host_part(const ImageName& name) {
  return name.transport == Transport::kDocker ? host_of(name) : std::string();
}

// From where a registry can take the blobs over, if it is the same.
const ImageName& blobs_near(const ImageName& cache, const ImageName& source,
                            const std::optional<ImageName>& destination) {
  const bool near = host_part(source) == host_part(cache) || !destination;
  return near || host_part(*destination) != host_part(cache) ? source : *destination;
}

}  // namespace

BuildkitCacheRequest parse_buildkit_cache_to(const std::string& text) {
  BuildkitCacheRequest request;
  std::string name = text;
  const std::size_t comma = text.rfind(',');
  const std::size_t equals = comma == std::string::npos ? comma : text.find('=', comma);
  if (equals != std::string::npos) {
    const std::string setting = text.substr(comma + 1);
    name.resize(comma);
    if (setting == "form=index") {
      request.form = CacheForm::kIndex;
    } else if (setting == "form=manifest") {
      request.form = CacheForm::kManifest;
    } else {
      throw_usage(fmt::format("--buildkit-cache-to {}: behind the name it takes form=index or form=manifest",
                              printable(text, 200)));
    }
  }
  request.to = parse_destination_name(name);
  const Transport transport = request.to.transport;
  if (transport == Transport::kDockerArchive || transport == Transport::kDockerDaemon ||
      request.to.location == "-") {
    throw_usage(fmt::format("--buildkit-cache-to {}: a cache goes to docker://, oci:DIR or oci-archive:FILE",
                            printable(name, 200)));
  }
  return request;
}

std::optional<BuildkitCache> read_inline_caches(const ImageSource& source, const ImageSet& set) {
  BuildkitCache cache{CacheForm::kInline, source.name(), source.root(), {}, {}, {}};
  for (const SourceImage& image : set.images) {
    auto part = read_inline_cache(image.manifest, image.config, image.what);
    if (!part) continue;
    if (image.config.history.empty() && !image.manifest.layers.empty()) {
      cache.problems.push_back(
          {true, part->platform + ": the image has no history, on which BuildKit fails as a whole"});
    }
    cache.parts.push_back(std::move(*part));
  }
  return cache.parts.empty() ? std::nullopt : std::optional(std::move(cache));
}

BuildkitCacheCopy::BuildkitCacheCopy(const BuildkitCacheRequest& request, const ImageName& source_name,
                                     const ImageSource& source, const ImageSet& set,
                                     const std::optional<ImageName>& image_destination, bool dry_run,
                                     ImageStores& stores)
    : source_(source), set_(set) {
  if (same_place(request.to, source_name)) {
    throw_usage(fmt::format("--buildkit-cache-to {}: this is the source, which the cache would replace",
                            request.to.text()));
  }
  if (image_destination && same_place(request.to, *image_destination)) {
    throw_usage(fmt::format("--buildkit-cache-to {}: this is where the image goes", request.to.text()));
  }
  if (request.from) {
    cache_source_ = stores.open_source(*request.from);
    cache_ = read_separate_cache(*cache_source_);
    if (!cache_) {
      cache_ = read_inline_caches(*cache_source_, read_image_set(*cache_source_, {}));
      if (!cache_)
        throw_usage(
            fmt::format("--buildkit-cache-from {}: there is no BuildKit cache", cache_source_->name()));
    }
  } else {
    cache_ = read_inline_caches(source, set);
    if (!cache_) {
      throw_usage(fmt::format(
          "--buildkit-cache-to: {} has no inline cache, which a build with BUILDKIT_INLINE_CACHE=1 "
          "leaves; --buildkit-cache-from names another one",
          source.name()));
    }
  }
  form_ = request.form.value_or(cache_->form == CacheForm::kInline ? CacheForm::kManifest : cache_->form);
  if (dry_run) return;
  const ImageName near = blobs_near(request.to, request.from.value_or(source_name), image_destination);
  destination_ = stores.open_destination(request.to, {}, &near);
}

void BuildkitCacheCopy::prepare(const ScannedLayers& layers, unsigned threads, Progress& progress) {
  ExaminationOptions options;
  options.threads = threads;
  options.progress = [&](std::uint64_t done, std::uint64_t total) { progress.at(done, total); };
  for (const SourceImage& image : set_.images) {
    for (const LayerTablePtr& table : layers.tables_of(image)) {
      if (!table->digest || !table->diff_id) continue;
      options.known.emplace(*table->digest,
                            LayerFacts{table->blob_size, *table->diff_id, table->compression, &source_});
    }
  }
  progress.begin("checking the BuildKit cache");
  examination_ = examine_layers(cache_source_ ? *cache_source_ : source_, *cache_, options);
  progress.end();
  std::vector<const CacheConfig*> configs;
  for (const CachePart& part : cache_->parts)
    configs.push_back(&part.config);
  normal_ = make_normal(configs, [&](const Digest& blob) { return examination_.layers.count(blob) != 0; });
  std::map<Digest, Descriptor> descriptors;
  for (const auto& [blob, layer] : examination_.layers)
    descriptors.emplace(blob, layer.descriptor);
  documents_ = make_cache_documents(normal_.config, descriptors, form_, cache_->name);

  for (const CacheProblem& problem : examination_.problems)
    progress.verbose(fmt::format("BuildKit cache: {}", problem.text));
  if (normal_.lost_results > 0) {
    progress.warn(
        fmt::format("BuildKit cache: {} results were left out, their layers cannot be used; --verbose or the "
                    "report says why",
                    normal_.lost_results));
  }
  if (documents_->config.size() > kLargeConfig) {
    progress.warn(
        fmt::format("BuildKit cache: its config has {} bytes, and BuildKit imports none of more than {}",
                    documents_->config.size(), kMaxImportedBytes));
  }
}

void BuildkitCacheCopy::publish() {
  if (!destination_) return;
  std::set<Digest> done;
  for (const CacheLayer& layer : normal_.config.layers) {
    if (!done.insert(layer.blob).second) continue;
    const ExaminedLayer& examined = examination_.layers.at(layer.blob);
    destination_->take(*examined.source, examined.descriptor);
  }
  destination_->put(documents_->config_descriptor, documents_->config);
  destination_->put(documents_->root, documents_->manifest);
  destination_->publish(documents_->root);
}

BuildkitCacheReport BuildkitCacheCopy::report() const {
  BuildkitCacheReport report;
  report.source = cache_->name;
  report.source_digest = cache_->root.digest.text();
  report.source_form = name_of(cache_->form);
  report.destination = destination_ ? destination_->name() : "";
  report.digest = documents_->root.digest.text();
  report.form = name_of(form_);
  for (const CachePart& part : cache_->parts) {
    report.records.before += part.config.records.size();
    report.layers.before += part.config.layers.size();
  }
  report.records.after = normal_.config.records.size();
  report.layers.after = normal_.config.layers.size();
  std::set<Digest> blobs;
  for (const CacheLayer& layer : normal_.config.layers) {
    if (!blobs.insert(layer.blob).second) continue;
    ++report.blobs;
    report.bytes += examination_.layers.at(layer.blob).descriptor.size;
  }
  for (const std::vector<CacheProblem>& list :
       {cache_->problems, record_problems(*cache_), examination_.problems}) {
    for (const CacheProblem& problem : list)
      report.problems.push_back(problem.text);
  }
  return report;
}

}  // namespace imgslim
