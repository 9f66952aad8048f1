// SPDX-License-Identifier: Apache-2.0
// A slow and obvious second opinion on the merged tree: a map from paths to names, copied for each layer.
// For property tests and fuzzing; it says the rules of layer.md again in other words.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "layers/error.h"
#include "layers/tar.h"
#include "layers/tree.h"

namespace imgslim::testing {

class TreeModel {
 public:
  struct File {
    EntryRef attributes;
    EntryType type = EntryType::kDirectory;
    std::string link;
    int made = -1;      // layer
    EntryRef replaces;  // attributes of the file that this one's names showed before
  };
  using FilePtr = std::shared_ptr<File>;
  struct Name {
    FilePtr file;
    int layer = -1;  // that put the name
  };

  // Throws Error{kBadImage} where Tree::apply() has to.
  void apply(const LayerTable& table) {
    const std::map<std::string, Name> before = names_;
    removed_.clear();
    // Markers see the layers below only.
    std::vector<std::string> through;
    for (const Entry& entry : table.entries) {
      const std::string path(entry.path);
      if (entry.type == EntryType::kWhiteout) {
        for (const std::string& below : under(path))
          erase(below);
        erase(path);
      } else if (entry.type == EntryType::kOpaqueWhiteout) {
        for (const std::string& below : under(path))
          erase(below);
      }
    }
    for (const Entry& entry : table.entries) {
      const std::string path(entry.path);
      if (entry.type == EntryType::kOpaqueWhiteout) {
        through.push_back(path + "/x");
      } else if (entry.type == EntryType::kWhiteout) {
        through.push_back(path);
      }
    }
    for (const std::string& path : through) {
      for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
        const auto found = names_.find(path.substr(0, at));
        if (found != names_.end() && found->second.file->type == EntryType::kSymlink) {
          removed_.insert(found->first);
          found->second = {directory(), layer_};
        }
      }
    }
    for (std::uint32_t i = 0; i < table.entries.size(); ++i)
      put(table.entries[i], i);
    find_replaced(before);
    ++layer_;
  }

  // As list_tree(), with the entry that describes each name instead of its content.
  std::string list() const {
    std::string out;
    std::map<const File*, std::string> first;
    std::vector<std::string> paths;
    for (const auto& [path, name] : names_)
      paths.push_back(path);
    std::sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return path_less(a, b); });
    for (const std::string& path : paths) {
      const File& file = *names_.at(path).file;
      out += line(path, file.type, file.attributes, file.replaces);
      const auto [place, added] = first.try_emplace(&file, path);
      if (!added) out += " = " + place->second;
      out += "\n";
    }
    return out;
  }

  // The same of the tree under test.
  static std::string list(const Tree& tree) {
    std::string out;
    std::map<InodeId, std::string> first;
    tree.walk([&](NodeId id) {
      if (id == Tree::kRoot) return;
      const Inode& inode = tree.inode_of(id);
      const EntryRef replaces = inode.replaces == kNone ? EntryRef{} : tree.inode(inode.replaces).attributes;
      out += line(tree.path(id), tree.type(id), inode.attributes, replaces);
      const auto [place, added] = first.try_emplace(tree.node(id).inode, tree.path(id));
      if (!added) out += " = " + place->second;
      out += "\n";
    });
    return out;
  }

 private:
  static std::string line(const std::string& path, EntryType type, EntryRef by, EntryRef replaces) {
    std::string out = path + " " + std::to_string(static_cast<int>(type));
    if (by) out += " by " + std::to_string(by.layer) + "." + std::to_string(by.entry);
    if (replaces) out += " replaces " + std::to_string(replaces.layer) + "." + std::to_string(replaces.entry);
    return out;
  }
  static FilePtr directory() { return std::make_shared<File>(); }

  void erase(const std::string& path) {
    removed_.insert(path);
    names_.erase(path);
  }
  std::vector<std::string> under(const std::string& path) const {
    std::vector<std::string> out;
    for (const auto& [name, what] : names_) {
      if (path.empty() || name.compare(0, path.size() + 1, path + "/") == 0) out.push_back(name);
    }
    return out;
  }
  const File* at(const std::string& path) const {
    const auto found = names_.find(path);
    return found == names_.end() ? nullptr : found->second.file.get();
  }
  static std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> out;
    while (!path.empty()) {
      const std::size_t slash = std::min(path.find('/'), path.size());
      if (slash != 0) out.emplace_back(path.substr(0, slash));
      path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return out;
  }
  static std::string join(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + "/" + name;
  }
  static std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
  }

  // The directory that the components lead to; `make` creates what is missing and replaces older links.
  std::optional<std::string> walk(std::vector<std::string> ahead, bool make) {
    std::string here;
    int links = 0;
    while (!ahead.empty()) {
      const std::string part = ahead.front();
      ahead.erase(ahead.begin());
      if (part == ".") continue;
      if (part == "..") {
        here = parent_of(here);
        continue;
      }
      const std::string next = join(here, part);
      const auto found = names_.find(next);
      if (found == names_.end()) {
        if (!make) return std::nullopt;
        names_[next] = {directory(), layer_};
        here = next;
      } else if (found->second.file->type == EntryType::kDirectory) {
        here = next;
      } else if (found->second.file->type != EntryType::kSymlink) {
        if (make) throw_bad_image("a file on the way");
        return std::nullopt;
      } else if (make && found->second.layer != layer_) {
        removed_.insert(next);
        found->second = {directory(), layer_};
        here = next;
      } else {
        if (++links > 40) {
          if (make) throw_bad_image("a loop");
          return std::nullopt;
        }
        const std::string target = found->second.file->link;
        if (target[0] == '/') here.clear();
        const std::vector<std::string> more = split(target);
        ahead.insert(ahead.begin(), more.begin(), more.end());
      }
    }
    return here;
  }

  void put(const Entry& entry, std::uint32_t index) {
    if (entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout) return;
    const EntryRef ref{static_cast<std::uint32_t>(layer_), index};
    if (entry.path.empty()) {
      if (entry.type != EntryType::kDirectory) throw_bad_image("the root");
      return;
    }
    std::vector<std::string> parts = split(entry.path);
    const std::string last = parts.back();
    parts.pop_back();
    const std::string path = join(*walk(parts, true), last);
    const File* old = at(path);
    if (entry.type == EntryType::kDirectory) {
      if (old == nullptr || old->type != EntryType::kDirectory) {
        erase(path);
        names_[path] = {directory(), layer_};
      }
      names_[path].file->attributes = ref;
      return;
    }
    if (old != nullptr && old->type == EntryType::kDirectory) {
      for (const std::string& below : under(path))
        erase(below);
      erase(path);
    }
    FilePtr file;
    if (entry.type == EntryType::kHardLink) {
      std::vector<std::string> to = split(entry.link);
      if (to.empty()) throw_bad_image("a link to the root");
      const std::string name = to.back();
      to.pop_back();
      const auto parent = walk(to, false);
      const auto target = parent ? names_.find(join(*parent, name)) : names_.end();
      if (target == names_.end() || target->first == path) throw_bad_image("a link to nothing");
      file = target->second.file;
      if (file->type == EntryType::kDirectory) throw_bad_image("a link to a directory");
    } else {
      file = std::make_shared<File>();
      file->attributes = ref;
      file->type = entry.type;
      file->link = entry.link;
      file->made = layer_;
    }
    names_[path] = {file, layer_};
  }

  void find_replaced(const std::map<std::string, Name>& before) {
    std::map<const File*, std::set<std::string>> old_names;
    for (const auto& [path, name] : before)
      old_names[name.file.get()].insert(path);
    std::map<File*, std::set<std::string>> new_names;
    for (const auto& [path, name] : names_) {
      if (name.file->made == layer_) new_names[name.file.get()].insert(path);
    }
    for (const auto& [file, paths] : new_names) {
      const auto old = before.find(*paths.begin());
      if (old == before.end() || old->second.file->type != file->type) continue;
      if (old_names.at(old->second.file.get()) != paths) continue;
      bool removed_first = false;
      for (const std::string& path : paths) {
        removed_first = removed_first || removed_.count(path) != 0;
      }
      if (!removed_first) file->replaces = old->second.file->attributes;
    }
  }

  std::map<std::string, Name> names_;
  std::set<std::string> removed_;  // by this layer, before something came in the place
  int layer_ = 0;
};

// Layers made of any bytes: few names, so that they meet. Takes two bytes for an entry and more for names.
inline std::vector<LayerTablePtr> layers_of_bytes(std::string_view bytes, std::size_t max_layers = 6) {
  std::vector<LayerTablePtr> out;
  auto table = std::make_shared<LayerTable>();
  const auto next = [&]() -> unsigned {
    if (bytes.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    return byte;
  };
  const auto path = [&] {
    static constexpr const char* kNames[] = {"a", "b", "c", "d"};
    const unsigned choice = next();
    std::string text = kNames[choice & 3];
    for (unsigned depth = choice >> 2 & 3, more = choice >> 4; depth > 1; --depth, more >>= 2) {
      text += std::string("/") + kNames[more & 3];
    }
    return text;
  };
  while (!bytes.empty()) {
    const unsigned kind = next();
    if (kind % 16 == 15) {
      out.push_back(std::exchange(table, std::make_shared<LayerTable>()));
      if (out.size() == max_layers) return out;
      continue;
    }
    Entry entry;
    entry.path = table->keep(path());
    switch (kind % 16) {
      case 0:
      case 1:
      case 2:
        entry.type = EntryType::kDirectory;
        break;
      case 3:
        entry.type = EntryType::kHardLink;
        entry.link = table->keep(path());
        break;
      case 4: {
        entry.type = EntryType::kSymlink;
        const std::string target = path();
        const std::string up = kind & 64 ? "../" : "";
        entry.link = table->keep((kind & 32 ? "/" : up) + target);
        break;
      }
      case 5:
      case 6:
      case 7:
        entry.type = EntryType::kWhiteout;
        break;
      case 8:
      case 9:
        entry.type = EntryType::kOpaqueWhiteout;
        if (kind & 64) entry.path = "";
        break;
      case 10:
        entry.type = EntryType::kFifo;
        break;
      default:
        entry.type = EntryType::kRegular;
    }
    table->entries.push_back(entry);
  }
  out.push_back(table);
  return out;
}

// Applies the layers to both; returns what differs, "" if nothing does. What makes an image bad ends it.
inline std::string compare_with_model(const std::vector<LayerTablePtr>& layers,
                                      std::size_t* applied = nullptr) {
  Tree tree;
  TreeModel model;
  for (const LayerTablePtr& layer : layers) {
    std::string tree_refuses;
    std::string model_refuses;
    try {
      tree.apply(layer);
    } catch (const Error& error) {
      tree_refuses = error.what();
    }
    try {
      model.apply(*layer);
    } catch (const Error& error) {
      model_refuses = error.what();
    }
    if (tree_refuses.empty() != model_refuses.empty()) {
      return "tree: " + tree_refuses + "\nmodel: " + model_refuses + "\n";
    }
    if (!tree_refuses.empty()) return "";
    const std::string expected = model.list();
    const std::string found = TreeModel::list(tree);
    if (expected != found) return "model:\n" + expected + "tree:\n" + found;
    if (applied != nullptr) ++*applied;
  }
  // What the tree says of itself has to agree.
  std::vector<std::uint32_t> links(tree.inode_limit());
  std::size_t count = 0;
  std::string wrong;
  tree.walk([&](NodeId id) {
    ++count;
    ++links[tree.node(id).inode];
    if (tree.lookup(tree.path(id)) != id) wrong += "lookup of " + tree.path(id) + "\n";
    const EntryRef shown = tree.node(id).shown_by;
    if (shown && tree.node_of(shown) != id) wrong += "node_of for " + tree.path(id) + "\n";
    for (const EntryRef setter : tree.directory_setters(id)) {
      if (tree.node_of(setter) != id) wrong += "setter of " + tree.path(id) + "\n";
    }
  });
  if (count != tree.node_count()) wrong += "node_count\n";
  for (InodeId id = 0; id < tree.inode_limit(); ++id) {
    if (links[id] != tree.inode(id).links) wrong += "links of inode " + std::to_string(id) + "\n";
  }
  return wrong;
}

}  // namespace imgslim::testing
