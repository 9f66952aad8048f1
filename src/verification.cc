// SPDX-License-Identifier: Apache-2.0
#include "src/verification.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <tuple>

#include "layers/error.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxFindings = 1000;  // of one check and severity

using Key = std::tuple<std::string_view, std::string_view, std::string_view>;
Key key_of(const Finding& finding) {
  return {finding.check, finding.subject, finding.name};
}

std::string_view kind_text(FileKind kind) {
  switch (kind) {
    case FileKind::kRegular:
      return "a file";
    case FileKind::kDirectory:
      return "a directory";
    case FileKind::kSymlink:
      return "a link";
    case FileKind::kOther:
      break;
  }
  return "a special file";
}

}  // namespace

std::string Finding::line() const {
  return chain.empty() ? problem : fmt::format("{}: {}", fmt::join(chain, " -> "), problem);
}

std::size_t Verification::failures() const {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Finding::Severity::kFailure;
  }));
}

void FindingList::add(Finding::Severity severity, std::string_view check, std::string subject,
                      std::string name, std::vector<std::string> chain, std::string problem) {
  if (++counts_[{check, severity}] > kMaxFindings) return;
  findings_.push_back(
      {severity, check, std::move(subject), std::move(name), std::move(chain), std::move(problem)});
}

void FindingList::finish() {
  for (const auto& [what, count] : counts_) {
    if (count <= kMaxFindings) continue;
    findings_.push_back(
        {what.second, what.first, "", "", {}, fmt::format("{} more of this kind", count - kMaxFindings)});
  }
}

std::string why_unresolved(const FileSystem& files, std::string_view path) {
  if (resolve_path(files, path)) return "";
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string_view part = path.substr(0, slash);
    const auto place = resolve_path(files, part, false);
    const auto status = place ? files.status(*place) : std::nullopt;
    const bool last = slash == std::string_view::npos;
    if (!status) return last ? "not found" : fmt::format("{} is not there", printable(part));
    if (status->kind == FileKind::kSymlink && !resolve_path(files, part)) {
      return fmt::format("{} is a link to {}, which is not there", printable(*place),
                         printable(files.read_link(*place).value_or("")));
    }
    if (last) return "not found";
    if (status->kind == FileKind::kRegular) return fmt::format("{} is no directory", printable(part));
  }
}

std::vector<std::pair<std::string, std::string>> properties_of(const ImageConfig& config) {
  std::vector<std::pair<std::string, std::string>> properties{{"platform", config.platform.text()}};
  static const Json kNothing = Json::object();
  const auto found = config.json.find("config");
  const Json& json = found != config.json.end() && found->is_object() ? *found : kNothing;
  for (const char* name : {"Entrypoint", "Cmd", "Env", "User", "WorkingDir", "ExposedPorts", "Volumes",
                           "Labels", "StopSignal", "Healthcheck", "Shell"}) {
    const auto value = json.find(name);
    const bool empty = value == json.end() || value->is_null() ||
                       (!value->is_number() && !value->is_boolean() &&
                        (value->is_string() ? value->get_ref<const std::string&>().empty() : value->empty()));
    std::string text;
    if (!empty && value->is_object()) {
      // The order of keys says nothing.
      std::map<std::string, const Json*> sorted;
      for (const auto& [key, inner] : value->items())
        sorted.emplace(key, &inner);
      for (const auto& [key, inner] : sorted)
        text += fmt::format("{}{}: {}", text.empty() ? "{" : ", ", dump_json(Json(key)), dump_json(*inner));
      text += "}";
    } else if (!empty) {
      text = dump_json(*value);
    }
    properties.emplace_back(name, std::move(text));
  }
  return properties;
}

void verify_against(const Verification& source, const FileSystem& files, Verification& result,
                    FindingList& findings) {
  for (std::size_t i = 0; i < source.properties.size() && i < result.properties.size(); ++i) {
    const auto& [name, before] = source.properties[i];
    const auto& after = result.properties[i].second;
    if (before == after) continue;
    const auto shown = [](const std::string& text) {
      return text.empty() ? std::string("nothing") : printable(text, 400);
    };
    findings.failure("config", "", name, {"config", name},
                     fmt::format("{}; the source has {}", shown(after), shown(before)));
  }
  // A failure that is there already says the same with a reason.
  std::set<std::string> failed;
  for (const Finding& finding : result.findings) {
    if (finding.severity == Finding::Severity::kFailure) failed.insert(finding.subject);
  }
  for (const auto& [command, program] : source.programs) {
    if (program.empty()) continue;
    const auto found = result.programs.find(command);
    if (found == result.programs.end() || found->second == program) continue;
    findings.failure(
        "against", command, "", {printable(command)},
        fmt::format("starts {}; in the source it starts {}",
                    found->second.empty() ? "nothing" : printable(found->second), printable(program)));
  }
  for (const auto& [path, before] : source.reached) {
    const auto status = files.status(path);
    if (!status) {
      if (!failed.contains(path)) {
        findings.failure("against", path, "", before.chain, "not there; the source has it");
      }
    } else if (status->kind != before.status.kind) {
      findings.failure(
          "against", path, "", before.chain,
          fmt::format("{}; in the source it is {}", kind_text(status->kind), kind_text(before.status.kind)));
    } else if (status->kind == FileKind::kSymlink) {
      const std::string link = files.read_link(path).value_or("");
      if (link == before.link) continue;
      findings.failure(
          "against", path, "", before.chain,
          fmt::format("a link to {}; in the source to {}", printable(link), printable(before.link)));
    } else if (status->mode != before.status.mode) {
      findings.failure("against", path, "", before.chain,
                       fmt::format("mode {:04o}; in the source {:04o}", status->mode, before.status.mode));
    }
  }
  for (const auto& [request, before] : source.libraries) {
    const auto found = result.libraries.find(request);
    if (found == result.libraries.end() || found->second == before) continue;
    const auto& [program, requester, name] = request;
    std::vector<std::string> chain{printable(program)};
    if (requester != program) chain.push_back(printable(requester));
    chain.push_back("DT_NEEDED " + printable(name));
    findings.failure(
        "against", requester, name, std::move(chain),
        fmt::format("found at {}; in the source at {}", printable(found->second), printable(before)));
  }

  std::set<Key> known;
  for (const Finding& finding : source.findings)
    known.insert(key_of(finding));
  for (Finding& finding : result.findings) {
    if (finding.severity != Finding::Severity::kFailure || !known.contains(key_of(finding))) continue;
    finding.severity = Finding::Severity::kNote;
    finding.problem += " (the same in the source)";
  }
}

Verification verify_closure(const VerificationInput& input, const Verification* source) {
  Verification result;
  FindingList findings(result.findings);
  verify_start(input, result, findings);
  verify_user(input.files, input.config, findings);
  verify_working_directory(input.files, input.config, findings);
  if (input.tree != nullptr) verify_encodings(*input.tree, input.manifest, input.strict, findings);
  verify_packages(input.files, input.packages, findings);
  result.properties = properties_of(input.config);
  if (input.proof != nullptr && input.tree != nullptr)
    verify_proof(*input.proof, *input.tree, input.files, result, findings);
  if (source != nullptr) verify_against(*source, input.files, result, findings);
  if (input.contents != nullptr)
    verify_contents(*input.contents, input.source_contents, input.proof, result, findings);
  findings.finish();
  std::stable_sort(result.findings.begin(), result.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return result;
}

std::string to_text(const std::vector<VerifiedImage>& images) {
  std::string text;
  for (const VerifiedImage& image : images) {
    const Verification& verification = image.verification;
    for (const Finding& finding : verification.findings) {
      if (finding.severity != Finding::Severity::kFailure) continue;
      text += fmt::format("{}: {}\n", image.platform, finding.line());
    }
    const auto count = [](std::size_t number, std::string_view one) {
      return fmt::format("{} {}{}", number, one, number == 1 ? "" : "s");
    };
    std::string checked = fmt::format("{}, {}, {}, {}", count(verification.commands, "command"),
                                      count(verification.programs_checked, "program"),
                                      verification.libraries_checked == 1
                                          ? "1 library"
                                          : fmt::format("{} libraries", verification.libraries_checked),
                                      count(verification.scripts_checked, "script"));
    if (verification.paths_proven > 0)
      checked += fmt::format(", {} of the certificate", count(verification.paths_proven, "path"));
    if (verification.debug_files > 0)
      checked += fmt::format(", {} without debug information", count(verification.debug_files, "file"));
    const std::size_t failures = verification.failures();
    text += failures == 0 ? fmt::format("{}: verified: {}\n", image.platform, checked)
                          : fmt::format("{}: verification failed: {} ({})\n", image.platform,
                                        count(failures, "failure"), checked);
  }
  return text;
}

Json to_json(const std::vector<VerifiedImage>& images, const std::string& image, const std::string& against,
             const std::string& proof) {
  Json json;
  json["version"] = 1;
  json["image"] = printable(image, 2000);
  json["against"] = against.empty() ? Json(nullptr) : Json(printable(against, 2000));
  json["proof"] = proof.empty() ? Json(nullptr) : Json(printable(proof, 2000));
  json["ok"] =
      std::all_of(images.begin(), images.end(), [](const VerifiedImage& it) { return it.verification.ok(); });
  json["platforms"] = Json::array();
  for (const VerifiedImage& it : images) {
    Json platform;
    platform["platform"] = it.platform;
    platform["digest"] = it.digest;
    platform["ok"] = it.verification.ok();
    platform["commands"] = it.verification.commands;
    platform["programs"] = it.verification.programs_checked;
    platform["libraries"] = it.verification.libraries_checked;
    platform["scripts"] = it.verification.scripts_checked;
    platform["proven"] = it.verification.paths_proven;
    platform["debug_info"] = it.verification.debug_files;
    platform["findings"] = Json::array();
    for (const Finding& finding : it.verification.findings) {
      Json item;
      item["severity"] = finding.severity == Finding::Severity::kFailure ? "failure" : "note";
      item["check"] = finding.check;
      item["path"] = finding.subject.empty() ? Json(nullptr) : Json(printable(finding.subject, 4096));
      item["name"] = finding.name.empty() ? Json(nullptr) : Json(printable(finding.name, 4096));
      item["chain"] = finding.chain;
      item["problem"] = finding.problem;
      platform["findings"].push_back(std::move(item));
    }
    json["platforms"].push_back(std::move(platform));
  }
  return json;
}

}  // namespace imgslim
