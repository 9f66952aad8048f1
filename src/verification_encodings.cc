// SPDX-License-Identifier: Apache-2.0
// Layers that appliers read differently: containerd's overlayfs and native snapshotters, docker, umoci.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "layers/error.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return path.substr(0, slash == std::string_view::npos ? 0 : slash);
}

Compression compression_named(std::string_view media_type) {
  if (media_type.ends_with("gzip")) return Compression::kGzip;
  if (media_type.ends_with("zstd")) return Compression::kZstd;
  return Compression::kNone;
}

// One layer; those below are seen already.
class LayerVerifier {
 public:
  LayerVerifier(const Tree& tree, std::uint32_t index, bool strict,
                std::unordered_set<std::string_view>& seen, FindingList& findings)
      : table_(tree.layer(index)),
        index_(index),
        seen_(seen),
        findings_(findings),
        doubtful_(strict ? Finding::Severity::kFailure : Finding::Severity::kNote) {}

  void run() {
    for (const std::string& warning : table_.warnings)
      say(doubtful_, "", warning, printable(warning, 400));
    for (std::uint32_t i = 0; i < table_.entries.size(); ++i) {
      const Entry& entry = table_.entries[i];
      if (entry.type == EntryType::kWhiteout) {
        has_markers_ = true;
      } else if (entry.type == EntryType::kOpaqueWhiteout) {
        has_markers_ = true;
        opaque_.insert(entry.path);
      }
    }
    if (has_markers_) {
      for (std::uint32_t i = 0; i < table_.entries.size(); ++i) {
        const Entry& entry = table_.entries[i];
        if (!is_marker(entry)) entries_.try_emplace(entry.path, i);
      }
    }
    for (std::uint32_t i = 0; i < table_.entries.size(); ++i) {
      const Entry& entry = table_.entries[i];
      if (entry.type == EntryType::kWhiteout) whiteout(entry, i);
      if (entry.type == EntryType::kOpaqueWhiteout && entry.path.empty() && index_ > 0) {
        say(Finding::Severity::kFailure, "/", "opaque root",
            "an opaque marker at the root, which overlayfs ignores: files of the layers below stay");
      }
      if (entry.xattrs != 0) xattrs(entry);
      if (entry.mtime < 0) ++old_times_;
    }
    if (old_times_ > 0) {
      say(doubtful_, "", "negative time",
          fmt::format("{} entries have a time before 1970, which containerd sets to 1970", old_times_));
    }
  }

  void media_type(std::string_view type) {
    if (compression_named(type) == table_.compression) return;
    say(doubtful_, "", "media type",
        fmt::format("compressed otherwise than its media type {} says, which umoci refuses",
                    printable(type)));
  }

 private:
  static bool is_marker(const Entry& entry) {
    return entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout;
  }
  void say(Finding::Severity severity, std::string_view path, std::string name, std::string problem) {
    std::vector<std::string> chain{fmt::format("layer {}", index_ + 1)};
    if (!path.empty()) chain.push_back(printable(path));
    findings_.add(severity, "encoding", std::string(path), std::move(name), std::move(chain),
                  std::move(problem));
  }

  void whiteout(const Entry& marker, std::uint32_t at) {
    const auto found = entries_.find(marker.path);
    if (found != entries_.end()) {
      const EntryType type = table_.entries[found->second].type;
      if (type == EntryType::kDirectory && index_ > 0) {
        say(Finding::Severity::kFailure, marker.path, "whiteout and directory",
            "a whiteout beside a directory of its name: overlayfs shows what the layers below have in it");
      } else if (found->second < at) {
        say(Finding::Severity::kFailure, marker.path, "whiteout after entry",
            "a whiteout behind an entry of its name: overlayfs appliers fail, others delete the entry");
      }
    }
    const std::string_view parent = parent_of(marker.path);
    if (opaque_.contains(parent)) {
      say(doubtful_, marker.path, "whiteout in opaque directory",
          "a whiteout in an opaque directory: overlayfs lists a name there that cannot be opened");
    } else if (!parent.empty() && index_ > 0 && !seen_.contains(parent)) {
      say(doubtful_, marker.path, "whiteout without directory",
          "a whiteout in a directory that is not there: some appliers make the directory");
    }
  }

  void xattrs(const Entry& entry) {
    for (const auto& [name, value] : table_.xattr_sets[entry.xattrs]) {
      if (name.starts_with("user.overlay.")) {
        say(Finding::Severity::kFailure, entry.path, name,
            fmt::format("the attribute {}, which overlayfs without root takes for its own", printable(name)));
      } else if (name.starts_with("trusted.")) {
        say(doubtful_, entry.path, name,
            fmt::format("the attribute {}, which no applier sets", printable(name)));
      } else if (name.starts_with("user.") && entry.type == EntryType::kSymlink) {
        say(doubtful_, entry.path, name,
            fmt::format("the attribute {} on a link, which umoci refuses", printable(name)));
      }
    }
  }

  const LayerTable& table_;
  std::uint32_t index_;
  std::unordered_set<std::string_view>& seen_;
  FindingList& findings_;
  Finding::Severity doubtful_;
  bool has_markers_ = false;
  std::unordered_set<std::string_view> opaque_;
  std::unordered_map<std::string_view, std::uint32_t> entries_;  // the first of a path, no markers
  std::uint64_t old_times_ = 0;
};

// Parents of whiteouts that some layer up to theirs shows: the only paths that are asked for.
class Directories {
 public:
  explicit Directories(const Tree& tree) {
    for (std::uint32_t i = 0; i < tree.layer_count(); ++i) {
      for (const Entry& entry : tree.layer(i).entries) {
        if (entry.type == EntryType::kWhiteout) wanted_.insert(parent_of(entry.path));
      }
    }
  }
  void add(const LayerTable& table) {
    if (wanted_.empty()) return;
    for (const Entry& entry : table.entries) {
      if (entry.type == EntryType::kWhiteout) continue;
      if (wanted_.contains(entry.path)) seen.insert(entry.path);
      const std::string_view parent = parent_of(entry.path);
      if (wanted_.contains(parent)) seen.insert(parent);
    }
  }
  std::unordered_set<std::string_view> seen;

 private:
  std::unordered_set<std::string_view> wanted_;
};

}  // namespace

void verify_encodings(const Tree& tree, const Manifest* manifest, bool strict, FindingList& findings) {
  Directories directories(tree);
  for (std::uint32_t i = 0; i < tree.layer_count(); ++i) {
    directories.add(tree.layer(i));
    LayerVerifier layer(tree, i, strict, directories.seen, findings);
    layer.run();
    if (manifest != nullptr && i < manifest->layers.size())
      layer.media_type(manifest->layers[i].descriptor.media_type);
  }
  for (const TreeNotice& notice : tree.notices()) {
    const Entry& entry = tree.entry(notice.entry);
    // overlayfs cannot link to a file of another layer; the rest is read alike or said to be a guess.
    const bool across =
        entry.type == EntryType::kHardLink && notice.text.ends_with("which a layer below put there");
    findings.add(
        across || strict ? Finding::Severity::kFailure : Finding::Severity::kNote, "encoding",
        std::string(entry.path), across ? "hard link across layers" : "notice",
        {fmt::format("layer {}", notice.entry.layer + 1), printable(entry.path)},
        across ? fmt::format("a hard link to {}, which a layer below put there: overlayfs appliers fail",
                             printable(entry.link))
               : notice.text.substr(std::min(notice.text.size(), printable(entry.path).size() + 2)));
  }
}

}  // namespace imgslim
