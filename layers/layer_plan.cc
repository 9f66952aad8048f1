// SPDX-License-Identifier: Apache-2.0
// Layers are planned from the bottom up against `out_`, the tree that the layers planned so far show.
// A file belongs to the layer that shows it in the end, or, if it was written again unchanged, to the
// lowest layer of that run ("home"). A whiteout is kept only while `out_` has something for it to hide, and
// new ones are made where an entry goes that had hidden something.
#include "layers/layer_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "layers/dedupe.h"
#include "layers/error.h"
#include "layers/tar.h"

namespace imgslim {
namespace {

class Planner {
 public:
  Planner(const Tree& source, const std::vector<LayerTablePtr>& tables, const PlanRequest& request)
      : source_(source), tables_(tables), request_(request) {}

  ImagePlan run() {
    pin_layers();
    find_homes();
    ImagePlan plan;
    for (std::uint32_t k = 0; k < tables_.size(); ++k) {
      plan.layers.push_back(plan_layer(k, plan.gone));
      out_.apply(plan.layers.back().table);
      out_plan_.push_back(&plan.layers.back());
      // The vector may move its elements; the pointers are refreshed with it.
      for (std::size_t i = 0; i < plan.layers.size(); ++i)
        out_plan_[i] = &plan.layers[i];
    }
    check();
    return plan;
  }

 private:
  bool pinned(std::uint32_t layer) const { return pinned_[layer]; }
  bool dropped(NodeId node) const {
    if (node >= request_.dropped.size() || !request_.dropped[node]) return false;
    const EntryRef shown_by = source_.node(node).shown_by;
    return shown_by && !pinned(shown_by.layer);
  }
  bool is_directory(NodeId node) const { return source_.type(node) == EntryType::kDirectory; }

  void pin_layers() {
    pinned_ = tied_layers(tables_);
    for (std::size_t k = 0; k < request_.pinned.size() && k < pinned_.size(); ++k) {
      pinned_[k] = pinned_[k] || request_.pinned[k];
    }
  }

  // Sets home_ and origin_ of every living file, the files of each layer, and the directories' homes.
  void find_homes() {
    home_.assign(source_.inode_limit(), kNone);
    origin_.assign(source_.inode_limit(), EntryRef{});
    class_.resize(source_.inode_limit());
    for (InodeId i = 0; i < class_.size(); ++i)
      class_[i] = i;
    files_.resize(tables_.size());
    directories_.resize(tables_.size());

    // The highest layer that holds a name of the inode: all its names go there.
    source_.walk([&](NodeId node) {
      if (is_directory(node)) return;
      const std::uint32_t layer = source_.node(node).shown_by.layer;
      std::uint32_t& home = home_[source_.node(node).inode];
      if (home == kNone || home < layer) home = layer;
    });
    for (InodeId i = 0; i < home_.size(); ++i) {
      if (home_[i] == kNone) continue;
      origin_[i] = source_.inode(i).attributes;
      if (pinned(home_[i]) || request_.repeats.empty()) continue;
      InodeId lowest = i;
      while (request_.repeats[lowest])
        lowest = source_.inode(lowest).replaces;
      if (lowest == i) continue;
      origin_[i] = source_.inode(lowest).attributes;
      home_[i] = origin_[i].layer;
    }
    source_.walk([&](NodeId node) {
      if (is_directory(node)) {
        if (node == Tree::kRoot && !source_.attributes(node)) return;
        const std::uint32_t home = directory_home(node);
        if (home != kNone) directories_[home].push_back(node);
        if (home == kNone) implied_.insert(source_.path(node));
      } else if (!dropped(node)) {
        files_[home_[source_.node(node).inode]].push_back(node);
      }
    });
  }

  // The lowest layer of the run of equal entries that ends with the one that is seen; kNone if no entry
  // describes the directory.
  std::uint32_t directory_home(NodeId node) const {
    const std::vector<EntryRef> setters = source_.directory_setters(node);
    if (setters.empty()) return kNone;
    std::size_t i = setters.size() - 1;
    while (i > 0 && !pinned(setters[i].layer) && same_directory(setters[i - 1], setters[i]))
      --i;
    return setters[i].layer;
  }
  bool same_directory(EntryRef a, EntryRef b) const {
    return same_attributes(source_.entry(a), *tables_[a.layer], source_.entry(b), *tables_[b.layer]);
  }

  PlannedLayer plan_layer(std::uint32_t k, std::vector<GoneEntry>& gone) {
    PlannedLayer verbatim;
    verbatim.table = tables_[k];
    if (pinned(k)) return verbatim;

    emitted_.clear();
    emitted_directories_.clear();
    emit_files(k);
    for (const NodeId directory : directories_[k])
      emit_directory(k, source_.path(directory));
    emit_hiding(k);
    emit_implied(k);

    std::vector<GoneEntry> gone_here = find_gone(k);
    const bool must_be_written = k < request_.replaced.size() && request_.replaced[k];
    if (!must_be_written && !worth_rewriting(k, gone_here)) {
      for (const auto& [inode, first] : linked_)
        class_[inode] = inode;
      linked_.clear();
      return verbatim;
    }
    linked_.clear();
    gone.insert(gone.end(), gone_here.begin(), gone_here.end());
    return build_layer(std::move(emitted_), request_.drop_overlay_xattrs);
  }

  // Files at home in layer k; the first name of each group is the file, the others link to it.
  void emit_files(std::uint32_t k) {
    std::unordered_map<InodeId, std::string> first_name;
    for (const NodeId node : files_[k]) {
      const InodeId inode = source_.node(node).inode;
      if (!request_.same_as.empty() && request_.same_as[inode] != inode) {
        const InodeId first = request_.same_as[inode];
        if (home_[first] == k && class_[inode] == inode && first_name.contains(class_[first])) {
          class_[inode] = class_[first];
          linked_.emplace(inode, first);
        }
      }
      const EntryRef origin = origin_[class_[inode]];
      PlannedEntry item;
      item.path = source_.path(node);
      item.entry = source_.entry(origin);
      item.origin = tables_[origin.layer].get();
      const auto [known, is_first] = first_name.emplace(class_[inode], item.path);
      if (is_first) {
        item.entry.sparse = 0;
        if (item.entry.type == EntryType::kRegular) item.content = origin;
      } else {
        item.entry.type = EntryType::kHardLink;
        item.entry.size = 0;
        item.link = known->second;
      }
      emit_parents(k, item.path);
      emitted_.push_back(std::move(item));
    }
  }

  void emit_parents(std::uint32_t k, std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash != std::string_view::npos) emit_directory(k, std::string(path.substr(0, slash)));
  }

  // A directory with the attributes that it has once layer k is applied, and its parents.
  void emit_directory(std::uint32_t k, const std::string& path) {
    if (!emitted_directories_.insert(path).second) return;
    emit_parents(k, path);
    PlannedEntry item;
    item.path = path;
    item.entry = plain_directory();
    const NodeId node = source_.lookup(path);
    bool found = false;
    if (node != kNone && is_directory(node)) {
      for (const EntryRef setter : source_.directory_setters(node)) {
        if (setter.layer > k) break;
        item.entry = source_.entry(setter);
        item.origin = tables_[setter.layer].get();
        found = true;
      }
    }
    if (!found) {
      const NodeId below = out_.lookup(path);
      const Entry* entry = below == kNone ? nullptr : out_.attributes(below);
      if (entry != nullptr && entry->type == EntryType::kDirectory) {
        item.entry = *entry;
        item.origin = &out_.layer(out_.inode_of(below).attributes.layer);
      }
    }
    emitted_.push_back(std::move(item));
  }

  // Whiteouts: what layer k hid of lower layers must stay hidden if they still show it.
  void emit_hiding(std::uint32_t k) {
    std::set<std::string, decltype(&path_less)> hide(&path_less);
    std::set<std::string, decltype(&path_less)> opaque(&path_less);
    for (std::uint32_t i = 0; i < tables_[k]->entries.size(); ++i) {
      const Entry& entry = tables_[k]->entries[i];
      const NodeId below = out_.lookup(entry.path);
      if (below == kNone) continue;
      if (entry.type == EntryType::kWhiteout) {
        hide.insert(std::string(entry.path));
      } else if (entry.type == EntryType::kOpaqueWhiteout) {
        // An opaque root has no effect on overlayfs.
        if (below == Tree::kRoot) {
          for (const NodeId child : out_.children(below))
            hide.insert(out_.path(child));
        } else {
          opaque.insert(std::string(entry.path));
        }
      } else if (entry.type != EntryType::kDirectory) {
        const NodeId node = source_.node_of({k, i});
        const bool was_dropped = node != kNone && dropped(node);
        if (was_dropped || out_.type(below) == EntryType::kDirectory) hide.insert(std::string(entry.path));
      }
    }
    if (hide.empty() && opaque.empty()) return;

    std::unordered_map<std::string_view, EntryType> types;
    for (const PlannedEntry& item : emitted_)
      types.emplace(item.path, item.entry.type);
    std::vector<PlannedEntry> whiteouts;
    for (const std::string& path : hide) {
      const auto shown = types.find(path);
      if (shown == types.end()) {
        if (covered(path, hide, opaque)) continue;
        PlannedEntry item;
        item.path = path;
        item.entry.type = EntryType::kWhiteout;
        whiteouts.push_back(std::move(item));
      } else if (shown->second == EntryType::kDirectory) {
        opaque.insert(path);
      }
    }
    for (const std::string& path : opaque) {
      const NodeId below = out_.lookup(path);
      if (below == kNone || out_.type(below) != EntryType::kDirectory ||
          out_.node(below).first_child == kNone)
        continue;
      if (covered(path, hide, opaque)) continue;
      PlannedEntry item;
      item.path = path;
      item.entry.type = EntryType::kOpaqueWhiteout;
      whiteouts.push_back(std::move(item));
    }
    for (PlannedEntry& item : whiteouts) {
      if (item.entry.type == EntryType::kOpaqueWhiteout) {
        emit_directory(k, item.path);
      } else {
        emit_parents(k, item.path);
      }
      emitted_.push_back(std::move(item));
    }
  }

  // Whether a directory above `path` is hidden already, so that nothing of lower layers is left there.
  static bool covered(std::string_view path, const std::set<std::string, decltype(&path_less)>& hide,
                      const std::set<std::string, decltype(&path_less)>& opaque) {
    for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos; slash = path.rfind('/')) {
      path = path.substr(0, slash);
      const std::string parent(path);
      if (hide.contains(parent) || opaque.contains(parent)) return true;
    }
    return false;
  }

  // Directories that no entry describes exist because of an entry below them: if that entry goes from the
  // layer, the directory is written out.
  void emit_implied(std::uint32_t k) {
    if (implied_.empty()) return;
    for (const Entry& entry : tables_[k]->entries) {
      if (entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout) continue;
      std::string_view path = entry.path;
      for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos; slash = path.rfind('/')) {
        path = path.substr(0, slash);
        if (implied_.contains(std::string(path)) && out_.lookup(path) == kNone)
          emit_directory(k, std::string(path));
      }
    }
  }

  std::vector<GoneEntry> find_gone(std::uint32_t k) const {
    std::set<std::string_view> whiteouts;
    for (const PlannedEntry& item : emitted_) {
      if (item.entry.type == EntryType::kWhiteout) whiteouts.insert(item.path);
      if (item.entry.type == EntryType::kOpaqueWhiteout) whiteouts.insert(item.path);
    }
    std::vector<GoneEntry> gone;
    for (std::uint32_t i = 0; i < tables_[k]->entries.size(); ++i) {
      const Entry& entry = tables_[k]->entries[i];
      GoneEntry item;
      item.entry = {k, i};
      item.bytes = entry.tar_bytes;
      const bool is_whiteout = entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout;
      if (is_whiteout || entry.type == EntryType::kDirectory) {
        const bool stays = is_whiteout ? whiteouts.contains(entry.path)
                                       : emitted_directories_.contains(std::string(entry.path));
        if (stays) continue;
        item.reason = Gone::kEmptied;
        gone.push_back(item);
        continue;
      }
      const NodeId node = source_.node_of({k, i});
      if (node == kNone) {
        const NodeId now = source_.lookup(entry.path);
        // A later layer wrote it again and this one keeps it.
        if (now != kNone && !is_directory(now) && !dropped(now) && home_[source_.node(now).inode] == k)
          continue;
        item.reason = now == kNone ? Gone::kDeleted : Gone::kReplaced;
      } else if (dropped(node)) {
        item.reason = Gone::kDropped;
        item.node = node;
      } else {
        const InodeId inode = source_.node(node).inode;
        if (home_[inode] != k) {
          item.reason = home_[inode] < k ? Gone::kRepeated : Gone::kReplaced;
        } else if (entry.type == EntryType::kRegular && class_[inode] != inode) {
          item.reason = Gone::kLinked;
          item.node = node;
          item.bytes -= 512;  // the link that takes its place
        } else {
          continue;
        }
      }
      gone.push_back(item);
    }
    return gone;
  }

  // Content that goes, or so many headers that they matter: not for one directory's time stamp.
  bool worth_rewriting(std::uint32_t k, const std::vector<GoneEntry>& gone) const {
    std::uint64_t content = 0;
    std::uint64_t bytes = 0;
    for (const GoneEntry& item : gone) {
      content += source_.entry(item.entry).stored_size;
      bytes += item.bytes;
    }
    if (content > 0) return true;
    return bytes > 0 && bytes >= tables_[k]->plain_size / 100;
  }

  // Where the bytes of a file in the planned tree come from, as a source entry.
  EntryRef source_of(EntryRef planned) const {
    const PlannedLayer& layer = *out_plan_[planned.layer];
    return layer.rewritten ? layer.contents[planned.entry] : planned;
  }

  // Compares the planned tree with the source's, less what is dropped.
  void check() const {
    std::vector<NodeId> wanted;
    source_.walk([&](NodeId node) {
      if (!dropped(node)) wanted.push_back(node);
    });
    std::vector<NodeId> planned;
    out_.walk([&](NodeId node) { planned.push_back(node); });
    std::unordered_map<InodeId, InodeId> group;       // source class -> planned inode
    std::unordered_map<InodeId, InodeId> group_back;  // planned inode -> source class
    const auto fail = [](const std::string& path, const char* what) {
      throw std::logic_error("the plan does not keep '" + printable(path) + "': " + what);
    };
    if (wanted.size() != planned.size()) {
      for (const NodeId node : wanted) {
        if (out_.lookup(source_.path(node)) == kNone) fail(source_.path(node), "missing");
      }
      for (const NodeId node : planned) {
        if (source_.lookup(out_.path(node)) == kNone) fail(out_.path(node), "should be gone");
      }
      throw std::logic_error("the plan drops what it should keep");
    }
    const Entry implied = plain_directory();
    static const LayerTable kNoTable;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::string path = source_.path(wanted[i]);
      if (path != out_.path(planned[i])) fail(path, "another name is in its place");
      const Inode& have = out_.inode_of(planned[i]);
      const Inode& want = source_.inode_of(wanted[i]);
      const Entry& have_entry = have.attributes ? out_.entry(have.attributes) : implied;
      const Entry& want_entry = want.attributes ? source_.entry(want.attributes) : implied;
      if (!same_attributes(have_entry, have.attributes ? out_.layer(have.attributes.layer) : kNoTable,
                           want_entry, want.attributes ? source_.layer(want.attributes.layer) : kNoTable,
                           request_.drop_overlay_xattrs)) {
        fail(path, "attributes differ");
      }
      if (want_entry.type == EntryType::kDirectory) continue;
      const InodeId wanted_class = class_[source_.node(wanted[i]).inode];
      const InodeId planned_inode = out_.node(planned[i]).inode;
      if (group.emplace(wanted_class, planned_inode).first->second != planned_inode ||
          group_back.emplace(planned_inode, wanted_class).first->second != wanted_class) {
        fail(path, "hard links differ");
      }
      if (want_entry.type == EntryType::kRegular && want_entry.size > 0 &&
          !shows(source_.node(wanted[i]).inode, source_of(have.attributes))) {
        fail(path, "content differs");
      }
    }
  }

  // Whether `content` is one of the entries known to hold what the inode shows.
  bool shows(InodeId inode, EntryRef content) const {
    for (const InodeId start : {inode, class_[inode]}) {
      InodeId at = start;
      while (true) {
        if (source_.inode(at).attributes == content) return true;
        if (request_.repeats.empty() || !request_.repeats[at]) break;
        at = source_.inode(at).replaces;
      }
    }
    return false;
  }

  const Tree& source_;
  const std::vector<LayerTablePtr>& tables_;
  const PlanRequest& request_;
  Tree out_;
  std::vector<const PlannedLayer*> out_plan_;

  std::vector<bool> pinned_;
  std::vector<std::uint32_t> home_;               // by inode: the layer that holds it
  std::vector<EntryRef> origin_;                  // by inode: the entry that is written for it
  std::vector<InodeId> class_;                    // by inode: whose storage it shares
  std::unordered_map<InodeId, InodeId> linked_;   // shared while planning the current layer
  std::vector<std::vector<NodeId>> files_;        // by layer, in path order
  std::vector<std::vector<NodeId>> directories_;  // by layer
  std::set<std::string> implied_;

  std::vector<PlannedEntry> emitted_;
  std::set<std::string> emitted_directories_;
};

}  // namespace

std::string_view name_of(Gone gone) {
  switch (gone) {
    case Gone::kReplaced:
      return "replaced";
    case Gone::kDeleted:
      return "deleted";
    case Gone::kRepeated:
      return "repeated";
    case Gone::kLinked:
      return "linked";
    case Gone::kDropped:
      return "dropped";
    case Gone::kEmptied:
      return "emptied";
  }
  return "";
}

bool ImagePlan::changes() const {
  return std::any_of(layers.begin(), layers.end(), [](const PlannedLayer& layer) { return layer.rewritten; });
}

// Where a link's file is not in the link's own layer, neither layer is rewritten.
std::vector<bool> tied_layers(const std::vector<LayerTablePtr>& tables) {
  std::vector<bool> tied(tables.size(), false);
  std::vector<std::unordered_set<std::string_view>> paths(tables.size());
  const auto holds = [&](std::uint32_t layer, std::string_view path) {
    if (paths[layer].empty()) {
      for (const Entry& entry : tables[layer]->entries) {
        if (entry.type != EntryType::kWhiteout && entry.type != EntryType::kOpaqueWhiteout) {
          paths[layer].insert(entry.path);
        }
      }
    }
    return paths[layer].contains(path);
  };
  for (std::uint32_t k = 1; k < tables.size(); ++k) {
    for (const Entry& entry : tables[k]->entries) {
      if (entry.type != EntryType::kHardLink || holds(k, entry.link)) continue;
      tied[k] = true;
      for (std::uint32_t j = k; j-- > 0;) {
        if (!holds(j, entry.link)) continue;
        tied[j] = true;
        break;
      }
    }
  }
  return tied;
}

ImagePlan plan_layers(const Tree& source, const std::vector<LayerTablePtr>& tables,
                      const PlanRequest& request) {
  return Planner(source, tables, request).run();
}

}  // namespace imgslim
