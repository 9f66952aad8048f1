// SPDX-License-Identifier: Apache-2.0
// The formats for other tools: markdown, JUnit, Prometheus.
#include <fmt/format.h>

#include <algorithm>

#include "layers/error.h"
#include "src/audit/formats.h"
#include "src/audit/words.h"
#include "src/progress.h"

namespace imgslim {
namespace {

// A cell of a markdown table: names of images may hold anything.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("|<>`*_[]@").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) {
  std::string out = "`";
  for (const char c : text)
    out += c == '`' ? '\'' : c == '|' ? '/' : c;
  return out + "`";
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// A label's value in Prometheus' text format.
std::string label(std::string_view text) {
  std::string out;
  for (const char c : printable(text, 500)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

std::string image_text(const Audit& audit, const ImageAudit& image) {
  const bool several = std::count_if(audit.images.begin(), audit.images.end(),
                                     [&](const ImageAudit& other) { return other.name == image.name; }) > 1;
  return several ? image.name + ", " + image.platform : image.name;
}

}  // namespace

std::string to_markdown(const Audit& audit, const std::vector<BrokenRule>& broken) {
  std::string out;
  if (!broken.empty()) {
    out += fmt::format("### :x: {} broken\n\n", count_text(broken.size(), "budget"));
    for (const BrokenRule& rule : broken)
      out += fmt::format("- **{}** {}\n", cell(rule.rule), cell(rule.text));
    out += '\n';
  }
  for (const ImageAudit& image : audit.images) {
    out += fmt::format("### {} ({})\n\n", code(printable(image.name)), image.platform);
    out += fmt::format(
        "| compressed | unpacked | waste | efficiency | layers |\n|---:|---:|---:|---:|---:|\n"
        "| {} | {} | {} | {} | {} |\n\n",
        human_bytes(image.compressed()), human_bytes(image.unpacked()), human_bytes(image.waste.bytes),
        percent_text(100 * image.waste.efficiency), image.tables.size());
    out +=
        "<details><summary>Layers</summary>\n\n| | compressed | unpacked | hidden | step "
        "|\n|---:|---:|---:|---:|---|\n";
    for (std::uint32_t i = 0; i < image.tables.size(); ++i) {
      const std::string step = step_text(image.steps[i], 100);
      out += fmt::format("| {} | {} | {} | {} | {} |\n", i + 1, human_bytes(image.tables[i]->blob_size),
                         human_bytes(image.tables[i]->plain_size),
                         human_bytes(image.layers[i].hidden_content), step.empty() ? "" : code(step));
    }
    out +=
        "\n</details>\n\n<details><summary>Largest files</summary>\n\n| unpacked | file | package | layer "
        "|\n|---:|---|---|---:|\n";
    for (std::size_t i = 0; i < std::min<std::size_t>(image.largest.size(), 15); ++i) {
      const EntryRef ref = image.largest[i];
      out += fmt::format("| {} | {} | {} | {} |\n", human_bytes(image.entry(ref).stored_size),
                         code(path_text(image.entry(ref).path)), cell(package_of(image, ref)), ref.layer + 1);
    }
    out += "\n</details>\n";
    if (!image.advice.empty()) {
      out += "\n| could go | advice |\n|---:|---|\n";
      for (std::size_t i = 0; i < std::min<std::size_t>(image.advice.size(), 5); ++i)
        out += fmt::format("| {} | {} |\n", human_bytes(image.advice[i].bytes), cell(image.advice[i].text));
    }
    out += '\n';
  }
  return out;
}

std::string to_junit(const Audit& audit, const std::vector<std::string>& rules,
                     const std::vector<BrokenRule>& broken) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  std::string suites;
  std::size_t tests = 0;
  std::size_t failures = 0;
  for (const ImageAudit& image : audit.images) {
    const std::string name = image_text(audit, image);
    std::string cases;
    std::size_t failed = 0;
    for (const std::string& rule : rules) {
      std::vector<std::string> lines;
      for (const BrokenRule& line : broken) {
        if (line.rule == rule && line.image == name) lines.push_back(line.text);
      }
      const std::string head = fmt::format("    <testcase classname=\"imgslim\" name=\"{}\"", xml(rule));
      if (lines.empty()) {
        cases += head + "/>\n";
        continue;
      }
      ++failed;
      cases += fmt::format("{}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", head,
                           xml(lines[0]), xml(fmt::format("{}", fmt::join(lines, "\n"))));
    }
    suites +=
        fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\">\n{}  </testsuite>\n",
                    xml(printable(name)), rules.size(), failed, cases);
    tests += rules.size();
    failures += failed;
  }
  return out +
         fmt::format("<testsuites name=\"imgslim audit\" tests=\"{}\" failures=\"{}\">\n{}</testsuites>\n",
                     tests, failures, suites);
}

std::string to_metrics(const Audit& audit, const std::vector<BrokenRule>& broken) {
  std::string out;
  const auto head = [&](const char* name, const char* help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
  };
  const auto each = [&](const char* name, const char* help, auto value) {
    head(name, help);
    for (const ImageAudit& image : audit.images) {
      out += fmt::format("{}{{image=\"{}\",platform=\"{}\"}} {}\n", name, label(image.name),
                         label(image.platform), value(image));
    }
  };
  each("imgslim_image_compressed_bytes", "Bytes of all layers as stored.",
       [](const ImageAudit& image) { return image.compressed(); });
  each("imgslim_image_unpacked_bytes", "Bytes of all layers unpacked.",
       [](const ImageAudit& image) { return image.unpacked(); });
  each("imgslim_image_layers", "Number of layers.",
       [](const ImageAudit& image) { return image.tables.size(); });
  each("imgslim_image_waste_bytes", "Bytes of content that no container sees.",
       [](const ImageAudit& image) { return image.waste.bytes; });
  each("imgslim_image_efficiency_ratio", "Share of content that is visible.",
       [](const ImageAudit& image) { return image.waste.efficiency; });
  each("imgslim_image_broken_rules", "Lines of broken budgets.", [&](const ImageAudit& image) {
    const std::string name = image_text(audit, image);
    return std::count_if(broken.begin(), broken.end(),
                         [&](const BrokenRule& rule) { return rule.image == name; });
  });
  head("imgslim_layer_compressed_bytes", "Bytes of a layer as stored.");
  for (const ImageAudit& image : audit.images) {
    for (std::size_t i = 0; i < image.tables.size(); ++i) {
      out += fmt::format("imgslim_layer_compressed_bytes{{image=\"{}\",platform=\"{}\",layer=\"{}\"}} {}\n",
                         label(image.name), label(image.platform), i + 1, image.tables[i]->blob_size);
    }
  }
  head("imgslim_form_saving_bytes", "Unpacked bytes that a form takes away.");
  for (const ImageAudit& image : audit.images) {
    for (const FormSaving& form : image.forms) {
      out += fmt::format("imgslim_form_saving_bytes{{image=\"{}\",platform=\"{}\",form=\"{}\"}} {}\n",
                         label(image.name), label(image.platform), form.form, form.bytes.unpacked);
    }
  }
  return out;
}

}  // namespace imgslim
