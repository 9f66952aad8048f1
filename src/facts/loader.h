// SPDX-License-Identifier: Apache-2.0
// Facts of the image's own dynamic loader, read out of its bytes: where it searches is compiled into it and
// differs between distributions, so nothing of it is taken for granted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/facts/elf.h"

namespace imgslim {

enum class LoaderKind { kUnknown, kGlibc, kMusl };

struct LoaderFacts {
  LoaderKind kind = LoaderKind::kUnknown;
  std::uint16_t machine = 0;
  // "2.36" or "1.2.3"; empty if the bytes do not say.
  std::string version;
  // The directories of last resort, in order, each with its final slash (musl: without).
  std::vector<std::string> directories;

  // glibc
  std::string cache_path;           // "/etc/ld.so.cache"
  std::string preload_path;         // "/etc/ld.so.preload"
  std::string lib;                  // value of $LIB: "lib/x86_64-linux-gnu", "lib64"
  std::vector<std::string> hwcaps;  // subdirectories of glibc-hwcaps/, best first
  bool legacy_hwcaps = false;       // up to 2.36: tls/, platform and capability subdirectories too

  // musl
  std::string path_file;  // "/etc/ld-musl-x86_64.path", below the prefix of the loader's own path

  std::vector<std::string> problems;  // one line each: what had to be assumed

  // Whether the version is known and at least this one.
  bool at_least(unsigned major, unsigned minor) const;
};

// Facts of a loader, or of a statically linked program: a static glibc carries the same tables for its
// dlopen, NSS and iconv. Linear in the size.
LoaderFacts read_loader(const ElfFacts& facts, std::string_view bytes);

// What a CPU offers to the search. A level counts the active steps of a machine: x86-64 0 to 3 (x86-64-v4),
// aarch64 1 with LSE atomics, others the active names of LoaderFacts::hwcaps.
struct Cpu {
  unsigned level = 0;
  bool intel = false;  // glibc up to 2.36 has platforms ("haswell") for this vendor alone
  auto operator<=>(const Cpu&) const = default;
};

// A CPU by name: "x86-64", "x86-64-v2" .. "x86-64-v4", "armv8-a", "armv8.1-a", and models as qemu names
// them ("Nehalem", "Haswell", "EPYC").
std::optional<Cpu> cpu_named(std::string_view name);
// All names that cpu_named() knows.
std::vector<std::string_view> cpu_names();

// The subdirectories tried in each directory, in order, each with its final slash; the last is "", the
// directory itself. A static program (`dynamic` false) tries only that.
std::vector<std::string> hwcaps_subdirectories(const LoaderFacts& loader, Cpu cpu, bool dynamic = true);

// Every CPU for which hwcaps_subdirectories() differ, the plainest first.
std::vector<Cpu> distinct_cpus(const LoaderFacts& loader);

// Value of $PLATFORM.
std::string platform_of(const LoaderFacts& loader, Cpu cpu);

}  // namespace imgslim
