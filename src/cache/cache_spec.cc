// SPDX-License-Identifier: Apache-2.0
#include "src/cache/cache_spec.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "layers/error.h"

namespace imgslim {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

// Fields divided by commas; the first may be a REF alone.
Fields fields_of(const std::string& text, std::string_view option) {
  Fields fields;
  std::size_t begin = 0;
  if (const std::string first = text.substr(0, text.find(',')); first.find('=') == std::string::npos) {
    fields = {{"type", "registry"}, {"ref", first}};
    begin = first.size() + 1;
  }
  for (std::size_t at = begin; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string field = text.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos || equals == 0)
      throw_usage(
          fmt::format("{} {}: '{}' is no KEY=VALUE", option, printable(text, 80), printable(field, 40)));
    if (!fields.emplace(field.substr(0, equals), field.substr(equals + 1)).second)
      throw_usage(
          fmt::format("{} {}: {} is given twice", option, printable(text, 80), field.substr(0, equals)));
  }
  return fields;
}

std::string take(Fields& fields, std::string_view key) {
  const auto found = fields.find(key);
  if (found == fields.end()) return {};
  std::string value = std::move(found->second);
  fields.erase(found);
  return value;
}

CacheSpec parse(const std::string& text, std::string_view option, std::string_view folder_key) {
  const auto fail = [&](const std::string& reason) {
    throw_usage(fmt::format("{} {}: {}", option, printable(text, 80), reason));
  };
  Fields fields = fields_of(text, option);
  CacheSpec spec;
  const std::string type = take(fields, "type");
  if (type == "registry") {
    const std::string reference = take(fields, "ref");
    if (reference.empty()) fail("type=registry needs ref=REF");
    const bool is_spelled = reference.starts_with("docker://");
    spec.name = parse_destination_name(is_spelled ? reference : "docker://" + reference);
  } else if (type == "local") {
    const std::string folder = take(fields, folder_key);
    if (folder.empty()) fail(fmt::format("type=local needs {}=DIR", folder_key));
    spec.name.transport = Transport::kOci;
    spec.name.location = folder;
    spec.name.reference = take(fields, "tag");
  } else {
    fail(type.empty() ? "type=registry or type=local is missing"
                      : fmt::format("type={} is not known; registry and local are", printable(type, 40)));
  }
  if (folder_key == "dest") {
    const std::string mode = take(fields, "mode");
    if (!mode.empty() && mode != "min" && mode != "max") fail("mode is min or max");
    spec.with_layers = mode == "max";
    const std::string ignore = take(fields, "ignore-error");
    if (!ignore.empty() && ignore != "true" && ignore != "false") fail("ignore-error is true or false");
    spec.ignore_error = ignore == "true";
  }
  if (!fields.empty())
    fail(fmt::format("'{}' is not known for type={}", printable(fields.begin()->first, 40), type));
  return spec;
}

}  // namespace

CacheSpec parse_cache_from(const std::string& text) {
  return parse(text, "--cache-from", "src");
}

CacheSpec parse_cache_to(const std::string& text) {
  return parse(text, "--cache-to", "dest");
}

}  // namespace imgslim
