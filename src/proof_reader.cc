// SPDX-License-Identifier: Apache-2.0
// Reads the document of imgslim-proof(5), every number and text within its limits.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include "layers/digest.h"
#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/tar.h"
#include "src/proof_parts.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxText = 16384;
constexpr std::size_t kMaxSectionName = 256;
// Rows are short and paths long: what all of them take once written out is bounded too.
constexpr std::size_t kMaxPathBytes = std::size_t{128} << 20;
constexpr std::size_t kMaxPlatforms = 100;
constexpr JsonLimits kLimits{kMaxProofBytes, 16, 4000000};

class Reader {
 public:
  explicit Reader(std::string_view what) : what_(what) {}

  Proof read(std::string_view text) {
    const Json json = parse_json(text, what_, kLimits);
    require_object(json, what_);
    if (size_member(json, "version", what_) != kProofVersion) fail("the version is not 1");
    Proof proof;
    const Json& tool = object(json, "tool");
    proof.version = string_member(tool, "version", what_);
    proof.rules = string_member(tool, "rules", what_);
    for (const auto& [name, version] : object(tool, "libraries").items()) {
      if (!version.is_string()) fail("a library's version is no string");
      proof.libraries.emplace_back(name, version.get<std::string>());
    }
    const auto form = form_named(string_member(json, "form", what_));
    if (!form) fail("there is no such form");
    proof.form = *form;
    proof.accept = evidence(member(json, "accept"));
    proof.options = texts(member(json, "options"));
    proof.source_digest = digest(json, "source");
    proof.result_digest = digest(json, "result");
    const Json& platforms = array(json, "platforms");
    if (platforms.empty() || platforms.size() > kMaxPlatforms) fail("there is no platform, or too many");
    for (const Json& platform : platforms)
      proof.platforms.push_back(read_platform(platform));
    return proof;
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw_bad_image(fmt::format("{}: {}", what_, problem));
  }

  const Json& member(const Json& json, const char* key) const {
    const Json* found = find_member(json, key);
    if (found == nullptr) fail(fmt::format("\"{}\" is missing", key));
    return *found;
  }
  const Json& object(const Json& json, const char* key) const {
    const Json& found = member(json, key);
    require_object(found, fmt::format("{}: {}", what_, key));
    return found;
  }
  const Json& array(const Json& json, const char* key) const {
    const Json& found = member(json, key);
    if (!found.is_array()) fail(fmt::format("\"{}\" is no list", key));
    return found;
  }

  std::string text(const Json& value, std::size_t limit = kMaxText) const {
    if (!value.is_string()) fail("a text is no string");
    const auto& raw = value.get_ref<const std::string&>();
    auto bytes = raw.size() <= limit * 4 ? unescape_bytes(raw) : std::nullopt;
    if (!bytes || bytes->size() > limit)
      fail(fmt::format("\"{}\" is too long or wrongly escaped", printable(raw, 60)));
    return std::move(*bytes);
  }
  std::vector<std::string> texts(const Json& value) const {
    if (!value.is_array()) fail("a list of texts is no list");
    std::vector<std::string> out;
    for (const Json& item : value)
      out.push_back(text(item));
    return out;
  }
  std::uint64_t number(const Json& value,
                       std::uint64_t limit = std::numeric_limits<std::int64_t>::max()) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit)
      fail("a number is none, or too large");
    return value.get<std::uint64_t>();
  }
  std::uint32_t index(const Json& value, std::size_t count) const {
    const std::uint64_t found = number(value, std::numeric_limits<std::uint32_t>::max());
    if (found >= count) fail(fmt::format("the number {} points behind its table", found));
    return static_cast<std::uint32_t>(found);
  }
  Evidence evidence(const Json& value) const {
    for (const Evidence each :
         {Evidence::kExact, Evidence::kKnown, Evidence::kBounded, Evidence::kCandidate, Evidence::kUnknown}) {
      if (value.is_string() && value.get_ref<const std::string&>() == name_of(each)) return each;
    }
    fail("there is no such class of evidence");
  }
  std::string digest(const Json& json, const char* key) const {
    const std::string found = string_member(json, key, what_);
    if (!Digest::parse(found)) fail(fmt::format("\"{}\" is no digest", key));
    return found;
  }
  void require_row(const Json& row, std::size_t size) const {
    if (!row.is_array() || row.size() != size) fail("a row has another number of elements");
  }

  ProofPlatform read_platform(const Json& json) {
    require_object(json, what_);
    ProofPlatform platform;
    platform.platform = text(member(json, "platform"), 255);
    platform.source_digest = digest(json, "source");
    platform.result_digest = digest(json, "result");
    platform.weakest = evidence(member(json, "weakest"));
    for (const Json& root : array(json, "roots")) {
      require_object(root, what_);
      platform.roots.push_back({text(member(root, "origin")), texts(member(root, "argv")),
                                text(member(root, "program"), kMaxPath)});
    }
    for (const Json& row : array(json, "attributes"))
      platform.attributes.push_back(read_attributes(text(row, 255)));
    const Json& paths = array(json, "paths");
    for (const Json& row : array(json, "witnesses")) {
      require_row(row, 4);
      ProofWitness witness{text(row[0], 255), {}, {}, text(row[3]), evidence(row[1])};
      if (row[2].is_string()) {
        witness.origin = text(row[2]);
      } else {
        witness.path = index(row[2], paths.size());
      }
      platform.witnesses.push_back(std::move(witness));
    }
    read_paths(paths, platform);
    read_dropped(json, platform);
    if (json.contains("debug_info")) read_debug_files(array(json, "debug_info"), platform);
    for (const Json& finding : array(json, "findings"))
      platform.findings.push_back(read_finding(finding, platform));
    platform.not_covered = texts(member(json, "not_covered"));
    return platform;
  }

  ProofAttributes read_attributes(const std::string& line) const {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == ' ') {
        words.emplace_back();
      } else {
        words.back() += c;
      }
    }
    const auto value = [&](const std::string& word, int base, std::uint64_t limit) {
      std::uint64_t out = 0;
      bool good = !word.empty() && word.size() <= 10;
      for (const char c : word) {
        good = good && c >= '0' && c < '0' + base;
        out = out * static_cast<std::uint64_t>(base) + static_cast<std::uint64_t>(c - '0');
      }
      if (!good || out > limit) fail(fmt::format("\"{}\" are no attributes", printable(line)));
      return static_cast<std::uint32_t>(out);
    };
    if (words.size() < 4 || words.size() > 5 || words[0].size() != 1 ||
        std::string_view("fdlcbp").find(words[0][0]) == std::string_view::npos) {
      fail(fmt::format("\"{}\" are no attributes", printable(line)));
    }
    constexpr std::uint64_t kMaxId = std::numeric_limits<std::uint32_t>::max();
    ProofAttributes attributes{words[0][0], value(words[1], 8, 07777), value(words[2], 10, kMaxId),
                               value(words[3], 10, kMaxId), words.size() == 5 ? words[4] : ""};
    if (attributes_text(attributes) != line) fail(fmt::format("\"{}\" are no attributes", printable(line)));
    return attributes;
  }

  void read_paths(const Json& rows, ProofPlatform& platform) {
    std::vector<std::size_t> ends;  // of the directories above, in the path before
    for (const Json& row : rows) {
      if (!row.is_array() || row.size() < 4) fail("a row has another number of elements");
      ProofPath path;
      path.attributes = index(row[2], platform.attributes.size());
      path.witness = index(row[3], platform.witnesses.size());
      const char type = platform.attributes[path.attributes].type;
      require_row(row, type == 'f' ? 6 : type == 'l' ? 5 : 4);
      const std::uint64_t depth = number(row[0], kMaxPath);
      const std::string name = text(row[1], 255);
      if (depth == 0) {
        if (!platform.paths.empty() || !name.empty()) fail("the root is not the first path");
        path.path = "/";
        ends.assign(1, 0);
      } else {
        if (depth > ends.size()) fail("a path has no directory");
        if (name.empty() || name == "." || name == ".." ||
            name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
          fail(fmt::format("\"{}\" is no name", printable(name)));
        ends.resize(depth);
        path.path = platform.paths.back().path.substr(0, ends.back());
        path.path.append("/").append(name);
        ends.push_back(path.path.size());
        if (path.path.size() > kMaxPath) fail("a path is too long");
        if (!path_less(platform.paths.back().path, path.path))
          fail(fmt::format("{} is not in its place", printable(path.path)));
      }
      path_bytes_ += path.path.size();
      if (path_bytes_ > kMaxPathBytes) fail("the paths are too long together");
      if (type == 'f') {
        path.size = number(row[4]);
        path.crc = read_crc(row[5]);
      } else if (type == 'l') {
        path.link = text(row[4], kMaxPath);
      }
      platform.paths.push_back(std::move(path));
    }
  }

  std::uint64_t read_crc(const Json& value) const {
    const std::string digits = text(value, 16);
    std::uint64_t crc = 0;
    for (const char c : digits) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(c);
      if (digit == std::string_view::npos || digits.size() != 16)
        fail("a checksum is not 16 hexadecimal digits");
      crc = crc << 4 | digit;
    }
    if (digits.empty()) fail("a checksum is not 16 hexadecimal digits");
    return crc;
  }

  void add(std::uint64_t& sum, std::uint64_t value) const {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) - sum)
      fail("a sum is too large");
    sum += value;
  }

  void read_dropped(const Json& json, ProofPlatform& platform) {
    const Json& bytes = object(json, "bytes");
    platform.source_bytes = number(member(bytes, "source"));
    platform.kept_bytes = number(member(bytes, "kept"));
    platform.padding_bytes = number(member(bytes, "padding"));
    std::uint64_t sum = platform.kept_bytes;
    add(sum, platform.padding_bytes);
    for (const Json& rule : array(json, "rules")) {
      require_object(rule, what_);
      platform.rules.push_back({text(member(rule, "id"), 255), text(member(rule, "reason")),
                                number(member(rule, "entries")), number(member(rule, "bytes"))});
      add(sum, platform.rules.back().bytes);
    }
    if (sum != platform.source_bytes) fail("kept and dropped bytes are not the source's");
    std::vector<std::array<std::uint64_t, 2>> sums(platform.rules.size());
    for (const Json& row : array(json, "dropped")) {
      require_row(row, 4);
      ProofGroup group{text(row[0], kMaxPath), index(row[1], platform.rules.size()), number(row[2]),
                       number(row[3])};
      path_bytes_ += group.path.size();
      if (path_bytes_ > kMaxPathBytes) fail("the paths are too long together");
      if (!group.path.starts_with('/') ||
          (!platform.groups.empty() && !path_less(platform.groups.back().path, group.path))) {
        fail(fmt::format("{} is not in its place", printable(group.path)));
      }
      auto& [entries, size] = sums[group.rule];
      add(entries, group.entries);
      add(size, group.bytes);
      if (entries > platform.rules[group.rule].entries || size > platform.rules[group.rule].bytes)
        fail(fmt::format("more went by the rule {} than it says", printable(platform.rules[group.rule].id)));
      platform.groups.push_back(std::move(group));
    }
  }

  std::string place(const Json& value, const ProofPlatform& platform) {
    std::string path =
        value.is_string() ? text(value, kMaxPath) : platform.paths[index(value, platform.paths.size())].path;
    path_bytes_ += path.size();
    if (path_bytes_ > kMaxPathBytes) fail("the paths are too long together");
    return path;
  }

  void read_debug_files(const Json& list, ProofPlatform& platform) {
    const bool ruled = std::any_of(platform.rules.begin(), platform.rules.end(),
                                   [](const ProofRule& rule) { return rule.id == kDebugInfoRule; });
    if (!ruled && !list.empty()) fail(fmt::format("there is no rule {}", kDebugInfoRule));
    for (const Json& json : list) {
      require_object(json, what_);
      ProofDebugFile file;
      file.path = place(member(json, "path"), platform);
      const std::string name = printable(file.path);
      if (!file.path.starts_with('/') ||
          (!platform.debug_files.empty() && !path_less(platform.debug_files.back().path, file.path))) {
        fail(fmt::format("{} is not in its place", name));
      }
      const Json& before = object(json, "before");
      const Json& after = object(json, "after");
      file.source_digest = digest(before, "digest");
      file.source_size = number(member(before, "size"));
      file.result_digest = digest(after, "digest");
      file.result_size = number(member(after, "size"));
      file.loaded_digest = digest(json, "loaded");
      if (file.result_size >= file.source_size) fail(fmt::format("{} lost nothing", name));
      std::uint64_t sum = 0;
      for (const Json& row : array(json, "sections")) {
        require_row(row, 2);
        file.sections.push_back({text(row[0], kMaxSectionName), number(row[1])});
        add(sum, file.sections.back().bytes);
      }
      if (file.sections.empty() || sum > file.source_size)
        fail(fmt::format("{}: no section went, or more than there was", name));
      if (const Json* companion = find_member(json, "companion")) {
        file.companion = text(*companion, kMaxPath);
        if (!is_companion_path(file.companion)) fail(fmt::format("{}: its companion has no such path", name));
      }
      platform.debug_files.push_back(std::move(file));
    }
  }

  ProofFinding read_finding(const Json& json, const ProofPlatform& platform) {
    require_object(json, what_);
    ProofFinding finding;
    const std::string kind = string_member(json, "kind", what_);
    if (kind != "dlopen" && kind != "exec") fail("a finding is neither dlopen nor exec");
    finding.kind = kind == "exec" ? ProofFinding::Kind::kStart : ProofFinding::Kind::kLoad;
    finding.path = place(member(json, "path"), platform);
    finding.evidence = evidence(member(json, "evidence"));
    if (const Json* site = find_member(json, "site"))
      finding.site = number(*site, std::numeric_limits<std::uint64_t>::max());
    const auto optional_text = [&](const char* key) {
      const Json* found = find_member(json, key);
      return found == nullptr ? std::string() : text(*found);
    };
    finding.callee = optional_text("callee");
    finding.function = optional_text("function");
    finding.package = optional_text("package");
    finding.reason = optional_text("reason");
    if (const Json* names = find_member(json, "names")) finding.names = texts(*names);
    if (const Json* symbols = find_member(json, "symbols")) finding.symbols = texts(*symbols);
    if (json.contains("found")) {
      for (const Json& found : array(json, "found"))
        finding.found.push_back(place(found, platform));
    }
    finding.may_be_missing = bool_member(json, "may_be_missing", what_);
    return finding;
  }

  std::string what_;
  std::size_t path_bytes_ = 0;
};

}  // namespace

Proof read_proof(std::string_view text, std::string_view what) {
  return Reader(what).read(text);
}

}  // namespace imgslim
