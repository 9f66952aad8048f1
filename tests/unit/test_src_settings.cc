// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>

#include "layers/error.h"
#include "src/settings.h"
#include "src/yaml_tree.h"
#include "tests/support/temporary_directory.h"

using namespace imgslim;

namespace {

// The message of the usage error, "" if there is none.
std::string refusal(std::string_view text) {
  try {
    parse_settings(text, "imgslim.yaml");
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kUsage);
    return error.what();
  }
  return "";
}

bool says(std::string_view text, std::string_view part) {
  const std::string message = refusal(text);
  INFO("message: " << message);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("settings: all keys of optimize, budgets and hook") {
  const Settings settings = parse_settings(R"(
version: 1
optimize:
  min-form: tidy
  accept: known
  keep: [etc/app/**, "usr/share/x y"]
  keep-package: ca-certificates
  drop: [usr/share/doc]
  also-run: ["/bin/migrate --all"]
  roots-from: [deploy/pod.yaml]
  keep-base: 2
  debug-info: split
  compression: zstd
  compression-level: 12
  no-hardlinks: true
  platform: [linux/amd64]
budgets:
  total: 200MB
  compressed: 80 MiB
  waste: 1.5kB
  waste-percent: 5%
  efficiency: 0.95
  baseline: oci:release
  total-growth: 10MB
  compressed-growth: 2.5%
  ignore: ["usr/share/zoneinfo/**"]
  paths: {"usr/local/bin/*": 20MB}
  forbidden: ["**/.git", private-keys]
  linkage: {usr/local/bin/app: static}
  go-sum: go.sum
hook:
  images: [oci:build]
  require-image: true
  timeout: 5
)",
                                           "imgslim.yaml");
  const OptimizeSettings& optimize = settings.optimize;
  CHECK(!optimize.form);
  CHECK(optimize.min_form == "tidy");
  CHECK(optimize.accept == "known");
  CHECK(optimize.keep == std::vector<std::string>{"etc/app/**", "usr/share/x y"});
  CHECK(optimize.keep_package == std::vector<std::string>{"ca-certificates"});
  CHECK(optimize.drop == std::vector<std::string>{"usr/share/doc"});
  CHECK(optimize.also_run == std::vector<std::string>{"/bin/migrate --all"});
  CHECK(optimize.roots_from == std::vector<std::string>{"deploy/pod.yaml"});
  CHECK(optimize.keep_base == "2");
  CHECK(optimize.debug_info == "split");
  CHECK(optimize.compression == "zstd");
  CHECK(optimize.compression_level == 12);
  CHECK(optimize.no_hardlinks == true);
  CHECK(optimize.platform == std::vector<std::string>{"linux/amd64"});
  const Budgets& budgets = settings.budgets;
  CHECK(budgets.total == 200000000);
  CHECK(budgets.compressed == 80u << 20);
  CHECK(budgets.waste == 1500);
  CHECK(budgets.waste_percent == 5);
  CHECK(*budgets.efficiency == doctest::Approx(0.95));
  CHECK(budgets.baseline == "oci:release");
  CHECK(budgets.total_growth->bytes == 10000000);
  CHECK(!budgets.total_growth->percent);
  CHECK(*budgets.compressed_growth->percent == 2.5);
  REQUIRE(budgets.paths.size() == 1);
  CHECK(budgets.paths[0].path.covers("usr/local/bin/app"));
  CHECK(budgets.paths[0].bytes == 20000000);
  REQUIRE(budgets.forbidden.size() == 1);
  CHECK(budgets.forbidden[0].covers("src/app/.git/config"));
  CHECK(budgets.forbid_private_keys);
  REQUIRE(budgets.linkage.size() == 1);
  CHECK(budgets.linkage[0].linkage == "static");
  REQUIRE(budgets.go_sums.size() == 1);
  CHECK(budgets.go_sums[0].file == "go.sum");
  CHECK(settings.hook.images == std::vector<std::string>{"oci:build"});
  CHECK(settings.hook.require_image);
  CHECK(settings.hook.timeout_seconds == 5);
}

TEST_CASE("settings: nothing set is nothing asked") {
  for (const char* text : {"", "# only a comment\n", "budgets:\n", "optimize: {}\nhook:\n"}) {
    const Settings settings = parse_settings(text, "imgslim.yaml");
    CHECK(!settings.budgets.any());
    CHECK(settings.hook.images.empty());
    CHECK(settings.hook.timeout_seconds == 30);
  }
}

TEST_CASE("settings: an unknown key is named with its line") {
  CHECK(says("budgets:\n  total: 5MB\n  totl: 6MB\n", "imgslim.yaml:3: unknown key 'totl' in 'budgets'"));
  CHECK(says("optimise: {}\n", "imgslim.yaml:1: unknown key 'optimise'; known are"));
  CHECK(says("hook: {images: [a], fail: 1}\n", "unknown key 'fail' in 'hook'"));
}

TEST_CASE("settings: a value that is none is named with its line") {
  CHECK(says("optimize:\n\n  form: small\n", ":3: 'form' is 'small'; it takes auto, lossless"));
  CHECK(says("optimize: {form: tidy, min-form: tidy}", "exclude each other"));
  CHECK(says("optimize: {platform: [amd64]}", ":1: "));
  CHECK(says("optimize: {keep: {a: b}}", "'keep' takes a list"));
  CHECK(says("optimize: {keep: [[a]]}", "'keep' takes plain text"));
  CHECK(says("optimize: {drop: ['']}", "empty pattern"));
  CHECK(says("optimize: {compression-level: 23}", "from 1 to 22"));
  CHECK(says("budgets: {total: big}", "it takes bytes such as 20MB"));
  CHECK(says("budgets: {total: -5}", "it takes bytes such as 20MB"));
  CHECK(says("budgets: {efficiency: 95}", "it takes a share"));
  CHECK(says("budgets: {total-growth: 5%}", "growth needs 'baseline'"));
  CHECK(says("budgets: {linkage: {a: solid}}", "is no linkage"));
  CHECK(says("budgets: {paths: [a]}", "map of patterns"));
  CHECK(says("hook: {timeout: 0}", "from 1 to 3600"));
  CHECK(says("hook: {require-image: yes}", "it takes true, false"));
  CHECK(says("version: 2", "'version' is '2'"));
  CHECK(says("- a\n", "map of keys"));
}

TEST_CASE("settings: hostile documents are refused early") {
  CHECK(says("a: &x 1\nb: *x\n", ":1: anchors are not taken"));
  CHECK(says("budgets: !!python/object {}\n", "tags are not taken"));
  CHECK(says("hook: {}\nhook: {}\n", ":2: the key 'hook' stands here twice"));
  CHECK(says("a: {}\n--- {}\n", "second document"));
  CHECK(says(std::string(5000, '['), "deeper than 16"));
  CHECK(says("a: [" + std::string(300000, 'x') + "]", "larger than"));
  std::string many = "optimize: {keep: [";
  for (int i = 0; i < 20001; ++i)
    many += "a,";
  CHECK(says(many + "a]}", "more than 20000 values"));
  CHECK(says("a: [b\n", "imgslim.yaml:"));
  CHECK(says("optimize: {also-run: [\"a\\0b\"]}", "zero byte"));
}

TEST_CASE("settings: sizes in the units people write") {
  CHECK(parse_bytes("0") == 0);
  CHECK(parse_bytes("512") == 512);
  CHECK(parse_bytes("20MB") == 20000000);
  CHECK(parse_bytes("20 mib") == 20u << 20);
  CHECK(parse_bytes("1.5G") == 1500000000);
  CHECK(parse_bytes("1KiB") == 1024);
  CHECK(parse_bytes("7B") == 7);
  for (const char* text : {"", "MB", "-1", "1x", "1 kk", "1e3", "1.2.3", "99999999999999999999"}) {
    INFO(text);
    CHECK(!parse_bytes(text));
  }
}

TEST_CASE("settings: rules of dive, in both spellings, with its defaults") {
  Budgets rules =
      parse_dive_rules("rules:\n  lowestEfficiency: 0.97\n  highestWastedBytes: 20MB\n", ".dive-ci");
  CHECK(*rules.efficiency == doctest::Approx(0.97));
  CHECK(rules.waste == 20000000);
  CHECK(rules.waste_percent == 10);
  rules = parse_dive_rules(
      "keybinding: {quit: ctrl+c}\nrules:\n  lowest-efficiency: off\n  highest-wasted-bytes: disabled\n"
      "  highest-user-wasted-percent: 0.2\n",
      ".dive.yaml");
  CHECK(!rules.efficiency);
  CHECK(!rules.waste);
  CHECK(*rules.waste_percent == doctest::Approx(20));
  rules = parse_dive_rules("", ".dive-ci");
  CHECK(*rules.efficiency == doctest::Approx(0.9));
  CHECK_THROWS_AS(parse_dive_rules("rules: {lowestEfficiency: much}", ".dive-ci"), Error);
}

TEST_CASE("settings: found from below, up to the top of the repository") {
  const TemporaryDirectory top;
  write_test_file(top / "imgslim.yaml", "budgets: {total: 1MB}\n");
  write_test_file(top / "repository/.git/HEAD", "ref: x\n");
  write_test_file(top / "repository/a/b/x", "");
  CHECK(find_settings(top / "repository/a/b").file.empty());
  write_test_file(top / "repository/.dive-ci", "rules: {lowestEfficiency: 0.5}\n");
  CHECK(*find_settings(top / "repository/a/b").budgets.efficiency == doctest::Approx(0.5));
  write_test_file(top / "repository/imgslim.yaml", "budgets: {total: 2MB}\n");
  const Settings found = find_settings(top / "repository/a/b");
  CHECK(found.budgets.total == 2000000);
  CHECK(!found.budgets.efficiency);
  CHECK(found.path_of("go.sum") == std::filesystem::canonical(top.path()).string() + "/repository/go.sum");
  CHECK(found.path_of("/etc/x") == "/etc/x");
  write_test_file(top / "repository/imgslim.yaml", "hook: {images: [x]}\n");
  CHECK(*find_settings(top / "repository").budgets.efficiency == doctest::Approx(0.5));
}
