// SPDX-License-Identifier: Apache-2.0
// The audit for a terminal: tables no wider than it is, the largest rows of each; JSON has them all.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/audit/formats.h"
#include "src/audit/words.h"
#include "src/progress.h"
#include "src/text_page.h"

namespace imgslim {
namespace {

class Page {
 public:
  Page(int width, bool verbose)
      : width_(static_cast<std::size_t>(std::clamp(width, 60, 160))), verbose_(verbose) {}

  void line(std::string text = "") {
    while (text.ends_with(' '))
      text.pop_back();
    out_ += fit(std::move(text), width_) + '\n';
  }
  void wrapped(std::string_view text, std::size_t indent) {
    TextPage page(static_cast<int>(width_));
    page.item(indent, "", indent, text);
    out_ += page.text();
  }
  void heading(std::string_view text) {
    line();
    line(std::string(text));
  }
  // Two sizes and a text.
  void row(std::string_view unpacked, std::string_view compressed, std::string_view text) {
    line(fmt::format("  {:>9} {:>9}  {}", unpacked, compressed, text));
  }
  void row(const Bytes& bytes, std::string_view text) {
    row(human_bytes(bytes.unpacked), human_bytes(bytes.compressed), text);
  }
  // The same, with a text that goes on on the next line.
  void long_row(std::string_view unpacked, std::string_view compressed, std::string_view text) {
    TextPage page(static_cast<int>(width_));
    page.item(2, fmt::format("{:>9} {:>9}", unpacked, compressed), 23, text);
    out_ += page.text();
  }
  // How many rows of a table are shown.
  std::size_t rows(std::size_t all, std::size_t few) const { return verbose_ ? all : std::min(all, few); }
  void left_out(std::size_t all, std::size_t shown) {
    if (all > shown)
      line(fmt::format("  {:>9} {:>9}  and {} more; --verbose shows all", "", "", all - shown));
  }
  const std::string& text() const { return out_; }

 private:
  std::size_t width_;
  bool verbose_;
  std::string out_;
};

void add_layers(const ImageAudit& audit, Page& page) {
  page.heading(fmt::format("layers    unpacked compressed   hidden  step"));
  for (std::uint32_t i = 0; i < audit.tables.size(); ++i) {
    const LayerTable& table = *audit.tables[i];
    page.line(
        fmt::format("{:>4} {:4} {:>9} {:>10} {:>8}  {}", i + 1, i < audit.base_layers ? "base" : "",
                    human_bytes(table.plain_size), human_bytes(table.blob_size),
                    audit.layers[i].hidden_content > 0 ? human_bytes(audit.layers[i].hidden_content) : "-",
                    step_text(audit.steps[i], 200)));
  }
  LayerBytes sum;
  for (const LayerAttribution& layer : audit.layers) {
    sum.content += layer.unpacked.content;
    sum.headers += layer.unpacked.headers;
    sum.padding += layer.unpacked.padding;
    sum.end += layer.unpacked.end;
    sum.unknown += layer.unpacked.unknown;
  }
  page.line(fmt::format("{:>4} {:4} {:>9} {:>10} {:>8}  content {}, tar headers {}, padding {}{}", "", "all",
                        human_bytes(audit.unpacked()), human_bytes(audit.compressed()),
                        human_bytes(audit.waste.bytes), human_bytes(sum.content), human_bytes(sum.headers),
                        human_bytes(sum.padding + sum.end),
                        sum.unknown > 0 ? ", unknown " + human_bytes(sum.unknown) : ""));
  page.wrapped(fmt::format("base: {} by {}", count_text(audit.base_layers, "layer"), audit.base_known_by), 2);
}

void add_waste(const ImageAudit& audit, Page& page) {
  const Waste& waste = audit.waste;
  page.line();
  page.wrapped(fmt::format("waste {} of {} content, efficiency {}; layers above the base: {} of {} ({})",
                           human_bytes(waste.bytes), human_bytes(waste.copies),
                           percent_text(100 * waste.efficiency), human_bytes(waste.user_bytes),
                           human_bytes(waste.user_copies), percent_text(waste.user_percent)),
               0);
  const std::size_t shown = page.rows(waste.groups.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) {
    const WasteGroup& group = waste.groups[i];
    page.long_row(human_bytes(group.bytes), human_bytes(group.compressed),
                  fmt::format("{}: {}, most {}", waste_text(audit, group), count_text(group.files, "file"),
                              path_text(audit.entry(group.largest).path)));
  }
  page.left_out(waste.groups.size(), shown);
  page.wrapped(fmt::format("dive would say: {} wasted, efficiency {}, user wasted {}",
                           human_bytes(audit.dive.wasted_bytes), percent_text(100 * audit.dive.efficiency),
                           audit.dive.has_percent ? percent_text(audit.dive.wasted_percent) : "NaN"),
               2);
}

void add_sums(std::string_view title, const std::vector<NamedSum>& sums, std::string_view nothing,
              Page& page) {
  if (sums.empty()) return;
  page.heading(title);
  const std::size_t shown = page.rows(sums.size(), 10);
  for (std::size_t i = 0; i < shown; ++i) {
    const NamedSum& sum = sums[i];
    page.row(sum.bytes, sum.name.empty() ? std::string(nothing)
                                         : fmt::format("{} {}", printable(sum.name), printable(sum.detail)));
  }
  page.left_out(sums.size(), shown);
}

void add_directories(const ImageAudit& audit, Page& page) {
  // Those of weight; not one that holds little but another of them.
  std::vector<NamedSum> sums;
  for (const NamedSum& sum : audit.directory_sums) {
    if (sum.name.empty() || sum.bytes.unpacked * 50 < audit.unpacked()) continue;
    if (!sums.empty() && sum.name.starts_with(sums.back().name + "/") &&
        sum.bytes.unpacked * 20 >= sums.back().bytes.unpacked * 19) {
      sums.back() = sum;
    } else {
      sums.push_back(sum);
    }
  }
  if (sums.empty()) return;
  page.heading("  unpacked compressed  directory (with what is in it)");
  for (const NamedSum& sum : sums)
    page.row(sum.bytes, path_text(sum.name));
}

void add_files(const ImageAudit& audit, Page& page) {
  if (audit.largest.empty()) return;
  page.heading("  unpacked compressed  file");
  const std::size_t shown = page.rows(audit.largest.size(), 10);
  for (std::size_t i = 0; i < shown; ++i) {
    const EntryRef ref = audit.largest[i];
    const AuditRow& row = audit.row(ref);
    const std::string_view package = package_of(audit, ref);
    std::string text = fmt::format("{}  layer {}", path_text(audit.entry(ref).path), ref.layer + 1);
    if (!package.empty()) text += fmt::format(", package {}", printable(package));
    if (row.visibility != Visibility::kVisible) {
      text += fmt::format(", {} by layer {}", name_of(row.visibility), row.hidden_by + 1);
      if (row.again.is) text += fmt::format(" ({})", row.again.text());
    }
    page.long_row(human_bytes(audit.entry(ref).tar_bytes), human_bytes(row.compressed), text);
  }
  page.left_out(audit.largest.size(), shown);
}

std::string parts_text(const std::vector<NamedBytes>& parts) {
  std::string out;
  for (const NamedBytes& part : parts)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", part.name, human_bytes(part.bytes));
  return out;
}

void add_go(const ImageAudit& audit, Page& page) {
  const std::size_t programs = page.rows(audit.go_programs.size(), 5);
  for (std::size_t i = 0; i < programs; ++i) {
    const GoProgramSize& program = audit.go_programs[i];
    page.heading(fmt::format("Go program {}  {}{}{}", printable(program.path), human_bytes(program.size),
                             program.go_version.empty() ? "" : ", " + printable(program.go_version),
                             program.linkage.empty() ? "" : ", " + program.linkage));
    if (!program.opaque.empty()) page.line("  " + program.opaque);
    page.wrapped(parts_text(program.parts), 2);
    const std::size_t modules = page.rows(program.modules.size(), 8);
    for (std::size_t k = 0; k < modules; ++k) {
      const GoModuleBytes& module = program.modules[k];
      if (module.code == 0) continue;
      std::string packages;
      for (std::size_t p = 0; p < std::min<std::size_t>(module.packages.size(), 3); ++p) {
        const NamedBytes& package = module.packages[p];
        if (package.name.empty()) continue;
        packages += fmt::format("{}{} {}", packages.empty() ? "" : ", ", printable(package.name),
                                human_bytes(package.bytes));
      }
      page.row("", human_bytes(module.code),
               fmt::format("{} {}{}",
                           module.path.empty() ? "C, assembly and generated code" : printable(module.path),
                           printable(module.version), packages.empty() ? "" : ": " + packages));
    }
    page.left_out(program.modules.size(), modules);
    const std::size_t files = page.rows(program.embedded.size(), 3);
    for (std::size_t k = 0; k < files; ++k) {
      page.row("", human_bytes(program.embedded[k].bytes),
               "embedded file " + printable(program.embedded[k].name));
    }
    page.left_out(program.embedded.size(), files);
  }
  if (audit.go_programs.size() > programs)
    page.line(
        fmt::format("  and {} more Go programs; --verbose shows all", audit.go_programs.size() - programs));
}

void add_debug(const ImageAudit& audit, Page& page) {
  if (audit.debug.empty()) return;
  page.heading("     debug   symbols  program");
  const std::size_t shown = page.rows(audit.debug.size(), 5);
  for (std::size_t i = 0; i < shown; ++i) {
    const DebugBytes& file = audit.debug[i];
    page.row(human_bytes(file.bytes.debug), human_bytes(file.bytes.symbols),
             path_text(audit.entry(file.file).path));
  }
  page.left_out(audit.debug.size(), shown);
}

void add_forms(const ImageAudit& audit, Page& page) {
  page.heading("  unpacked compressed  what a form would take away (a dry run of optimize says it exactly)");
  for (const FormSaving& form : audit.forms) {
    page.row(form.bytes, form.form == "distroless"
                             ? "distroless: at least this, and all that no command reaches"
                             : form.form);
  }
}

void add_advice(const ImageAudit& audit, Page& page) {
  if (audit.advice.empty()) return;
  page.heading("  unpacked compressed  advice");
  const std::size_t shown = page.rows(audit.advice.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) {
    const SizeAdvice& advice = audit.advice[i];
    page.long_row(human_bytes(advice.bytes), human_bytes(advice.compressed), advice.text);
  }
  page.left_out(audit.advice.size(), shown);
}

void add_equal(const Audit& audit, Page& page) {
  if (audit.equal.empty()) return;
  std::uint64_t saving = 0;
  for (const EqualFiles& group : audit.equal)
    saving += group.saving;
  page.heading(fmt::format("equal content under several names: {} could be shared", human_bytes(saving)));
  const std::size_t shown = page.rows(audit.equal.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) {
    const EqualFiles& group = audit.equal[i];
    std::string names;
    const std::size_t places = page.rows(group.places.size(), 3);
    for (std::size_t k = 0; k < places; ++k) {
      const EqualFiles::Place& place = group.places[k];
      const ImageAudit& image = audit.images[place.image];
      names += fmt::format("{}{}{}", names.empty() ? "" : ", ",
                           audit.images.size() > 1 ? fmt::format("[{}]", place.image + 1) : "",
                           path_text(image.entry(place.file).path));
    }
    if (group.places.size() > places) names += ", ..";
    page.row(human_bytes(group.saving), "",
             fmt::format("{} x {}: {}", group.places.size(), human_bytes(group.size), names));
  }
  page.left_out(audit.equal.size(), shown);
  if (audit.shared_layer_bytes > 0)
    page.line(fmt::format("  layers that several images have: {} are stored once",
                          human_bytes(audit.shared_layer_bytes)));
}

}  // namespace

std::string to_text(const Audit& audit, int width, bool verbose) {
  Page page(width, verbose);
  for (std::size_t i = 0; i < audit.images.size(); ++i) {
    const ImageAudit& image = audit.images[i];
    if (i > 0) page.line();
    const std::string number = audit.images.size() > 1 ? fmt::format("[{}] ", i + 1) : "";
    page.wrapped(fmt::format("{}{}  {}  {} compressed, {} unpacked", number, printable(image.name),
                             image.platform, human_bytes(image.compressed()), human_bytes(image.unpacked())),
                 0);
    add_layers(image, page);
    add_waste(image, page);
    add_sums("  unpacked compressed  package", image.package_sums, "(no package)", page);
    add_directories(image, page);
    add_files(image, page);
    add_sums("  unpacked compressed  leftovers by rule", image.rule_sums, "", page);
    add_go(image, page);
    add_debug(image, page);
    add_forms(image, page);
    add_advice(image, page);
  }
  add_equal(audit, page);
  page.line();
  page.line("compressed sizes of files are shares of their layer's bytes, stretch by stretch");
  return page.text();
}

}  // namespace imgslim
