// SPDX-License-Identifier: Apache-2.0
// USER and WORKDIR as runtimes take them (image-spec conversion.md, "User"; runtime-spec config.md, "cwd").
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "layers/error.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxTableBytes = 4u << 20;
constexpr std::uint64_t kMaxId = 0xfffffffe;  // the next one means "unchanged" to chown(2)

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  if (!is_number(text) || text.size() > 10) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text)
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

// The line of /etc/passwd or /etc/group with this name.
std::optional<std::string> id_in(const FileSystem& files, const std::string& table, std::string_view name,
                                 std::string* why) {
  const auto resolved = resolve_path(files, table);
  const auto content = resolved ? files.read(*resolved, kMaxTableBytes) : nullptr;
  if (content == nullptr) {
    const std::string unresolved = why_unresolved(files, table);
    *why = fmt::format("not a number, and {} cannot be read: {}", table,
                       unresolved.empty() ? "no regular file" : unresolved);
    return std::nullopt;
  }
  std::string_view text = content->bytes();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos || line.substr(0, first) != name) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view id = line.substr(second + 1, line.find(':', second + 1) - second - 1);
    if (number_of(id)) return std::string(id);
  }
  *why = fmt::format("not in {}", table);
  return std::nullopt;
}

void check_account(const FileSystem& files, const std::string& table, std::string_view what,
                   std::string_view name, const std::vector<std::string>& chain, FindingList& findings) {
  std::string why;
  if (is_number(name)) {
    const auto number = number_of(name);
    if (number && *number <= kMaxId) return;
    why = "out of range";
  } else if (id_in(files, table, name, &why)) {
    return;
  }
  findings.failure("user", table, std::string(name), chain,
                   fmt::format("the {} \"{}\" is {}", what, printable(name), why));
}

}  // namespace

void verify_user(const FileSystem& files, const ImageConfig& config, FindingList& findings) {
  const std::string_view text = config.user;
  if (text.empty()) return;
  const std::vector<std::string> chain{"USER " + printable(text)};
  const std::size_t colon = text.find(':');
  const std::string_view user = text.substr(0, colon);
  if (!user.empty()) check_account(files, "/etc/passwd", "user", user, chain, findings);
  if (colon == std::string_view::npos) return;
  const std::string_view group = text.substr(colon + 1);
  if (!group.empty()) check_account(files, "/etc/group", "group", group, chain, findings);
}

bool runs_as_root(const FileSystem& files, const ImageConfig& config) {
  const std::string user = config.user.substr(0, config.user.find(':'));
  if (user.empty() || user == "root") return true;
  std::string why;
  const std::string id = is_number(user) ? user : id_in(files, "/etc/passwd", user, &why).value_or("1");
  return number_of(id) == std::uint64_t{0};
}

void verify_working_directory(const FileSystem& files, const ImageConfig& config, FindingList& findings) {
  const std::string& path = config.working_dir;
  if (path.empty()) return;
  const std::vector<std::string> chain{"WORKDIR " + printable(path)};
  if (path[0] != '/') {
    findings.failure("workdir", path, "", chain, "not absolute; runtimes refuse it");
    return;
  }
  if (const auto resolved = resolve_path(files, path)) {
    const auto status = files.status(*resolved);
    if (*resolved != "/" && (!status || status->kind != FileKind::kDirectory))
      findings.failure("workdir", path, "", chain, "no directory");
    return;
  }
  const std::string why = why_unresolved(files, path);
  if (why.find("is no directory") != std::string::npos || why.find("is a link to") != std::string::npos) {
    findings.failure("workdir", path, "", chain, why);
  } else {
    findings.note("workdir", path, "", chain, "not there; the runtime makes it, owned by root");
  }
}

}  // namespace imgslim
