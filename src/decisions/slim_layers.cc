// SPDX-License-Identifier: Apache-2.0
#include "src/decisions/slim_layers.h"

#include <algorithm>
#include <map>
#include <set>

#include "layers/tar.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxPackageLayers = 10;  // with data and application: twelve layers at most
constexpr std::size_t kOwnLayers = 9;  // with more source packages than that, these have one of their own
constexpr std::string_view kData = "data";
constexpr std::string_view kOtherPackages = "other packages";
constexpr std::string_view kApplication = "application";

bool is_shared_data(std::string_view path) {
  for (const std::string_view folder :
       {"/usr/share/zoneinfo/", "/etc/ssl/certs/", "/usr/share/ca-certificates/"}) {
    if (path.starts_with(folder)) return true;
  }
  return false;
}

// Files that belong to this image rather than to a package, even if a package put them there.
bool is_of_the_image(std::string_view path) {
  for (const std::string_view file :
       {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/nsswitch.conf", "/etc/ld.so.cache",
        "/etc/ssl/certs/ca-certificates.crt"}) {
    if (path == file) return true;
  }
  return false;
}

class Planner {
 public:
  Planner(const KeepInput& input, const KeepResult& kept, const std::vector<LayerTablePtr>& base,
          const std::vector<bool>& repeats)
      : input_(input), kept_(kept), tree_(input.files.tree()), base_layers_(base.size()), repeats_(repeats) {
    for (const LayerTablePtr& table : base)
      base_.apply(table);
  }

  SlimPlan run(const EqualFiles& equal_files) {
    for (const auto& [node, witness] : kept_.kept)
      keep(node);
    keep_base();
    keep_copyrights();
    generate();
    SlimPlan plan;
    plan.dropped = sort_nodes();
    assign();
    if (equal_files) same_as_ = equal_files([this](NodeId node) { return number_of_layer(node); });
    for (const std::string& name : layer_order()) {
      PlannedLayer layer = build(name);
      if (!layer.table->entries.empty()) plan.layers.push_back({name, std::move(layer)});
    }
    generated_->plain_size = generated_bytes_.size();
    generated_->blob_size = generated_bytes_.size();
    generated_->digest = digest_of(generated_bytes_);
    generated_->diff_id = generated_->digest;
    plan.generated = generated_;
    plan.generated_bytes = std::move(generated_bytes_);
    return plan;
  }

 private:
  std::string path_of(NodeId node) const { return "/" + tree_.path(node); }
  bool is_directory(NodeId node) const { return tree_.type(node) == EntryType::kDirectory; }

  void keep(NodeId node) {
    for (; node != kNone && nodes_.insert(node).second; node = tree_.node(node).parent) {
    }
  }

  // Whether the layers that stay show a node as the source does.
  bool is_in_base(NodeId node) const {
    if (base_layers_ == 0) return false;
    InodeId inode = tree_.node(node).inode;
    if (tree_.inode(inode).attributes.layer < base_layers_)
      return tree_.node(node).shown_by.layer < base_layers_;
    while (tree_.inode(inode).attributes.layer >= base_layers_) {
      if (inode >= repeats_.size() || !repeats_[inode]) return false;
      inode = tree_.inode(inode).replaces;
    }
    const NodeId of_base = base_.lookup(tree_.path(node));
    return of_base != kNone && base_.inode_of(of_base).attributes == tree_.inode(inode).attributes;
  }

  void keep_base() {
    if (base_layers_ == 0) return;
    base_.walk([&](NodeId of_base) {
      if (of_base == Tree::kRoot) return;
      const NodeId node = tree_.lookup(base_.path(of_base));
      if (node != kNone) keep(node);
    });
  }

  // What upper layers of the source deleted from the layers that stay.
  std::vector<PlannedEntry> whiteouts(std::set<NodeId>& directories) const {
    std::vector<PlannedEntry> entries;
    base_.walk([&](NodeId of_base) {
      if (of_base == Tree::kRoot) return;
      const std::string path = base_.path(of_base);
      if (tree_.lookup(path) != kNone || generated_paths_.contains("/" + path)) return;
      const NodeId parent = tree_.lookup(base_.path(base_.node(of_base).parent));
      if (parent == kNone || !is_directory(parent)) return;  // gone or replaced with its folder
      for (NodeId at = parent; at != kNone && at != Tree::kRoot; at = tree_.node(at).parent)
        directories.insert(at);
      PlannedEntry item;
      item.path = path;
      item.entry.type = EntryType::kWhiteout;
      entries.push_back(std::move(item));
    });
    return entries;
  }

  bool holds(std::string_view path) const {
    const NodeId node = input_.files.node(path);
    return node != kNone && !is_directory(node) && nodes_.contains(node);
  }

  // Licences ask that their text stays with what they cover.
  void keep_copyrights() {
    left_ = packages_left(input_.packages, [&](std::string_view path) { return holds(path); });
    for (const PackageId id : left_) {
      const std::string path = "/usr/share/doc/" + input_.packages.packages()[id].name + "/copyright";
      std::vector<std::string> links;
      const auto resolved = resolve_path(input_.files, path, true, &links);
      if (!resolved) continue;
      keep(input_.files.node(*resolved));
      copyright_[input_.files.node(*resolved)] = id;
      for (const std::string& link : links) {
        keep(input_.files.node(link));
        copyright_[input_.files.node(link)] = id;
      }
    }
  }

  // Generated files stand in a tar of their own, read like any other layer.
  void generate() {
    const auto kept = [&](std::string_view path) {
      const NodeId node = input_.files.node(path);
      return node != kNone && nodes_.contains(node);
    };
    const bool has_manager = base_layers_ > 0 && base_.resolve("/var/lib/dpkg/status") != kNone;
    std::vector<GeneratedFile> files =
        package_records(input_.files, input_.packages, left_, kept,
                        has_manager ? DpkgRecords::kStatusFile : DpkgRecords::kFolder);
    if (!kept_.cache_entries.empty())
      files.push_back({"/etc/ld.so.cache", write_ld_cache(kept_.cache_entries)});
    const auto out = sink_to([&](std::span<const std::byte> bytes) { generated_bytes_ += as_text(bytes); });
    TarWriter writer(*out);
    LayerTable texts;
    for (const GeneratedFile& file : files) {
      generated_paths_.insert(file.path);
      Entry entry;
      entry.path = texts.keep(std::string_view(file.path).substr(1));
      entry.mode = 0644;
      entry.size = file.content.size();
      writer.header(entry, texts);
      writer.content(as_bytes(file.content));
    }
    writer.finish();
    TarIndexer indexer;
    indexer.write(as_bytes(generated_bytes_));
    generated_ = indexer.finish();
  }

  // What stays in path order. The number of the other files.
  std::uint64_t sort_nodes() {
    std::uint64_t dropped = 0;
    tree_.walk([&](NodeId node) {
      if (nodes_.contains(node)) {
        in_order_.push_back(node);
      } else if (!is_directory(node) && !generated_paths_.contains(path_of(node))) {
        ++dropped;
      }
    });
    return dropped;
  }

  // Source package of a file, nothing for what is the image's own: unowned, or changed since it was
  // installed.
  std::optional<std::string> source_package(NodeId node, const std::string& path) const {
    if (const auto of = copyright_.find(node); of != copyright_.end()) {
      return input_.packages.packages()[of->second].source;
    }
    const auto owner = input_.packages.owner(path);
    if (!owner || is_of_the_image(path)) return std::nullopt;
    const auto witness = kept_.kept.find(node);
    if (witness != kept_.kept.end() && witness->second.rule == "application") return std::nullopt;
    return input_.packages.packages()[*owner].source;
  }

  void assign() {
    std::map<std::string, std::uint64_t> bytes;
    for (const NodeId node : nodes_) {
      if (is_directory(node) || is_in_base(node)) continue;
      const std::string path = path_of(node);
      if (generated_paths_.contains(path)) continue;
      std::string name(kApplication);
      const auto source = source_package(node, path);
      if (source) name = *source;
      if (is_shared_data(path) && source) name = kData;
      layer_of_[node] = name;
      if (name != kApplication && name != kData) {
        const Entry* entry = tree_.attributes(node);
        bytes[name] += entry == nullptr ? 0 : entry->size;
      }
    }
    for (const auto& [name, size] : bytes)
      packages_.push_back(name);
    if (packages_.size() <= kMaxPackageLayers) return;
    std::vector<std::string> by_size = packages_;
    std::stable_sort(by_size.begin(), by_size.end(), [&](const std::string& a, const std::string& b) {
      if ((a == "glibc") != (b == "glibc")) return a == "glibc";
      return bytes[a] > bytes[b];
    });
    by_size.resize(kOwnLayers);
    std::sort(by_size.begin(), by_size.end());
    packages_ = by_size;
    for (auto& [node, name] : layer_of_) {
      if (name == kApplication || name == kData) continue;
      if (!std::binary_search(packages_.begin(), packages_.end(), name)) name = kOtherPackages;
    }
    packages_.emplace_back(kOtherPackages);
  }

  std::optional<std::uint32_t> number_of_layer(NodeId node) const {
    const auto layer = layer_of_.find(node);
    if (layer == layer_of_.end()) return std::nullopt;
    if (layer->second == kData) return 0;
    if (layer->second == kApplication) return static_cast<std::uint32_t>(packages_.size() + 1);
    const auto at = std::find(packages_.begin(), packages_.end(), layer->second);
    return static_cast<std::uint32_t>(at - packages_.begin() + 1);
  }

  std::vector<std::string> layer_order() const {
    std::vector<std::string> order{std::string(kData)};
    order.insert(order.end(), packages_.begin(), packages_.end());
    order.emplace_back(kApplication);
    return order;
  }

  PlannedLayer build(const std::string& name) {
    const bool last = name == kApplication;
    std::vector<PlannedEntry> entries;
    std::set<NodeId> directories;
    std::map<InodeId, std::string> first_names;
    const auto add_parents = [&](NodeId node) {
      for (NodeId at = tree_.node(node).parent; at != kNone && at != Tree::kRoot;
           at = tree_.node(at).parent) {
        if (!directories.insert(at).second) break;
      }
    };
    // In path order, so that the first name of an inode is the file and the others are links to it.
    for (const NodeId node : in_order_) {
      if (is_directory(node)) {
        if (last && node != Tree::kRoot) directories.insert(node);
        continue;
      }
      const auto layer = layer_of_.find(node);
      if (layer == layer_of_.end() || layer->second != name) continue;
      add_parents(node);
      PlannedEntry item;
      item.path = tree_.path(node);
      const EntryRef attributes = tree_.inode_of(node).attributes;
      item.entry = tree_.entry(attributes);
      item.origin = &tree_.layer(attributes.layer);
      const InodeId inode = tree_.node(node).inode;
      const auto [first, is_first] =
          first_names.emplace(same_as_.empty() ? inode : same_as_[inode], item.path);
      if (is_first) {
        if (item.entry.type == EntryType::kRegular) item.content = attributes;
      } else {
        item.entry.type = EntryType::kHardLink;
        item.link = first->second;
      }
      entries.push_back(std::move(item));
    }
    if (last) {
      add_generated_entries(entries, directories);
      for (PlannedEntry& whiteout : whiteouts(directories))
        entries.push_back(std::move(whiteout));
    }
    if (entries.empty() && !last) return build_layer({});
    for (const NodeId node : directories) {
      PlannedEntry item = directory(node, last);
      // Lower layers show it just so already.
      const bool is_new = shown_below_.insert(node).second;
      if (last && !is_new && item.entry.mtime == 0 && item.entry.mtime_nanoseconds == 0) continue;
      if (last && is_new && is_in_base(node)) continue;
      entries.push_back(std::move(item));
    }
    return build_layer(std::move(entries));
  }

  // Directories below the last layer have time 0, so that equal kept sets are equal layers; the last layer
  // shows all of them as they were.
  PlannedEntry directory(NodeId node, bool last) const {
    PlannedEntry item;
    item.path = tree_.path(node);
    item.entry = plain_directory();
    if (const Entry* entry = tree_.attributes(node)) {
      item.entry = *entry;
      item.origin = &tree_.layer(tree_.inode_of(node).attributes.layer);
    }
    if (!last) {
      item.entry.mtime = 0;
      item.entry.mtime_nanoseconds = 0;
    }
    return item;
  }

  void add_generated_entries(std::vector<PlannedEntry>& entries, std::set<NodeId>& directories) const {
    std::set<std::string> made;
    for (std::uint32_t i = 0; i < generated_->entries.size(); ++i) {
      PlannedEntry item;
      item.path = generated_->entries[i].path;
      item.entry = generated_->entries[i];
      item.content = {tree_.layer_count(), i};
      std::string_view parent = item.path;
      for (std::size_t slash = parent.rfind('/'); slash != std::string_view::npos;
           slash = parent.rfind('/')) {
        parent = parent.substr(0, slash);
        const NodeId node = tree_.lookup(parent);
        if (node != kNone && is_directory(node)) {
          directories.insert(node);
        } else if (made.emplace(parent).second) {
          PlannedEntry folder;
          folder.path = parent;
          folder.entry = plain_directory();
          entries.push_back(std::move(folder));
        }
      }
      entries.push_back(std::move(item));
    }
  }

  const KeepInput& input_;
  const KeepResult& kept_;
  const Tree& tree_;
  std::size_t base_layers_ = 0;
  const std::vector<bool>& repeats_;
  Tree base_;               // of the layers that stay
  std::set<NodeId> nodes_;  // all that stays
  std::vector<NodeId> in_order_;
  std::vector<PackageId> left_;
  std::map<NodeId, PackageId> copyright_;
  std::shared_ptr<LayerTable> generated_;
  std::string generated_bytes_;
  std::set<std::string> generated_paths_;
  std::map<NodeId, std::string> layer_of_;
  std::vector<std::string> packages_;
  std::vector<InodeId> same_as_;
  std::set<NodeId> shown_below_;  // directories that a layer built so far shows
};

}  // namespace

SlimPlan plan_slim_layers(const KeepInput& input, const KeepResult& kept, const EqualFiles& equal_files,
                          const std::vector<LayerTablePtr>& base, const std::vector<bool>& repeats) {
  return Planner(input, kept, base, repeats).run(equal_files);
}

}  // namespace imgslim
