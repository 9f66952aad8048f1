// SPDX-License-Identifier: Apache-2.0
// The engine: finds anchors in one walk, lets the rows claim, then takes back what must stay.
#include "src/decisions/leftovers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "layers/error.h"
#include "src/decisions/leftover_search.h"
#include "src/facts/wrappers.h"

namespace imgslim {
namespace {

// Why a claim does not hold.
enum class Spared : std::uint8_t { kNo, kProgram, kVolume, kReached, kOwned, kLinked };

std::string_view reason_of(Spared spared) {
  switch (spared) {
    case Spared::kProgram:
      return "programs and libraries in it stay";
    case Spared::kVolume:
      return "it is in a volume";
    case Spared::kReached:
      return "the image's command uses files beside it";
    case Spared::kOwned:
      return "it belongs to a package";
    case Spared::kLinked:
      return "it has other names that stay";
    case Spared::kNo:
      break;
  }
  return "";
}

// Nodes that lie at or below some others, answered along parents with a memo.
class Below {
 public:
  Below(const Tree& tree, const std::set<NodeId>& tops)
      : tree_(tree), memo_(tree.node_limit(), 0), tops_(tops) {}
  bool contains(NodeId id) {
    if (tops_.empty()) return false;
    std::vector<NodeId> path;
    char answer = 1;
    for (NodeId at = id;; at = tree_.node(at).parent) {
      if (memo_[at] != 0) {
        answer = memo_[at];
        break;
      }
      path.push_back(at);
      if (tops_.contains(at)) {
        answer = 2;
        break;
      }
      if (at == Tree::kRoot) break;
    }
    for (const NodeId at : path)
      memo_[at] = answer;
    return answer == 2;
  }

 private:
  const Tree& tree_;
  std::vector<char> memo_;  // 0 unknown, 1 no, 2 yes
  const std::set<NodeId>& tops_;
};

// Anchors by name: exact ones in a table, those with a "*" in a list.
struct Anchors {
  std::unordered_map<std::string_view, std::vector<std::uint32_t>> exact;
  std::vector<std::pair<std::string_view, std::uint32_t>> prefixes;
  std::vector<std::pair<std::string_view, std::uint32_t>> suffixes;

  Anchors(std::span<const LeftoverRule> rules, Form form) {
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
      if (rules[i].weakest > form || rules[i].find == nullptr) continue;
      for (const std::string_view anchor : rules[i].anchors) {
        if (anchor.starts_with('*')) {
          suffixes.emplace_back(anchor.substr(1), i);
        } else if (anchor.ends_with('*')) {
          prefixes.emplace_back(anchor.substr(0, anchor.size() - 1), i);
        } else {
          exact[anchor].push_back(i);
        }
      }
    }
  }
};

bool is_elf_head(std::uint64_t head) {
  return (head & 0xffffffff) == 0x464c457f;
}
bool is_script_head(std::uint64_t head) {
  return (head & 0xffff) == 0x2123;
}

class Judge {
 public:
  Judge(const LeftoverContext& context, std::span<const LeftoverRule> rules)
      : context_(context),
        rules_(rules),
        volumes_(volume_nodes()),
        named_(named_directories()),
        in_volume_(context.tree, volumes_),
        in_named_(context.tree, named_) {
    // Every directory above a file that a root reaches.
    above_reached_.assign(context.tree.node_limit(), 0);
    for (const ReachedFile& file : context.roots.files) {
      NodeId at =
          context.tree.lookup(std::string_view(file.path).substr(std::min<std::size_t>(1, file.path.size())));
      while (at != kNone && above_reached_[at] == 0) {
        above_reached_[at] = 1;
        if (at == Tree::kRoot) break;
        at = context.tree.node(at).parent;
      }
      const std::string_view name = base_name(file.path);
      if (file.kind == ReachedFile::Kind::kArgument) continue;
      reached_names_.emplace(name);
      reached_names_.emplace(name.substr(0, name.find_last_not_of("0123456789.") + 1));  // pip3.11
    }
  }

  // Whether a root reaches a program that reads what the rule claims.
  bool has_user(const LeftoverRule& rule) const {
    return std::any_of(rule.users.begin(), rule.users.end(),
                       [&](std::string_view user) { return reached_names_.contains(user); });
  }

  Spared judge(const LeftoverSearch::Claim& claim) {
    const Tree& tree = context_.tree;
    const LeftoverRule& rule = rules_[claim.rule];
    if (above_reached_[claim.unit] != 0 || in_named_.contains(claim.unit)) return Spared::kReached;
    if (in_volume_.contains(claim.node)) return Spared::kVolume;
    if (rule.weakest != Form::kTidy) return Spared::kNo;
    const Entry* entry = tree.attributes(claim.node);
    if (entry == nullptr) return Spared::kOwned;
    const bool executable = (entry->mode & 0111) != 0;
    if (is_elf_head(entry->head) && (executable || !rule.takes_elf)) return Spared::kProgram;
    if (executable && is_script_head(entry->head)) return Spared::kProgram;
    if (!context_.packages.owners(std::string("/").append(tree.path(claim.node))).empty())
      return Spared::kOwned;
    return Spared::kNo;
  }

 private:
  std::set<NodeId> volume_nodes() const {
    std::set<NodeId> nodes;
    for (const std::string& volume : context_.config.volumes) {
      const NodeId id = context_.tree.resolve(volume);
      if (id != kNone) nodes.insert(id);
    }
    return nodes;
  }
  // Directories that a command names in its arguments: it may read anything below them.
  std::set<NodeId> named_directories() const {
    std::set<NodeId> nodes;
    for (const ReachedFile& file : context_.roots.files) {
      if (file.kind != ReachedFile::Kind::kArgument || file.path.size() < 2) continue;
      const NodeId id = context_.tree.lookup(std::string_view(file.path).substr(1));
      if (id != kNone && context_.tree.type(id) == EntryType::kDirectory) nodes.insert(id);
    }
    return nodes;
  }

  const LeftoverContext& context_;
  std::span<const LeftoverRule> rules_;
  std::set<NodeId> volumes_;
  std::set<NodeId> named_;
  Below in_volume_;
  Below in_named_;
  std::vector<char> above_reached_;
  std::set<std::string, std::less<>> reached_names_;
};

// Takes back claims on files of which a name stays.
void spare_linked(const Tree& tree, std::vector<LeftoverSearch::Claim>& claims,
                  const std::function<void(const LeftoverSearch::Claim&, Spared)>& spared) {
  std::unordered_map<InodeId, std::uint32_t> claimed;
  for (const auto& claim : claims) {
    const InodeId inode = tree.node(claim.node).inode;
    if (tree.inode(inode).links > 1) ++claimed[inode];
  }
  std::erase_if(claims, [&](const LeftoverSearch::Claim& claim) {
    const InodeId inode = tree.node(claim.node).inode;
    const auto found = claimed.find(inode);
    if (found == claimed.end() || found->second == tree.inode(inode).links) return false;
    spared(claim, Spared::kLinked);
    return true;
  });
}

}  // namespace

std::span<const LeftoverRule> leftover_rules() {
  static const std::vector<LeftoverRule> rules = [] {
    std::vector<LeftoverRule> all;
    for (const auto group : {system_leftover_rules(), language_leftover_rules(), toolchain_leftover_rules(),
                             source_leftover_rules()}) {
      all.insert(all.end(), group.begin(), group.end());
    }
    return all;
  }();
  return rules;
}

const Leftover* Leftovers::find(NodeId node) const {
  const auto found = std::lower_bound(claimed.begin(), claimed.end(), node,
                                      [](const Leftover& leftover, NodeId id) { return leftover.node < id; });
  return found != claimed.end() && found->node == node ? &*found : nullptr;
}

Leftovers find_leftovers(const LeftoverContext& context, Form form) {
  return find_leftovers(context, form, leftover_rules());
}

Leftovers find_leftovers(const LeftoverContext& context, Form form, std::span<const LeftoverRule> rules) {
  Leftovers result;
  if (form == Form::kLossless) return result;
  const Anchors anchors(rules, form);
  LeftoverSearch search(context);
  context.tree.walk([&](NodeId id) {
    const std::string_view name = context.tree.node(id).name;
    const auto visit = [&](std::uint32_t rule) {
      search.begin_rule(rule);
      rules[rule].find(search, id);
    };
    const auto found = anchors.exact.find(name);
    if (found != anchors.exact.end()) {
      for (const std::uint32_t rule : found->second)
        visit(rule);
    }
    for (const auto& [prefix, rule] : anchors.prefixes) {
      if (name.starts_with(prefix)) visit(rule);
    }
    for (const auto& [suffix, rule] : anchors.suffixes) {
      if (name.ends_with(suffix)) visit(rule);
    }
  });

  // One claim a file: that of the first rule.
  std::vector<LeftoverSearch::Claim>& claims = search.claims();
  std::sort(claims.begin(), claims.end(), [](const auto& a, const auto& b) {
    return std::tie(a.node, a.rule, a.unit) < std::tie(b.node, b.rule, b.unit);
  });
  Judge judge(context, rules);
  std::map<std::pair<std::uint32_t, Spared>, std::pair<std::uint64_t, NodeId>> spared;  // files, the first
  const auto spare = [&](const LeftoverSearch::Claim& claim, Spared why) {
    auto& [count, first] = spared.try_emplace({claim.rule, why}, 0, claim.node).first->second;
    ++count;
  };
  std::map<std::uint32_t, std::uint64_t> used;  // rules whose users are reached
  std::erase_if(claims, [&](const LeftoverSearch::Claim& claim) {
    if (judge.has_user(rules[claim.rule])) {
      ++used[claim.rule];
      return true;
    }
    const Spared why = judge.judge(claim);
    if (why != Spared::kNo) spare(claim, why);
    return why != Spared::kNo;
  });
  claims.erase(std::unique(claims.begin(), claims.end(),
                           [](const auto& a, const auto& b) { return a.node == b.node; }),
               claims.end());
  spare_linked(context.tree, claims, spare);

  result.claimed.reserve(claims.size());
  for (const auto& claim : claims)
    result.claimed.push_back({claim.node, claim.rule});
  for (const auto& [rule, count] : used) {
    result.spared.push_back(
        fmt::format("{}: {} files stay, the image starts a program that reads them", rules[rule].id, count));
  }
  for (const auto& [key, what] : spared) {
    result.spared.push_back(fmt::format("{}: {} files stay, {} (/{})", rules[key.first].id, what.first,
                                        reason_of(key.second), printable(context.tree.path(what.second))));
  }
  return result;
}

}  // namespace imgslim
