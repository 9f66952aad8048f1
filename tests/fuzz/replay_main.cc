// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over every file of the folders given, and over cheap mutations of each (cut at a
// few places, single bytes flipped by a fixed generator), so that a build without libFuzzer tests it too.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 0;
  run("");
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    std::vector<std::filesystem::path> files;
    for (const auto& item : std::filesystem::directory_iterator(argv[i])) {
      if (item.is_regular_file()) files.push_back(item.path());
    }
    for (const auto& path : files) {
      std::ifstream in(path, std::ios::binary);
      const std::string text((std::istreambuf_iterator<char>(in)), {});
      run(text);
      ++runs;
      std::uint64_t seed = 0x9e3779b97f4a7c15u;
      for (int round = 0; round < 64 && !text.empty(); ++round) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        std::string copy = text;
        copy[(seed >> 33) % copy.size()] ^= static_cast<char>(1u << ((seed >> 20) & 7));
        run(copy);
        run(text.substr(0, (seed >> 17) % text.size()));
        runs += 2;
      }
    }
  }
  std::printf("%zu inputs\n", runs);
  return 0;
}
