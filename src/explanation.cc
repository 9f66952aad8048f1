// SPDX-License-Identifier: Apache-2.0
#include "src/explanation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "layers/error.h"
#include "src/decisions/glob.h"
#include "src/progress.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxShown = 4096;

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

// A glob takes what is below a match too; here only the match itself is meant.
bool matches(const Glob& glob, std::string_view path) {
  return glob.covers(path) && (!glob.covers(parent_of(path)) || glob.text().ends_with("**"));
}

// Absolute, without "." and "..", empty and trailing parts.
std::string cleaned(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('/'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string out;
  for (const std::string_view part : parts)
    out.append("/").append(part);
  return out.empty() ? "/" : out;
}

class Explainer {
 public:
  explicit Explainer(const ExplainInput& input) : input_(input) {}

  Explanation explain(const std::string& path) const {
    Explanation out = explain_place(path);
    const ProofDebugFile* file = input_.proof.find_debug_file(path);
    if (file != nullptr && out.state == Explanation::State::kKept) out.debug_info = *file;
    return out;
  }

  // The path itself, or what it is once links in its folders are followed.
  Explanation explain_word(const std::string& word) const {
    const std::string path = cleaned(word);
    Explanation out = explain(path);
    const std::string resolved = resolve_folders(path);
    if (resolved == path || (out.state == Explanation::State::kKept && input_.proof.find(path) != nullptr))
      return out;
    out = explain(resolved);
    out.asked = path;
    return out;
  }

  void each_path(const std::function<void(const std::string&)>& visit) const {
    if (input_.source != nullptr) {
      input_.source->walk([&](NodeId node) { visit("/" + input_.source->path(node)); });
    } else if (!input_.proof.paths.empty()) {
      for (const ProofPath& path : input_.proof.paths)
        visit(path.path);
    } else if (input_.result != nullptr) {
      input_.result->walk([&](NodeId node) { visit("/" + input_.result->path(node)); });
    }
    // What was made for the result was not in the source.
    if (input_.source == nullptr) return;
    for (const ProofPath& path : input_.proof.paths) {
      if (!is_in(input_.source, path.path)) visit(path.path);
    }
  }

 private:
  Explanation explain_place(const std::string& path) const {
    Explanation out;
    out.path = path;
    if (input_.proof.find(path) != nullptr) {
      out.state = Explanation::State::kKept;
      out.chain = chain_of(path);
      return out;
    }
    if (input_.proof.paths.empty() && is_in(input_.result, path)) {
      out.state = Explanation::State::kKept;
      return out;
    }
    const ProofGroup* group = input_.proof.group_of(path);
    if (group == nullptr || (input_.source != nullptr && !is_in(input_.source, path))) return out;
    out.state = Explanation::State::kGone;
    out.group = *group;
    out.rule = input_.proof.rules[group->rule].id;
    out.reason = input_.proof.rules[group->rule].reason;
    return out;
  }

  static bool is_in(const Tree* tree, std::string_view path) {
    return tree != nullptr && tree->lookup(path.substr(1)) != kNone;
  }

  std::vector<ExplainedStep> chain_of(const std::string& path) const {
    std::vector<ExplainedStep> chain;
    for (const ProofPath* at : witness_chain(input_.proof, path)) {
      const ProofWitness& witness = input_.proof.witnesses[at->witness];
      chain.push_back({at->path, witness.rule,
                       witness.path ? input_.proof.paths[*witness.path].path : witness.origin, witness.detail,
                       witness.evidence});
    }
    return chain;
  }

  // Links that the trees or the certificate know are followed, but for the last name.
  std::string resolve_folders(const std::string& path) const {
    const std::string folder(parent_of(path));
    const std::string last = path.substr(path.rfind('/'));
    for (const Tree* tree : {input_.source, input_.result}) {
      if (tree == nullptr) continue;
      const NodeId node = tree->resolve(folder);
      if (node == kNone) continue;
      return (node == Tree::kRoot ? "" : "/" + tree->path(node)) + last;
    }
    // Link by link, each at most as often as a kernel follows them.
    std::string at = path;
    for (int hop = 0; hop < 40; ++hop) {
      bool followed = false;
      for (std::size_t slash = at.find('/', 1); slash != std::string::npos; slash = at.find('/', slash + 1)) {
        const ProofPath* row = input_.proof.find(at.substr(0, slash));
        if (row == nullptr || input_.proof.attributes[row->attributes].type != 'l') continue;
        const std::string above(parent_of(row->path));
        at = cleaned((row->link.starts_with('/') ? row->link : above + "/" + row->link) + at.substr(slash));
        followed = true;
        break;
      }
      if (!followed) return at;
    }
    return path;
  }

  const ExplainInput& input_;
};

std::string shown(std::string_view path) {
  return printable(path, kMaxShown);
}

std::string debug_info_text(const ProofDebugFile& file) {
  std::vector<std::string> names;
  for (const TakenSection& section : file.sections)
    names.push_back(printable(section.name));
  std::string text = fmt::format("  without its debug information, {}: {}\n",
                                 human_bytes(file.section_bytes()), fmt::join(names, ", "));
  text += fmt::format("  loaded bytes as in the source, {}\n", file.loaded_digest);
  text += file.companion.empty()
              ? std::string("  it was dropped; --debug-info split keeps it beside the image\n")
              : fmt::format("  imgslim debug-info brings it back as {}\n", shown(file.companion));
  return text;
}

Json debug_info_json(const ProofDebugFile& file) {
  Json json;
  json["before"] = {{"digest", file.source_digest}, {"size", file.source_size}};
  json["after"] = {{"digest", file.result_digest}, {"size", file.result_size}};
  json["loaded"] = file.loaded_digest;
  json["sections"] = Json::array();
  for (const TakenSection& section : file.sections)
    json["sections"].push_back({{"name", escape_bytes(section.name)}, {"bytes", section.bytes}});
  json["bytes"] = file.section_bytes();
  json["companion"] = file.companion.empty() ? Json(nullptr) : Json(file.companion);
  return json;
}

}  // namespace

std::vector<Explanation> explain(const ExplainInput& input, std::string_view pattern, std::size_t* more) {
  const Explainer explainer(input);
  if (more != nullptr) *more = 0;
  if (!is_pattern(pattern)) return {explainer.explain_word(std::string(pattern))};
  const Glob glob(pattern);
  std::vector<Explanation> out;
  explainer.each_path([&](const std::string& path) {
    if (!matches(glob, path)) return;
    if (out.size() < kMaxExplained) {
      out.push_back(explainer.explain(path));
    } else if (more != nullptr) {
      ++*more;
    }
  });
  return out;
}

std::string to_text(const std::vector<Explanation>& explanations) {
  std::string text;
  for (const Explanation& explanation : explanations) {
    const std::string name = explanation.asked.empty()
                                 ? shown(explanation.path)
                                 : fmt::format("{} ({})", shown(explanation.asked), shown(explanation.path));
    switch (explanation.state) {
      case Explanation::State::kKept:
        text += fmt::format("{}: kept{}\n", name, explanation.chain.empty() ? ", no rule drops it" : "");
        for (const ExplainedStep& step : explanation.chain) {
          text += fmt::format("  {} by {}, because of {} ({}){}{}\n", shown(step.path), printable(step.rule),
                              step.because.empty() ? "the rule itself" : shown(step.because),
                              name_of(step.evidence), step.detail.empty() ? "" : ": ", shown(step.detail));
        }
        if (explanation.debug_info) text += debug_info_text(*explanation.debug_info);
        break;
      case Explanation::State::kGone:
        text += fmt::format("{}: gone by the rule {}: {}\n", name, printable(explanation.rule),
                            shown(explanation.reason));
        text += fmt::format("  with {} entries below {}, {}\n", explanation.group.entries,
                            shown(explanation.group.path), human_bytes(explanation.group.bytes));
        text += fmt::format("  --keep {} brings it back\n", shown(explanation.path));
        break;
      case Explanation::State::kUnknown:
        text += fmt::format("{}: neither in the image nor gone from it\n", name);
        break;
    }
  }
  return text;
}

Json to_json(const std::vector<Explanation>& explanations) {
  Json list = Json::array();
  for (const Explanation& explanation : explanations) {
    Json json;
    json["path"] = escape_bytes(explanation.path);
    if (!explanation.asked.empty()) json["asked"] = escape_bytes(explanation.asked);
    switch (explanation.state) {
      case Explanation::State::kKept:
        json["state"] = "kept";
        json["chain"] = Json::array();
        for (const ExplainedStep& step : explanation.chain) {
          json["chain"].push_back({{"path", escape_bytes(step.path)},
                                   {"rule", escape_bytes(step.rule)},
                                   {"because", escape_bytes(step.because)},
                                   {"evidence", name_of(step.evidence)},
                                   {"detail", escape_bytes(step.detail)}});
        }
        if (explanation.debug_info) json["debug_info"] = debug_info_json(*explanation.debug_info);
        break;
      case Explanation::State::kGone:
        json["state"] = "gone";
        json["rule"] = escape_bytes(explanation.rule);
        json["reason"] = escape_bytes(explanation.reason);
        json["keep"] = escape_bytes("--keep " + explanation.path);
        json["group"] = {{"path", escape_bytes(explanation.group.path)},
                         {"entries", explanation.group.entries},
                         {"bytes", explanation.group.bytes}};
        break;
      case Explanation::State::kUnknown:
        json["state"] = "unknown";
        break;
    }
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace imgslim
