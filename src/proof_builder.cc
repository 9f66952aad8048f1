// SPDX-License-Identifier: Apache-2.0
#include "src/proof_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/digest.h"
#include "layers/error.h"
#include "layers/tar.h"
#include "src/decisions/keep_data.h"
#include "src/decisions/leftovers.h"
#include "src/facts/knowledge_base.h"

namespace imgslim {
namespace {

// Groups that hold at least this share of the source's bytes are named by themselves.
constexpr std::uint64_t kLargeShare = 1000;
constexpr std::size_t kMaxNotCovered = 200;

std::string path_of(const Tree& tree, NodeId node) {
  return "/" + tree.path(node);
}

char type_letter(EntryType type) {
  switch (type) {
    case EntryType::kDirectory:
      return 'd';
    case EntryType::kSymlink:
      return 'l';
    case EntryType::kCharacterDevice:
      return 'c';
    case EntryType::kBlockDevice:
      return 'b';
    case EntryType::kFifo:
      return 'p';
    default:
      return 'f';
  }
}

// Which rule took what below each directory, said once for as much as possible.
class Grouper {
 public:
  Grouper(const Tree& tree, std::uint64_t source_bytes)
      : tree_(tree), own_(tree.node_limit()), below_(tree.node_limit()), source_bytes_(source_bytes) {}

  void add(NodeId node, std::uint32_t rule, std::uint64_t bytes) {
    Own& own = own_[node];
    own.rule = rule;
    ++own.entries;
    own.bytes += bytes;
  }

  std::vector<ProofGroup> groups() {
    tree_.walk([&](NodeId node) { order_.push_back(node); });
    for (auto it = order_.rbegin(); it != order_.rend(); ++it)
      label(*it);
    std::vector<ProofGroup> out;
    // The group that each directory's children belong to.
    std::vector<std::uint32_t> group_of(tree_.node_limit(), kNone);
    for (const NodeId node : order_) {
      if (below_[node].rule == kNone) continue;
      const std::uint32_t above = node == Tree::kRoot ? kNone : group_of[tree_.node(node).parent];
      const bool same = above != kNone && out[above].rule == below_[node].rule;
      // A large folder of which most is in one large folder of its own leaves the name to that.
      const bool large = tree_.type(node) == EntryType::kDirectory && source_bytes_ > 0 &&
                         below_[node].bytes >= source_bytes_ / kLargeShare + 1 &&
                         below_[node].largest < below_[node].bytes / 2;
      if (!same || large) {
        group_of[node] = static_cast<std::uint32_t>(out.size());
        out.push_back({path_of(tree_, node), below_[node].rule, 0, 0});
      } else {
        group_of[node] = above;
      }
      if (own_[node].rule == kNone) continue;
      out[group_of[node]].entries += own_[node].entries;
      out[group_of[node]].bytes += own_[node].bytes;
    }
    return out;
  }

 private:
  struct Own {
    std::uint32_t rule = kNone;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
  };
  struct Below {
    std::uint32_t rule = kNone;  // said for the node and all below it
    std::uint64_t bytes = 0;     // dropped, the node's own included
    std::uint64_t largest = 0;   // of one folder in it
    std::map<std::uint32_t, std::size_t> votes;
  };

  // Children come before their directory. A dropped directory says its own rule, another one what most of
  // its children say.
  void label(NodeId node) {
    Below& below = below_[node];
    below.bytes += own_[node].bytes;
    below.rule = own_[node].rule;
    if (below.rule == kNone) {
      std::size_t most = 0;
      for (const auto& [rule, count] : below.votes) {
        if (count <= most) continue;
        most = count;
        below.rule = rule;
      }
    }
    below.votes.clear();
    if (node == Tree::kRoot || below.rule == kNone) return;
    Below& parent = below_[tree_.node(node).parent];
    parent.bytes += below.bytes;
    if (tree_.type(node) == EntryType::kDirectory) parent.largest = std::max(parent.largest, below.bytes);
    ++parent.votes[below.rule];
  }

  const Tree& tree_;
  std::vector<Own> own_;
  std::vector<Below> below_;
  std::vector<NodeId> order_;
  std::uint64_t source_bytes_;
};

// Numbers for equal values in the order of their first use.
template <class Value, class Key>
class Numbers {
 public:
  explicit Numbers(std::vector<Value>& values) : values_(values) {}
  std::uint32_t of(const Key& key, Value value) {
    const auto [at, is_new] = known_.emplace(key, static_cast<std::uint32_t>(values_.size()));
    if (is_new) values_.push_back(std::move(value));
    return at->second;
  }

 private:
  std::vector<Value>& values_;
  std::map<Key, std::uint32_t> known_;
};

// The witness of a path that the keep rule does not reach. `of_source`: the source has one of that name.
Witness other_witness(const std::string& path, bool is_directory, bool of_source, const KeepResult& kept) {
  if (is_directory)
    return {"directory", "the source", "as it was there, or above a record", Evidence::kExact};
  if (path == "/etc/ld.so.cache") {
    return {"ld.so.cache",
            kept.cache_entries.empty() ? std::string("the loader") : kept.cache_entries.front().path,
            "where the loader finds what is kept", Evidence::kExact};
  }
  if (path.starts_with("/usr/share/doc/"))
    return {"copyright", "the package's files", "terms of a package of which files are kept",
            Evidence::kExact};
  const bool is_record = path.starts_with("/var/lib/dpkg/") || path.find("/apk/") != std::string::npos;
  if (of_source && !is_record)
    return {"base", "the source's lowest layers", "--keep-base keeps them as they are", Evidence::kExact};
  return {"package-record", "the package's files", "what scanners read of packages of which files are kept",
          Evidence::kExact};
}

ProofFinding finding_of(const LoadFinding& load) {
  const DlopenFinding& found = load.finding;
  ProofFinding out;
  out.kind = ProofFinding::Kind::kLoad;
  out.path = load.path;
  out.site = found.site;
  out.callee = found.caller;
  out.function = found.function;
  out.package = found.package;
  out.names = found.names;
  out.symbols = found.symbols;
  out.found = load.found;
  out.evidence = found.evidence;
  out.may_be_missing = found.may_be_missing || (found.row != nullptr && found.row->missing_handled);
  out.reason = found.reason;
  return out;
}

ProofFinding finding_of(const StartFinding& start) {
  const ExecFinding& found = start.finding;
  ProofFinding out;
  out.kind = ProofFinding::Kind::kStart;
  out.path = start.path;
  out.site = found.site;
  out.callee = found.callee;
  out.function = found.function;
  out.package = found.package;
  out.names = found.names;
  if (found.itself) out.names.emplace_back("/proc/self/exe");
  out.found = start.found;
  out.evidence = start.evidence;
  out.may_be_missing = found.missing_handled;
  out.reason = found.reason;
  return out;
}

// The same call at several places of one function is one finding, at the first place.
void add_finding(std::vector<ProofFinding>& findings, ProofFinding finding) {
  for (auto it = findings.rbegin();
       it != findings.rend() && it->path == finding.path && it->kind == finding.kind; ++it) {
    const std::uint64_t site = std::exchange(finding.site, it->site);
    if (*it == finding) return;
    finding.site = site;
  }
  findings.push_back(std::move(finding));
}

}  // namespace

ProofAttributes proof_attributes(const Tree& tree, NodeId node) {
  ProofAttributes out;
  out.type = type_letter(tree.type(node));
  const Entry* entry = tree.attributes(node);
  if (entry == nullptr) {
    out.mode = 0755;
    return out;
  }
  out.mode = out.type == 'l' ? 0777 : entry->mode;
  out.uid = entry->uid;
  out.gid = entry->gid;
  if (entry->xattrs != 0) {
    Hasher hasher;
    for (const auto& [name, value] :
         tree.layer(tree.inode_of(node).attributes.layer).xattr_sets[entry->xattrs]) {
      hasher.update(fmt::format("{} {} ", name.size(), value.size()));
      hasher.update(name);
      hasher.update(value);
    }
    out.xattrs = hasher.finish().text();
  }
  return out;
}

void add_dropped(ProofPlatform& platform, const Tree& source, const std::vector<LayerTablePtr>& tables,
                 const std::function<std::vector<GoneBy>(EntryRef)>& gone_by) {
  struct Gone {
    NodeId node;
    std::string rule;
    std::uint64_t bytes;
  };
  std::vector<Gone> shown;
  std::map<std::string, ProofRule> rules;
  std::uint64_t entry_bytes = 0;
  std::uint64_t gone_bytes = 0;
  for (std::uint32_t k = 0; k < tables.size(); ++k) {
    platform.source_bytes += tables[k]->plain_size;
    for (std::uint32_t i = 0; i < tables[k]->entries.size(); ++i) {
      entry_bytes += tables[k]->entries[i].tar_bytes;
      for (const GoneBy& gone : gone_by({k, i})) {
        ProofRule& rule = rules[gone.rule];
        rule.id = gone.rule;
        rule.reason = gone.reason;
        ++rule.entries;
        rule.bytes += gone.bytes;
        gone_bytes += gone.bytes;
        if (gone.shown != kNone) shown.push_back({gone.shown, gone.rule, gone.bytes});
      }
    }
  }
  platform.padding_bytes = platform.source_bytes - entry_bytes;
  platform.kept_bytes = entry_bytes - gone_bytes;
  std::map<std::string, std::uint32_t> numbers;
  for (auto& [id, rule] : rules) {
    numbers.emplace(id, static_cast<std::uint32_t>(platform.rules.size()));
    platform.rules.push_back(std::move(rule));
  }
  Grouper grouper(source, platform.source_bytes);
  for (const Gone& gone : shown)
    grouper.add(gone.node, numbers.at(gone.rule), gone.bytes);
  platform.groups = grouper.groups();
}

void add_kept(ProofPlatform& platform, const Tree& result, const Tree& source, const KeepResult& kept) {
  std::map<std::string, std::uint32_t, std::less<>> rows;
  std::vector<NodeId> order;
  result.walk([&](NodeId node) {
    rows.emplace(path_of(result, node), static_cast<std::uint32_t>(order.size()));
    order.push_back(node);
  });
  Numbers<ProofAttributes, ProofAttributes> attributes(platform.attributes);
  Numbers<ProofWitness, std::tuple<std::string_view, std::string, std::string, Evidence>> witnesses(
      platform.witnesses);
  for (const NodeId node : order) {
    ProofPath row;
    row.path = path_of(result, node);
    const ProofAttributes shown = proof_attributes(result, node);
    row.attributes = attributes.of(shown, shown);
    if (const Entry* entry = result.attributes(node)) {
      if (shown.type == 'f') {
        row.size = entry->size;
        row.crc = entry->crc;
      } else if (shown.type == 'l') {
        row.link = entry->link;
      }
    }
    const NodeId before = source.lookup(result.path(node));
    const auto found = before == kNone ? kept.kept.end() : kept.kept.find(before);
    const Witness witness = found == kept.kept.end()
                                ? other_witness(row.path, shown.type == 'd', before != kNone, kept)
                                : found->second;
    ProofWitness written{std::string(witness.rule), std::nullopt, witness.because, witness.detail,
                         witness.evidence};
    auto because = rows.find(witness.because);
    if (because == rows.end() && witness.because.starts_with('/')) {
      const NodeId resolved = result.resolve(witness.because);
      if (resolved != kNone) because = rows.find(path_of(result, resolved));
    }
    if (because != rows.end() && because->first != row.path) {
      written.path = because->second;
      written.origin.clear();
    }
    row.witness =
        witnesses.of({witness.rule, witness.because, witness.detail, witness.evidence}, std::move(written));
    platform.paths.push_back(std::move(row));
  }
  for (const LoadFinding& load : kept.loads)
    add_finding(platform.findings, finding_of(load));
  for (const StartFinding& start : kept.starts)
    add_finding(platform.findings, finding_of(start));
  platform.weakest = kept.weakest;
}

std::vector<std::string> not_covered_by(Form form, const ProofPlatform& platform) {
  std::vector<std::string> lines;
  if (form != Form::kDistroless) return lines;
  lines.emplace_back(
      "names of programs, libraries and files that come in at run time: requests, mounted volumes, other "
      "environments");
  lines.emplace_back("commands other than the roots, such as those of docker exec");
  std::size_t more = 0;
  const auto say = [&](std::string line) {
    if (lines.size() < kMaxNotCovered) {
      lines.push_back(std::move(line));
    } else {
      ++more;
    }
  };
  std::map<std::string, std::size_t> said;
  for (const ProofFinding& finding : platform.findings) {
    const bool open = finding.evidence == Evidence::kUnknown ||
                      (finding.kind == ProofFinding::Kind::kStart && finding.evidence == Evidence::kBounded);
    const bool missing = finding.may_be_missing && finding.found.empty();
    if (!open && !missing) continue;
    const std::string place = !finding.package.empty() ? finding.package : finding.function;
    std::string line = fmt::format("{} {} {}{}", printable(finding.path),
                                   finding.kind == ProofFinding::Kind::kStart ? "may start" : "may load",
                                   finding.names.empty() ? std::string("what no constant names")
                                                         : fmt::format("{}", fmt::join(finding.names, ", ")),
                                   place.empty() ? std::string() : fmt::format(" (in {})", place));
    if (missing) line += ", which is not kept: " + finding.reason;
    if (++said[line] == 1) say(std::move(line));
  }
  if (more > 0) lines.push_back(fmt::format("and {} more of the findings", more));
  return lines;
}

std::string rules_digest() {
  Hasher hasher;
  const auto add = [&](std::string_view text) {
    hasher.update(fmt::format("{}:", text.size()));
    hasher.update(text);
  };
  const auto add_all = [&](const std::vector<std::string_view>& texts) {
    hasher.update(fmt::format("[{}]", texts.size()));
    for (const std::string_view text : texts)
      add(text);
  };
  for (const LeftoverRule& rule : leftover_rules()) {
    for (const std::string_view text : {rule.id, rule.signature, rule.reason, name_of(rule.weakest)})
      add(text);
    add_all(rule.anchors);
    add_all(rule.users);
  }
  for (const DataRow& row : data_rows()) {
    add(row.id);
    for (const DataTrigger& trigger : row.triggers) {
      hasher.update(fmt::format("({})", static_cast<int>(trigger.kind)));
      add(trigger.name);
    }
    add(row.unless_go);
    add_all(row.keeps);
    add(row.reason);
  }
  for (const GeneratedRow& row : generated_rows()) {
    for (const std::string_view text : {row.id, row.owner, row.reason, row.link_prefix})
      add(text);
    add_all(row.globs);
  }
  for (const auto* rows : {&dlopen_knowledge(), &exec_knowledge()}) {
    for (const KnowledgeRow& row : *rows) {
      hasher.update(fmt::format("({})({})", static_cast<int>(row.kind), row.missing_handled));
      for (const std::string_view text : {row.key, row.trigger})
        add(text);
      for (const auto* texts : {&row.names, &row.paths, &row.variables})
        add_all(*texts);
    }
  }
  return hasher.finish().text();
}

}  // namespace imgslim
