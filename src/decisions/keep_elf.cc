// SPDX-License-Identifier: Apache-2.0
// What kept programs and libraries bring: their loader, libraries and versions as the loader finds them on
// any CPU, what they load by name.
#include <elf.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "layers/at_once.h"
#include "layers/error.h"
#include "src/decisions/keep_search.h"
#include "src/facts/library_names.h"
#include "src/facts/packed_facts.h"
#include "src/facts/search_cost.h"

namespace imgslim {

static void members(auto& io, PathTexts& paths) {
  io(paths.tops, paths.texts);
}

static void members(auto& io, ObjectScan& scan) {
  io(scan.loads, scan.starts, scan.paths, scan.data_rows, scan.is_static_glibc);
}

namespace {

// In front of the path: rows of the knowledge base may go by an object's name.
const std::string kScanFact = "scan ";

constexpr std::size_t kMaxNames = 4096;                              // of one object, to load or to start
constexpr std::uint64_t kMaxScannedAhead = std::uint64_t{32} << 20;  // bytes of one file
constexpr std::size_t kMaxLookedAhead = 256;                         // items of the work list
constexpr std::size_t kLargeObject = std::size_t{4} << 20;           // bytes

bool is_loadable(const ElfFacts& facts) {
  if (facts.type != ET_EXEC && facts.type != ET_DYN) return false;
  return std::any_of(facts.segments.begin(), facts.segments.end(),
                     [](const ElfSegment& segment) { return segment.type == PT_LOAD; });
}

std::string_view rule_of(RequestKind request) {
  switch (request) {
    case RequestKind::kProgram:
      return "program";
    case RequestKind::kInterpreter:
      return "interpreter";
    case RequestKind::kDlopen:
      return "dlopen";
    case RequestKind::kPreload:
    case RequestKind::kPreloadFile:
      return "preload";
    default:
      return "needed";
  }
}

// The services named in nsswitch.conf(5).
std::set<std::string> name_services(std::string_view text) {
  std::set<std::string> services;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find('#'));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    line.remove_prefix(colon + 1);
    while (!line.empty()) {
      const std::size_t start = line.find_first_not_of(" \t\r");
      if (start == std::string_view::npos) break;
      if (line[start] == '[') {  // [NOTFOUND=return]
        const std::size_t end = line.find(']', start);
        if (end == std::string_view::npos) break;
        line.remove_prefix(end + 1);
        continue;
      }
      const std::size_t end = std::min(line.find_first_of(" \t\r[", start), line.size());
      const std::string_view word = line.substr(start, end - start);
      if (word.size() < 64 && word.find('/') == std::string_view::npos) services.emplace(word);
      line.remove_prefix(end);
    }
  }
  return services;
}

// What asks the C library for names of users, groups, hosts, services.
bool asks_name_services(const ElfFacts& facts) {
  static constexpr std::string_view kStarts[] = {"getpw",     "getgr",    "getaddrinfo",  "getnameinfo",
                                                 "gethostby", "getserv",  "getproto",     "initgroups",
                                                 "getnet",    "getspnam", "getgrouplist", "__getaddrinfo"};
  return std::any_of(
      facts.dynamic_symbols.begin(), facts.dynamic_symbols.end(), [](const DynamicSymbol& symbol) {
        return !symbol.defined &&
               std::any_of(std::begin(kStarts), std::end(kStarts),
                           [&](std::string_view start) { return symbol.name.starts_with(start); });
      });
}

}  // namespace

bool is_c_library(const ElfFacts& facts) {
  return facts.soname && (facts.soname->starts_with("libc.so") || facts.soname->starts_with("ld-") ||
                          facts.soname->starts_with("libc.musl"));
}

SearchOptions KeepSearch::search_options() const {
  SearchOptions options;
  options.library_path = variable(input_.config.env, "LD_LIBRARY_PATH");
  options.preload = variable(input_.config.env, "LD_PRELOAD");
  options.working_directory = input_.config.working_dir.empty() ? "/" : input_.config.working_dir;
  return options;
}

// What an earlier run found, if it looked for all that is asked for now.
std::optional<ObjectScan> KeepSearch::recall_scan(const std::string& path, bool is_application) const {
  const auto data = input_.files.recall(path, kScanFact + path);
  if (!data) return std::nullopt;
  std::optional<ObjectScan> known = unpacked<ObjectScan>(*data);
  if (!known) return std::nullopt;
  const auto rows = data_rows().size();
  if (std::any_of(known->data_rows.begin(), known->data_rows.end(),
                  [&](std::size_t row) { return row >= rows; }))
    return std::nullopt;
  if (!is_application) return known;
  const std::vector<std::string> names = tops();
  if (!known->paths ||
      !std::includes(known->paths->tops.begin(), known->paths->tops.end(), names.begin(), names.end()))
    return std::nullopt;
  return known;
}

std::unique_ptr<ObjectScan> KeepSearch::scan(const std::string& path) const {
  const NodeId node = node_of(path);
  const bool is_application = node != kNone && application_[node];
  if (auto known = recall_scan(path, is_application)) {
    auto result = std::make_unique<ObjectScan>(std::move(*known));
    if (is_application) result->named_files = files_named_in(*result->paths);
    return result;
  }
  auto result = std::make_unique<ObjectScan>();
  // The bytes are held while the object's facts are read from them too.
  const auto content = recent_->read(path, std::uint64_t{2} << 30);
  const auto object = objects_.object(path);
  if (!content || !object || !object->facts || !is_loadable(*object->facts)) return result;
  const ElfFacts& facts = *object->facts;
  const ElfImage image(facts, content->bytes());
  const auto read = read_go(image, content->bytes());
  const GoFacts* go = read ? &*read : nullptr;
  // A small one takes less than another thread.
  for_each_at_once(content->bytes().size() < kLargeObject ? 1 : input_.threads, 3, [&](std::size_t at) {
    if (at == 0) result->loads = find_dlopens(image, content->bytes(), go, path);
    if (at == 1) result->starts = find_execs(image, go, path);
    if (at == 2 && is_application) result->paths = path_texts_in(facts, content->bytes(), go);
  });
  result->is_static_glibc = go != nullptr && go->linkage == GoLinkage::kStaticGlibc;
  if (go == nullptr && !facts.interpreter && facts.needed.empty() && !facts.soname) {
    result->is_static_glibc = content->bytes().find("/etc/ld.so.cache") != std::string_view::npos;
  }
  result->data_rows = data_rows_of(facts, go, result->is_static_glibc, path);
  input_.files.remember(path, kScanFact + path, packed(*result));
  if (is_application) result->named_files = files_named_in(*result->paths);
  return result;
}

const ObjectScan& KeepSearch::scan_of(const std::string& path) {
  auto& slot = scans_[path];
  if (slot) return *slot;
  const auto ahead = scanned_ahead_.find(path);
  if (ahead == scanned_ahead_.end()) {
    slot = scan(path);
  } else {
    slot = std::move(ahead->second);
    scanned_ahead_.erase(ahead);
  }
  const Evidence evidence = following_.contains(path) ? following_.at(path) : Evidence::kExact;
  const ObjectScan& scanned = *slot;
  for (const std::size_t row : scanned.data_rows)
    apply(row, path, evidence);
  return scanned;
}

void KeepSearch::scan_ahead(std::vector<std::string> paths) {
  std::vector<std::pair<EntryRef, std::string>> todo;
  for (std::string& path : paths) {
    if (scans_.contains(path) || scanned_ahead_.contains(path)) continue;
    const NodeId node = node_of(path);
    const Entry* entry = node == kNone ? nullptr : tree().attributes(node);
    // A large file alone fills the memory that several may take together.
    if (entry == nullptr || entry->size > kMaxScannedAhead) continue;
    todo.emplace_back(tree().inode_of(node).attributes, std::move(path));
  }
  if (todo.size() < 2 || input_.threads < 2) return;
  // In the order of the layers' bytes, as they are read from there.
  std::sort(todo.begin(), todo.end());
  todo.erase(std::unique(todo.begin(), todo.end(),
                         [](const auto& a, const auto& b) { return a.second == b.second; }),
             todo.end());
  std::vector<std::unique_ptr<ObjectScan>> done(todo.size());
  for_each_at_once(input_.threads, todo.size(), [&](std::size_t at) { done[at] = scan(todo[at].second); });
  for (std::size_t i = 0; i < todo.size(); ++i)
    scanned_ahead_[todo[i].second] = std::move(done[i]);
}

// Only where the cache of libraries says: the search itself decides, and reads what is not known yet.
void KeepSearch::read_libraries_ahead(const std::string& program) {
  if (input_.threads < 2) return;
  if (!cached_libraries_) {
    cached_libraries_.emplace();
    const auto cache = objects_.ld_cache("/etc/ld.so.cache", std::endian::little);
    if (cache) {
      for (const LdCacheEntry& entry : cache->entries)
        cached_libraries_->emplace(entry.name, entry.path);
    }
  }
  std::vector<std::pair<EntryRef, std::string>> wave;
  const auto add = [&](const std::string& path) {
    const NodeId node = node_of(path);
    const Entry* entry = node == kNone ? nullptr : tree().attributes(node);
    if (entry == nullptr || entry->size > kMaxScannedAhead || !read_ahead_.insert(path).second) return;
    wave.emplace_back(tree().inode_of(node).attributes, path);
  };
  add(program);
  while (!wave.empty()) {
    std::sort(wave.begin(), wave.end());
    std::vector<std::shared_ptr<const ObjectFile>> read(wave.size());
    for_each_at_once(input_.threads, wave.size(),
                     [&](std::size_t at) { read[at] = objects_.object(wave[at].second); });
    wave.clear();
    for (const auto& object : read) {
      if (!object || !object->facts) continue;
      for (const auto& name : object->facts->needed) {
        const auto known = cached_libraries_->find(std::string(name));
        if (known == cached_libraries_->end()) continue;
        if (const auto resolved = resolve_path(input_.files, known->second)) add(*resolved);
      }
    }
  }
}

void KeepSearch::scan_queue_ahead(const std::deque<Item>& queue) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < std::min(queue.size(), kMaxLookedAhead); ++i) {
    const NodeId node = queue[i].node;
    const Entry* entry = tree().attributes(node);
    const bool is_elf = entry != nullptr && (entry->head & 0xffffffff) == 0x464c457f;
    if (is_elf && !result_.kept.contains(node)) paths.push_back(path_of(node));
    // Nothing to wait for yet.
    if (i == 0 && (paths.empty() || scans_.contains(paths[0]) || scanned_ahead_.contains(paths[0]))) return;
  }
  scan_ahead(std::move(paths));
}

void KeepSearch::expand_elf(const std::string& path, const Witness& witness) {
  following_[path] = witness.evidence;
  const ObjectScan& scan = scan_of(path);
  const auto object = objects_.object(path);
  if (!object || !object->facts || !is_loadable(*object->facts)) return;
  const ElfFacts& facts = *object->facts;

  // Data beside the object, as far as the knowledge base has a row for it.
  const KnowledgeRow* row =
      dlopen_row_of(facts.soname ? std::string_view(*facts.soname) : std::string_view(path));
  if (row != nullptr && !row->missing_handled) {
    const std::string folder = folder_of(path);
    for (const std::string_view glob : row->paths) {
      reach_glob(
          glob, folder,
          {"data:knowledge", path, std::string(row->trigger), std::max(witness.evidence, Evidence::kKnown)});
    }
  }
  for (const std::string& file : scan.named_files) {
    reach(file, {"string", path, "a string of the application names it", Evidence::kCandidate});
  }
  for (const ExecFinding& finding : scan.starts)
    follow_start(path, finding, witness.evidence);

  if (loaded_.contains(path)) return;
  read_libraries_ahead(path);
  LibraryClosure closure = search_libraries(objects_, path, search_options());
  for (LdCacheEntry& entry : cache_entries(closure)) {
    auto key = std::make_tuple(entry.name, entry.path, entry.flags, entry.hwcap);
    cache_entries_.emplace(std::move(key), std::move(entry));
  }
  const auto follow = [&](LibrarySearch& process) {
    if (!process.fatal().empty()) {
      notice(fmt::format("{} does not start: {}", printable(path), printable(process.fatal())));
    }
    for (const MissingLibrary& missing : process.missing()) {
      if (!missing.optional) {
        notice(fmt::format("{}: library {} is not in the image", printable(path), printable(missing.name)));
      }
    }
    follow_process(process, witness.evidence);
  };
  follow(closure.base);
  for (LibrarySearch& variant : closure.variants)
    follow(variant);
}

void KeepSearch::keep_object(const LibrarySearch& process, const SearchedObject& object, Evidence evidence) {
  const auto& objects = process.objects();
  std::string because = objects.empty() ? object.resolved : objects[0].resolved;
  if (object.requester && *object.requester < objects.size()) because = objects[*object.requester].resolved;
  loaded_.insert(object.resolved);
  const std::string detail = object.request == RequestKind::kInterpreter
                                 ? "PT_INTERP " + printable(object.name)
                                 : fmt::format("{} {}, found by {}", name_of(object.request),
                                               printable(object.name), name_of(object.rule));
  for (const std::string& link : object.links)
    put(node_of(link), {"link", because, "on the way to " + printable(object.resolved), evidence});
  put(node_of(object.resolved), {rule_of(object.request), because, detail, evidence});
}

void KeepSearch::follow_process(LibrarySearch& process, Evidence evidence) {
  std::vector<std::string> paths;
  for (const SearchedObject& object : process.objects())
    paths.push_back(object.resolved);
  scan_ahead(std::move(paths));
  std::vector<Evidence> evidences;
  for (std::size_t i = 0; i < process.objects().size(); ++i) {
    evidences.resize(std::max(evidences.size(), process.objects().size()), evidence);
    const SearchedObject object = process.objects()[i];
    if (i != 0) keep_object(process, object, evidences[i]);
    if (!following_.contains(object.resolved)) following_[object.resolved] = evidences[i];
    const ObjectScan& scan = scan_of(object.resolved);
    for (const DlopenFinding& finding : scan.loads)
      follow_load(process, i, finding, evidences);
    const std::string auditors = i == 0 ? variable(input_.config.env, "LD_AUDIT") : std::string();
    if (!auditors.empty() && process.loader().kind == LoaderKind::kGlibc) {
      follow_load(process, i, audit_finding("LD_AUDIT", auditors), evidences);
    }
    const bool is_libc = object.file && object.file->facts && object.file->facts->soname == "libc.so.6";
    if (is_libc || scan.is_static_glibc) load_name_services(process, i, evidences);
  }
}

// Opens a library in the process; what it brings is kept.
void KeepSearch::follow_load(LibrarySearch& process, std::size_t caller, const DlopenFinding& finding,
                             std::vector<Evidence>& evidence) {
  const std::string path = process.objects()[caller].resolved;
  const std::string key = fmt::format("{}\n{}\n{}\n{}", path, finding.site, finding.caller, finding.reason);
  const auto [number, is_new] = load_numbers_.emplace(key, result_.loads.size());
  if (is_new) {
    result_.loads.push_back({path, finding, {}});
    result_.weakest = std::max(result_.weakest, finding.evidence);
    if (finding.evidence == Evidence::kUnknown) {
      stop(fmt::format("{} loads a library of unknown name: {}", printable(path), printable(finding.reason)));
    }
    if (!finding.symbols.empty()) {
      std::vector<std::string> found;
      keep_exporters(
          finding.symbols,
          {"dlopen", path, printable(finding.reason), std::max(evidence[caller], Evidence::kBounded)}, found);
      result_.loads[number->second].found = found;
    }
    if (finding.row != nullptr && !finding.may_be_missing) {
      for (const std::string_view glob : finding.row->paths) {
        reach_glob(glob, folder_of(path),
                   {"data:knowledge", path, std::string(finding.row->trigger),
                    std::max(evidence[caller], Evidence::kKnown)});
      }
    }
  }
  // A row says that the program goes on without; another class says what the code itself names.
  if (finding.row != nullptr && finding.may_be_missing) return;
  const Evidence names_evidence = std::min(finding.evidence, Evidence::kCandidate);
  std::vector<std::string> names;
  for (const std::string& name : finding.names) {
    if (name.find('*') == std::string::npos) {
      names.push_back(name);
    } else {
      for (std::string& match : library_names(objects_, process, name))
        names.push_back(std::move(match));
    }
  }
  bool any = false;
  for (std::size_t i = 0; i < names.size() && i < kMaxNames; ++i) {
    const std::size_t before = process.objects().size();
    const DlopenResult opened = process.open(caller, names[i]);
    if (!opened.object) continue;
    any = true;
    evidence.resize(std::max(evidence.size(), before), evidence[0]);
    evidence.resize(std::max(evidence.size(), process.objects().size()),
                    std::max(evidence[caller], names_evidence));
    for (LdCacheEntry& entry : cache_entries(process, opened.loaded)) {
      auto entry_key = std::make_tuple(entry.name, entry.path, entry.flags, entry.hwcap);
      cache_entries_.emplace(std::move(entry_key), std::move(entry));
    }
    if (*opened.object < process.objects().size()) {
      const std::string& target = process.objects()[*opened.object].resolved;
      auto& found = result_.loads[number->second].found;
      if (std::find(found.begin(), found.end(), target) == found.end()) found.push_back(target);
    }
  }
  if (!any && is_new && !finding.names.empty() && !finding.may_be_missing &&
      finding.evidence == Evidence::kExact) {
    notice(
        fmt::format("{} loads {}, which is not in the image", printable(path), printable(finding.names[0])));
  }
}

// glibc opens libnss_NAME.so.2 for each service that is not built in (nss/nss_module.c).
void KeepSearch::load_name_services(LibrarySearch& process, std::size_t caller,
                                    std::vector<Evidence>& evidence) {
  const bool asked =
      scan_of(process.objects()[caller].resolved).is_static_glibc ||
      std::any_of(process.objects().begin(), process.objects().end(), [](const SearchedObject& object) {
        return object.file && object.file->facts && !is_c_library(*object.file->facts) &&
               asks_name_services(*object.file->facts);
      });
  if (!asked) return;
  if (!name_services_) {
    const auto content =
        input_.files.read(resolve_path(input_.files, "/etc/nsswitch.conf").value_or("/"), 1 << 20);
    name_services_ = name_services(content ? content->bytes() : "hosts: files dns\npasswd: files\n");
  }
  DlopenFinding finding;
  finding.caller = "nss";
  finding.evidence = Evidence::kKnown;
  finding.may_be_missing = true;
  finding.reason = "name services of /etc/nsswitch.conf";
  for (const std::string& service : *name_services_)
    finding.names.push_back("libnss_" + service + ".so.2");
  follow_load(process, caller, finding, evidence);
}

// Objects that export one of these symbols: only they can be meant where one is looked up after the load.
void KeepSearch::keep_exporters(const std::vector<std::string>& symbols, const Witness& witness,
                                std::vector<std::string>& found) {
  std::string key;
  for (const std::string& symbol : symbols)
    key += symbol + '\n';
  const auto [known, is_new] = exporters_.try_emplace(key);
  if (is_new) {
    // In the order of the layers' bytes, as they are read from there.
    std::vector<std::pair<EntryRef, NodeId>> candidates;
    tree().walk([&](NodeId node) {
      if (tree().type(node) != EntryType::kRegular || leftover_[node]) return;
      const Entry* entry = tree().attributes(node);
      if (entry == nullptr || (entry->head & 0xffffffff) != 0x464c457f) return;
      if (tree().node(node).name.find(".so") == std::string_view::npos) return;
      candidates.emplace_back(tree().inode_of(node).attributes, node);
    });
    std::sort(candidates.begin(), candidates.end());
    std::vector<char> exports(candidates.size(), 0);
    for_each_at_once(input_.threads, candidates.size(), [&](std::size_t at) {
      const auto object = objects_.read_object(path_of(candidates[at].second));
      if (!object || !object->facts) return;
      for (const DynamicSymbol& symbol : object->facts->dynamic_symbols) {
        if (!symbol.defined) continue;
        for (const std::string& wanted : symbols)
          if (matches_glob(symbol.name, wanted)) exports[at] = 1;
      }
    });
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (exports[i] != 0) known->second.push_back(candidates[i].second);
    }
    std::sort(known->second.begin(), known->second.end(),
              [&](NodeId a, NodeId b) { return path_of(a) < path_of(b); });
  }
  for (const NodeId node : known->second) {
    put(node, witness);
    found.push_back(path_of(node));
  }
}

}  // namespace imgslim
