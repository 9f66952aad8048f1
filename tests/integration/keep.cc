// SPDX-License-Identifier: Apache-2.0
// imgslim_keep IMAGE [--keep GLOB] [--drop GLOB] [--also-run CMD]: the keep rule over each platform of an
// image: a line per kept file (size, path, rule, because, evidence, detail), then findings, stoppers and
// sums.
#include "src/decisions/keep.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <map>
#include <string>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/image_name.h"
#include "layers/scan.h"
#include "src/image_set.h"

namespace {

using namespace imgslim;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts)
    all += (all.empty() ? "" : " ") + printable(text);
  return all;
}

void keep(const ImageSource& source, const SourceImage& image, const std::vector<Glob>& kept_globs,
          const std::vector<Glob>& dropped_globs, const std::vector<Command>& commands) {
  std::vector<ScanJob> jobs;
  std::vector<BlobPtr> blobs;
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& layer = image.manifest.layers[i].descriptor;
    blobs.push_back(source.open(layer));
    jobs.push_back(ScanJob{blobs.back(), layer.digest, layer.size, image.config.diff_ids[i], image.what});
  }
  auto start = std::chrono::steady_clock::now();
  const std::vector<LayerTablePtr> tables = scan_layers(jobs);
  Tree tree;
  for (const LayerTablePtr& table : tables)
    tree.apply(table);
  const double scan_time = seconds_since(start);
  const Contents contents(tables, blobs, std::size_t{16} << 20);
  const ContentReader reader = [&](EntryRef file, std::uint64_t length) {
    return contents.read_front(file, length);
  };
  const TreeFileSystem files(tree, reader);
  start = std::chrono::steady_clock::now();
  const PackageDatabase packages = PackageDatabase::read(files);
  const Roots roots = find_roots(files, image.config, commands);
  const std::vector<GoProgram> programs = read_go_programs(files, roots);
  const Leftovers leftovers = find_leftovers({tree, files, reader, packages, roots, image.config,
                                              [&]() -> const std::vector<GoProgram>& { return programs; }},
                                             Form::kDistroless);
  const double facts_time = seconds_since(start);
  start = std::chrono::steady_clock::now();
  const KeepResult result =
      find_kept({files, packages, image.config, commands, leftovers, kept_globs, dropped_globs, {}, 2});
  const double keep_time = seconds_since(start);

  std::uint64_t kept_bytes = 0;
  std::uint64_t all_bytes = 0;
  std::uint64_t directories = 0;
  std::map<std::string_view, std::pair<std::size_t, std::uint64_t>> rules;
  std::cout << "# " << image.config.platform.text() << '\n';
  tree.walk([&](NodeId node) {
    const Entry* entry = tree.attributes(node);
    const std::uint64_t size = entry == nullptr || entry->type != EntryType::kRegular ? 0 : entry->size;
    all_bytes += size;
    const auto found = result.kept.find(node);
    if (found == result.kept.end()) return;
    kept_bytes += size;
    const Witness& witness = found->second;
    auto& [count, bytes] = rules[witness.rule];
    ++count;
    bytes += size;
    const bool is_directory = tree.type(node) == EntryType::kDirectory;
    if (is_directory) ++directories;
    std::cout << fmt::format("{}\t{}\t/{}{}\t{}\t{}\t{}\t{}\n", is_directory ? "dir" : "keep", size,
                             printable(tree.path(node)), is_directory ? "/" : "", witness.rule,
                             printable(witness.because), name_of(witness.evidence),
                             printable(witness.detail));
  });
  for (const LoadFinding& load : result.loads) {
    std::cout << fmt::format("load\t{}\t{}\t{}\t[{}]\t[{}]\t{}\n", printable(load.path),
                             name_of(load.finding.evidence), load.finding.caller, joined(load.finding.names),
                             joined(load.found), printable(load.finding.reason));
  }
  for (const StartFinding& begun : result.starts) {
    std::cout << fmt::format("start\t{}\t{}\t{}\t{}\t[{}]\t[{}]\t{}\n", printable(begun.path),
                             name_of(begun.evidence), begun.finding.callee, printable(begun.finding.package),
                             joined(begun.finding.names), joined(begun.found),
                             printable(begun.finding.reason));
  }
  for (const LdCacheEntry& entry : result.cache_entries)
    std::cout << fmt::format("cache\t{}\t{}\t{}\n", printable(entry.name), printable(entry.path),
                             entry.hwcaps);
  for (const auto& [rule, sums] : rules)
    std::cout << fmt::format("rule\t{}\t{}\t{}\n", rule, sums.first, sums.second);
  for (const std::string& line : result.notices)
    std::cout << "notice\t" << line << '\n';
  for (const std::string& line : result.stoppers)
    std::cout << "stopper\t" << line << '\n';
  std::cout << fmt::format(
      "sum\tkept {} paths ({} directories) of {}, {} bytes of {}, dropped {}, weakest {}, {}\n",
      result.kept.size(), directories, tree.node_count(), kept_bytes, all_bytes, all_bytes - kept_bytes,
      name_of(result.weakest), name_of(roots.kind));
  std::cerr << fmt::format("scan {:.3f} s, facts {:.3f} s, keep {:.3f} s\n", scan_time, facts_time,
                           keep_time);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<Glob> kept_globs;
    std::vector<Glob> dropped_globs;
    std::vector<Command> commands;
    std::string name;
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word == "--keep" && i + 1 < argc) {
        kept_globs.emplace_back(argv[++i]);
      } else if (word == "--drop" && i + 1 < argc) {
        dropped_globs.emplace_back(argv[++i]);
      } else if (word == "--also-run" && i + 1 < argc) {
        commands.push_back(command_from_line(argv[++i], "--also-run"));
      } else {
        name = word;
      }
    }
    if (name.empty()) {
      std::cerr << "usage: imgslim_keep IMAGE [--keep GLOB] [--drop GLOB] [--also-run CMD]\n";
      return 2;
    }
    const auto source = open_image_source(parse_source_name(name), ".");
    const ImageSet set = read_image_set(*source, {});
    for (const SourceImage& image : set.images)
      keep(*source, image, kept_globs, dropped_globs, commands);
  } catch (const std::exception& error) {
    std::cerr << "imgslim_keep: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
