// SPDX-License-Identifier: Apache-2.0
#include "src/settings.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <initializer_list>

#include "layers/error.h"
#include "layers/manifest.h"
#include "src/yaml_tree.h"

namespace imgslim {
namespace {

constexpr std::string_view kLinkages[] = {"static",      "static-pie",          "static-glibc", "static-musl",
                                          "dynamic-cgo", "dynamic-without-cgo", "plugin"};

// Reads members of one map; what nobody asked for is unknown.
class MapReader {
 public:
  MapReader(const YamlValue& value, std::string_view name, std::string_view what)
      : value_(value), name_(name), what_(what) {
    if (value.kind != YamlValue::Kind::kMap && value.kind != YamlValue::Kind::kNull) {
      throw_yaml(what, value,
                 name.empty() ? "settings are a map of keys" : fmt::format("'{}' takes a map of keys", name));
    }
  }

  // The value of a key, nullptr if it is absent or null.
  const YamlValue* take(std::string_view key) {
    known_.push_back(key);
    const YamlValue* found = value_.find(key);
    return found == nullptr || found->kind == YamlValue::Kind::kNull ? nullptr : found;
  }

  std::optional<std::string> text(std::string_view key) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    return scalar(*found, key);
  }

  std::optional<std::string> choice(std::string_view key, std::initializer_list<std::string_view> choices) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    const std::string text = scalar(*found, key);
    for (const std::string_view choice : choices) {
      if (text == choice) return text;
    }
    fail(*found,
         fmt::format("'{}' is '{}'; it takes {}", key, printable(text, 40), fmt::join(choices, ", ")));
  }

  // A list of texts; one text counts as a list of one.
  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> out;
    const YamlValue* found = take(key);
    if (found == nullptr) return out;
    if (found->kind == YamlValue::Kind::kScalar) return {scalar(*found, key)};
    if (found->kind != YamlValue::Kind::kList) fail(*found, fmt::format("'{}' takes a list", key));
    for (const YamlValue& item : found->items)
      out.push_back(scalar(item, key));
    return out;
  }

  std::vector<Glob> globs(std::string_view key) {
    std::vector<Glob> out;
    for (const std::string& text : texts(key))
      out.push_back(glob(text, *value_.find(key)));
    return out;
  }

  Glob glob(const std::string& text, const YamlValue& at) const {
    try {
      return Glob(text);
    } catch (const Error& error) {
      fail(at, error.what());
    }
  }

  std::optional<bool> boolean(std::string_view key) {
    const auto text = choice(key, {"true", "false"});
    if (!text) return std::nullopt;
    return *text == "true";
  }

  std::optional<unsigned> number(std::string_view key, unsigned lowest, unsigned highest) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    const std::string text = scalar(*found, key);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < lowest || value > highest) {
      fail(*found, fmt::format("'{}' is '{}'; it takes a number from {} to {}", key, printable(text, 40),
                               lowest, highest));
    }
    return value;
  }

  std::optional<std::uint64_t> bytes(std::string_view key) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    return bytes_of(*found, key);
  }

  std::uint64_t bytes_of(const YamlValue& value, std::string_view key) const {
    const std::string text = scalar(value, key);
    const auto bytes = parse_bytes(text);
    if (!bytes) {
      fail(value,
           fmt::format("'{}' is '{}'; it takes bytes such as 20MB or 20MiB", key, printable(text, 40)));
    }
    return *bytes;
  }

  // "5%" is 5; `fraction_too`: "0.05" is 5 as well.
  std::optional<double> percent(std::string_view key, bool fraction_too) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    const std::string text = scalar(*found, key);
    const auto value = percent_in(text, fraction_too);
    if (!value || *value > 100) {
      fail(*found, fmt::format("'{}' is '{}'; it takes {}", key, printable(text, 40),
                               fraction_too ? "a share such as 0.95 or 95%" : "a share such as 5%"));
    }
    return value;
  }

  static std::optional<double> percent_in(std::string text, bool fraction_too) {
    const bool sign = text.ends_with('%');
    if (sign) text.pop_back();
    if (text.empty() || text.size() > 12 || text.find_first_not_of("0123456789.") != std::string::npos) {
      return std::nullopt;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (sign) return value;
    if (!fraction_too || value > 1) return std::nullopt;
    return value * 100;
  }

  std::optional<GrowthLimit> growth(std::string_view key) {
    const YamlValue* found = take(key);
    if (found == nullptr) return std::nullopt;
    const std::string text = scalar(*found, key);
    if (const auto percent = percent_in(text, false)) return GrowthLimit{std::nullopt, percent};
    if (const auto bytes = parse_bytes(text)) return GrowthLimit{bytes, std::nullopt};
    fail(*found, fmt::format("'{}' is '{}'; it takes bytes such as 2MB, or 5%", key, printable(text, 40)));
  }

  // After all keys were taken.
  void end() const {
    for (const YamlValue& key : value_.keys) {
      bool found = false;
      for (const std::string_view known : known_)
        found = found || key.text == known;
      if (found) continue;
      fail(key, fmt::format("unknown key '{}'{}; known are {}", printable(key.text, 60),
                            name_.empty() ? "" : fmt::format(" in '{}'", name_), fmt::join(known_, ", ")));
    }
  }

  [[noreturn]] void fail(const YamlValue& at, std::string_view problem) const {
    throw_yaml(what_, at, problem);
  }

  std::string scalar(const YamlValue& value, std::string_view key) const {
    if (value.kind != YamlValue::Kind::kScalar) fail(value, fmt::format("'{}' takes plain text", key));
    if (value.text.find('\0') != std::string::npos) fail(value, fmt::format("'{}' has a zero byte", key));
    return value.text;
  }

 private:
  const YamlValue& value_;
  const std::string name_;
  const std::string_view what_;
  std::vector<std::string_view> known_;
};

void read_optimize(const YamlValue& value, std::string_view what, OptimizeSettings& out) {
  MapReader map(value, "optimize", what);
  out.accept = map.choice("accept", {"exact", "known", "bounded", "candidate", "unknown"});
  out.also_run = map.texts("also-run");
  out.compression = map.choice("compression", {"gzip", "zstd"});
  if (const auto level = map.number("compression-level", 1, 22))
    out.compression_level = static_cast<int>(*level);
  out.debug_info = map.choice("debug-info", {"keep", "split", "drop", "split,symbols", "drop,symbols"});
  out.drop = map.texts("drop");
  map.globs("drop");
  out.form = map.choice("form", {"auto", "lossless", "tidy", "distroless"});
  out.keep = map.texts("keep");
  map.globs("keep");
  out.keep_base = map.text("keep-base");
  out.keep_package = map.texts("keep-package");
  out.min_form = map.choice("min-form", {"lossless", "tidy", "distroless"});
  out.no_hardlinks = map.boolean("no-hardlinks");
  out.platform = map.texts("platform");
  for (const std::string& platform : out.platform) {
    try {
      Platform::parse(platform);
    } catch (const Error& error) {
      map.fail(*value.find("platform"), error.what());
    }
  }
  out.roots_from = map.texts("roots-from");
  map.end();
  if (out.min_form && out.form.value_or("auto") != "auto") {
    map.fail(*value.find("min-form"), "'form' and 'min-form' exclude each other");
  }
}

// A map of patterns to texts.
template <class Take>
void read_patterns(MapReader& map, std::string_view key, std::string_view what, Take&& take) {
  const YamlValue* value = map.take(key);
  if (value == nullptr) return;
  if (value->kind != YamlValue::Kind::kMap)
    throw_yaml(what, *value, fmt::format("'{}' takes a map of patterns", key));
  for (std::size_t i = 0; i < value->items.size(); ++i)
    take(map.glob(value->keys[i].text, value->keys[i]), value->items[i]);
}

void read_budgets(const YamlValue& value, std::string_view what, Budgets& out) {
  MapReader map(value, "budgets", what);
  out.total = map.bytes("total");
  out.compressed = map.bytes("compressed");
  out.waste = map.bytes("waste");
  out.waste_percent = map.percent("waste-percent", false);
  out.efficiency = map.percent("efficiency", true);
  if (out.efficiency) *out.efficiency /= 100;
  out.baseline = map.text("baseline").value_or("");
  out.total_growth = map.growth("total-growth");
  out.compressed_growth = map.growth("compressed-growth");
  out.ignore = map.globs("ignore");
  read_patterns(map, "paths", what, [&](const Glob& path, const YamlValue& limit) {
    out.paths.push_back({path, map.bytes_of(limit, path.text())});
  });
  for (const std::string& text : map.texts("forbidden")) {
    if (text == "private-keys") {
      out.forbid_private_keys = true;
    } else {
      out.forbidden.push_back(map.glob(text, *value.find("forbidden")));
    }
  }
  read_patterns(map, "linkage", what, [&](const Glob& path, const YamlValue& linkage) {
    const std::string text = map.scalar(linkage, path.text());
    for (const std::string_view known : kLinkages) {
      if (text == known) return out.linkage.push_back({path, text});
    }
    map.fail(linkage,
             fmt::format("'{}' is no linkage; it takes {}", printable(text, 40), fmt::join(kLinkages, ", ")));
  });
  if (const YamlValue* sums = map.take("go-sum"); sums != nullptr) {
    if (sums->kind == YamlValue::Kind::kScalar) {
      out.go_sums.push_back({std::nullopt, map.scalar(*sums, "go-sum")});
    } else {
      read_patterns(map, "go-sum", what, [&](const Glob& path, const YamlValue& file) {
        out.go_sums.push_back({path, map.scalar(file, path.text())});
      });
    }
  }
  map.end();
  if ((out.total_growth || out.compressed_growth) && out.baseline.empty())
    map.fail(value, "growth needs 'baseline', an image or a file that audit --format json wrote");
}

void read_hook(const YamlValue& value, std::string_view what, HookSettings& out) {
  MapReader map(value, "hook", what);
  out.images = map.texts("images");
  out.require_image = map.boolean("require-image").value_or(false);
  out.timeout_seconds = map.number("timeout", 1, 3600).value_or(out.timeout_seconds);
  map.end();
}

bool is_off(const std::string& text) {
  return text.empty() || text == "disabled" || text == "off" || text == "false";
}

}  // namespace

bool Budgets::any() const {
  return total || compressed || waste || waste_percent || efficiency || total_growth || compressed_growth ||
         !paths.empty() || !forbidden.empty() || forbid_private_keys || !linkage.empty() || !go_sums.empty();
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
    ++digits;
  if (digits == 0 || digits > 20) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits) return std::nullopt;
  std::string unit;
  for (const char c : text.substr(digits)) {
    if (c == ' ' && unit.empty()) continue;
    unit += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  if (unit.ends_with('b')) unit.pop_back();
  double base = 1000;
  if (unit.size() == 2 && unit[1] == 'i') {
    base = 1024;
    unit.pop_back();
  }
  const std::size_t power = unit.empty() ? 0 : std::string_view(" kmgt").find(unit);
  if (unit.size() > 1 || power == std::string_view::npos || (!unit.empty() && power == 0))
    return std::nullopt;
  value *= std::pow(base, static_cast<double>(power));
  if (value > 9e18) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(value));
}

Settings parse_settings(std::string_view text, std::string_view what) {
  const YamlValue root = parse_yaml(text, what);
  Settings settings;
  MapReader map(root, "", what);
  map.number("version", 1, 1);
  if (const YamlValue* value = map.take("optimize")) read_optimize(*value, what, settings.optimize);
  if (const YamlValue* value = map.take("budgets")) read_budgets(*value, what, settings.budgets);
  if (const YamlValue* value = map.take("hook")) read_hook(*value, what, settings.hook);
  map.end();
  return settings;
}

Budgets parse_dive_rules(std::string_view text, std::string_view what) {
  const YamlValue root = parse_yaml(text, what);
  Budgets budgets;
  budgets.efficiency = 0.9;
  budgets.waste_percent = 10;
  const YamlValue* rules = root.kind == YamlValue::Kind::kMap ? root.find("rules") : nullptr;
  if (rules == nullptr || rules->kind == YamlValue::Kind::kNull) return budgets;
  MapReader map(*rules, "rules", what);
  // Each rule has a spelling of .dive-ci and one of .dive.yaml.
  const auto rule = [&](std::string_view camel, std::string_view kebab) -> const YamlValue* {
    const YamlValue* found = map.take(camel);
    return found != nullptr ? found : map.take(kebab);
  };
  const auto share = [&](const YamlValue& value) {
    const auto percent = MapReader::percent_in(map.scalar(value, "rules"), true);
    if (!percent || *percent > 100) map.fail(value, "a rule of dive takes a share from 0 to 1");
    return *percent;
  };
  if (const YamlValue* value = rule("lowestEfficiency", "lowest-efficiency")) {
    budgets.efficiency.reset();
    if (!is_off(value->text)) budgets.efficiency = share(*value) / 100;
  }
  if (const YamlValue* value = rule("highestWastedBytes", "highest-wasted-bytes")) {
    if (!is_off(value->text)) budgets.waste = map.bytes_of(*value, "highestWastedBytes");
  }
  if (const YamlValue* value = rule("highestUserWastedPercent", "highest-user-wasted-percent")) {
    budgets.waste_percent.reset();
    if (!is_off(value->text)) budgets.waste_percent = share(*value);
  }
  return budgets;
}

}  // namespace imgslim
