// SPDX-License-Identifier: Apache-2.0
#include "src/facts/loader.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "layers/bytes.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxDirectory = 1024;
constexpr std::size_t kMaxDirectories = 64;

bool is_path_char(char c) {
  return c > ' ' && c < 0x7f && c != '%' && c != ':' && c != '"';
}

// A directory as it stands in the loader's table: "/usr/lib/" and a NUL behind it.
std::optional<std::string_view> directory_at(std::string_view bytes, std::size_t offset) {
  if (offset >= bytes.size() || bytes[offset] != '/') return std::nullopt;
  const auto text = c_string(bytes, offset, kMaxDirectory);
  if (!text || text->size() < 3 || text->back() != '/') return std::nullopt;
  if (!std::all_of(text->begin(), text->end(), is_path_char)) return std::nullopt;
  return text;
}

// The table of lengths that stands beside the directories, as bytes.
std::string length_table(const std::vector<std::string>& directories, const ElfFacts& facts) {
  std::string table;
  const std::size_t width = facts.is_64 ? 8 : 4;
  for (const auto& directory : directories) {
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t shift = 8 * (facts.byte_order == std::endian::little ? i : width - 1 - i);
      table.push_back(static_cast<char>((std::uint64_t{directory.size()} >> shift) & 0xff));
    }
  }
  return table;
}

// Runs of directories that stand one behind the other; the loader's own is the one with a table of its
// lengths, else the longest.
std::vector<std::string> trusted_directories(const ElfFacts& facts, std::string_view bytes, bool& sure) {
  std::vector<std::vector<std::string>> runs;
  for (std::size_t at = bytes.find('/'); at != std::string_view::npos && runs.size() < 256;
       at = bytes.find('/', at)) {
    if (at > 0 && is_path_char(bytes[at - 1])) {
      ++at;
      continue;
    }
    std::vector<std::string> run;
    std::size_t next = at;
    while (run.size() < kMaxDirectories) {
      const auto directory = directory_at(bytes, next);
      if (!directory) break;
      run.emplace_back(*directory);
      next += directory->size() + 1;
    }
    const bool libraries = std::any_of(run.begin(), run.end(), [](const std::string& directory) {
      return directory.find("lib") != std::string::npos;
    });
    if (libraries && std::find(runs.begin(), runs.end(), run) == runs.end()) runs.push_back(run);
    at = std::max(next, at + 1);
  }
  sure = true;
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const auto& run : runs) {
    if (run.size() > 1 && bytes.find(length_table(run, facts)) != std::string_view::npos) return run;
  }
  if (runs.size() == 1) return runs.front();
  sure = false;
  return runs.empty() ? std::vector<std::string>{} : runs.front();
}

// The whole NUL-terminated string around an offset; it must not be longer than a path.
std::string_view string_around(std::string_view bytes, std::size_t offset) {
  std::size_t start = offset;
  while (start > 0 && offset - start < kMaxDirectory && bytes[start - 1] >= ' ' && bytes[start - 1] < 0x7f) {
    --start;
  }
  return c_string(bytes, start, 4 * kMaxDirectory).value_or(std::string_view{});
}

// The first absolute path of the file that ends so ("/etc/ld.so.cache").
std::string path_ending(std::string_view bytes, std::string_view ending) {
  const std::string wanted = std::string(ending) + '\0';
  for (std::size_t at = bytes.find(wanted); at != std::string_view::npos; at = bytes.find(wanted, at + 1)) {
    const std::string_view text = string_around(bytes, at);
    if (text.starts_with('/') && text.ends_with(ending)) return std::string(text);
  }
  return {};
}

bool holds_string(std::string_view bytes, const std::string& text) {
  const std::string wanted = '\0' + text + '\0';
  return bytes.find(wanted) != std::string_view::npos;
}

bool is_version(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9' && text.back() >= '0' &&
         text.back() <= '9' && text.find('.') != std::string_view::npos &&
         text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The number behind a lead: "release version 2.36." -> "2.36".
std::string version_behind(std::string_view bytes, std::string_view lead) {
  for (std::size_t at = bytes.find(lead); at != std::string_view::npos; at = bytes.find(lead, at + 1)) {
    std::string_view rest = bytes.substr(at + lead.size(), 16);
    rest = rest.substr(0, std::min(rest.find_first_not_of("0123456789."), rest.size()));
    while (rest.ends_with('.'))
      rest.remove_suffix(1);
    if (is_version(rest)) return std::string(rest);
  }
  return {};
}

std::pair<unsigned, unsigned> numbers_of(std::string_view version) {
  std::pair<unsigned, unsigned> result{0, 0};
  const char* const end = version.data() + version.size();
  const auto major = std::from_chars(version.data(), end, result.first);
  if (major.ptr != end && *major.ptr == '.') std::from_chars(major.ptr + 1, end, result.second);
  return result;
}

// Loaders before 2.33 have no banner; the newest version of an interface they define is at most theirs.
std::string version_defined(const ElfFacts& facts) {
  std::string best;
  for (const auto& version : facts.versions_defined) {
    if (!version.name.starts_with("GLIBC_")) continue;
    const std::string number = version.name.substr(6);
    if (is_version(number) && (best.empty() || numbers_of(number) > numbers_of(best))) best = number;
  }
  return best;
}

std::vector<std::string> hwcaps_names(std::string_view bytes) {
  for (const std::string_view prefix : {"x86-64-v", "power", "z1"}) {
    for (std::size_t at = bytes.find(prefix); at != std::string_view::npos;
         at = bytes.find(prefix, at + prefix.size())) {
      if (at == 0 || bytes[at - 1] != '\0') continue;
      std::string_view text = c_string(bytes, at, 256).value_or(std::string_view{});
      if (text.find(':') == std::string_view::npos) continue;
      std::vector<std::string> names;
      bool good = true;
      while (!text.empty()) {
        const std::size_t colon = std::min(text.find(':'), text.size());
        const std::string_view name = text.substr(0, colon);
        good = good && name.starts_with(prefix) && name.size() > prefix.size() &&
               name.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
        names.emplace_back(name);
        text.remove_prefix(std::min(colon + 1, text.size()));
      }
      if (good) return names;
    }
  }
  return {};
}

void read_glibc(LoaderFacts& loader, const ElfFacts& facts, std::string_view bytes) {
  loader.kind = LoaderKind::kGlibc;
  loader.version = version_behind(bytes, "release version ");
  if (loader.version.empty()) loader.version = version_defined(facts);
  if (loader.version.empty()) loader.problems.push_back("version of glibc not found");
  bool sure = false;
  loader.directories = trusted_directories(facts, bytes, sure);
  if (!sure) {
    loader.problems.push_back(loader.directories.empty() ? "no table of system directories found"
                                                         : "system directories are the likeliest of several");
  }
  loader.cache_path = path_ending(bytes, "/ld.so.cache");
  if (loader.cache_path.empty()) {
    loader.cache_path = "/etc/ld.so.cache";
    loader.problems.push_back("path of ld.so.cache not found, /etc/ld.so.cache assumed");
  }
  loader.preload_path = path_ending(bytes, "/ld.so.preload");
  if (loader.preload_path.empty()) loader.preload_path = "/etc/ld.so.preload";
  // Debian sets $LIB to the multiarch directory, others to the last part of the system directory.
  if (!loader.directories.empty()) {
    std::string_view first = loader.directories.front();
    if (first.starts_with("/usr/")) first.remove_prefix(4);
    const std::string whole(first.substr(1, first.size() - 2));
    const std::string last = whole.substr(whole.rfind('/') + 1);
    loader.lib = whole != last && holds_string(bytes, whole) ? whole : last;
  }
  loader.hwcaps = hwcaps_names(bytes);
  loader.legacy_hwcaps = loader.version.empty() ? loader.hwcaps.empty() : !loader.at_least(2, 37);
}

void read_musl(LoaderFacts& loader, std::string_view bytes) {
  loader.kind = LoaderKind::kMusl;
  for (std::size_t at = bytes.find("\0001.", 0, 3); at != std::string_view::npos;
       at = bytes.find("\0001.", at + 1, 3)) {
    const auto text = c_string(bytes, at + 1, 16);
    if (text && is_version(*text) && std::count(text->begin(), text->end(), '.') == 2) {
      loader.version = *text;
      break;
    }
  }
  if (loader.version.empty()) loader.problems.push_back("version of musl not found");
  std::string_view directories = "/lib:/usr/local/lib:/usr/lib";
  if (bytes.find(directories) == std::string_view::npos) {
    for (std::size_t at = bytes.find(":/usr/lib"); at != std::string_view::npos;
         at = bytes.find(":/usr/lib", at + 1)) {
      const std::string_view text = string_around(bytes, at);
      if (text.starts_with('/') && text.find(' ') == std::string_view::npos) {
        directories = text;
        break;
      }
    }
  }
  while (!directories.empty()) {
    const std::size_t colon = std::min(directories.find(':'), directories.size());
    loader.directories.emplace_back(directories.substr(0, colon));
    directories.remove_prefix(std::min(colon + 1, directories.size()));
  }
  const std::size_t path = bytes.find("/etc/ld-musl-");
  if (path != std::string_view::npos) {
    const auto text = c_string(bytes, path, 256);
    if (text && text->ends_with(".path")) loader.path_file = *text;
  }
}

struct NamedCpu {
  std::string_view name;
  Cpu cpu;
};

constexpr std::array kCpus = {
    NamedCpu{"x86-64", {0, false}},        NamedCpu{"x86-64-v1", {0, false}},
    NamedCpu{"x86-64-v2", {1, false}},     NamedCpu{"x86-64-v3", {2, false}},
    NamedCpu{"x86-64-v4", {3, false}},     NamedCpu{"armv8-a", {0, false}},
    NamedCpu{"armv8.1-a", {1, false}},     NamedCpu{"qemu64", {0, false}},
    NamedCpu{"core2duo", {0, true}},       NamedCpu{"Nehalem", {1, true}},
    NamedCpu{"Westmere", {1, true}},       NamedCpu{"SandyBridge", {1, true}},
    NamedCpu{"IvyBridge", {1, true}},      NamedCpu{"Haswell", {2, true}},
    NamedCpu{"Broadwell", {2, true}},      NamedCpu{"Skylake-Client", {2, true}},
    NamedCpu{"Skylake-Server", {3, true}}, NamedCpu{"Cascadelake-Server", {3, true}},
    NamedCpu{"Icelake-Server", {3, true}}, NamedCpu{"SapphireRapids", {3, true}},
    NamedCpu{"EPYC", {2, false}},          NamedCpu{"EPYC-Rome", {2, false}},
    NamedCpu{"EPYC-Milan", {2, false}},    NamedCpu{"EPYC-Genoa", {3, false}},
    NamedCpu{"Cortex-A53", {0, false}},    NamedCpu{"Cortex-A72", {0, false}},
    NamedCpu{"Neoverse-N1", {1, false}},
};

constexpr std::uint16_t kX86 = static_cast<std::uint16_t>(ElfMachine::kX86);
constexpr std::uint16_t kX8664 = static_cast<std::uint16_t>(ElfMachine::kX86_64);
constexpr std::uint16_t kAarch64 = static_cast<std::uint16_t>(ElfMachine::kAarch64);

// Names of the power set of glibc up to 2.36, the least significant first.
std::vector<std::string> legacy_names(const LoaderFacts& loader, Cpu cpu) {
  std::vector<std::string> names;
  if (loader.machine == kX8664) {
    names.push_back("x86_64");
    if (cpu.intel && cpu.level >= 3) names.push_back("avx512_1");
  } else if (loader.machine == kX86) {
    names.push_back("sse2");
  } else if (loader.machine == kAarch64) {
    if (cpu.level >= 1) names.push_back("atomics");
  }
  if (const std::string platform = platform_of(loader, cpu); !platform.empty()) names.push_back(platform);
  names.push_back("tls");
  return names;
}

}  // namespace

bool LoaderFacts::at_least(unsigned major, unsigned minor) const {
  return !version.empty() && numbers_of(version) >= std::pair{major, minor};
}

LoaderFacts read_loader(const ElfFacts& facts, std::string_view bytes) {
  LoaderFacts loader;
  loader.machine = facts.machine;
  if (bytes.find("glibc-ld.so.cache") != std::string_view::npos ||
      bytes.find("ld.so-1.7.0") != std::string_view::npos) {
    read_glibc(loader, facts, bytes);
  } else if (bytes.find("musl libc (") != std::string_view::npos ||
             bytes.find("/etc/ld-musl-") != std::string_view::npos ||
             bytes.find("Dynamic loading not supported") != std::string_view::npos) {
    read_musl(loader, bytes);
  } else {
    loader.problems.push_back("neither glibc's loader nor musl's");
  }
  return loader;
}

std::optional<Cpu> cpu_named(std::string_view name) {
  for (const auto& known : kCpus) {
    if (known.name == name) return known.cpu;
  }
  return std::nullopt;
}

std::vector<std::string_view> cpu_names() {
  std::vector<std::string_view> names;
  for (const auto& known : kCpus)
    names.push_back(known.name);
  return names;
}

std::string platform_of(const LoaderFacts& loader, Cpu cpu) {
  switch (loader.machine) {
    case kX8664:
      return cpu.intel && cpu.level >= 2 ? "haswell" : "x86_64";
    case kX86:
      return "i686";
    case kAarch64:
      return "aarch64";
    case static_cast<std::uint16_t>(ElfMachine::kArm):
      return "v7l";
    default:
      return {};
  }
}

std::vector<std::string> hwcaps_subdirectories(const LoaderFacts& loader, Cpu cpu, bool dynamic) {
  std::vector<std::string> result;
  if (loader.kind == LoaderKind::kGlibc && dynamic) {
    const std::size_t active = std::min<std::size_t>(cpu.level, loader.hwcaps.size());
    for (std::size_t i = loader.hwcaps.size() - active; i < loader.hwcaps.size(); ++i) {
      result.push_back("glibc-hwcaps/" + loader.hwcaps[i] + "/");
    }
    if (loader.legacy_hwcaps) {
      const std::vector<std::string> names = legacy_names(loader, cpu);
      for (unsigned mask = (1u << names.size()) - 1; mask != 0; --mask) {
        std::string subdirectory;
        for (std::size_t bit = names.size(); bit-- > 0;) {
          if ((mask & (1u << bit)) != 0) subdirectory += names[bit] + "/";
        }
        result.push_back(std::move(subdirectory));
      }
    }
  }
  result.emplace_back();
  return result;
}

std::vector<Cpu> distinct_cpus(const LoaderFacts& loader) {
  std::vector<Cpu> result{Cpu{}};
  if (loader.kind != LoaderKind::kGlibc) return result;
  for (unsigned level = 1; level <= loader.hwcaps.size(); ++level)
    result.push_back(Cpu{level, false});
  if (loader.legacy_hwcaps && loader.machine == kX8664) {
    result.push_back(Cpu{2, true});
    result.push_back(Cpu{3, true});
  }
  if (loader.legacy_hwcaps && loader.machine == kAarch64) result.push_back(Cpu{1, false});
  return result;
}

}  // namespace imgslim
