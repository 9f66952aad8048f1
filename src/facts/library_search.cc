// SPDX-License-Identifier: Apache-2.0
#include "src/facts/library_search.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "src/facts/search_process.h"

namespace imgslim {

std::string variable(const std::vector<std::string>& env, std::string_view name) {
  std::string value;
  for (const std::string& line : env) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == '=')
      value = line.substr(name.size() + 1);
  }
  return value;
}

std::string_view name_of(RequestKind request) {
  switch (request) {
    case RequestKind::kProgram:
      return "program";
    case RequestKind::kInterpreter:
      return "interpreter";
    case RequestKind::kNeeded:
      return "needed";
    case RequestKind::kFilter:
      return "filter";
    case RequestKind::kAuxiliary:
      return "auxiliary";
    case RequestKind::kPreload:
      return "LD_PRELOAD";
    case RequestKind::kPreloadFile:
      return "ld.so.preload";
    case RequestKind::kDlopen:
      return "dlopen";
  }
  return {};
}

std::string_view name_of(SearchRule rule) {
  switch (rule) {
    case SearchRule::kDirect:
      return "direct";
    case SearchRule::kRpath:
      return "rpath";
    case SearchRule::kLibraryPath:
      return "LD_LIBRARY_PATH";
    case SearchRule::kRunpath:
      return "runpath";
    case SearchRule::kCache:
      return "cache";
    case SearchRule::kDefaultDirectory:
      return "default directory";
    case SearchRule::kLoader:
      return "loader";
  }
  return {};
}

LibrarySearch::LibrarySearch(std::unique_ptr<Process> process) : process_(std::move(process)) {}
LibrarySearch::LibrarySearch(const LibrarySearch& other)
    : process_(std::make_unique<Process>(*other.process_)) {}
LibrarySearch& LibrarySearch::operator=(const LibrarySearch& other) {
  if (this != &other) process_ = std::make_unique<Process>(*other.process_);
  return *this;
}
LibrarySearch::LibrarySearch(LibrarySearch&& other) noexcept = default;
LibrarySearch& LibrarySearch::operator=(LibrarySearch&& other) noexcept = default;
LibrarySearch::~LibrarySearch() = default;

LibrarySearch LibrarySearch::start(ObjectCache& cache, const std::string& program,
                                   const SearchOptions& options) {
  static const auto kNoLoader = std::make_shared<const LoaderFacts>();
  auto process = std::make_unique<Process>(cache);
  Process& self = *process;
  self.options = options;
  self.loader = kNoLoader;
  const auto fail = [&](const std::string& why) {
    self.end(why);
    return LibrarySearch(std::move(process));
  };

  LocatedFile main;
  main.path = join_path(options.working_directory, program);
  const auto resolved = resolve_path(cache.files(), main.path, true, &main.links);
  if (resolved) main.file = cache.object(*resolved);
  if (main.file == nullptr) return fail(program + ": no such file");
  if (!main.file->facts) return fail(program + ": not an ELF file");
  main.resolved = *resolved;
  self.add_object(program, std::nullopt, RequestKind::kProgram, main);
  const ElfFacts& facts = self.program();

  std::string interpreter = facts.interpreter.value_or("");
  self.program_given_to_loader = interpreter.empty();
  if (interpreter.empty() && (facts.type == 3 || !facts.needed.empty()) && facts.has_dynamic) {
    // A library; or a static PIE, which needs nothing and relocates itself.
    constexpr std::uint64_t kFlag1Pie = 0x08000000;
    if (!(facts.needed.empty() && (facts.flags_1 & kFlag1Pie) != 0)) {
      interpreter = options.interpreter.empty() ? find_interpreter(cache, facts) : options.interpreter;
      if (interpreter.empty()) return fail(program + ": no loader for it in the image");
    }
  }
  if (interpreter.empty()) {
    self.is_static = true;
    self.program_given_to_loader = false;
    self.scope = {0};
    return LibrarySearch(std::move(process));
  }
  {
    LocatedFile found;
    found.path = interpreter;
    const std::string path = join_path(options.working_directory, interpreter);
    const auto target = resolve_path(cache.files(), path, true, &found.links);
    if (target) found.file = cache.object(*target);
    if (found.file == nullptr || !found.file->facts) {
      self.miss(interpreter, 0, RequestKind::kInterpreter, {}, "not found");
      return fail(program + ": interpreter " + interpreter + " not found");
    }
    found.resolved = *target;
    if (const auto theirs = cache.loader(*target)) self.loader = theirs;
    found.rule = SearchRule::kLoader;
    const std::size_t index = self.add_object(interpreter, 0, RequestKind::kInterpreter, std::move(found));
    self.names.try_emplace(interpreter, index);
    if (self.facts(index).soname && !self.is_musl()) {
      self.names.try_emplace(*self.facts(index).soname, index);
    }
  }
  if (facts.soname && !self.is_musl()) self.names.try_emplace(*facts.soname, 0);
  if (self.loader->kind == LoaderKind::kUnknown) {
    return fail(interpreter + ": neither glibc's loader nor musl's");
  }
  self.prepare();

  std::vector<std::size_t> roots{0};
  self.load_preloads();
  for (std::size_t index = 2; index < self.objects.size(); ++index)
    roots.push_back(index);
  if (self.fatal.empty()) self.scope = self.load_dependencies(roots);
  if (std::find(self.scope.begin(), self.scope.end(), 1) == self.scope.end()) self.scope.push_back(1);
  if (self.fatal.empty()) self.check_versions(0);
  self.unload_cache();
  return LibrarySearch(std::move(process));
}

DlopenResult LibrarySearch::open(std::size_t caller, const std::string& name) {
  Process& self = *process_;
  DlopenResult result;
  if (!self.fatal.empty() || caller >= self.objects.size()) {
    result.fatal = self.fatal.empty() ? "no such caller" : self.fatal;
    return result;
  }
  if (self.is_static && !self.static_loader_read) {
    // A static glibc carries a loader; looked for only now, as the whole file has to be.
    self.static_loader_read = true;
    if (const auto own = self.cache->loader(self.objects.front().resolved)) self.loader = own;
    self.prepare();
  }
  if (self.loader->kind == LoaderKind::kUnknown) {
    result.fatal = "no dynamic loader in this program";
    return result;
  }
  if (self.is_musl() && self.is_static) {
    result.fatal = "Dynamic loading not supported";
    return result;
  }
  if (name.empty() && !self.is_musl()) {
    result.object = 0;
    result.already_loaded = true;
    return result;
  }
  const std::size_t first = self.objects.size();
  const std::size_t edges = self.edges.size();
  const auto missing = std::exchange(self.missing, {});
  const auto versions = std::exchange(self.missing_versions, {});
  const auto probes = std::exchange(self.probes, {});
  // musl searches along the program's paths, whoever calls.
  const auto object = self.request(name, self.is_musl() ? 0 : caller, RequestKind::kDlopen);
  std::vector<std::size_t> reached;
  if (object && *object >= first && self.fatal.empty()) {
    reached = self.load_dependencies({*object});
    self.check_versions(first);
  }
  self.unload_cache();
  result.already_loaded = object && *object < first;
  result.loaded.assign(self.objects.begin() + static_cast<std::ptrdiff_t>(first), self.objects.end());
  const bool lost = std::any_of(self.missing.begin(), self.missing.end(),
                                [](const MissingLibrary& library) { return !library.optional; });
  result.missing = std::exchange(self.missing, missing);
  result.missing_versions = std::exchange(self.missing_versions, versions);
  result.probes = std::exchange(self.probes, probes);
  result.fatal = std::exchange(self.fatal, {});
  if (object && result.fatal.empty() && !lost && result.missing_versions.empty()) {
    result.object = object;
    for (const std::size_t index : reached) {
      if (index >= first) self.scope.push_back(index);
    }
    return result;
  }
  // What a failed call loaded goes again.
  self.edges.resize(edges);
  if (self.objects.size() == first) return result;
  self.objects.resize(first);
  self.details.resize(first);
  const auto is_new = [&](const auto& item) { return item.second >= first; };
  std::erase_if(self.names, is_new);
  std::erase_if(self.paths, is_new);
  std::erase_if(self.inodes, is_new);
  return result;
}

const std::vector<SearchedObject>& LibrarySearch::objects() const {
  return process_->objects;
}
const std::vector<std::size_t>& LibrarySearch::scope() const {
  return process_->scope;
}
const std::vector<SearchEdge>& LibrarySearch::edges() const {
  return process_->edges;
}
const std::vector<MissingLibrary>& LibrarySearch::missing() const {
  return process_->missing;
}
const std::vector<MissingVersion>& LibrarySearch::missing_versions() const {
  return process_->missing_versions;
}
const std::string& LibrarySearch::fatal() const {
  return process_->fatal;
}
const std::vector<std::string>& LibrarySearch::problems() const {
  return process_->problems;
}
const std::vector<SearchProbe>& LibrarySearch::probes() const {
  return process_->probes;
}
const LoaderFacts& LibrarySearch::loader() const {
  return *process_->loader;
}
bool LibrarySearch::is_static() const {
  return process_->is_static;
}
const SearchOptions& LibrarySearch::options() const {
  return process_->options;
}
bool LibrarySearch::depends_on_cpu() const {
  return process_->depends_on_cpu;
}

std::vector<const SearchedObject*> LibraryClosure::all_objects() const {
  std::vector<const SearchedObject*> result;
  std::unordered_set<std::string_view> known;
  const auto add = [&](const LibrarySearch& search) {
    for (const SearchedObject& object : search.objects()) {
      if (known.insert(object.resolved).second) result.push_back(&object);
    }
  };
  add(base);
  for (const LibrarySearch& search : variants)
    add(search);
  return result;
}

LibraryClosure search_libraries(ObjectCache& cache, const std::string& program,
                                const SearchOptions& options) {
  SearchOptions plain = options;
  plain.cpu = Cpu{};
  LibraryClosure closure{LibrarySearch::start(cache, program, plain), {}};
  if (!closure.base.depends_on_cpu()) return closure;
  std::unordered_set<std::string> known;
  for (const SearchedObject& object : closure.base.objects())
    known.insert(object.resolved);
  for (const Cpu cpu : distinct_cpus(closure.base.loader())) {
    if (cpu == Cpu{}) continue;
    plain.cpu = cpu;
    LibrarySearch search = LibrarySearch::start(cache, program, plain);
    bool adds = !search.fatal().empty() || search.missing().size() != closure.base.missing().size();
    for (const SearchedObject& object : search.objects()) {
      adds = known.insert(object.resolved).second || adds;
    }
    if (adds) closure.variants.push_back(std::move(search));
  }
  return closure;
}

std::string find_interpreter(ObjectCache& cache, const ElfFacts& facts) {
  const auto usable = [&](const std::string& path) {
    const auto resolved = resolve_path(cache.files(), path);
    if (!resolved) return false;
    const auto file = cache.object(*resolved);
    return file != nullptr && file->facts && file->facts->machine == facts.machine &&
           file->facts->is_64 == facts.is_64 && file->facts->byte_order == facts.byte_order;
  };
  const bool wants_musl = std::any_of(facts.needed.begin(), facts.needed.end(), [](const std::string& name) {
    return name == "libc.so" || name.starts_with("libc.musl-");
  });
  std::vector<std::string> glibc;
  std::vector<std::string> musl;
  for (const std::string_view directory : {"/lib64", "/lib", "/libx32", "/lib32"}) {
    const auto resolved = resolve_path(cache.files(), directory);
    if (!resolved) continue;
    for (const std::string& name : cache.files().list(*resolved)) {
      const std::string path = std::string(directory) + "/" + name;
      if (name.starts_with("ld-musl-")) musl.push_back(path);
      if (name.starts_with("ld-linux") || name.starts_with("ld64.so.") || name.starts_with("ld.so.")) {
        glibc.push_back(path);
      }
    }
  }
  const auto& first = wants_musl ? musl : glibc;
  const auto& second = wants_musl ? glibc : musl;
  for (const auto* list : {&first, &second}) {
    for (const std::string& path : *list) {
      if (usable(path)) return path;
    }
  }
  return {};
}

}  // namespace imgslim
