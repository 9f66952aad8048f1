// SPDX-License-Identifier: Apache-2.0
#include "src/facts/dlopen_scan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>

#include "src/facts/code_texts.h"
#include "src/facts/static_dlopen.h"

namespace imgslim {

namespace {

using Rest = CodeText::Rest;

constexpr std::array<std::string_view, 3> kLoaders = {"dlopen", "dlmopen", "__libc_dlopen_mode"};
constexpr std::array<std::string_view, 2> kLookups = {"dlsym", "dlvsym"};

// Libraries that the container runtime brings in with the host's driver.
bool is_injected(std::string_view name) {
  constexpr std::array<std::string_view, 6> kInjected = {"libnvidia-*", "libcuda.so*",   "libnvcuvid.so*",
                                                         "libnvoptix*", "libdxcore.so*", "librocm_smi64.so*"};
  const std::string_view file = name.substr(name.rfind('/') + 1);
  return std::any_of(kInjected.begin(), kInjected.end(),
                     [&](std::string_view glob) { return matches_glob(file, glob); });
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// "_cgo_<hex>_Cfunc_NAME": the C side of a Go call; its arguments come from Go.
bool is_cgo_thunk(std::string_view symbol, std::string_view function) {
  if (!starts_with(symbol, "_cgo_")) return false;
  const std::size_t at = symbol.find("_Cfunc_");
  return at != std::string_view::npos && symbol.substr(at + 7) == function;
}

// The libraries that can be meant where the start of a name is known and it says which library it is:
// "libcrypto.so.*", "libLLVM-*.so". Empty where it could be any.
std::string library_pattern(const CodeText& text) {
  constexpr std::size_t kShortestStart = 5;  // "lib" and two letters more
  const std::string_view start = std::string_view(text.prefix).substr(text.prefix.rfind('/') + 1);
  if (!starts_with(start, "lib") || start.size() < kShortestStart) return {};
  const bool versioned = start.find(".so.") != std::string_view::npos;
  if (!versioned && text.suffix.find(".so") == std::string::npos) return {};
  if ((text.prefix + text.suffix).find_first_of("*?[") != std::string::npos) return {};
  return text.prefix + "*" + text.suffix;
}

std::string reason_of(const CodeText& text) {
  switch (text.rest) {
    case Rest::kNothing:
      return "";
    case Rest::kItself:
      return "the program itself";
    case Rest::kEnvironment:
      return text.detail.empty() ? "from the environment" : "from the environment variable " + text.detail;
    case Rest::kArgument:
      return "from the command line";
    case Rest::kParameter:
    case Rest::kUnknown:
      break;
  }
  return text.detail.empty() ? "not a constant" : text.detail;
}

class DlopenScan {
 public:
  DlopenScan(const ElfImage& image, std::string_view bytes, const GoFacts* go, std::string_view object)
      : image_(image), bytes_(bytes), go_(go), sites_(image, go), texts_(sites_) {
    row_ = dlopen_row_of(image.facts().soname ? std::string_view(*image.facts().soname) : object);
  }

  std::vector<DlopenFinding> run() {
    add_notes();
    add_audits();
    add_static_libc();
    if (!static_musl_) {
      add_go_packages();
      add_calls();
      add_row();
    }
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const DlopenFinding& a, const DlopenFinding& b) { return a.site < b.site; });
    return std::move(findings_);
  }

 private:
  void add_notes() {
    for (const DlopenNote& note : image_.facts().dlopen_notes) {
      DlopenFinding finding;
      finding.caller = ".note.dlopen";
      finding.names = note.sonames;
      finding.evidence = Evidence::kExact;
      finding.may_be_missing = note.priority != "required";
      finding.reason =
          "declared by the object: " + (note.feature.empty() ? "no feature named" : note.feature) + ", " +
          (note.priority.empty() ? "recommended" : note.priority);
      findings_.push_back(std::move(finding));
    }
  }

  // glibc takes them from the program alone (elf/rtld.c, load_auditors).
  void add_audits() {
    if (!image_.facts().interpreter) return;
    for (const std::string& list : image_.facts().audits)
      findings_.push_back(audit_finding("DT_AUDIT", list));
  }

  bool has_text(std::string_view text) const {
    return memmem(bytes_.data(), bytes_.size(), text.data(), text.size()) != nullptr;
  }

  // Static programs carry a loader of their own: what it looks for is known, what it is asked for is not.
  void add_static_libc() {
    constexpr std::uint64_t kPositionIndependentProgram = 0x08000000;  // DF_1_PIE
    const ElfFacts& facts = image_.facts();
    const bool is_library = facts.type == 3 && (facts.flags_1 & kPositionIndependentProgram) == 0;
    if (facts.interpreter || !facts.needed.empty() || is_library) return;
    // A Go program without cgo has no libc inside.
    if (go_ != nullptr && go_->cgo_packages.empty() && !go_->functions.empty()) return;
    if (has_text("Dynamic loading not supported")) {
      static_musl_ = true;
      DlopenFinding finding;
      finding.caller = "dlopen";
      finding.evidence = Evidence::kKnown;
      finding.may_be_missing = true;
      finding.reason = "static musl: dlopen always fails";
      findings_.push_back(std::move(finding));
      return;
    }
    if (!has_text("invalid mode for dlopen()")) return;
    static_glibc_ = true;
    DlopenFinding finding;
    finding.caller = "dlopen";
    finding.evidence = Evidence::kKnown;
    finding.may_be_missing = true;
    if (has_text("libnss_%s.so") || has_text("libnss_")) finding.names.emplace_back("libnss_*.so.2");
    if (has_text("gconv-modules")) finding.names.emplace_back("gconv/*.so");
    finding.row = dlopen_row_of("libc.so.6");
    finding.reason = "static glibc: NSS and gconv modules of the glibc it was linked with";
    findings_.push_back(std::move(finding));
  }

  void add_go_packages() {
    if (go_ == nullptr) return;
    std::vector<const KnowledgeRow*> seen;
    for (const GoPackage& package : go_->packages) {
      const KnowledgeRow* row = dlopen_row_of_go_package(package.path);
      if (row == nullptr || std::find(seen.begin(), seen.end(), row) != seen.end()) continue;
      seen.push_back(row);
      DlopenFinding finding;
      finding.package = package.path;
      finding.caller = "dlopen";
      for (const std::string_view name : row->names)
        finding.names.emplace_back(name);
      finding.evidence = Evidence::kKnown;
      finding.may_be_missing = row->missing_handled;
      finding.row = row;
      finding.reason = std::string(row->trigger);
      findings_.push_back(std::move(finding));
    }
  }

  struct Loader {
    std::string caller;
    TextArgument argument;
    bool go = false;
  };

  void add_target(std::optional<CallTarget> target, Loader loader) {
    if (!target) return;
    targets_.push_back(std::move(*target));
    loaders_.push_back(std::move(loader));
  }

  bool is_row_package(std::string_view package) const { return dlopen_row_of_go_package(package) != nullptr; }

  void add_calls() {
    for (const std::string_view name : kLoaders) {
      const bool namespaced = name == "dlmopen";
      const auto target = sites_.imported(name);
      imports_ = imports_ || target.has_value();
      add_target(target, {std::string(name), {TextArgument::Kind::kC, namespaced ? 1u : 0u}, false});
    }
    for (const std::string_view name : kLookups) {
      add_target(sites_.imported(name), {std::string(name), {TextArgument::Kind::kC, 1}, false});
    }
    if (go_ != nullptr) {
      for (const GoFunction& function : go_->functions) {
        const std::string package = go_package_of(function.name);
        if (ends_with(function.name, "._Cfunc_dlopen") ||
            ends_with(function.name, "._Cfunc_sqlite3_load_extension")) {
          const std::size_t index = ends_with(function.name, "dlopen") ? 0 : 1;
          add_target(sites_.go_function(function.name),
                     {std::string(function.name), {TextArgument::Kind::kC, index}, true});
        } else if (function.name == "plugin.Open" || function.name == "plugin.open" ||
                   ends_with(function.name, "/purego.Dlopen") || is_systemcrypto_dlopen(function.name)) {
          add_target(sites_.go_function(function.name),
                     {std::string(function.name), {TextArgument::Kind::kGo, 0}, true});
        }
      }
    }
    if (static_glibc_) add_static_calls();
    if (targets_.empty()) return;
    if (!sites_.is_supported()) {
      add_unseen("code of this machine is not read");
      return;
    }
    const std::vector<CallSite> sites = sites_.find(targets_, true);
    std::vector<TextArgument> arguments;
    arguments.reserve(sites.size());
    for (const CallSite& site : sites)
      arguments.push_back(loaders_[site.target].argument);
    const auto texts = texts_.read(sites, arguments);
    // What each function looks up next, for the calls before it.
    std::map<std::uint64_t, std::vector<std::string>> lookups;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      const std::string& caller = loaders_[sites[i].target].caller;
      if (caller != "dlsym" && caller != "dlvsym") continue;
      for (const CodeText& text : texts[i]) {
        if (text.rest == Rest::kNothing && !text.prefix.empty())
          lookups[sites[i].function].push_back(text.prefix);
      }
    }
    bool any = false;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      const Loader& loader = loaders_[sites[i].target];
      if (loader.caller == "dlsym" || loader.caller == "dlvsym") continue;
      any = true;
      add_site(sites[i], loader, texts[i], lookups[sites[i].function]);
    }
    if (!any && imports_) add_unseen("imported, but no call is seen");
    if (told_elsewhere_ && findings_.empty() && row_ == nullptr) {
      // The linker keeps the C side of package plugin even if no Go function that calls it is left.
      DlopenFinding finding;
      finding.caller = "dlopen";
      const bool go_is_seen = go_ != nullptr && !go_->functions.empty();
      finding.evidence = go_is_seen ? Evidence::kKnown : Evidence::kUnknown;
      finding.may_be_missing = go_is_seen;
      finding.reason = go_is_seen ? "the C side of Go calls that no Go function makes"
                                  : "called from Go code that is not seen";
      findings_.push_back(std::move(finding));
    }
  }

  // What the program itself asks its static glibc for.
  void add_static_calls() {
    if (go_ != nullptr &&
        std::any_of(go_->functions.begin(), go_->functions.end(),
                    [](const GoFunction& function) { return ends_with(function.name, "._Cfunc_dlopen"); })) {
      return;  // asked for from Go, where the names are
    }
    const auto loaders = find_static_loaders(image_);
    if (!loaders) {
      add_unseen("the dlopen of a static glibc, whose calls are not found");
      return;
    }
    for (const StaticLoader& loader : *loaders) {
      CallTarget target = sites_.code_at(loader.start);
      target.name = loader.caller;
      add_target(std::move(target),
                 {std::string(loader.caller), {TextArgument::Kind::kC, loader.name}, false});
    }
  }

  // Whether a call belongs to something that is told elsewhere: the C side of a Go call, or purego's own.
  bool is_told_elsewhere(const CallSite& site) const {
    if (go_ == nullptr) return false;
    if (is_inside_purego(site) || is_inside_systemcrypto(site)) return true;
    for (const DynamicSymbol& symbol : image_.facts().dynamic_symbols) {
      if (!symbol.defined || symbol.value != site.function) continue;
      if (is_cgo_thunk(symbol.name, "dlopen") || is_cgo_thunk(symbol.name, "pluginOpen")) return true;
    }
    return is_nameless_thunk(site);
  }

  // purego takes the address of dlopen in its own package or, without cgo, jumps to it from an assembly
  // function of that name; nothing but purego.Dlopen, whose calls are seen, uses either.
  bool is_inside_purego(const CallSite& site) const {
    const std::string_view function = sites_.function_name(site.function);
    if (!sites_.is_go_code(site.address)) return false;
    const auto is_purego = [](std::string_view package) { return ends_with(package, "/purego"); };
    if (is_purego(go_package_of(function))) return true;
    return function == "dlopen" && std::any_of(go_->packages.begin(), go_->packages.end(),
                                               [&](const GoPackage& item) { return is_purego(item.path); });
  }

  // Microsoft's go-crypto-openssl without cgo: its own dlopen, which takes a Go string, alone uses the
  // address of an assembly function that jumps to the real one.
  bool is_systemcrypto_dlopen(std::string_view function) const {
    return ends_with(function, "/go-crypto-openssl/osslsetup.dlopen") &&
           !has_go_function(std::string(function.substr(0, function.rfind('.'))) + "._Cfunc_dlopen");
  }

  bool is_inside_systemcrypto(const CallSite& site) const {
    return sites_.is_go_code(site.address) &&
           sites_.function_name(site.function) == "_mkcgo_dlopen_trampoline" &&
           std::any_of(go_->functions.begin(), go_->functions.end(),
                       [&](const GoFunction& function) { return is_systemcrypto_dlopen(function.name); });
  }

  // A thunk of cgo asks where the Go stack is. One without a symbol is known by the Go function that uses it,
  // through a variable; if none does, nothing calls it.
  bool is_nameless_thunk(const CallSite& site) const {
    if (site.flow == nullptr || go_->functions.empty() || sites_.is_go_code(site.address)) return false;
    const auto& calls = site.flow->calls;
    if (std::none_of(calls.begin(), calls.end(),
                     [&](const CodeCall& call) { return sites_.callee_of(call) == "_cgo_topofstack"; })) {
      return false;
    }
    std::vector<std::uint64_t> wanted = {site.function};
    for (const auto& [place, target] : find_pointers(image_, go_, {site.function}))
      wanted.push_back(place);
    std::sort(wanted.begin(), wanted.end());
    const auto references = find_references(image_, std::move(wanted));
    return std::all_of(references.begin(), references.end(), [&](const CodeReference& reference) {
      const std::string_view user = sites_.function_name(reference.place);
      return ends_with(user, "._Cfunc_dlopen") || ends_with(user, "._Cfunc_pluginOpen");
    });
  }

  bool has_go_function(std::string_view name) const {
    return go_ != nullptr && go_->function_named(name) != nullptr;
  }

  void add_site(const CallSite& site, const Loader& loader, const std::vector<CodeText>& texts,
                const std::vector<std::string>& lookups) {
    if (!loader.go && is_told_elsewhere(site)) {
      told_elsewhere_ = true;
      return;
    }
    DlopenFinding finding;
    finding.site = site.address;
    finding.caller = loader.caller;
    if (site.function != 0) finding.function = std::string(sites_.function_name(site.function));
    if (loader.go || sites_.is_go_code(site.address)) finding.package = go_package_of(finding.function);
    if (finding.package == "plugin") return;  // what it opens, its callers name
    // A row of the package tells the names better.
    if (!finding.package.empty() && is_row_package(finding.package)) return;
    bool assembled = false;
    bool open = false;
    std::string reason;
    std::string guessed;  // what stands for names whose start alone is known
    for (const CodeText& text : texts) {
      if (text.rest == Rest::kNothing) {
        if (text.prefix.empty()) continue;
        finding.names.push_back(text.prefix);
        assembled = assembled || text.assembled;
      } else if (text.detail == "null" || text.rest == Rest::kItself) {
        continue;  // the program's own symbols
      } else {
        if (const std::string pattern = library_pattern(text); !pattern.empty()) {
          finding.names.push_back(pattern);
          guessed += (guessed.empty() ? "" : ", ") + pattern;
          continue;
        }
        open = true;
        if (reason.empty()) reason = reason_of(text);
        if (!text.prefix.empty() || !text.suffix.empty()) reason += ", as " + text.prefix + "*" + text.suffix;
      }
    }
    if (!open && finding.names.empty()) {
      if (!texts.empty()) return;  // only null: nothing is loaded
      open = true;
      reason = "not a constant";
    }
    finding.may_be_missing =
        !finding.names.empty() && std::all_of(finding.names.begin(), finding.names.end(), is_injected);
    if (!open) {
      assembled = assembled || !guessed.empty();
      finding.evidence = assembled ? Evidence::kCandidate : Evidence::kExact;
      finding.reason = !guessed.empty()
                           ? "the end of the name is not known: whatever the image has as " + guessed
                       : assembled ? "element of a table, or put together of constants"
                                   : "constant at the call";
    } else if (row_ != nullptr) {
      rest_is_known_ = true;
      if (finding.names.empty()) return;
      finding.evidence = assembled ? Evidence::kCandidate : Evidence::kExact;
      finding.reason = "constants at the call; the rest by the object's row";
    } else if (bound(site, loader, lookups, finding)) {
      finding.evidence = Evidence::kBounded;
      finding.reason = reason + "; only what exports the symbol looked up next";
    } else {
      finding.evidence = Evidence::kUnknown;
      finding.reason = reason;
    }
    findings_.push_back(std::move(finding));
  }

  // What the symbol looked up next says of an unknown name.
  bool bound(const CallSite& site, const Loader& loader, const std::vector<std::string>& lookups,
             DlopenFinding& finding) const {
    if (loader.caller.find("sqlite3_load_extension") != std::string::npos) {
      finding.symbols = {"sqlite3_*_init"};
      return true;
    }
    for (const std::string& symbol : lookups) {
      if (std::find(finding.symbols.begin(), finding.symbols.end(), symbol) == finding.symbols.end()) {
        finding.symbols.push_back(symbol);
      }
    }
    if (!finding.symbols.empty()) return true;
    // SQLite compiled in: its loader passes the name on through a table of functions.
    if (!loader.go && site.call != nullptr && has_text("sqlite3_extension_init") &&
        !site.call->arguments.empty()) {
      const CodeValues& name = site.call->arguments.front();
      const bool second_parameter = !name.unknown && name.any.size() == 1 &&
                                    name.any.front().kind == CodeValue::Kind::kParameter &&
                                    name.any.front().value == 1;
      if (second_parameter) {
        finding.symbols = {"sqlite3_*_init"};
        return true;
      }
    }
    return false;
  }

  void add_unseen(const std::string& reason) {
    if (row_ != nullptr) {
      rest_is_known_ = true;
      return;
    }
    DlopenFinding finding;
    finding.caller = "dlopen";
    finding.reason = reason;
    findings_.push_back(std::move(finding));
  }

  // The object's own row stands for every call that could not be read.
  void add_row() {
    if (row_ == nullptr || (!imports_ && !rest_is_known_)) return;
    DlopenFinding finding;
    finding.caller = "dlopen";
    for (const std::string_view name : row_->names)
      finding.names.emplace_back(name);
    finding.evidence = Evidence::kKnown;
    finding.may_be_missing = row_->missing_handled;
    finding.row = row_;
    finding.reason = std::string(row_->trigger);
    findings_.push_back(std::move(finding));
  }

  const ElfImage& image_;
  std::string_view bytes_;
  const GoFacts* go_;
  CallSites sites_;
  CodeTexts texts_;
  const KnowledgeRow* row_ = nullptr;
  std::vector<CallTarget> targets_;
  std::vector<Loader> loaders_;
  std::vector<DlopenFinding> findings_;
  bool imports_ = false;
  bool static_glibc_ = false;
  bool static_musl_ = false;
  bool rest_is_known_ = false;
  bool told_elsewhere_ = false;
};

}  // namespace

DlopenFinding audit_finding(std::string_view from, std::string_view list) {
  DlopenFinding finding;
  finding.caller = std::string(from);
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(':'));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    if (!name.empty()) finding.names.emplace_back(name);
  }
  finding.evidence = Evidence::kExact;
  finding.may_be_missing = true;
  finding.reason = "auditors of the loader";
  return finding;
}

std::vector<DlopenFinding> find_dlopens(const ElfImage& image, std::string_view bytes, const GoFacts* go,
                                        std::string_view object) {
  return DlopenScan(image, bytes, go, object).run();
}

}  // namespace imgslim
