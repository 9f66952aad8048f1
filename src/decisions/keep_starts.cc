// SPDX-License-Identifier: Apache-2.0
// What kept programs and libraries start.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/decisions/keep_search.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxNames = 4096;  // of one object, to start

}  // namespace

void KeepSearch::start_program(std::string_view name, const Witness& witness,
                               std::vector<std::string>& found) {
  const auto add = [&](const std::string& path) {
    const auto resolved = reach(path, witness);
    if (resolved && std::find(found.begin(), found.end(), *resolved) == found.end())
      found.push_back(*resolved);
  };
  if (name.empty() || name.starts_with("/proc/")) return;
  if (name.find('*') == std::string_view::npos) {
    if (const auto program = tracer_.look_up(name)) add(*program);
    return;
  }
  std::string path = variable(input_.config.env, "PATH");
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::string folder(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    const auto resolved = folder.empty() ? std::nullopt : resolve_path(input_.files, folder);
    if (!resolved) continue;
    for (const std::string& entry : input_.files.list(*resolved)) {
      if (!matches_glob(entry, name)) continue;
      if (const auto program = tracer_.look_up(join_path(*resolved, entry))) add(*program);
    }
  }
}

void KeepSearch::keep_programs_of(PackageId package, const Witness& witness,
                                  std::vector<std::string>& found) {
  for (const std::uint32_t index : input_.packages.paths_of(package)) {
    const std::string path(input_.packages.paths()[index].path);
    const auto status = input_.files.status(path);
    if (!status || status->kind != FileKind::kRegular || (status->mode & 0111) == 0) continue;
    const std::string head = input_.files.head(path);
    if (!head.starts_with("\177ELF") && !head.starts_with("#!")) continue;
    if (path.starts_with("/usr/share/")) continue;  // examples and samples
    if (file_name(path).find(".so") != std::string_view::npos) continue;
    put(node_of(path), witness);
    found.push_back(path);
  }
}

void KeepSearch::follow_start(const std::string& path, const ExecFinding& finding, Evidence evidence) {
  StartFinding start{path, finding, finding.evidence, {}};
  const auto owner = input_.packages.owner(path);
  const bool is_package_object = owner && is_from_archive(*owner) && !application_[node_of(path)];
  if (start.evidence == Evidence::kUnknown && finding.package.empty() && is_package_object) {
    start.evidence = Evidence::kBounded;
  }
  result_.weakest = std::max(result_.weakest, start.evidence);
  if (start.evidence == Evidence::kUnknown) {
    stop(fmt::format("{} starts a program of unknown name: {}{}", printable(path),
                     finding.function.empty() ? "" : printable(finding.function) + ": ",
                     printable(finding.reason)));
  }
  if (!finding.missing_handled) {
    Witness witness{"exec", path, printable(finding.callee + ": " + finding.reason),
                    std::max(evidence, std::min(start.evidence, Evidence::kCandidate))};
    for (std::size_t i = 0; i < finding.names.size() && i < kMaxNames; ++i)
      start_program(finding.names[i], witness, start.found);
    if (finding.row != nullptr) {
      const std::string done = path + "\n" + std::string(finding.row->key);
      if (finding.names.empty()) {
        for (const std::string_view name : finding.row->names)
          start_program(name, witness, start.found);
      }
      if (rows_done_.insert(done).second) {
        for (const std::string_view glob : finding.row->paths)
          reach_glob(glob, folder_of(path),
                     {"data:knowledge", path, std::string(finding.row->trigger), witness.evidence});
      }
    } else if (start.evidence == Evidence::kBounded && is_package_object) {
      keep_programs_of(*owner, witness, start.found);
    }
  }
  result_.starts.push_back(std::move(start));
}

}  // namespace imgslim
