// SPDX-License-Identifier: Apache-2.0
#include "src/inspection.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "src/facts/library_names.h"
#include "src/tree_names.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kLargestProgram = std::uint64_t{1} << 30;
constexpr std::size_t kMaxCalls = 256;

bool is_cpu_of(std::string_view name, std::uint16_t machine) {
  const bool arm = name.starts_with("arm") || name.starts_with("Cortex") || name.starts_with("Neoverse");
  if (arm) return machine == EM_AARCH64;
  return machine == EM_X86_64 || machine == EM_386;
}

Cpu cpu_for(const std::string& name, std::uint16_t machine) {
  if (name == "baseline") return {};
  const auto cpu = cpu_named(name);
  if (!cpu) throw_usage(fmt::format("--cpu {}: there is no such CPU", printable(name, 40)));
  if (!is_cpu_of(name, machine))
    throw_usage(fmt::format("--cpu {}: the program is for another machine", name));
  return *cpu;
}

InspectedLinkage linkage_of(const ElfFacts& elf) {
  if (elf.type != ET_EXEC && elf.type != ET_DYN) return InspectedLinkage::kOther;
  if (elf.interpreter)
    return elf.needed.empty() ? InspectedLinkage::kInterpreterOnly : InspectedLinkage::kDynamic;
  const bool pie = elf.type == ET_DYN && (elf.flags_1 & DF_1_PIE) != 0;
  if (elf.type == ET_DYN && !pie) return InspectedLinkage::kLibrary;
  if (!elf.needed.empty()) return InspectedLinkage::kDynamic;
  return pie ? InspectedLinkage::kStaticPie : InspectedLinkage::kStatic;
}

std::string_view name_of(Step::Kind kind) {
  switch (kind) {
    case Step::Kind::kProgram:
      return "program";
    case Step::Kind::kWrapper:
      return "wrapper";
    case Step::Kind::kInterpreter:
      return "interpreter";
    case Step::Kind::kShellText:
      break;
  }
  return "shell text";
}

// Gathers the facts of one program.
class Inspector {
 public:
  Inspector(ObjectCache& cache, const InspectionOptions& options, Inspection& result)
      : cache_(cache),
        files_(cache.files()),
        options_(options),
        tracer_(files_, options.env, options.working_directory),
        out_(result) {}

  void run(const std::string& path) {
    out_.tree = options_.tree;
    out_.file.path = path;
    const auto resolved = resolve_path(files_, path, true, &out_.file.links);
    const auto status = resolved ? files_.status(*resolved) : std::nullopt;
    if (!status) throw Error(Failure::kIo, shown(path) + ": no such file");
    if (status->kind != FileKind::kRegular) throw Error(Failure::kIo, shown(path) + ": is no regular file");
    out_.file.resolved = *resolved;
    out_.file.size = status->size;
    const auto content = files_.read(*resolved, kLargestProgram);
    if (!content) throw Error(Failure::kIo, shown(path) + ": cannot be read");
    const std::string_view bytes = content->bytes();
    packages_ = PackageDatabase::read(files_);
    out_.file.package = package_of(*resolved);
    if (bytes.starts_with("#!")) {
      read_script(path);
      return;
    }
    if (!bytes.starts_with(ELFMAG)) {
      throw Error(Failure::kIo, shown(path) + ": is no program: neither an ELF file nor a script with #!");
    }
    out_.elf = read_elf(bytes);
    if (!out_.elf) throw_bad_image(shown(path) + ": damaged ELF header");
    read_program(bytes, status->mode);
  }

 private:
  std::string shown(const std::string& path) const {
    return options_.tree.empty() ? printable(path) : options_.tree + ":" + printable(path);
  }

  std::string package_of(const std::string& resolved) const {
    const auto owner = packages_.owner(resolved);
    if (!owner) return {};
    const Package& package = packages_.packages()[*owner];
    return package.name + " " + package.version;
  }

  void read_script(const std::string& path) {
    Command command;
    command.argv = {path};
    tracer_.trace(command);
    const Roots traced = tracer_.result();
    for (const Step& step : traced.roots.front().steps) {
      ScriptStep next{std::string(name_of(step.kind)), step.argv, step.path};
      const bool again = !out_.script.empty() && out_.script.back().kind == next.kind && !next.path.empty() &&
                         out_.script.back().path == next.path;
      if (!again) out_.script.push_back(std::move(next));
    }
    for (const ReachedFile& file : traced.files) {
      if (file.path != out_.file.resolved) out_.script_files.push_back(file);
      out_.packages[file.path] = package_of(file.path);
    }
    for (const RootFinding& finding : traced.findings)
      out_.script_findings.push_back(finding.text);
  }

  void read_program(std::string_view bytes, std::uint32_t mode) {
    const ElfFacts& elf = *out_.elf;
    out_.linkage = linkage_of(elf);
    out_.cpu = options_.cpu;
    read_unloaded(bytes);
    search_.cpu = cpu_for(options_.cpu, elf.machine);
    search_.library_path = variable(options_.env, "LD_LIBRARY_PATH");
    search_.preload = variable(options_.env, "LD_PRELOAD");
    search_.working_directory = options_.working_directory;
    search_.secure = !options_.runs_as_root && (mode & 06000) != 0;
    append(out_.problems, elf.problems);
    if (out_.linkage != InspectedLinkage::kOther) read_libraries();
    read_objects(bytes);
    if (out_.go) out_.modules = module_sizes(*out_.go);
    if (out_.libraries) {
      choose_calls();
      out_.cost = search_costs(cache_, out_.file.resolved, search_, out_.calls);
      out_.cpu = options_.cpu;
    }
    out_.advice = advice_for(out_, cache_, search_);
  }

  // Sections outside every segment: their names stand in the file too.
  void read_unloaded(std::string_view bytes) {
    std::uint64_t end = 0;
    for (const ElfSegment& segment : out_.elf->segments) {
      if (segment.type == PT_LOAD) end = std::max(end, segment.offset + segment.file_size);
    }
    out_.file.loaded_bytes = std::min<std::uint64_t>(end, bytes.size());
    const std::string_view rest = bytes.substr(out_.file.loaded_bytes);
    out_.file.has_symbol_table = rest.find(std::string_view("\0.symtab\0", 9)) != std::string_view::npos;
    out_.file.has_debug_info = rest.find(std::string_view("\0.debug_info\0", 13)) != std::string_view::npos ||
                               rest.find(std::string_view("\0.zdebug_info\0", 14)) != std::string_view::npos;
  }

  void read_libraries() {
    const LibraryClosure closure = search_libraries(cache_, out_.file.resolved, search_);
    out_.libraries = LibrarySearch::start(cache_, out_.file.resolved, search_);
    const auto& objects = out_.libraries->objects();
    std::set<std::string> known;
    for (const SearchedObject& object : objects) {
      const bool is_new = known.insert(object.resolved).second;
      out_.packages[object.resolved] = package_of(object.resolved);
      if (!is_new || object.resolved == out_.file.resolved) continue;
      if (const auto status = files_.status(object.resolved)) out_.library_bytes += status->size;
    }
    for (const SearchedObject* object : closure.all_objects()) {
      if (!known.insert(object->resolved).second) continue;
      out_.other_cpus.push_back(*object);
      out_.packages[object->resolved] = package_of(object->resolved);
    }
    append(out_.problems, out_.libraries->loader().problems);
    append(out_.problems, out_.libraries->problems());
  }

  // What the program and each of its libraries load and start.
  void read_objects(std::string_view bytes) {
    read_object(out_.file.resolved, *out_.elf, bytes, 0);
    if (!out_.libraries) return;
    const auto& objects = out_.libraries->objects();
    for (std::size_t i = 1; i < objects.size(); ++i) {
      const SearchedObject& object = objects[i];
      if (object.request == RequestKind::kInterpreter || !object.file || !object.file->facts) continue;
      if (object.resolved == out_.file.resolved) continue;
      if (const auto content = files_.read(object.resolved, kLargestProgram)) {
        read_object(object.resolved, *object.file->facts, content->bytes(), i);
      }
    }
  }

  void read_object(const std::string& resolved, const ElfFacts& elf, std::string_view bytes,
                   std::size_t index) {
    const ElfImage image(elf, bytes);
    std::optional<GoFacts> go = read_go(image, bytes);
    for (DlopenFinding& finding : find_dlopens(image, bytes, go ? &*go : nullptr, resolved)) {
      add_dlopen(resolved, index, std::move(finding));
    }
    for (ExecFinding& finding : find_execs(image, go ? &*go : nullptr, resolved)) {
      add_exec(resolved, go.has_value(), std::move(finding));
    }
    if (index == 0 && go) {
      append(out_.problems, go->problems);
      // The names point into the file's bytes, which go.
      go->functions.clear();
      out_.go = std::move(go);
    }
  }

  void add_dlopen(const std::string& resolved, std::size_t index, DlopenFinding finding) {
    InspectedDlopen item;
    item.object = resolved;
    for (const std::string& name : finding.names)
      item.names.push_back({name, find_library(index, name)});
    if (finding.row != nullptr) {
      for (const std::string_view glob : finding.row->paths) {
        const std::string pattern = with_library_directory(glob, resolved);
        item.files.push_back({pattern, files_matching(files_, pattern)});
      }
    }
    if (!finding.symbols.empty() && options_.walk_tree) {
      item.exporters = objects_exporting(cache_, finding.symbols);
      item.exporters_searched = true;
    }
    item.finding = std::move(finding);
    out_.dlopens.push_back(std::move(item));
  }

  // A static program's rows speak of the C library it was linked with, which lies where that searches.
  std::string with_library_directory(std::string_view glob, const std::string& resolved) const {
    constexpr std::string_view kLibrary = "{LIB}";
    if (!glob.starts_with(kLibrary)) return std::string(glob);
    std::string directory = resolved.substr(0, resolved.rfind('/'));
    if (resolved == out_.file.resolved && out_.libraries && !out_.libraries->loader().directories.empty()) {
      directory = out_.libraries->loader().directories.front();
      while (directory.size() > 1 && directory.ends_with('/'))
        directory.pop_back();
    }
    return directory + std::string(glob.substr(kLibrary.size()));
  }

  std::vector<std::string> find_library(std::size_t index, const std::string& name) const {
    if (!out_.libraries) return {};
    if (name.find('*') != std::string::npos) {
      std::vector<std::string> all;
      for (const std::string& match : library_names(cache_, *out_.libraries, name)) {
        for (std::string& path : find_library(index, match)) {
          if (std::find(all.begin(), all.end(), path) == all.end()) all.push_back(std::move(path));
        }
      }
      return all;
    }
    LibrarySearch process = *out_.libraries;
    const DlopenResult opened = process.open(std::min(index, process.objects().size() - 1), name);
    if (!opened.object) return {};
    return {process.objects()[*opened.object].resolved};
  }

  void add_exec(const std::string& resolved, bool is_go, ExecFinding finding) {
    InspectedExec item;
    item.object = resolved;
    item.evidence = finding.evidence;
    // A distribution's package names what its programs start; nobody's object is the application's own.
    if (!is_go && item.evidence == Evidence::kUnknown && packages_.owner(resolved)) {
      item.evidence = Evidence::kBounded;
    }
    for (const std::string& name : finding.names) {
      FoundName found{name, {}};
      if (const auto path = tracer_.look_up(name)) {
        found.paths.push_back(resolve_path(files_, *path).value_or(*path));
      }
      item.names.push_back(std::move(found));
    }
    item.finding = std::move(finding);
    out_.execs.push_back(std::move(item));
  }

  // Of names that are tried in order, those up to the first that is there.
  void choose_calls() {
    std::set<std::pair<std::string, std::string>> seen;
    for (const InspectedDlopen& item : out_.dlopens) {
      for (const FoundName& name : item.names) {
        if (name.name.find('*') != std::string::npos || out_.calls.size() >= kMaxCalls) continue;
        const std::string caller = item.object == out_.file.resolved ? "" : item.object;
        if (seen.insert({caller, name.name}).second) out_.calls.push_back({caller, name.name});
        if (!name.paths.empty()) break;
      }
    }
  }

  static void append(std::vector<std::string>& to, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      if (std::find(to.begin(), to.end(), line) == to.end()) to.push_back(line);
    }
  }

  ObjectCache& cache_;
  const FileSystem& files_;
  const InspectionOptions& options_;
  CommandTracer tracer_;
  Inspection& out_;
  SearchOptions search_;
  PackageDatabase packages_;
};

// Whether a package belongs to the standard library: no dot in the first part of its path.
bool is_standard(std::string_view package) {
  if (package.starts_with("vendor/") || package.starts_with("type:") || package.starts_with("go:"))
    return true;
  return package.substr(0, package.find('/')).find('.') == std::string_view::npos;
}

}  // namespace

std::string_view name_of(InspectedLinkage linkage) {
  switch (linkage) {
    case InspectedLinkage::kStatic:
      return "static";
    case InspectedLinkage::kStaticPie:
      return "static-pie";
    case InspectedLinkage::kInterpreterOnly:
      return "interpreter-only";
    case InspectedLinkage::kDynamic:
      return "dynamic";
    case InspectedLinkage::kLibrary:
      return "library";
    case InspectedLinkage::kOther:
      break;
  }
  return "other";
}

std::vector<GoModuleSize> module_sizes(const GoFacts& go) {
  std::map<std::string, GoModuleSize> sizes;
  std::set<std::string> modules;
  std::string main = "main";
  const auto declare = [&](const GoModule& module) {
    GoModuleSize& size = sizes[module.path];
    size.path = module.path;
    size.version = module.replaced_by ? module.replaced_by->second : module.version;
    if (!module.path.empty()) modules.insert(module.path);
  };
  if (go.build) {
    for (const GoModule& module : go.build->dependencies)
      declare(module);
    if (go.build->main_module) {
      declare(*go.build->main_module);
      main = go.build->main_module->path;
    }
  }
  for (const GoPackage& package : go.packages) {
    std::string owner;
    if (package.path == "main" || package.path.starts_with("main.")) {
      owner = main;
    } else if (!package.path.empty()) {
      // The longest module path that is the package's or a parent of it.
      for (std::string path = package.path; !path.empty();) {
        if (modules.count(path) != 0) {
          owner = path;
          break;
        }
        const std::size_t slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
      }
      if (owner.empty()) owner = is_standard(package.path) ? "std" : package.path;
    }
    GoModuleSize& size = sizes[owner];
    size.path = owner;
    size.code_bytes += package.code_bytes;
    ++size.packages;
  }
  if (const auto standard = sizes.find("std"); standard != sizes.end() && go.build) {
    standard->second.version = go.build->go_version;
  }
  std::vector<GoModuleSize> sorted;
  for (auto& [path, size] : sizes)
    sorted.push_back(std::move(size));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const GoModuleSize& a, const GoModuleSize& b) { return a.code_bytes > b.code_bytes; });
  return sorted;
}

Inspection inspect(ObjectCache& cache, const std::string& path, const InspectionOptions& options) {
  Inspection inspection;
  Inspector(cache, options, inspection).run(path);
  return inspection;
}

}  // namespace imgslim
