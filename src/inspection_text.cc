// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "src/inspection.h"
#include "src/inspection_words.h"
#include "src/progress.h"
#include "src/text_page.h"

namespace imgslim {
namespace {

constexpr std::size_t kLabel = 15;     // column behind the names of facts
constexpr std::size_t kEvidence = 13;  // column behind a class of evidence
constexpr std::size_t kShownModules = 10;
constexpr std::size_t kShownInits = 3;
constexpr std::size_t kShownEmbeds = 5;
constexpr std::size_t kShownPaths = 6;

std::string plural(std::uint64_t count, std::string_view one, std::string_view many = "") {
  const std::string all = many.empty() ? std::string(one) + "s" : std::string(many);
  return fmt::format("{} {}", count, count == 1 ? std::string(one) : all);
}

std::string some(const std::vector<std::string>& texts, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < std::min(texts.size(), limit); ++i) {
    if (i > 0) out += ", ";
    out += printable(texts[i], 400);
  }
  if (texts.size() > limit) out += fmt::format(" and {} more", texts.size() - limit);
  return out;
}

std::string base(std::string_view path) {
  return printable(path.substr(path.rfind('/') + 1));
}

std::uint64_t failing(const ProbeCount& count) {
  return count.failed_opens + count.failed_stats;
}
std::uint64_t all(const ProbeCount& count) {
  return count.opens + count.stats;
}

class Writer {
 public:
  Writer(const Inspection& facts, const InspectionTextOptions& options)
      : facts_(facts), verbose_(options.verbose), page_(options.width) {}

  std::string run() {
    write_file();
    if (!facts_.elf) {
      write_script();
    } else {
      write_advice();
      write_libraries();
      write_dlopens();
      write_execs();
      if (facts_.go) write_go();
      write_cost();
    }
    write_lines("Could not be read", facts_.problems);
    return page_.text();
  }

 private:
  void fact(std::string_view name, std::string_view text) { page_.item(2, name, kLabel, text); }

  void write_lines(std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    page_.heading(title);
    for (const std::string& line : lines)
      page_.item(2, "", 2, printable(line, 1000));
  }

  void write_file() {
    page_.line((facts_.tree.empty() ? "" : printable(facts_.tree) + ": ") +
               printable(facts_.file.path, 4096));
    if (facts_.file.resolved != facts_.file.path) fact("file", printable(facts_.file.resolved, 4096));
    fact("kind", kind_words(facts_));
    fact("size", human_bytes(facts_.file.size));
    if (!facts_.file.package.empty()) fact("package", printable(facts_.file.package));
    if (!facts_.elf) return;
    if (facts_.elf->interpreter) fact("interpreter", printable(*facts_.elf->interpreter, 4096));
    if (facts_.elf->soname) fact("soname", printable(*facts_.elf->soname));
    if (facts_.elf->rpath) fact("rpath", printable(*facts_.elf->rpath, 4096));
    if (facts_.elf->runpath) fact("runpath", printable(*facts_.elf->runpath, 4096));
    if (!facts_.elf->build_id.empty()) fact("build id", facts_.elf->build_id);
  }

  void write_script() {
    page_.heading("Started by");
    for (const ScriptStep& step : facts_.script) {
      if (step.kind == "program" && step.path == facts_.file.resolved) continue;
      if (step.kind == "shell text") break;  // what its words name is below
      std::string words;
      for (const std::string& word : step.words)
        words += (words.empty() ? "" : " ") + printable(word, 100);
      page_.item(2, step.kind, kLabel + 2,
                 (step.path.empty() ? words + " (not in the tree)" : printable(step.path, 4096)) +
                     package_words(step.path));
    }
    if (!facts_.script_files.empty()) {
      page_.heading("Files it brings");
      for (const ReachedFile& file : facts_.script_files) {
        if (file.kind == ReachedFile::Kind::kLink) continue;
        page_.item(2, name_of(file.evidence), kEvidence,
                   printable(file.path, 4096) + ": " + printable(file.why, 400));
      }
    }
    write_lines("Findings", facts_.script_findings);
  }

  std::string package_words(const std::string& resolved) const {
    const auto package = facts_.packages.find(resolved);
    return package == facts_.packages.end() || package->second.empty()
               ? ""
               : " (" + printable(package->second) + ")";
  }

  void write_advice() {
    if (facts_.advice.empty()) return;
    page_.heading("Advice");
    for (const Advice& advice : facts_.advice) {
      const std::string gain = advice.fault         ? "fault"
                               : advice.bytes > 0   ? human_bytes(advice.bytes)
                               : advice.lookups > 0 ? plural(advice.lookups, "look-up")
                                                    : "";
      page_.item(2, gain, kLabel, advice.text);
    }
  }

  // Each object below the one that asked for it first.
  void write_libraries() {
    if (!facts_.libraries) return;
    const LibrarySearch& search = *facts_.libraries;
    const auto& objects = search.objects();
    if (objects.size() < 2 && search.missing().empty()) return;
    std::vector<std::vector<std::size_t>> children(objects.size());
    for (std::size_t i = 1; i < objects.size(); ++i) {
      const std::size_t parent = objects[i].requester.value_or(0);
      children[parent < i ? parent : 0].push_back(i);
    }
    page_.heading(fmt::format("Libraries: {} in {}, for CPU {}", human_bytes(facts_.library_bytes),
                              plural(objects.size() - 1, "file"), facts_.cpu));
    std::vector<std::pair<std::size_t, std::size_t>> order;  // object, depth
    std::vector<std::pair<std::size_t, std::size_t>> waiting{{0, 0}};
    while (!waiting.empty()) {
      const auto [object, depth] = waiting.back();
      waiting.pop_back();
      order.emplace_back(object, depth);
      for (auto child = children[object].rbegin(); child != children[object].rend(); ++child) {
        waiting.emplace_back(*child, depth + 1);
      }
    }
    std::size_t column = 0;
    for (const auto& [object, depth] : order) {
      if (object != 0) column = std::max(column, 2 * depth + columns_of(lead_of(objects[object])) + 2);
    }
    column = std::min(column, page_.width() / 2);
    for (const auto& [object, depth] : order) {
      if (object != 0) page_.item(2 * depth, lead_of(objects[object]), column, place_of(objects[object]));
      for (const MissingLibrary& missing : search.missing()) {
        if (missing.requester.value_or(0) != object) continue;
        std::string text = missing.why.empty() ? "not found" : printable(missing.why, 400);
        if (missing.optional) text += " (optional)";
        if (!missing.searched.empty()) {
          text += ", tried " + some(missing.searched, verbose_ ? missing.searched.size() : kShownPaths);
        }
        page_.item(2 * depth + 2, printable(missing.name), column, text);
      }
    }
    for (const MissingVersion& missing : search.missing_versions()) {
      page_.item(2, "", 2,
                 fmt::format("{} needs {} of {}, which lacks it", printable(objects[missing.requester].name),
                             printable(missing.version), printable(objects[missing.provider].path, 4096)));
    }
    for (const SearchedObject& object : facts_.other_cpus) {
      page_.item(2, lead_of(object), column, place_of(object) + " on other CPUs");
    }
  }

  static std::string lead_of(const SearchedObject& object) {
    return object.request == RequestKind::kInterpreter ? base(object.name) : printable(object.name);
  }

  std::string place_of(const SearchedObject& object) const {
    std::string text = printable(object.path, 4096);
    text += " (" + rule_words(object, facts_.libraries ? &facts_.libraries->objects() : nullptr);
    if (object.request != RequestKind::kNeeded && object.request != RequestKind::kInterpreter) {
      text += fmt::format(", {}", name_of(object.request));
    }
    if (!object.hwcaps.empty()) text += ", variant " + printable(object.hwcaps);
    text += ")";
    if (verbose_) {
      if (object.resolved != object.path) text += ", is " + printable(object.resolved, 4096);
      if (!object.links.empty()) text += ", through " + some(object.links, object.links.size());
      text += package_words(object.resolved);
    }
    return text;
  }

  std::string names_text(const std::vector<FoundName>& names, std::string_view absent) const {
    std::string out;
    for (const FoundName& name : names) {
      if (!out.empty()) out += ", ";
      out += printable(name.name);
      if (name.paths.empty()) {
        out += fmt::format(" ({})", absent);
      } else if (name.paths.size() > 1) {
        out += fmt::format(" ({})", plural(name.paths.size(), "file"));
      } else if (name.paths.front() != name.name) {
        out += " > " + printable(name.paths.front(), 4096);
      }
    }
    return out;
  }

  // "libfoo.so.1: constant at the call, 3 sites"
  std::string context(const std::string& object, const std::string& package, const std::string& reason,
                      std::size_t sites) const {
    std::string out = !package.empty()                 ? printable(package)
                      : object == facts_.file.resolved ? ""
                                                       : base(object);
    if (!reason.empty()) out += (out.empty() ? "" : ": ") + printable(reason, 400);
    if (sites > 1) out += fmt::format(", {} sites", sites);
    return out;
  }

  void write_dlopens() {
    struct Group {
      const InspectedDlopen* item;
      std::string names;
      std::size_t sites;
    };
    std::vector<Group> groups;
    for (const InspectedDlopen& item : facts_.dlopens) {
      const DlopenFinding& finding = item.finding;
      std::string names = names_text(
          item.names, finding.may_be_missing ? "not in the tree, which is no fault" : "not in the tree");
      const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
        return group.item->object == item.object && group.names == names &&
               group.item->finding.row == finding.row && group.item->finding.evidence == finding.evidence &&
               group.item->finding.reason == finding.reason &&
               group.item->finding.package == finding.package &&
               group.item->finding.symbols == finding.symbols;
      });
      if (same != groups.end()) {
        ++same->sites;
      } else {
        groups.push_back({&item, std::move(names), 1});
      }
    }
    if (groups.empty()) return;
    page_.heading("Loads with dlopen");
    for (const Group& group : groups) {
      const DlopenFinding& finding = group.item->finding;
      std::string text = group.names;
      if (!finding.symbols.empty()) {
        if (!text.empty()) text += "; ";
        text += "what exports " + some(finding.symbols, kShownPaths);
        if (group.item->exporters_searched) {
          text += ": " +
                  (group.item->exporters.empty() ? "nothing in the tree" : some(group.item->exporters, 20));
        }
      }
      if (text.empty()) {
        text = finding.evidence == Evidence::kUnknown ? "a name that is not known" : "no library by name";
      }
      page_.item(2, name_of(finding.evidence), kEvidence, text);
      page_.item(kEvidence, "", kEvidence,
                 context(group.item->object, finding.package, finding.reason, group.sites));
      const auto present =
          static_cast<std::size_t>(std::count_if(group.item->files.begin(), group.item->files.end(),
                                                 [](const FoundName& file) { return !file.paths.empty(); }));
      if (present > 0) {
        std::string files;
        for (const FoundName& file : group.item->files) {
          if (file.paths.empty()) continue;
          if (!files.empty()) files += ", ";
          files += printable(file.name, 4096);
          if (file.paths.size() > 1) files += fmt::format(" ({})", plural(file.paths.size(), "file"));
        }
        page_.item(kEvidence, "", kEvidence, "reads " + files);
      }
    }
  }

  // Names with what they lead to; those that lead nowhere last.
  static std::string started(const std::vector<FoundName>& names) {
    std::string present, absent;
    std::set<std::string> seen;
    for (const FoundName& name : names) {
      if (!seen.insert(name.name).second) continue;
      std::string& list = name.paths.empty() ? absent : present;
      if (!list.empty()) list += ", ";
      list += printable(name.name);
      if (!name.paths.empty() && name.paths.front() != name.name) {
        list += " > " + printable(name.paths.front(), 4096);
      }
    }
    if (!absent.empty()) present += (present.empty() ? "" : "; ") + ("not in the tree: " + absent);
    return present;
  }

  // One item for the sites of a package or library that have the same evidence.
  void write_execs() {
    struct Group {
      const InspectedExec* item;
      std::vector<FoundName> names;
      bool itself;
      bool open;  // a name that is not known is among them
      std::size_t sites;
    };
    std::vector<Group> groups;
    for (const InspectedExec& item : facts_.execs) {
      const ExecFinding& finding = item.finding;
      const bool open = finding.evidence >= Evidence::kBounded || (finding.names.empty() && !finding.itself);
      auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
        const ExecFinding& other = group.item->finding;
        return group.item->object == item.object && group.item->evidence == item.evidence &&
               other.package == finding.package && other.reason == finding.reason && group.open == open;
      });
      if (same == groups.end()) same = groups.insert(groups.end(), Group{&item, {}, false, open, 0});
      same->names.insert(same->names.end(), item.names.begin(), item.names.end());
      same->itself = same->itself || finding.itself;
      ++same->sites;
    }
    if (groups.empty()) return;
    std::stable_partition(groups.begin(), groups.end(),
                          [](const Group& group) { return group.item->evidence == Evidence::kUnknown; });
    page_.heading("Starts");
    for (const Group& group : groups) {
      const ExecFinding& finding = group.item->finding;
      std::string text = group.itself ? "itself" : "";
      if (!group.names.empty()) text += (text.empty() ? "" : ", ") + started(group.names);
      if (group.open)
        text += text.empty() ? "a program whose name is not known" : "; and a name that is not known";
      page_.item(2, name_of(group.item->evidence), kEvidence, text);
      const std::string reason = finding.reason == "itself" ? "" : finding.reason;
      std::string about = context(group.item->object, finding.package, reason, group.sites);
      if (finding.missing_handled)
        about += about.empty() ? "a missing one is handled" : "; a missing one is handled";
      if (!about.empty()) page_.item(kEvidence, "", kEvidence, about);
    }
  }

  void write_cgo() {
    std::vector<std::string> needed, standard;
    for (const std::string& package : facts_.go->cgo_packages) {
      const bool replaced = package == "net" || package == "os/user" || package == "runtime/cgo";
      (replaced ? standard : needed).push_back(package);
    }
    const std::size_t limit = verbose_ ? facts_.go->cgo_packages.size() : 12;
    std::string text;
    if (!needed.empty()) text = some(needed, limit) + ": CGO_ENABLED=0 would leave them out";
    if (!standard.empty()) {
      text += (text.empty() ? "" : "; ") + some(standard, limit) +
              ": the standard library does without C as well";
    }
    fact("cgo", text);
  }

  void write_go() {
    const GoFacts& go = *facts_.go;
    page_.heading("Go");
    if (go.build) {
      fact("version", printable(go.build->go_version));
      std::string main = go.build->main_module ? printable(go.build->main_module->path) : std::string();
      if (go.build->main_module && !go.build->main_module->version.empty()) {
        main += " " + printable(go.build->main_module->version);
      }
      if (main.empty()) main = printable(go.build->main_path);
      if (!main.empty()) fact("main module", main);
      std::string settings;
      for (const auto& [key, value] : go.build->settings) {
        if (value.empty() || key == "DefaultGODEBUG") continue;
        settings += (settings.empty() ? "" : " ") + printable(key) + "=" + printable(value, 400);
      }
      if (!settings.empty()) fact("settings", settings);
    }
    if (!go.opaque.empty())
      fact("opaque", printable(go.opaque) + ": packages, sites and embedded files are hidden");
    if (!go.cgo_packages.empty()) write_cgo();
    if (!go.init_functions.empty()) write_inits();
    if (!go.embeds.empty()) write_embeds();
    if (!facts_.modules.empty() && !go.packages.empty()) write_modules();
  }

  void write_inits() {
    const auto& names = facts_.go->init_functions;
    if (verbose_ || names.size() <= 2 * kShownInits) {
      fact("init chain", fmt::format("{}: {}", names.size(), some(names, names.size())));
      return;
    }
    std::string first, last;
    for (std::size_t i = 0; i < kShownInits; ++i) {
      first += (i == 0 ? "" : ", ") + printable(names[i]);
      last += (i == 0 ? "" : ", ") + printable(names[names.size() - kShownInits + i]);
    }
    fact("init chain", fmt::format("{}: {}, .., {}", plural(names.size(), "function"), first, last));
  }

  void write_embeds() {
    std::vector<const GoEmbeddedFile*> files;
    std::uint64_t bytes = 0;
    for (const GoEmbedTree& tree : facts_.go->embeds) {
      for (const GoEmbeddedFile& file : tree.files) {
        if (file.name.ends_with('/')) continue;
        files.push_back(&file);
        bytes += file.size;
      }
    }
    fact("embedded", fmt::format("{} of {} in {}", plural(files.size(), "file"), human_bytes(bytes),
                                 plural(facts_.go->embeds.size(), "tree")));
    std::stable_sort(files.begin(), files.end(),
                     [](const GoEmbeddedFile* a, const GoEmbeddedFile* b) { return a->size > b->size; });
    const std::size_t shown = verbose_ ? files.size() : std::min(files.size(), kShownEmbeds);
    for (std::size_t i = 0; i < shown; ++i) {
      page_.item(kLabel, fmt::format("{:>7}", human_bytes(files[i]->size)), kLabel + 9,
                 printable(files[i]->name, 400));
    }
    if (shown < files.size())
      page_.item(kLabel + 9, "", kLabel + 9, fmt::format("and {} more", files.size() - shown));
  }

  void write_modules() {
    std::uint64_t total = 0;
    for (const GoModuleSize& module : facts_.modules)
      total += module.code_bytes;
    page_.heading(fmt::format("Modules by code: {} in {}", human_bytes(total),
                              plural(facts_.modules.size(), "module")));
    const std::size_t shown =
        verbose_ ? facts_.modules.size() : std::min(facts_.modules.size(), kShownModules);
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < facts_.modules.size(); ++i) {
      const GoModuleSize& module = facts_.modules[i];
      if (i >= shown) {
        rest += module.code_bytes;
        continue;
      }
      const std::string name = module.path == "std"  ? "standard library"
                               : module.path.empty() ? "code of no Go package"
                                                     : printable(module.path);
      page_.item(2, fmt::format("{:>7}", human_bytes(module.code_bytes)), 11,
                 name + (module.version.empty() ? "" : " " + printable(module.version)));
    }
    if (shown < facts_.modules.size()) {
      page_.item(2, fmt::format("{:>7}", human_bytes(rest)), 11,
                 plural(facts_.modules.size() - shown, "other", "others"));
    }
  }

  void write_cost() {
    if (!facts_.cost) return;
    const SearchCosts& cost = *facts_.cost;
    if (cost.today.before_main.empty() && cost.today.dlopens.empty()) return;
    page_.heading(
        fmt::format("Search for libraries on CPU {}: paths tried, and of these in vain", facts_.cpu));
    constexpr std::size_t kCounts = 14 + 16 + 16;
    const std::size_t name_width =
        std::min<std::size_t>(longest_call(cost.today), page_.width() - kCounts - 2);
    const auto row = [&](const std::string& name, const std::string& a, const std::string& b,
                         const std::string& c) {
      const bool wide = columns_of(name) > name_width;
      if (wide) page_.item(2, name, 0, "");
      page_.item(2, fmt::format("{:<{}}{:>14}{:>16}{:>16}", wide ? "" : name, name_width, a, b, c), 0, "");
    };
    const auto count = [](const ProbeCount& probes) {
      return fmt::format("{} / {}", all(probes), failing(probes));
    };
    row("", "today", "no ld.so.cache", "generated one");
    row("before main", count(cost.today.count), count(cost.without_cache.count),
        count(cost.with_generated_cache.count));
    for (std::size_t i = 0; i < cost.today.dlopens.size(); ++i) {
      const DlopenCost& call = cost.today.dlopens[i];
      const auto other = [&](const SearchCost& search) {
        return i < search.dlopens.size() ? count(search.dlopens[i].count) : std::string("-");
      };
      row(call_name(call), count(call.count), other(cost.without_cache), other(cost.with_generated_cache));
    }
    if (!cost.today.fatal.empty())
      page_.item(2, "", 2, "main is not reached: " + printable(cost.today.fatal, 400));
    if (!verbose_) return;
    write_probes("Paths tried before main", cost.today.before_main);
    for (const DlopenCost& call : cost.today.dlopens)
      write_probes("Paths tried by " + call_name(call), call.probes);
  }

  static std::string call_name(const DlopenCost& call) { return "dlopen " + printable(call.call.name); }
  static std::size_t longest_call(const SearchCost& cost) {
    std::size_t length = 11;
    for (const DlopenCost& call : cost.dlopens)
      length = std::max(length, columns_of(call_name(call)));
    return length;
  }

  void write_probes(const std::string& title, const std::vector<SearchProbe>& probes) {
    if (probes.empty()) return;
    page_.heading(title);
    for (const SearchProbe& probe : probes) {
      page_.item(2, fmt::format("{:<7}{}", call_words(probe.call), probe.failed ? "-" : "+"), 12,
                 printable(probe.path, 4096));
    }
  }

  const Inspection& facts_;
  bool verbose_;
  TextPage page_;
};

}  // namespace

std::string to_text(const Inspection& inspection, const InspectionTextOptions& options) {
  return Writer(inspection, options).run();
}

}  // namespace imgslim
