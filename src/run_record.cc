// SPDX-License-Identifier: Apache-2.0
#include "src/run_record.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "layers/error.h"
#include "src/cache/cache_store.h"
#include "src/cache/code_id.h"
#include "src/report_members.h"

namespace imgslim {
namespace {

constexpr std::string_view kRuns = "runs";
constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;
constexpr std::uint64_t kMaxRuns = 1000;
constexpr int kDeepest = 8;  // of indexes in indexes

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> texts_of(const std::vector<Glob>& globs) {
  std::vector<std::string> texts;
  texts.reserve(globs.size());
  for (const Glob& glob : globs)
    texts.push_back(glob.text());
  return texts;
}

// All that decides over the result and the report.
std::string key_of(const OptimizeOptions& options, const Descriptor& source) {
  // What else these read may have changed.
  if (options.base_image || options.buildkit_cache) return {};
  Packer key;
  key(code_id(), encoder_versions(), source.digest.text(), options.source.text(),
      options.destination ? options.destination->text() : "");
  const auto number = [](const auto& value) { return value ? static_cast<unsigned>(*value) + 1 : 0u; };
  key(number(options.form), number(options.min_form), static_cast<unsigned>(options.accept),
      number(options.compression), options.compression_level, options.hardlinks, options.also_run,
      static_cast<unsigned>(options.debug_info), options.debug_symbols, texts_of(options.keep),
      texts_of(options.drop), options.keep_packages, options.keep_base, options.dry_run,
      options.source_date_epoch);
  for (const Platform& platform : options.platforms)
    key(platform.text());
  for (const std::string& file : options.roots_from)
    key(file, content_of(file));
  for (const CacheSpec& to : options.cache.to)
    key(to.name.text(), to.with_layers);
  return key.take();
}

// The files of a layout that hold a document and all it names, each with what tells that it did not change.
void add_blobs(const ImageSource& layout, const Descriptor& document, int depth,
               std::set<std::string>& lines) {
  const auto add = [&](const Descriptor& descriptor) {
    lines.insert(descriptor.digest.text() + " " + layout.open(descriptor)->identity());
  };
  add(document);
  if (depth == kDeepest) return;
  const std::string text = layout.read_document(document);
  const std::string what = document.digest.text();
  if (classify_document(parse_json(text, what), document.media_type, what) == DocumentKind::kIndex) {
    for (const Descriptor& child : Index::parse(text, document.media_type, what).manifests)
      add_blobs(layout, child, depth + 1, lines);
    return;
  }
  const Manifest manifest = Manifest::parse(text, document.media_type, what);
  add(manifest.config);
  for (const LayerDescriptor& layer : manifest.layers) {
    if (!layer.foreign) add(layer.descriptor);
  }
}

}  // namespace

RunRecord::RunRecord(const OptimizeOptions& options, const ImageSource& source, ImageStores& stores)
    : options_(options), source_(source), stores_(stores) {
  const ImageName& from = options_.source;
  if (options_.cache.directory.empty() || from.location == "-" || from.transport == Transport::kDockerDaemon)
    return;
  const auto& to = options_.destination;
  const bool is_lasting = !to || to->transport == Transport::kOci || to->transport == Transport::kDocker;
  if (is_lasting) key_ = key_of(options_, source.root());
}

std::string RunRecord::state(const std::string& result_digest) const {
  std::set<std::string> lines;
  if (!source_.is_remote()) add_blobs(source_, source_.root(), 0, lines);
  if (options_.destination) {
    const std::unique_ptr<ImageSource> result = stores_.open_source(*options_.destination);
    if (result->root().digest.text() != result_digest) throw Error(Failure::kIo, "another image is there");
    if (!result->is_remote()) {
      add_blobs(*result, result->root(), 0, lines);
      for (const Descriptor& referrer : result->referrers(result->root().digest, ""))
        add_blobs(*result, referrer, 0, lines);
    }
  }
  std::string all;
  for (const std::string& line : lines)
    all += line + "\n";
  return all;
}

std::optional<Report> RunRecord::find() const {
  if (key_.empty()) return std::nullopt;
  const auto text = CacheStore(options_.cache.directory, kRuns).find(key_);
  const auto known = text ? unpacked<std::pair<std::string, Report>>(*text) : std::nullopt;
  if (!known) return std::nullopt;
  try {
    if (state(known->second.result_digest) != known->first) return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // the run itself meets what is wrong
  }
  Report report = known->second;
  report.cache.whole_run = true;
  return report;
}

void RunRecord::store(const Report& report) const {
  if (key_.empty()) return;
  const CacheStore runs(options_.cache.directory, kRuns);
  try {
    runs.store(key_, packed(std::pair(state(report.result_digest), report)));
  } catch (const Error&) {
    return;  // there is no telling whether it is still there
  }
  runs.trim(kMaxBytes, kMaxRuns);
}

}  // namespace imgslim
