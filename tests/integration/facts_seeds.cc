// SPDX-License-Identifier: Apache-2.0
// Writes the seeds of the fuzz targets of ELF and Go facts: imgslim_facts_seeds testdata/fuzz
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support/go_builder.h"

using namespace imgslim::testing;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string folder = argv[1];
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
  };

  ElfDescription library;
  library.interpreter = "/lib/ld.so";
  library.needed = {"libc.so.6"};
  library.soname = "libx.so.1";
  library.runpath = "$ORIGIN";
  library.symbols = {{"dlopen", false}, {"x_init", true, kElfCode}};
  library.versions_needed = {{"libc.so.6", {"GLIBC_2.34"}}};
  library.versions_defined = {"X_1"};
  const std::string note = R"([{"soname":["libz.so.1"],"priority":"required"}])";
  library.notes = {{"GNU", NT_GNU_BUILD_ID, "0123"}, {"FDO", 0x407c0c0a, note + '\0'}};
  library.data = std::string(64, '\0');
  library.relocations = {{kElfData, R_X86_64_RELATIVE, 0, kElfData},
                         {kElfData + 8, R_X86_64_JUMP_SLOT, 1, 0}};
  library.relr = {kElfData + 16, 3};
  write("elf/library64", build_elf(library));
  library.hash = ElfHash::kGnu;
  library.is_64 = false;
  library.machine = EM_386;
  write("elf/library32", build_elf(library));
  library.byte_order = std::endian::big;
  library.machine = EM_PPC;
  library.hash = ElfHash::kNone;
  write("elf/library32be", build_elf(library));
  write("dlopen_note/one", note);
  write("dlopen_note/two",
        R"([{"soname":["a","b"],"feature":"f","description":"d","priority":"suggested"},{"soname":["c"]}])");

  GoDescription go;
  go.functions = {{"runtime.init"}, {"a/b%2ec.init.0"}, {"main.init"}, {"main.main"}, {"net._Cfunc_x"}};
  go.tasks = {{{0}, {}}, {{1}, {0}}, {{2}, {0, 1}}};
  go.runtime_tasks = 1;
  go.files = {{"a/", ""}, {"a/b", "text"}};
  write("pclntab/fixed120", build_go(go));
  go.position_independent = true;
  write("pclntab/pie120", build_go(go));
  go.init_graph = true;
  go.magic = 0xfffffff0;
  write("pclntab/pie118", build_go(go));
  go.magic = 0xfffffffa;
  go.position_independent = false;
  go.inline_build_info = false;
  write("pclntab/fixed116", build_go(go));

  const std::string text =
      "path\ta/b\nmod\ta\tv1\th1:x\ndep\tc\tv2\n=>\td\tv3\th1:y\nbuild\t-ldflags=\"-X "
      "\\u00e9=1\"\nbuild\tCGO_ENABLED=0\n";
  write("go_buildinfo/text", text);
  const std::string framed = std::string(16, 'a') + text + std::string(16, 'z');
  write("go_buildinfo/inline", std::string("\x08\x02", 2) + std::string(16, '\0') + "\x08go1.22.5" +
                                   static_cast<char>(0x80 | (framed.size() & 0x7f)) +
                                   static_cast<char>(framed.size() >> 7) + framed);
  return 0;
}
