// SPDX-License-Identifier: Apache-2.0
#include "src/audit/budgets.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "layers/error.h"
#include "src/audit/image_diff.h"
#include "src/audit/words.h"
#include "src/progress.h"

namespace imgslim {
namespace {

// Files named for each pattern that is broken.
constexpr std::size_t kMostNamed = 20;

class Checker {
 public:
  Checker(const ImageAudit& audit, const std::string& image, const BudgetInput& input)
      : audit_(audit), image_(image), input_(input), budgets_(input.budgets) {}

  std::vector<BrokenRule> check() {
    check_sizes();
    check_waste();
    check_growth();
    check_paths();
    check_forbidden();
    check_linkage();
    check_go_sums();
    return std::move(broken_);
  }

 private:
  void broken(std::string_view rule, std::string text) {
    broken_.push_back({std::string(rule), image_, std::move(text)});
  }

  bool is_ignored(std::string_view path) const {
    return std::any_of(budgets_.ignore.begin(), budgets_.ignore.end(),
                       [&](const Glob& glob) { return glob.covers(path); });
  }

  // The largest entry above the base, as that is what people can change; of the base if there is none.
  std::string largest_text() const {
    for (const bool above : {true, false}) {
      for (const EntryRef ref : audit_.largest) {
        if ((ref.layer >= audit_.base_layers) == above && !is_ignored(audit_.entry(ref).path))
          return fmt::format("largest: {} in {}", human_bytes(audit_.entry(ref).stored_size),
                             origin_text(audit_, ref));
      }
    }
    return "no file is in it";
  }

  static std::string over(std::uint64_t value, std::uint64_t limit) {
    return fmt::format("{} is {} over {}", human_bytes(value), human_bytes(value - limit),
                       human_bytes(limit));
  }

  void check_sizes() {
    if (budgets_.total && audit_.unpacked() > *budgets_.total)
      broken("total", over(audit_.unpacked(), *budgets_.total) + "; " + largest_text());
    if (budgets_.compressed && audit_.compressed() > *budgets_.compressed)
      broken("compressed", over(audit_.compressed(), *budgets_.compressed) + "; " + largest_text());
  }

  std::string most_wasted(bool user) const {
    for (const WasteGroup& group : audit_.waste.groups) {
      if (user && group.hidden_by < audit_.base_layers) continue;
      return fmt::format("; most: {} because {}; {}", human_bytes(group.bytes), waste_text(audit_, group),
                         origin_text(audit_, group.largest));
    }
    return "";
  }

  void check_waste() {
    const Waste& waste = audit_.waste;
    if (budgets_.waste && waste.bytes > *budgets_.waste)
      broken("waste", over(waste.bytes, *budgets_.waste) + most_wasted(false));
    if (budgets_.waste_percent && waste.user_percent > *budgets_.waste_percent) {
      broken("waste-percent",
             fmt::format("{} of {} above the base ({}) is over {}", human_bytes(waste.user_bytes),
                         human_bytes(waste.user_copies), percent_text(waste.user_percent),
                         percent_text(*budgets_.waste_percent)) +
                 most_wasted(true));
    }
    if (budgets_.efficiency && waste.efficiency < *budgets_.efficiency) {
      broken("efficiency", fmt::format("{} is below {}{}", percent_text(100 * waste.efficiency),
                                       percent_text(100 * *budgets_.efficiency), most_wasted(false)));
    }
  }

  void check_growth() {
    if (!budgets_.total_growth && !budgets_.compressed_growth) return;
    const Footprint* baseline = input_.baseline ? input_.baseline(audit_.platform) : nullptr;
    if (baseline == nullptr) return;
    std::optional<ImageDiff> diff;
    const auto check = [&](std::string_view rule, const std::optional<GrowthLimit>& limit,
                           std::uint64_t before, std::uint64_t after) {
      if (!limit || after <= before) return;
      const std::uint64_t growth = after - before;
      const double percent =
          before > 0 ? 100 * static_cast<double>(growth) / static_cast<double>(before) : 100;
      const bool is_over = limit->bytes ? growth > *limit->bytes : percent > limit->percent.value_or(0);
      if (!is_over) return;
      if (!diff) diff = compare_images(*baseline, footprint_of(audit_));
      broken(rule,
             fmt::format("{} is {} ({}) more than {} of {}, over {}{}", human_bytes(after),
                         human_bytes(growth), percent_text(percent), human_bytes(before), baseline->name,
                         limit->bytes ? human_bytes(*limit->bytes) : percent_text(*limit->percent),
                         grown_most(*diff)));
    };
    check("total-growth", budgets_.total_growth, baseline->unpacked, audit_.unpacked());
    check("compressed-growth", budgets_.compressed_growth, baseline->compressed, audit_.compressed());
  }

  std::string grown_most(const ImageDiff& diff) const {
    for (const Change& change : diff.files) {
      if (change.delta() <= 0) continue;
      // The topmost entry of that path.
      for (std::uint32_t layer = static_cast<std::uint32_t>(audit_.tables.size()); layer-- > 0;) {
        const auto& entries = audit_.tables[layer]->entries;
        for (std::uint32_t i = 0; i < entries.size(); ++i) {
          if (entries[i].type != EntryType::kRegular ||
              "/" + printable(entries[i].path, std::string_view::npos) != change.name)
            continue;
          return fmt::format("; most: {} ({}) in {}", signed_bytes(change.delta()), name_of(change.owner),
                             origin_text(audit_, {layer, i}));
        }
      }
    }
    return "";
  }

  template <class Visit>
  void each_file(Visit&& visit) const {
    for (std::uint32_t layer = 0; layer < audit_.tables.size(); ++layer) {
      const auto& entries = audit_.tables[layer]->entries;
      for (std::uint32_t i = 0; i < entries.size(); ++i) {
        if (entries[i].type == EntryType::kRegular) visit(EntryRef{layer, i});
      }
    }
  }

  void check_paths() {
    struct Sum {
      std::uint64_t bytes = 0;
      EntryRef largest;
    };
    std::vector<Sum> sums(budgets_.paths.size());
    if (sums.empty()) return;
    each_file([&](EntryRef ref) {
      const Entry& entry = audit_.entry(ref);
      if (audit_.row(ref).visibility != Visibility::kVisible || is_ignored(entry.path)) return;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        if (!budgets_.paths[i].path.covers(entry.path)) continue;
        sums[i].bytes += entry.stored_size;
        if (!sums[i].largest || audit_.entry(sums[i].largest).stored_size < entry.stored_size)
          sums[i].largest = ref;
      }
    });
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (sums[i].bytes <= budgets_.paths[i].bytes) continue;
      broken("paths", fmt::format("{}: {}; largest: {} in {}", budgets_.paths[i].path.text(),
                                  over(sums[i].bytes, budgets_.paths[i].bytes),
                                  human_bytes(audit_.entry(sums[i].largest).stored_size),
                                  origin_text(audit_, sums[i].largest)));
    }
  }

  void check_forbidden() {
    if (budgets_.forbidden.empty() && !budgets_.forbid_private_keys) return;
    std::map<std::string, std::size_t> named;  // by pattern
    const auto forbid = [&](const std::string& pattern, EntryRef ref) {
      const std::size_t count = ++named[pattern];
      if (count > kMostNamed) return;
      const AuditRow& row = audit_.row(ref);
      std::string text = fmt::format("{}: {}", pattern, origin_text(audit_, ref));
      if (row.visibility != Visibility::kVisible) {
        text += fmt::format("; {} by layer {}, and still in the image for everyone who pulls it",
                            name_of(row.visibility), row.hidden_by + 1);
      }
      broken("forbidden", std::move(text));
    };
    for (std::uint32_t layer = 0; layer < audit_.tables.size(); ++layer) {
      const auto& entries = audit_.tables[layer]->entries;
      for (std::uint32_t i = 0; i < entries.size(); ++i) {
        const Entry& entry = entries[i];
        if (entry.type == EntryType::kDirectory || entry.type == EntryType::kWhiteout ||
            entry.type == EntryType::kOpaqueWhiteout || is_ignored(entry.path))
          continue;
        for (const Glob& glob : budgets_.forbidden) {
          if (glob.covers(entry.path)) forbid(glob.text(), {layer, i});
        }
        if (budgets_.forbid_private_keys && is_private_key({layer, i})) forbid("private-keys", {layer, i});
      }
    }
    for (const auto& [pattern, count] : named) {
      if (count > kMostNamed)
        broken("forbidden", fmt::format("{}: and {} more", pattern, count - kMostNamed));
    }
  }

  bool is_private_key(EntryRef ref) const {
    constexpr std::string_view kBegin = "-----BEGIN ";
    const Entry& entry = audit_.entry(ref);
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < 8; ++i)
      head |= std::uint64_t{static_cast<unsigned char>(kBegin[i])} << (8 * i);
    if (entry.type != EntryType::kRegular || entry.head != head || entry.size < 64) return false;
    const std::string front = input_.read(ref, 64);
    const std::string line = front.substr(0, front.find('\n'));
    return line.starts_with(kBegin) && line.find("PRIVATE KEY") != std::string::npos;
  }

  const GoProgramSize* program_at(std::string_view path) const {
    for (const GoProgramSize& program : audit_.go_programs) {
      if (program.path.substr(1) == path) return &program;
    }
    return nullptr;
  }

  void check_linkage() {
    for (const LinkageBudget& rule : budgets_.linkage) {
      bool any = false;
      each_file([&](EntryRef ref) {
        const Entry& entry = audit_.entry(ref);
        constexpr std::uint64_t kElf = 0x464c457f;
        if (audit_.row(ref).visibility != Visibility::kVisible || (entry.head & 0xffffffff) != kElf ||
            !rule.path.covers(entry.path) || is_ignored(entry.path))
          return;
        any = true;
        const std::string linkage = linkage_of(ref);
        const bool met = linkage == rule.linkage || (rule.linkage == "static" && linkage == "static-pie");
        if (!met) {
          broken("linkage", fmt::format("{} is {}, not {}; {}", path_text(entry.path),
                                        linkage.empty() ? "of unknown linkage" : linkage, rule.linkage,
                                        origin_text(audit_, ref)));
        }
      });
      if (!any) broken("linkage", fmt::format("{}: no program is there", rule.path.text()));
    }
  }

  std::string linkage_of(EntryRef ref) const {
    const Entry& entry = audit_.entry(ref);
    if (const GoProgramSize* program = program_at(entry.path)) return program->linkage;
    // The headers alone say it of others.
    const std::string front = input_.read(ref, std::min<std::uint64_t>(entry.size, 1u << 20));
    const std::optional<ElfFacts> elf = read_elf(front);
    if (!elf) return "";
    if (elf->interpreter || !elf->needed.empty()) return "dynamic";
    return elf->has_dynamic ? "static-pie" : "static";
  }

  struct GoSum {
    bool known = false;
    std::map<std::string, std::string, std::less<>> sums;  // "module version" -> "h1:.."
  };

  const GoSum& go_sum(const std::string& file) {
    GoSum& sum = go_sums_[file];
    if (sum.known) return sum;
    sum.known = true;
    const std::optional<std::string> text = input_.read_host(file);
    if (!text) throw_usage(fmt::format("go-sum: cannot read {}", file));
    std::string_view rest = *text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t space = line.rfind(' ');
      if (space == std::string_view::npos) continue;
      sum.sums.emplace(line.substr(0, space), line.substr(space + 1));
    }
    return sum;
  }

  // The module of the go.mod beside a go.sum, "" if there is none.
  std::string module_beside(const std::string& file) const {
    const std::size_t slash = file.rfind('/');
    const std::string mod = (slash == std::string::npos ? "" : file.substr(0, slash + 1)) + "go.mod";
    const std::optional<std::string> text = input_.read_host(mod);
    if (!text) return "";
    for (std::size_t at = 0; at < text->size(); at = text->find('\n', at) + 1) {
      std::string_view line = std::string_view(*text).substr(at);
      line = line.substr(0, line.find('\n'));
      if (line.starts_with("module ")) {
        line.remove_prefix(7);
        line = line.substr(0, line.find(" //"));
        while (!line.empty() && (line.front() == ' ' || line.front() == '"'))
          line.remove_prefix(1);
        while (!line.empty() && (line.back() == ' ' || line.back() == '"' || line.back() == '\r'))
          line.remove_suffix(1);
        return std::string(line);
      }
      if (text->find('\n', at) == std::string::npos) break;
    }
    return "";
  }

  void check_go_sums() {
    for (const GoSumBudget& rule : budgets_.go_sums) {
      const std::string module = rule.path ? "" : module_beside(rule.file);
      bool any = false;
      for (const GoProgramSize& program : audit_.go_programs) {
        const std::string_view path = std::string_view(program.path).substr(1);
        const bool taken =
            rule.path ? rule.path->covers(path) : module.empty() || program.main_module == module;
        if (!taken || is_ignored(path)) continue;
        any = true;
        check_go_sum(program, rule.file);
      }
      if (!any) {
        broken("go-sum", fmt::format("{}: no Go program of {} is in the image", rule.file,
                                     rule.path        ? rule.path->text()
                                     : module.empty() ? "any module"
                                                      : module));
      }
    }
  }

  void check_go_sum(const GoProgramSize& program, const std::string& file) {
    const GoSum& sums = go_sum(file);
    const std::string where = origin_of(program);
    for (const GoModuleBytes& module : program.modules) {
      // The main module and the standard library have no line there; local replacements have no sum.
      if (module.is_main || module.path.empty() || module.path == "std" || module.sum.empty()) continue;
      const auto found = sums.sums.find(module.path + " " + module.version);
      if (found == sums.sums.end()) {
        broken("go-sum", fmt::format("{} {} of {} is not in {}", printable(module.path),
                                     printable(module.version), where, file));
      } else if (found->second != module.sum) {
        broken("go-sum", fmt::format("{} {} of {} has {}, {} says {}", printable(module.path),
                                     printable(module.version), where, printable(module.sum), file,
                                     printable(found->second)));
      }
    }
  }

  std::string origin_of(const GoProgramSize& program) const {
    for (const EntryRef ref : audit_.largest) {
      if (audit_.row(ref).visibility == Visibility::kVisible &&
          audit_.entry(ref).path == program.path.substr(1))
        return origin_text(audit_, ref);
    }
    return printable(program.path);
  }

  const ImageAudit& audit_;
  const std::string& image_;
  const BudgetInput& input_;
  const Budgets& budgets_;
  std::vector<BrokenRule> broken_;
  std::map<std::string, GoSum> go_sums_;
};

}  // namespace

std::vector<std::string> rules_of(const Budgets& budgets) {
  std::vector<std::string> rules;
  const auto add = [&](bool asked, const char* name) {
    if (asked) rules.emplace_back(name);
  };
  add(budgets.total.has_value(), "total");
  add(budgets.compressed.has_value(), "compressed");
  add(budgets.waste.has_value(), "waste");
  add(budgets.waste_percent.has_value(), "waste-percent");
  add(budgets.efficiency.has_value(), "efficiency");
  add(budgets.total_growth.has_value(), "total-growth");
  add(budgets.compressed_growth.has_value(), "compressed-growth");
  add(!budgets.paths.empty(), "paths");
  add(!budgets.forbidden.empty() || budgets.forbid_private_keys, "forbidden");
  add(!budgets.linkage.empty(), "linkage");
  add(!budgets.go_sums.empty(), "go-sum");
  return rules;
}

std::vector<BrokenRule> check_budgets(const ImageAudit& audit, const std::string& image,
                                      const BudgetInput& input) {
  return Checker(audit, image, input).check();
}

}  // namespace imgslim
