// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "src/audit/budgets.h"
#include "src/audit/image_diff.h"
#include "src/settings.h"
#include "tests/support/audited_image.h"
#include "tests/support/elf_builder.h"
#include "tests/support/go_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

// The broken rules as lines.
std::vector<std::string> broken(const ImageAudit& audit, const std::string& budgets,
                                const Footprint* baseline = nullptr,
                                const std::map<std::string, std::string>& host = {}) {
  const Settings settings = parse_settings("budgets:\n" + budgets, "imgslim.yaml");
  BudgetInput input{settings.budgets, nullptr, nullptr, nullptr};
  input.baseline = [&](const std::string&) { return baseline; };
  input.read = [&](EntryRef file, std::uint64_t length) {
    // What a private key begins with; other contents are not looked at here.
    return audit.entry(file).path == "etc/cert"
               ? std::string("-----BEGIN CERTIFICATE-----\n").substr(0, length)
               : std::string("-----BEGIN EC PRIVATE KEY-----\n").substr(0, length);
  };
  input.read_host = [&](const std::string& file) -> std::optional<std::string> {
    const auto found = host.find(file);
    if (found == host.end()) return std::nullopt;
    return found->second;
  };
  std::vector<std::string> lines;
  for (const BrokenRule& rule : check_budgets(audit, "oci:test", input))
    lines.push_back(rule.line());
  return lines;
}

ImageAudit small_image() {
  return audit_of(layers_of_lines({"f etc/a : 1234567890", "f usr/bin/b : 12345\nf etc/a : 123"}));
}

}  // namespace

TEST_CASE("budgets: sizes name the largest file above the base, with layer and package") {
  const ImageAudit image = small_image();
  CHECK(broken(image, "  total: 1MB\n  compressed: 1MB\n").empty());
  const auto lines = broken(image, "  total: 1kB\n  compressed: 1kB\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("oci:test: total: "));
  CHECK(lines[0].find("over 1.0 kB; largest: 5 B in layer 2 (RUN step-2), no package, /usr/bin/b") !=
        std::string::npos);
  CHECK(lines[1].starts_with("oci:test: compressed: "));
}

TEST_CASE("budgets: waste, its percent and efficiency hold at the threshold and break behind it") {
  const ImageAudit image = small_image();
  CHECK(broken(image, "  waste: 10B\n").empty());
  const auto waste = broken(image, "  waste: 9B\n");
  REQUIRE(waste.size() == 1);
  CHECK(waste[0] ==
        "oci:test: waste: 10 B is 1 B over 9 B; most: 10 B because layer 2 (RUN step-2) replaces what layer "
        "1 brought; "
        "layer 1 (RUN step-1), no package, /etc/a");
  CHECK(broken(image, "  efficiency: 0.44\n").empty());
  CHECK(broken(image, "  efficiency: 0.45\n").size() == 1);
  CHECK(broken(image, "  waste-percent: 100%\n").size() == 1);
}

TEST_CASE("budgets: paths sum what a pattern covers, less what is ignored") {
  const ImageAudit image = small_image();
  CHECK(broken(image, "  paths: {usr/**: 5B, etc: 3B}\n").empty());
  const auto lines = broken(image, "  paths: {usr/**: 4B}\n");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("paths: usr/**: 5 B is 1 B over 4 B; largest: 5 B in layer 2") != std::string::npos);
  CHECK(broken(image, "  paths: {usr/**: 4B}\n  ignore: [usr/bin/b]\n").empty());
}

TEST_CASE("budgets: what is forbidden is found in any layer, deleted or not") {
  const ImageAudit image =
      audit_of(layers_of_lines({"f app/.git/config : x\nf app/.env : y\nf z : 1", "w app"}));
  const auto lines = broken(image, "  forbidden: ['**/.git', '**/.env']\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        "oci:test: forbidden: **/.git: layer 1 (RUN step-1), no package, /app/.git/config; deleted by layer "
        "2, and "
        "still in the image for everyone who pulls it");
  CHECK(broken(image, "  forbidden: ['**/.git', '**/.env']\n  ignore: [app/.env, app/.git]\n").empty());
}

TEST_CASE("budgets: private keys are known by what they begin with") {
  const std::string tail(60, 'x');
  const ImageAudit image = audit_of(layers_of_lines({"f etc/key : -----BEGIN EC PRIVATE KEY-----" + tail,
                                                     "f etc/cert : -----BEGIN CERTIFICATE-----" + tail}));
  const auto lines = broken(image, "  forbidden: [private-keys]\n");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("private-keys: layer 1 (RUN step-1), no package, /etc/key") != std::string::npos);
}

TEST_CASE("budgets: growth against a baseline names what grew and whose it is") {
  const ImageAudit before = audit_of(layers_of_lines({"f base : 1", "f app : 12"}), {}, {}, "oci:old");
  const ImageAudit after =
      audit_of(layers_of_lines({"f base : 1", "f app : " + std::string(5000, 'x')}), {}, {}, "oci:new");
  const Footprint baseline = footprint_of(before);
  CHECK(broken(after, "  baseline: x\n  total-growth: 5kB\n", &baseline).empty());
  const auto lines =
      broken(after, "  baseline: x\n  total-growth: 1kB\n  compressed-growth: 1%\n", &baseline);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("of oci:old, over 1.0 kB; most: +4.6 kB (own code) in layer 2 (RUN step-2), no "
                      "package, /app") != std::string::npos);
  CHECK(lines[1].find("over 1.0%") != std::string::npos);
}

TEST_CASE("budgets: linkage of programs") {
  ElfDescription dynamic;
  dynamic.interpreter = "/lib64/ld-linux-x86-64.so.2";
  TarBuilder builder;
  builder.entry('0', "app", "", {}, build_elf(dynamic));
  const ImageAudit image = audit_of({{builder.closed(), "COPY app /"}});
  const auto lines = broken(image, "  linkage: {app: static, other: static}\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].find("other: no program is there") != std::string::npos);
}

TEST_CASE("budgets: rules are listed in the order in which they are checked") {
  const Settings settings = parse_settings("budgets: {go-sum: go.sum, waste: 1B, total: 1B}", "x");
  CHECK(rules_of(settings.budgets) == std::vector<std::string>{"total", "waste", "go-sum"});
}
