// SPDX-License-Identifier: Apache-2.0
#include "src/audit/audit_run.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "layers/error.h"
#include "layers/image_store.h"
#include "src/command.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxHostFile = std::uint64_t{64} << 20;

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
}

// How many of the lowest layers of `image` are those of `base`; throws if they are not.
std::uint32_t layers_of_base(const SourceImage& image, const ImageSet& bases, const std::string& name) {
  for (const SourceImage& base : bases.images) {
    const auto& lower = base.config.diff_ids;
    const auto& all = image.config.diff_ids;
    if (!lower.empty() && lower.size() <= all.size() && std::equal(lower.begin(), lower.end(), all.begin()))
      return static_cast<std::uint32_t>(lower.size());
  }
  throw_usage(fmt::format("--base {}: the lowest layers of {} are not its", name, image.what));
}

std::optional<std::string> read_host(const std::string& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) > kMaxHostFile) {
    return std::nullopt;
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Whether a file looks like JSON rather than an archive.
bool is_document(const std::string& name) {
  struct stat status {};
  if (stat(name.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  std::ifstream in(name, std::ios::binary);
  char first = 0;
  in >> std::ws >> first;
  return first == '{';
}

}  // namespace

AuditedImages audit_images(const AuditRequest& request, Progress& progress) {
  ImageStores stores(request.network, spool_directory());
  std::unique_ptr<ImageSource> base_source;
  std::optional<ImageSet> bases;
  AuditOptions options;
  options.ignore = request.ignore;
  options.threads = request.threads;
  const bool base_is_number = is_number(request.base);
  if (base_is_number) {
    options.base_layers = static_cast<std::uint32_t>(std::stoul(request.base));
    options.base_known_by = "--base";
  } else if (!request.base.empty()) {
    base_source = stores.open_source(parse_source_name(request.base));
    bases = read_image_set(*base_source, {});
  }

  AuditedImages out;
  std::vector<ImageAudit> images;
  for (const std::string& name : request.images) {
    const std::unique_ptr<ImageSource> source = stores.open_source(parse_source_name(name));
    const ImageSet set = read_image_set(*source, request.platforms);
    const ScannedLayers layers(*source, set, request.threads, progress, &audit_observers);
    for (const SourceImage& image : set.images) {
      if (!request.base.empty() && !base_is_number) {
        options.base_layers = layers_of_base(image, *bases, request.base);
        options.base_known_by = "--base " + request.base;
      }
      const std::vector<LayerTablePtr> tables = layers.tables_of(image);
      const std::vector<BlobPtr> blobs = layers.blobs_of(image);
      images.push_back(with_context(
          image.what, [&] { return audit_image(source->name(), image, tables, blobs, options); }));
      out.contents.push_back(std::make_unique<Contents>(tables, blobs, kContentCacheBytes));
    }
  }
  out.audit = combine(std::move(images));
  return out;
}

std::string label_of(const Audit& audit, std::size_t image) {
  const ImageAudit& self = audit.images[image];
  const auto same = [&](const ImageAudit& other) { return other.name == self.name; };
  return std::count_if(audit.images.begin(), audit.images.end(), same) > 1 ? self.name + ", " + self.platform
                                                                           : self.name;
}

std::vector<Footprint> read_baseline(const std::string& name, unsigned threads,
                                     const NetworkArguments& network, Progress& progress) {
  if (is_document(name)) {
    std::ifstream in(name, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    return read_footprints(text, name);
  }
  AuditRequest request;
  request.images = {name};
  request.threads = threads;
  request.network = network;
  const AuditedImages images = audit_images(request, progress);
  std::vector<Footprint> out;
  for (const ImageAudit& image : images.audit.images)
    out.push_back(footprint_of(image));
  return out;
}

const Footprint* find_platform(const std::vector<Footprint>& images, const std::string& platform) {
  for (const Footprint& image : images) {
    if (image.platform == platform) return &image;
  }
  return images.size() == 1 ? &images.front() : nullptr;
}

std::vector<BrokenRule> check_all(const AuditedImages& images, const Settings& settings, unsigned threads,
                                  const NetworkArguments& network, Progress& progress) {
  std::vector<BrokenRule> broken;
  Budgets budgets = settings.budgets;
  if (!budgets.any()) return broken;
  for (GoSumBudget& rule : budgets.go_sums)
    rule.file = settings.path_of(rule.file);
  std::vector<Footprint> baseline;
  if (!budgets.baseline.empty() && (budgets.total_growth || budgets.compressed_growth)) {
    // A file's path starts at the settings; the name of an image is as good anywhere.
    const std::string file = settings.path_of(budgets.baseline);
    struct stat status {};
    const bool is_path = stat(file.c_str(), &status) == 0;
    baseline = with_context("baseline", [&] {
      return read_baseline(is_path ? file : budgets.baseline, threads, network, progress);
    });
  }
  for (std::size_t i = 0; i < images.audit.images.size(); ++i) {
    BudgetInput input{budgets, nullptr, nullptr, read_host};
    input.baseline = [&](const std::string& platform) { return find_platform(baseline, platform); };
    input.read = [&](EntryRef file, std::uint64_t length) {
      return images.contents[i]->read_front(file, length);
    };
    std::vector<BrokenRule> rules = check_budgets(images.audit.images[i], label_of(images.audit, i), input);
    std::move(rules.begin(), rules.end(), std::back_inserter(broken));
  }
  return broken;
}

}  // namespace imgslim
