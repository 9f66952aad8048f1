// SPDX-License-Identifier: Apache-2.0
#include "src/audit/words.h"

#include <fmt/format.h>

#include "layers/error.h"
#include "src/progress.h"
#include "src/text_page.h"

namespace imgslim {

std::string step_text(std::string_view created_by, std::size_t limit) {
  std::string_view text = created_by;
  if (text.ends_with(" # buildkit")) text.remove_suffix(11);
  bool ran = false;
  // Docker's own words before BuildKit, and the shell of both.
  for (const std::string_view start : {"RUN ", "|0 ", "/bin/sh -c ", "#(nop) "}) {
    while (text.starts_with(' '))
      text.remove_prefix(1);
    if (!text.starts_with(start)) continue;
    text.remove_prefix(start.size());
    if (start == "RUN " || start == "/bin/sh -c ") ran = true;
    if (start == "#(nop) ") ran = false;
  }
  while (text.starts_with(' '))
    text.remove_prefix(1);
  std::string out = ran ? "RUN " : "";
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
    if (out.size() > 4 * limit) break;
  }
  return printable(out, limit);
}

std::string layer_text(const ImageAudit& audit, std::uint32_t layer, std::size_t limit) {
  const std::string step = layer < audit.steps.size() ? step_text(audit.steps[layer], limit) : "";
  return step.empty() ? fmt::format("layer {}", layer + 1) : fmt::format("layer {} ({})", layer + 1, step);
}

std::string path_text(std::string_view path, std::size_t limit) {
  return "/" + printable(path, limit);
}

std::string_view package_of(const ImageAudit& audit, EntryRef ref) {
  const std::uint32_t package = audit.row(ref).package;
  return package == kNone ? std::string_view() : std::string_view(audit.packages[package].name);
}

std::string percent_text(double percent) {
  return fmt::format("{:.1f}%", percent);
}

std::string origin_text(const ImageAudit& audit, EntryRef ref) {
  const std::string_view package = package_of(audit, ref);
  return fmt::format("{}, {}, {}", layer_text(audit, ref.layer),
                     package.empty() ? "no package" : fmt::format("package {}", printable(package, 60)),
                     path_text(audit.entry(ref).path));
}

std::string count_text(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string fit(std::string text, std::size_t width) {
  if (columns_of(text) <= width) return text;
  // Characters are counted from the front; a continuation byte takes no column.
  std::size_t end = 0;
  std::size_t columns = 0;
  const std::size_t room = width > 2 ? width - 2 : width;
  while (end < text.size() && columns < room) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      ++end;
    ++columns;
  }
  text.resize(end);
  return width > 2 ? text + ".." : text;
}

std::string signed_bytes(std::int64_t bytes) {
  if (bytes == 0) return "0 B";
  const auto size = bytes < 0 ? 0 - static_cast<std::uint64_t>(bytes) : static_cast<std::uint64_t>(bytes);
  return (bytes < 0 ? "-" : "+") + human_bytes(size);
}

std::string waste_text(const ImageAudit& audit, const WasteGroup& group) {
  const std::string from = fmt::format("layer {}", group.lies_in + 1);
  const std::string by = layer_text(audit, group.hidden_by);
  switch (group.how) {
    case Visibility::kDeleted:
      return fmt::format("{} deletes what {} brought", by, from);
    case Visibility::kOpaque:
      return fmt::format("{} hides a directory of {} (opaque)", by, from);
    default:
      break;
  }
  if (!group.change.empty())
    return fmt::format("{} writes the same content of {} again ({})", by, from, group.change);
  return fmt::format("{} replaces what {} brought", by, from);
}

}  // namespace imgslim
