// SPDX-License-Identifier: Apache-2.0
// Takes debug information out of files on disk and says what came of it:
//   imgslim_debug_info [--symbols] [--drop] FILE SLIM [DIRECTORY]
// writes the file without it to SLIM and the companion below DIRECTORY, one line on stdout: "taken LOADED
// SECTIONS.." or "left REASON DETAIL". Exit 1 if the loaded bytes differ or the result still has something to
// take.
//   imgslim_debug_info --loaded FILE      prints the digest over the loaded bytes
//   imgslim_debug_info --seeds DIRECTORY  writes the inputs of fuzz_debug_info
#include "src/debug_info/debug_info.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "layers/error.h"
#include "tests/support/section_builder.h"

namespace {

using namespace imgslim;

void write(const std::string& path, const FilePieces& pieces, const Blob& source) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  pieces.write_to(source, *sink_to([&](std::span<const std::byte> bytes) {
                    out.write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
                  }));
  out.close();
  if (!out) throw Error(Failure::kIo, path + ": cannot be written");
}

void write_seeds(const std::string& directory) {
  using namespace imgslim::testing;
  const auto seed = [&](const std::string& name, char options, const std::string& elf) {
    std::ofstream out(directory + "/" + name, std::ios::binary | std::ios::trunc);
    out << options << elf;
  };
  seed("64", '2', debug_program().build());
  seed("64-symbols", '3', debug_program().build());
  seed("32-big", '3', debug_program(false, std::endian::big).build());
  SectionedElf elf = debug_program();
  elf.sections.insert(elf.sections.begin() + 1,
                      {".rela.plt", SHT_RELA, SHF_ALLOC, std::string(24, '\0'), 8, ".symtab", 0, 24, 0});
  elf.sections[7].content = elf.symbols({elf.number_of(".text")});
  seed("relocations", '1', elf.build());
}

int run(const std::vector<std::string>& arguments) {
  DebugInfoRequest request;
  request.companion = true;
  bool loaded = false;
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    if (argument == "--symbols") {
      request.symbols = true;
    } else if (argument == "--drop") {
      request.companion = false;
    } else if (argument == "--loaded") {
      loaded = true;
    } else {
      files.push_back(argument);
    }
  }
  if (!arguments.empty() && arguments[0] == "--seeds") {
    write_seeds(arguments.at(1));
    return 0;
  }
  const BlobPtr file = open_file_blob(files.at(0));
  const auto before = loaded_digest(*file);
  if (loaded) {
    fmt::print("{}\n", before ? before->text() : "none");
    return 0;
  }
  const DebugInfoPlan plan = take_out_debug_info(*file, request);
  if (plan.left_alone) {
    fmt::print("left {} {}\n", name_of(*plan.left_alone), plan.detail);
    return 0;
  }
  write(files.at(1), plan.slim, *file);
  const BlobPtr slim = open_file_blob(files.at(1));
  const auto after = loaded_digest(*slim);
  if (!before || before != after || before != plan.loaded) {
    fmt::print(stderr, "{}: the loaded bytes differ\n", files[0]);
    return 1;
  }
  if (take_out_debug_info(*slim, request).left_alone != LeftAlone::kNothingToTake) {
    fmt::print(stderr, "{}: there is still something to take\n", files[0]);
    return 1;
  }
  if (files.size() > 2 && !plan.build_id.empty()) {
    const std::string companion = files[2] + "/" + plan.companion_path();
    std::filesystem::create_directories(std::filesystem::path(companion).parent_path());
    write(companion, plan.companion, *file);
  }
  fmt::print("taken {}", before->text());
  for (const TakenSection& section : plan.sections)
    fmt::print(" {}", section.name);
  fmt::print("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "imgslim_debug_info: {}\n", error.what());
    return 2;
  }
}
