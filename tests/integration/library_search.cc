// SPDX-License-Identifier: Apache-2.0
// imgslim_library_search [OPTION]... ROOT PROGRAM...: what each program loads, one line of JSON each.
//   --env NAME=VALUE    LD_LIBRARY_PATH or LD_PRELOAD
//   --cpu NAME          a CPU by name (x86-64-v3, Nehalem); default: the plainest
//   --all               the objects of every CPU that the loader tells apart
//   --no-cache          as if there were no ld.so.cache
//   --real              end at the first missing library, as a process does
//   --probes            also the system calls that name a path
//   --dlopen NAME       then dlopen by the program; may be repeated
//   --cost              failing opens and stats, a line each: "before main OPENS STATS", then for each dlopen
//                       "dlopen NAME OPENS STATS"
//   --trace             the same calls one by one: "open PATH ok|failed", stat and access likewise, with
//                       "mark" before each dlopen and at the end
//   --write-cache FILE  writes a cache generated for what the program and its dlopens load, and ends
//   --list              not JSON but lines as list-lines.awk makes of the loader's own, for comparison: "NAME
//   => PATH" in order,
//                       "loader", then sorted "missing NAME", "version NAME FILE", "fatal"
// With "-" for PROGRAM, the programs are read from stdin, one a line.
// imgslim_library_search --cache FILE: the entries of an ld.so.cache, as ldconfig -p prints them.
// imgslim_library_search --elf ROOT: the paths of all programs and libraries below ROOT, sorted.
#include "src/facts/library_search.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "src/facts/ld_cache.h"
#include "src/facts/search_cost.h"

namespace {

using imgslim::LibrarySearch;
using imgslim::SearchedObject;
using nlohmann::ordered_json;

ordered_json to_json(const SearchedObject& object) {
  ordered_json result{{"name", object.name}, {"path", object.path}, {"resolved", object.resolved}};
  result["request"] = imgslim::name_of(object.request);
  result["rule"] = imgslim::name_of(object.rule);
  if (!object.hwcaps.empty()) result["hwcaps"] = object.hwcaps;
  return result;
}

ordered_json to_json(const std::vector<imgslim::SearchProbe>& probes) {
  ordered_json result = ordered_json::array();
  for (const auto& probe : probes) {
    const char* const calls[] = {"open", "stat", "access"};
    result.push_back({calls[static_cast<int>(probe.call)], probe.path, probe.failed});
  }
  return result;
}

ordered_json missing_to_json(const std::vector<imgslim::MissingLibrary>& missing) {
  ordered_json result = ordered_json::array();
  for (const auto& library : missing) {
    result.push_back({{"name", library.name}, {"why", library.why}, {"searched", library.searched}});
  }
  return result;
}

// The lines that loader-oracle.sh makes of the loader's own output.
void print_list(const LibrarySearch& search) {
  if (!search.fatal().empty()) {
    std::cout << "fatal\n";
    return;
  }
  // The loader says "statically linked" of whatever needs no library.
  if (search.is_static() ||
      (search.objects().size() <= 2 && search.objects().front().file->facts->needed.empty())) {
    std::cout << "static\n";
    return;
  }
  // It lists itself only where a library needs it.
  const bool loader_needed =
      std::any_of(search.edges().begin(), search.edges().end(), [](const imgslim::SearchEdge& edge) {
        return edge.to == 1u && edge.request != imgslim::RequestKind::kInterpreter;
      });
  for (const std::size_t index : search.scope()) {
    const SearchedObject& object = search.objects()[index];
    if (index == 1) {
      if (loader_needed) std::cout << "loader\n";
    } else if (index != 0) {
      const bool token = object.name.find('$') != std::string::npos;  // the loader shows it replaced
      std::cout << (token ? object.path : object.name) << " => " << object.path << '\n';
    }
  }
  std::vector<std::string> rest;
  for (const auto& library : search.missing()) {
    if (!library.optional) rest.push_back("missing " + library.name);
  }
  for (const auto& version : search.missing_versions()) {
    rest.push_back("version " + version.version + " " + search.objects()[version.provider].path);
  }
  std::sort(rest.begin(), rest.end());
  for (const std::string& line : rest)
    std::cout << line << '\n';
}

void print_trace(const std::vector<imgslim::SearchProbe>& probes) {
  const char* const calls[] = {"open", "stat", "access"};
  for (const auto& probe : probes) {
    std::cout << calls[static_cast<int>(probe.call)] << ' ' << probe.path
              << (probe.failed ? " failed\n" : " ok\n");
  }
}

int print_cache(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto cache = imgslim::read_ld_cache(bytes, std::endian::little);
  if (!cache) return 1;
  for (const imgslim::LdCacheEntry& entry : cache->entries) {
    const char* const kinds[] = {"libc4", "ELF", "libc5", "libc6"};
    std::cout << '\t' << entry.name << " (" << kinds[entry.flags & 3];
    if ((entry.flags & 0xff00) == 0x0300) std::cout << ",x86-64";
    if ((entry.flags & 0xff00) == 0x0800) std::cout << ",x32";
    if ((entry.flags & 0xff00) == 0x0a00) std::cout << ",AArch64";
    constexpr unsigned kNamed = 62;  // in the compat format even ldconfig finds no names for these
    if ((entry.hwcap >> kNamed & 1) != 0) std::cout << ", hwcap: \"" << entry.hwcaps << '"';
    std::cout << ") => " << entry.path << '\n';
  }
  for (const std::string& problem : cache->problems)
    std::cerr << "problem: " << problem << '\n';
  return 0;
}

void print_elf_files(const imgslim::FileSystem& files, const std::string& directory) {
  for (const std::string& name : files.list(directory.empty() ? "/" : directory)) {
    const std::string path = directory + "/" + name;
    const auto status = files.status(path);
    if (!status) continue;
    if (status->kind == imgslim::FileKind::kDirectory && path != "/proc" && path != "/sys") {
      print_elf_files(files, path);
    }
    if (status->kind != imgslim::FileKind::kRegular || status->size < 64) continue;
    const auto content = files.read(path);
    if (content == nullptr || !imgslim::is_elf(content->bytes())) continue;
    const auto facts = imgslim::read_elf(content->bytes());
    const bool can_run = facts && (facts->type == 2 || facts->type == 3) && facts->has_dynamic;
    if (can_run && path.find('\n') == std::string::npos) std::cout << path << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  imgslim::SearchOptions options;
  std::vector<std::string> dlopens;
  bool all = false;
  bool list = false;
  bool elf = false;
  bool cost = false;
  bool trace = false;
  std::string cache_file;
  int at = 1;
  for (; at < argc && std::string_view(argv[at]).starts_with("--"); ++at) {
    const std::string_view option = argv[at];
    const std::string value = at + 1 < argc ? argv[at + 1] : "";
    if (option == "--all") {
      all = true;
    } else if (option == "--list") {
      list = true;
    } else if (option == "--cost") {
      cost = true;
    } else if (option == "--trace") {
      cost = trace = true;
    } else if (option == "--write-cache") {
      cache_file = value;
      ++at;
    } else if (option == "--cache") {
      return print_cache(value);
    } else if (option == "--elf") {
      elf = true;
    } else if (option == "--no-cache") {
      options.use_cache = false;
    } else if (option == "--real") {
      options.stop_when_missing = true;
    } else if (option == "--probes") {
      options.record_probes = true;
    } else if (option == "--dlopen") {
      dlopens.push_back(value);
      ++at;
    } else if (option == "--cpu") {
      const auto cpu = imgslim::cpu_named(value);
      if (!cpu) return 2;
      options.cpu = *cpu;
      ++at;
    } else if (option == "--env" && value.starts_with("LD_LIBRARY_PATH=")) {
      options.library_path = value.substr(16);
      ++at;
    } else if (option == "--env" && value.starts_with("LD_PRELOAD=")) {
      options.preload = value.substr(11);
      ++at;
    } else {
      std::cerr << "unknown option " << option << '\n';
      return 2;
    }
  }
  if (elf && argc - at == 1) {
    print_elf_files(*imgslim::host_file_system(argv[at]), "");
    return 0;
  }
  if (argc - at < 2) {
    std::cerr << "usage: imgslim_library_search [OPTION]... ROOT PROGRAM...\n";
    return 2;
  }
  const auto files = imgslim::host_file_system(argv[at++]);
  imgslim::ObjectCache cache(*files);
  std::vector<std::string> programs(argv + at, argv + argc);
  if (programs == std::vector<std::string>{"-"}) {
    programs.clear();
    for (std::string line; std::getline(std::cin, line);)
      programs.push_back(line);
  }
  for (const std::string& program : programs) {
    if (!cache_file.empty()) {
      auto closure = imgslim::search_libraries(cache, program, options);
      auto entries = imgslim::cache_entries(closure);
      for (const std::string& name : dlopens) {
        const auto result = closure.base.open(0, name);
        const auto more = imgslim::cache_entries(closure.base, result.loaded);
        entries.insert(entries.end(), more.begin(), more.end());
      }
      std::ofstream(cache_file, std::ios::binary) << imgslim::write_ld_cache(entries);
      continue;
    }
    if (cost) {
      std::vector<imgslim::DlopenCall> calls;
      for (const std::string& name : dlopens)
        calls.push_back({"", name});
      const auto found = imgslim::search_cost(cache, program, options, calls);
      if (trace) {
        print_trace(found.before_main);
        for (const auto& call : found.dlopens) {
          std::cout << "mark\n";
          print_trace(call.probes);
        }
        std::cout << "mark\n";
        continue;
      }
      std::cout << "before main " << found.count.failed_opens << ' ' << found.count.failed_stats << '\n';
      for (const auto& call : found.dlopens) {
        std::cout << "dlopen " << call.call.name << ' ' << call.count.failed_opens << ' '
                  << call.count.failed_stats << '\n';
      }
      continue;
    }
    if (list) {
      std::cout << "== " << program << '\n';
      print_list(LibrarySearch::start(cache, program, options));
      continue;
    }
    ordered_json line{{"program", program}};
    imgslim::LibraryClosure closure{LibrarySearch::start(cache, program, options), {}};
    if (all) closure = imgslim::search_libraries(cache, program, options);
    LibrarySearch& search = closure.base;
    line["static"] = search.is_static();
    line["fatal"] = search.fatal();
    line["depends_on_cpu"] = search.depends_on_cpu();
    line["objects"] = ordered_json::array();
    if (all) {
      for (const auto* object : closure.all_objects())
        line["objects"].push_back(to_json(*object));
    } else {
      for (const std::size_t index : search.scope()) {
        line["objects"].push_back(to_json(search.objects()[index]));
      }
    }
    line["missing"] = missing_to_json(search.missing());
    line["versions"] = ordered_json::array();
    for (const auto& version : search.missing_versions()) {
      line["versions"].push_back({version.version, search.objects()[version.provider].path,
                                  search.objects()[version.requester].path});
    }
    if (options.record_probes) line["probes"] = to_json(search.probes());
    line["problems"] = search.problems();
    for (const std::string& name : dlopens) {
      const auto result = search.open(0, name);
      ordered_json call{{"name", name}, {"loaded", result.object.has_value()}, {"fatal", result.fatal}};
      call["objects"] = ordered_json::array();
      for (const auto& object : result.loaded)
        call["objects"].push_back(to_json(object));
      call["missing"] = missing_to_json(result.missing);
      if (options.record_probes) call["probes"] = to_json(result.probes);
      line["dlopen"].push_back(call);
    }
    std::cout << line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  }
  return 0;
}
