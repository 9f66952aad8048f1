// SPDX-License-Identifier: Apache-2.0
#include "src/facts/go_programs.h"

#include <algorithm>

#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxProgram = std::uint64_t{2} << 30;
constexpr std::uint64_t kMaxHeld = std::uint64_t{32} << 20;  // of all programs

}  // namespace

std::vector<GoProgram> read_go_programs(const FileSystem& files, const Roots& roots) {
  std::vector<GoProgram> programs;
  std::uint64_t held = 0;
  for (const ReachedFile& file : roots.files) {
    if (file.kind != ReachedFile::Kind::kProgram || !files.head(file.path).starts_with("\177ELF")) continue;
    const bool known = std::any_of(programs.begin(), programs.end(),
                                   [&](const GoProgram& program) { return program.path == file.path; });
    if (known) continue;
    const auto content = files.read(file.path, kMaxProgram);
    const auto facts = content ? read_elf(content->bytes()) : std::nullopt;
    if (!facts) continue;
    const ElfImage image(*facts, content->bytes());
    const auto go = read_go(image, content->bytes());
    if (!go) continue;
    GoProgram program;
    program.path = file.path;
    held += content->bytes().size();
    if (held <= kMaxHeld) program.content = content;
    if (go->build && go->build->main_module) program.main_module = go->build->main_module->path;
    for (const GoEmbedTree& tree : go->embeds) {
      for (const GoEmbeddedFile& embedded : tree.files) {
        if (embedded.name.ends_with('/') || embedded.size == 0) continue;
        const auto bytes = image.bytes_at(embedded.address, embedded.size);
        if (bytes) program.embedded[embedded.size].insert(digest_of(*bytes));
      }
    }
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace imgslim
