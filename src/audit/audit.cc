// SPDX-License-Identifier: Apache-2.0
#include "src/audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/tar.h"
#include "src/decisions/leftovers.h"
#include "src/facts/roots.h"
#include "src/facts/tree_file_system.h"
#include "src/scanned_layers.h"

namespace imgslim {
namespace {

// Programs that are looked into; larger ones are counted as files alone.
constexpr std::uint64_t kMaxGoProgram = std::uint64_t{256} << 20;
// Directories with less than this share of the image are part of the one above.
constexpr std::uint64_t kDirectoryShare = 500;

std::string revision_of(const SourceImage& image) {
  const auto text_in = [](const Json& object, const char* member) -> std::string {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_object()) return "";
    const auto value = found->find("org.opencontainers.image.revision");
    return value != found->end() && value->is_string() ? value->get<std::string>() : "";
  };
  std::string revision = text_in(image.manifest.json, "annotations");
  if (!revision.empty()) return revision;
  const auto config = image.config.json.find("config");
  if (config == image.config.json.end() || !config->is_object()) return "";
  return text_in(*config, "Labels");
}

// Where the base image ends, as far as the history tells: a base ends with a CMD or ENTRYPOINT of its own,
// which makes no layer and stands before the first step of the image itself.
void find_base(const SourceImage& image, const AuditOptions& options, ImageAudit& audit) {
  const auto count = static_cast<std::uint32_t>(image.manifest.layers.size());
  if (options.base_layers) {
    audit.base_layers = std::min(*options.base_layers, count);
    audit.base_known_by = options.base_known_by;
    return;
  }
  std::uint32_t layer = 0;
  std::uint32_t end = 0;
  for (const HistoryItem& item : image.config.history) {
    if (!item.empty_layer) {
      ++layer;
    } else if (layer > 0 && layer < count &&
               (item.created_by.find("CMD [") != std::string::npos ||
                item.created_by.find("ENTRYPOINT [") != std::string::npos)) {
      end = layer;
    }
  }
  if (end > 0) {
    audit.base_layers = end;
    audit.base_known_by = "the history: a CMD or ENTRYPOINT before other steps ends a base";
  } else if (count > 1) {
    audit.base_layers = 1;
    audit.base_known_by = "nothing says; the first layer is taken for it";
  } else {
    audit.base_known_by = "one layer: it counts as the image's own";
  }
}

std::vector<std::string> steps_of(const SourceImage& image) {
  std::vector<std::string> steps;
  for (const HistoryItem& item : image.config.history) {
    if (!item.empty_layer) steps.push_back(item.created_by);
  }
  steps.resize(image.manifest.layers.size());
  return steps;
}

void name_packages(const Tree& tree, const PackageDatabase& packages, ImageAudit& audit) {
  audit.packages = packages.packages();
  if (audit.packages.empty()) return;
  std::string path;
  for (std::uint32_t layer = 0; layer < audit.layers.size(); ++layer) {
    const LayerTable& table = tree.layer(layer);
    for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
      const Entry& entry = table.entries[i];
      AuditRow& row = audit.layers[layer].rows[i];
      if (entry.type == EntryType::kDirectory || row.visibility == Visibility::kMarker) continue;
      path.assign("/").append(entry.path);
      if (const auto owner = packages.owner(path)) row.package = *owner;
    }
  }
}

Bytes bytes_of(const ImageAudit& audit, EntryRef ref) {
  return {1, audit.entry(ref).tar_bytes, audit.row(ref).compressed};
}

template <class Visit>
void each_entry(const ImageAudit& audit, Visit&& visit) {
  for (std::uint32_t layer = 0; layer < audit.tables.size(); ++layer) {
    for (std::uint32_t i = 0; i < audit.tables[layer]->entries.size(); ++i)
      visit(EntryRef{layer, i});
  }
}

void sort_largest(std::vector<NamedSum>& sums) {
  std::stable_sort(sums.begin(), sums.end(),
                   [](const NamedSum& a, const NamedSum& b) { return a.bytes.unpacked > b.bytes.unpacked; });
}

void sum_packages_and_rules(ImageAudit& audit) {
  std::vector<Bytes> packages(audit.packages.size() + 1);
  std::vector<Bytes> rules(leftover_rules().size());
  each_entry(audit, [&](EntryRef ref) {
    const AuditRow& row = audit.row(ref);
    packages[row.package == kNone ? audit.packages.size() : row.package] += bytes_of(audit, ref);
    if (row.rule != kNone) rules[row.rule] += bytes_of(audit, ref);
  });
  for (std::size_t i = 0; i < packages.size(); ++i) {
    if (packages[i].files == 0) continue;
    const bool owned = i < audit.packages.size();
    audit.package_sums.push_back(
        {owned ? audit.packages[i].name : "", owned ? audit.packages[i].version : "", packages[i]});
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].files == 0) continue;
    const LeftoverRule& rule = leftover_rules()[i];
    audit.rule_sums.push_back({std::string(rule.id), std::string(rule.reason), rules[i]});
  }
  sort_largest(audit.package_sums);
  sort_largest(audit.rule_sums);
}

void sum_directories(ImageAudit& audit) {
  std::unordered_map<std::string_view, Bytes> sums;
  each_entry(audit, [&](EntryRef ref) {
    const Bytes bytes = bytes_of(audit, ref);
    const std::string_view path = audit.entry(ref).path;
    sums[""] += bytes;
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      sums[path.substr(0, slash)] += bytes;
    }
  });
  const std::uint64_t least = audit.unpacked() / kDirectoryShare;
  for (const auto& [path, bytes] : sums) {
    if (bytes.unpacked >= least) audit.directory_sums.push_back({std::string(path), "", bytes});
  }
  std::sort(audit.directory_sums.begin(), audit.directory_sums.end(),
            [](const NamedSum& a, const NamedSum& b) { return path_less(a.name, b.name); });
}

void find_waste(const std::vector<Glob>& ignore, ImageAudit& audit) {
  Waste& waste = audit.waste;
  std::map<std::tuple<std::uint32_t, std::uint32_t, Visibility, std::string_view>, WasteGroup> groups;
  each_entry(audit, [&](EntryRef ref) {
    const Entry& entry = audit.entry(ref);
    if (entry.type != EntryType::kRegular) return;
    const AuditRow& row = audit.row(ref);
    const std::uint64_t bytes = entry.stored_size;
    waste.copies += bytes;
    if (ref.layer >= audit.base_layers) waste.user_copies += bytes;
    const auto covers = [&](const Glob& glob) { return glob.covers(entry.path); };
    if (row.visibility == Visibility::kVisible ||
        (!ignore.empty() && std::any_of(ignore.begin(), ignore.end(), covers))) {
      waste.visible += bytes;
      return;
    }
    if (bytes == 0) return;
    waste.bytes += bytes;
    if (row.hidden_by >= audit.base_layers) waste.user_bytes += bytes;
    WasteGroup& group = groups[{row.hidden_by, ref.layer, row.visibility, row.again.text()}];
    if (group.files == 0) {
      group = {row.hidden_by, ref.layer, row.visibility, row.again.text(), 0, 0, 0, ref};
    }
    if (bytes > audit.entry(group.largest).stored_size) group.largest = ref;
    ++group.files;
    group.bytes += bytes;
    group.compressed += row.compressed;
  });
  if (waste.copies > 0)
    waste.efficiency = static_cast<double>(waste.visible) / static_cast<double>(waste.copies);
  if (waste.user_copies > 0) {
    waste.user_percent = 100 * static_cast<double>(waste.user_bytes) / static_cast<double>(waste.user_copies);
  }
  for (auto& [key, group] : groups)
    waste.groups.push_back(group);
  std::stable_sort(waste.groups.begin(), waste.groups.end(),
                   [](const WasteGroup& a, const WasteGroup& b) { return a.bytes > b.bytes; });
}

void find_largest(ImageAudit& audit) {
  each_entry(audit, [&](EntryRef ref) {
    if (audit.entry(ref).type == EntryType::kRegular) audit.largest.push_back(ref);
  });
  std::sort(audit.largest.begin(), audit.largest.end(), [&](EntryRef a, EntryRef b) {
    const std::uint64_t x = audit.entry(a).stored_size;
    const std::uint64_t y = audit.entry(b).stored_size;
    return x != y ? x > y : a < b;
  });
}

void find_programs(const Contents& contents, unsigned threads, ImageAudit& audit) {
  std::vector<EntryRef> go;
  for (std::uint32_t layer = 0; layer < audit.tables.size(); ++layer) {
    for (const Observation& observation : audit.tables[layer]->observations) {
      if (observation.kind != kElfBytesKind) continue;
      const EntryRef ref{layer, observation.entry};
      if (audit.row(ref).visibility != Visibility::kVisible) continue;
      const ElfBytes bytes = parse_elf_bytes(observation);
      // A toolchain that was left behind goes as a whole: what its programs are made of changes nothing.
      const bool leftover = audit.row(ref).rule != kNone;
      if (bytes.go && !leftover && audit.entry(ref).size <= kMaxGoProgram) go.push_back(ref);
      if (bytes.debug + bytes.symbols > 0) audit.debug.push_back({ref, bytes});
    }
  }
  // In the order of the layers' bytes, so that each is decoded once.
  std::vector<std::optional<GoProgramSize>> found(go.size());
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failed;
  const auto work = [&] {
    for (std::size_t i = next++; i < go.size(); i = next++) {
      try {
        const std::string bytes = contents.read(go[i], kMaxGoProgram);
        found[i] = measure_go(fmt::format("/{}", audit.entry(go[i]).path), bytes);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failed = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < std::min<std::size_t>(threads, go.size()); ++i)
      workers.emplace_back(work);
    work();
  }
  if (failed) std::rethrow_exception(failed);
  for (auto& program : found) {
    if (program) audit.go_programs.push_back(std::move(*program));
  }
  std::stable_sort(audit.go_programs.begin(), audit.go_programs.end(),
                   [](const GoProgramSize& a, const GoProgramSize& b) { return a.size > b.size; });
  // Of Go programs all sections are known, wherever their headers are.
  for (DebugBytes& file : audit.debug) {
    for (const GoProgramSize& program : audit.go_programs) {
      if (program.path.substr(1) != audit.entry(file.file).path) continue;
      for (const NamedBytes& part : program.parts) {
        if (part.name == name_of(SectionUse::kDebug)) file.bytes.debug = part.bytes;
        if (part.name == name_of(SectionUse::kSymbols)) file.bytes.symbols = part.bytes;
      }
    }
  }
  std::stable_sort(audit.debug.begin(), audit.debug.end(), [](const DebugBytes& a, const DebugBytes& b) {
    return a.bytes.debug + a.bytes.symbols > b.bytes.debug + b.bytes.symbols;
  });
}

// What the forms take from the layers. Lossless: entries that nothing shows. Tidy: leftovers as well.
void find_form_savings(ImageAudit& audit) {
  Bytes hidden;
  Bytes tidy;
  Bytes toolchains;
  each_entry(audit, [&](EntryRef ref) {
    const AuditRow& row = audit.row(ref);
    const Bytes bytes = bytes_of(audit, ref);
    if (row.visibility == Visibility::kVisible) {
      if (row.rule == kNone) return;
      (leftover_rules()[row.rule].weakest == Form::kDistroless ? toolchains : tidy) += bytes;
    } else if (row.visibility != Visibility::kMarker) {
      hidden += bytes;
    }
  });
  Bytes sum = hidden;
  audit.forms.push_back({"lossless", sum});
  sum += tidy;
  audit.forms.push_back({"tidy", sum});
  sum += toolchains;
  audit.forms.push_back({"distroless", sum});
}

}  // namespace

Bytes& Bytes::operator+=(const Bytes& other) {
  files += other.files;
  unpacked += other.unpacked;
  compressed += other.compressed;
  return *this;
}

std::uint64_t ImageAudit::compressed() const {
  std::uint64_t sum = 0;
  for (const LayerTablePtr& table : tables)
    sum += table->blob_size;
  return sum;
}

std::uint64_t ImageAudit::unpacked() const {
  std::uint64_t sum = 0;
  for (const LayerTablePtr& table : tables)
    sum += table->plain_size;
  return sum;
}

std::uint64_t ImageAudit::entries() const {
  std::uint64_t sum = 0;
  for (const LayerTablePtr& table : tables)
    sum += table->entries.size();
  return sum;
}

Observers audit_observers() {
  Observers observers;
  observers.push_back(make_elf_bytes_observer());
  return observers;
}

ImageAudit audit_image(const std::string& name, const SourceImage& image, std::vector<LayerTablePtr> tables,
                       const std::vector<BlobPtr>& blobs, const AuditOptions& options) {
  ImageAudit audit;
  audit.name = name;
  audit.platform = image.config.platform.text();
  audit.digest = image.descriptor.digest.text();
  audit.revision = revision_of(image);
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    audit.layer_digests.push_back(image.manifest.layers[i].descriptor.digest.text());
    audit.diff_ids.push_back(image.config.diff_ids[i].text());
  }
  audit.steps = steps_of(image);
  audit.tables = std::move(tables);
  const auto tree = std::make_shared<Tree>(merge_layers(image, audit.tables));
  audit.tree = tree;
  find_base(image, options, audit);
  audit.layers = attribute(*tree);
  audit.dive = dive_figures(*tree, audit.layers);

  const Contents contents(audit.tables, blobs, kContentCacheBytes);
  const ContentReader reader = [&](EntryRef file, std::uint64_t length) {
    return contents.read_front(file, length);
  };
  const TreeFileSystem files(*tree, reader);
  const PackageDatabase packages = PackageDatabase::read(files);
  const Roots roots = find_roots(files, image.config);
  const Leftovers leftovers =
      find_leftovers({*tree, files, reader, packages, roots, image.config}, Form::kDistroless);
  for (const Leftover& leftover : leftovers.claimed) {
    const EntryRef ref = tree->inode_of(leftover.node).attributes;
    if (ref) audit.layers[ref.layer].rows[ref.entry].rule = leftover.rule;
  }
  name_packages(*tree, packages, audit);
  sum_packages_and_rules(audit);
  sum_directories(audit);
  find_waste(options.ignore, audit);
  find_largest(audit);
  find_programs(contents, options.threads, audit);
  find_form_savings(audit);
  return audit;
}

Audit combine(std::vector<ImageAudit> images) {
  Audit audit;
  audit.images = std::move(images);
  audit.equal = find_equal_content(audit.images);
  std::map<std::string, std::uint64_t> seen;
  for (const ImageAudit& image : audit.images) {
    for (std::size_t i = 0; i < image.tables.size(); ++i) {
      const auto [place, fresh] = seen.emplace(image.layer_digests[i], image.tables[i]->blob_size);
      if (!fresh) audit.shared_layer_bytes += place->second;
    }
  }
  for (ImageAudit& image : audit.images)
    find_advice(image);
  return audit;
}

}  // namespace imgslim
