// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "src/audit/image_diff.h"
#include "src/audit/words.h"
#include "src/progress.h"
#include "src/version.h"

namespace imgslim {
namespace {

std::string owners_text(const ImageDiff& diff) {
  std::string out;
  for (const Owner owner : {Owner::kBase, Owner::kDependency, Owner::kOwn}) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name_of(owner),
                       signed_bytes(diff.by_owner[static_cast<std::size_t>(owner)]));
  }
  return out + fmt::format(", headers and archive ends {}", signed_bytes(diff.rest));
}

std::string growth_text(std::uint64_t before, std::uint64_t after) {
  const auto delta = static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
  const std::string percent =
      before > 0 ? fmt::format(", {:+.1f}%", 100 * static_cast<double>(delta) / static_cast<double>(before))
                 : "";
  return fmt::format("{} -> {} ({}{})", human_bytes(before), human_bytes(after), signed_bytes(delta),
                     percent);
}

std::string_view name_of(LayerChangeRow::Kind kind) {
  switch (kind) {
    case LayerChangeRow::Kind::kSame:
      return "same";
    case LayerChangeRow::Kind::kNew:
      return "new";
    case LayerChangeRow::Kind::kGone:
      return "gone";
  }
  return "";
}

struct Table {
  std::string_view title;
  std::string_view noun;
  const std::vector<Change>& rows;
  std::size_t few;
};

std::vector<Table> tables_of(const ImageDiff& diff) {
  return {{"package", "packages", diff.packages, 10},
          {"code of a Go module", "modules", diff.modules, 10},
          {"code of a Go package", "packages", diff.go_packages, 10},
          {"file", "files", diff.files, 15}};
}

Json changes_json(const std::vector<Change>& changes) {
  Json out = Json::array();
  for (const Change& change : changes) {
    out.push_back({{"name", change.name},
                   {"detail", change.detail.empty() ? Json(nullptr) : Json(change.detail)},
                   {"owner", name_of(change.owner)},
                   {"before", change.before},
                   {"after", change.after},
                   {"delta", change.delta()},
                   {"compressed_delta", change.compressed}});
  }
  return out;
}

Json side_json(const std::string& name, const std::string& digest, std::uint64_t compressed,
               std::uint64_t unpacked) {
  return {{"name", name}, {"digest", digest}, {"compressed", compressed}, {"unpacked", unpacked}};
}

// A cell of a markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '`') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

Json to_json(const std::vector<ImageDiff>& diffs) {
  Json images = Json::array();
  for (const ImageDiff& diff : diffs) {
    Json layers = Json::array();
    for (const LayerChangeRow& layer : diff.layers) {
      layers.push_back({{"layer", layer.number},
                        {"change", name_of(layer.kind)},
                        {"digest", layer.digest},
                        {"step", layer.step.empty() ? Json(nullptr) : Json(layer.step)},
                        {"compressed", layer.compressed},
                        {"unpacked", layer.unpacked}});
    }
    Json owners = Json::object();
    for (const Owner owner : {Owner::kBase, Owner::kDependency, Owner::kOwn})
      owners[std::string(name_of(owner))] = diff.by_owner[static_cast<std::size_t>(owner)];
    owners["rest"] = diff.rest;
    images.push_back(
        {{"platform", diff.platform},
         {"before",
          side_json(diff.name_before, diff.digest_before, diff.compressed_before, diff.unpacked_before)},
         {"after", side_json(diff.name_after, diff.digest_after, diff.compressed_after, diff.unpacked_after)},
         {"pull", diff.pull},
         {"pull_by_chain", diff.pull_by_chain},
         {"unpacked_by_owner", std::move(owners)},
         {"layers", std::move(layers)},
         {"packages", changes_json(diff.packages)},
         {"modules", changes_json(diff.modules)},
         {"go_packages", changes_json(diff.go_packages)},
         {"files", changes_json(diff.files)}});
  }
  return {
      {"version", 1}, {"tool", {{"name", "imgslim"}, {"version", kVersion}}}, {"images", std::move(images)}};
}

std::string to_text(const std::vector<ImageDiff>& diffs, int width, bool verbose) {
  const std::size_t columns = static_cast<std::size_t>(std::clamp(width, 60, 160));
  std::string out;
  const auto add = [&](std::string text) {
    while (text.ends_with(' '))
      text.pop_back();
    out += fit(std::move(text), columns) + '\n';
  };
  for (const ImageDiff& diff : diffs) {
    if (!out.empty()) add("");
    add(fmt::format("{}  {} -> {}", diff.platform, diff.name_before, diff.name_after));
    add(fmt::format("  compressed  {}", growth_text(diff.compressed_before, diff.compressed_after)));
    add(fmt::format("  unpacked    {}", growth_text(diff.unpacked_before, diff.unpacked_after)));
    add(fmt::format("  to pull     {} for a node that has the first{}", human_bytes(diff.pull),
                    diff.pull_by_chain != diff.pull
                        ? fmt::format(" ({} with Docker's graph driver)", human_bytes(diff.pull_by_chain))
                        : ""));
    add(fmt::format("  whose       {}", owners_text(diff)));
    add("");
    add("    layer  compressed  unpacked  step");
    for (const LayerChangeRow& layer : diff.layers) {
      add(fmt::format("{:>4} {:4} {:>11} {:>9}  {}", layer.number, name_of(layer.kind),
                      human_bytes(layer.compressed), human_bytes(layer.unpacked), layer.step));
    }
    for (const Table& table : tables_of(diff)) {
      if (table.rows.empty()) continue;
      add("");
      add(fmt::format("  unpacked compressed  {}", table.title));
      const std::size_t shown = verbose ? table.rows.size() : std::min(table.rows.size(), table.few);
      for (std::size_t i = 0; i < shown; ++i) {
        const Change& change = table.rows[i];
        add(fmt::format("  {:>9} {:>9}  {}{} [{}]", signed_bytes(change.delta()),
                        change.compressed != 0 ? signed_bytes(change.compressed) : "", change.name,
                        change.detail.empty() ? "" : "  " + change.detail, name_of(change.owner)));
      }
      if (table.rows.size() > shown)
        add(fmt::format("  {:>9} {:>9}  and {} more; --verbose shows all", "", "",
                        table.rows.size() - shown));
    }
  }
  return out;
}

std::string to_markdown(const std::vector<ImageDiff>& diffs) {
  std::string out;
  for (const ImageDiff& diff : diffs) {
    out += fmt::format("### Image size, {}\n\n| | before | after | change |\n|---|---:|---:|---:|\n",
                       diff.platform);
    const auto sizes = [&](std::string_view name, std::uint64_t before, std::uint64_t after) {
      out += fmt::format("| {} | {} | {} | {} |\n", name, human_bytes(before), human_bytes(after),
                         signed_bytes(static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before)));
    };
    sizes("compressed", diff.compressed_before, diff.compressed_after);
    sizes("unpacked", diff.unpacked_before, diff.unpacked_after);
    out += fmt::format("\nTo pull for a node that has the first: {}. By owner, unpacked: {}.\n",
                       human_bytes(diff.pull), owners_text(diff));
    for (const Table& table : tables_of(diff)) {
      if (table.rows.empty()) continue;
      out += fmt::format(
          "\n<details><summary>{} {} changed</summary>\n\n| change | {} | | whose |\n|---:|---|---|---|\n",
          table.rows.size(), table.noun, table.title);
      const std::size_t shown = std::min<std::size_t>(table.rows.size(), 20);
      for (std::size_t i = 0; i < shown; ++i) {
        const Change& change = table.rows[i];
        out += fmt::format("| {} | {} | {} | {} |\n", signed_bytes(change.delta()), cell(change.name),
                           cell(change.detail), name_of(change.owner));
      }
      out += "\n</details>\n";
    }
  }
  return out;
}

}  // namespace imgslim
