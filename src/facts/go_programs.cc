// SPDX-License-Identifier: Apache-2.0
#include "src/facts/go_programs.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "layers/packed.h"
#include "src/facts/elf.h"
#include "src/facts/go_binary.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxProgram = std::uint64_t{2} << 30;
constexpr std::uint64_t kMaxHeld = std::uint64_t{32} << 20;  // of all programs

// What of a program is kept beyond a run: its main module, the digests of embedded files by their size.
struct Known {
  bool is_go = false;
  std::string main_module;
  std::map<std::uint64_t, std::vector<std::string>> embedded;
};

}  // namespace

static void members(auto& io, Known& known) {
  io(known.is_go, known.main_module, known.embedded);
}

namespace {

Known read_program(std::string_view bytes) {
  Known known;
  const auto facts = read_elf(bytes);
  if (!facts) return known;
  const ElfImage image(*facts, bytes);
  const auto go = read_go(image, bytes);
  if (!go) return known;
  known.is_go = true;
  if (go->build && go->build->main_module) known.main_module = go->build->main_module->path;
  for (const GoEmbedTree& tree : go->embeds) {
    for (const GoEmbeddedFile& embedded : tree.files) {
      if (embedded.name.ends_with('/') || embedded.size == 0) continue;
      const auto content = image.bytes_at(embedded.address, embedded.size);
      if (content) known.embedded[embedded.size].push_back(digest_of(*content).text());
    }
  }
  return known;
}

}  // namespace

std::vector<GoProgram> read_go_programs(const FileSystem& files, const Roots& roots) {
  constexpr std::string_view kFact = "go program";
  std::vector<GoProgram> programs;
  std::uint64_t held = 0;
  for (const ReachedFile& file : roots.files) {
    if (file.kind != ReachedFile::Kind::kProgram || !files.head(file.path).starts_with("\177ELF")) continue;
    const bool is_there = std::any_of(programs.begin(), programs.end(),
                                      [&](const GoProgram& program) { return program.path == file.path; });
    if (is_there) continue;
    GoProgram program;
    program.path = file.path;
    const auto data = files.recall(file.path, kFact);
    std::optional<Known> known = data ? unpacked<Known>(*data) : std::nullopt;
    if (!known) {
      const auto content = files.read(file.path, kMaxProgram);
      if (!content) continue;
      known = read_program(content->bytes());
      files.remember(file.path, kFact, packed(*known));
      if (known->is_go) held += content->bytes().size();
      if (known->is_go && held <= kMaxHeld) program.content = content;
    }
    if (!known->is_go) continue;
    program.main_module = known->main_module;
    for (const auto& [size, digests] : known->embedded) {
      for (const std::string& digest : digests) {
        if (const auto parsed = Digest::parse(digest)) program.embedded[size].insert(*parsed);
      }
    }
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace imgslim
