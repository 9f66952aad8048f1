// SPDX-License-Identifier: Apache-2.0
// The companion: what `objcopy --only-keep-debug` leaves. Every section keeps its number, name and address,
// so that symbols and relocations still mean the same; what the program holds itself has no bytes here, but
// for the notes, by which a debugger sees that both belong together.
#include <elf.h>

#include <algorithm>

#include "layers/bytes.h"
#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxNotes = std::uint64_t{1} << 20;  // bytes
constexpr std::uint64_t kNoteAlignment = 16;                 // more than any note asks for

bool is_note(const SegmentHeader& segment) {
  return (segment.type == PT_NOTE || segment.type == PT_GNU_PROPERTY) && segment.file_size > 0;
}
bool is_note(const SectionHeader& section) {
  return section.type == SHT_NOTE && section.has_bytes();
}

// Where the notes of the program are, and where their copy is.
struct Notes {
  struct Copy {
    FileRange range;
    std::uint64_t place = 0;
  };
  std::vector<Copy> copies;

  std::uint64_t place_of(std::uint64_t offset) const {
    const auto after =
        std::upper_bound(copies.begin(), copies.end(), offset,
                         [](std::uint64_t at, const Copy& copy) { return at < copy.range.start; });
    const Copy& copy = *std::prev(after);
    return copy.place + (offset - copy.range.start);
  }
};

// A note's fields are padded to four bytes, or to eight in segments that say so (gABI, "Note Section").
std::string build_id_in(std::string_view notes, std::uint64_t alignment, std::endian order) {
  const std::uint64_t pad = alignment == 8 ? 8 : 4;
  std::uint64_t at = 0;
  while (true) {
    const auto name_size = read_integer<std::uint32_t>(notes, at, order);
    const auto size = read_integer<std::uint32_t>(notes, at + 4, order);
    const auto type = read_integer<std::uint32_t>(notes, at + 8, order);
    if (!type) return "";
    const std::uint64_t content = at + 12 + (std::uint64_t{*name_size} + pad - 1) / pad * pad;
    const auto name = slice(notes, at + 12, *name_size);
    const auto bytes = slice(notes, content, *size);
    if (!name || !bytes) return "";
    constexpr std::size_t kLongest = 64;
    if (*type == NT_GNU_BUILD_ID && *name == std::string_view("GNU\0", 4) && size >= 2u &&
        *size <= kLongest) {
      std::string hex;
      for (const char c : *bytes) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        hex += kDigits[static_cast<unsigned char>(c) >> 4];
        hex += kDigits[static_cast<unsigned char>(c) & 15];
      }
      return hex;
    }
    at = content + (std::uint64_t{*size} + pad - 1) / pad * pad;
  }
}

}  // namespace

FilePieces make_companion(const SectionTable& table) {
  FilePieces body;
  const std::uint64_t base = table.header_size() + table.segments.size() * table.segment_entry_size();
  const auto place = [&] { return base + body.size(); };
  const auto align = [&](std::uint64_t alignment, std::uint64_t rest = 0) {
    if (alignment > 1) body.zeros((alignment + rest - place() % alignment) % alignment);
  };

  std::vector<FileRange> ranges;
  for (const SegmentHeader& segment : table.segments) {
    if (is_note(segment)) ranges.push_back({segment.offset, segment.end()});
  }
  for (const SectionHeader& section : table.sections) {
    if (section.is_allocated() && is_note(section)) ranges.push_back({section.offset, section.end()});
  }
  ranges = merge_ranges(std::move(ranges));
  std::uint64_t note_bytes = 0;
  for (const FileRange& range : ranges)
    note_bytes += range.end - range.start;
  const bool with_notes = note_bytes <= kMaxNotes;
  Notes notes;
  for (const FileRange& range : with_notes ? ranges : std::vector<FileRange>{}) {
    align(kNoteAlignment, range.start % kNoteAlignment);
    notes.copies.push_back({range, place()});
    body.copy(range.start, range.end - range.start);
  }

  std::vector<SectionHeader> sections = table.sections;
  for (SectionHeader& section : sections) {
    if (section.type == SHT_NULL) continue;
    const bool is_names = &section == &sections[table.names];  // read by whoever reads the file
    if (!section.is_allocated() || is_names) {
      if (section.has_bytes()) align(section.alignment);
      const std::uint64_t at = place();
      if (section.has_bytes()) body.copy(section.offset, section.size);
      section.offset = at;
    } else if (is_note(section) && with_notes) {
      section.offset = notes.place_of(section.offset);
    } else {
      section.type = SHT_NOBITS;
      section.offset = base;
    }
  }
  std::vector<SegmentHeader> segments = table.segments;
  for (SegmentHeader& segment : segments) {
    if (segment.type == PT_PHDR) {
      segment.offset = table.header_size();
    } else if (is_note(segment) && with_notes) {
      segment.offset = notes.place_of(segment.offset);
    } else {
      // The segment that holds the headers still holds them.
      const std::uint64_t headers = table.header_size() + table.segments.size() * table.segment_entry_size();
      const bool first = segment.type == PT_LOAD && segment.offset == 0 && segment.file_size >= headers &&
                         table.program_headers_offset == table.header_size();
      segment.file_size = first ? headers : 0;
      if (first) continue;
      const bool aligned = segment.alignment > 1 && std::has_single_bit(segment.alignment);
      segment.offset = aligned ? segment.address % segment.alignment : 0;
    }
  }
  align(table.is_64 ? 8 : 4);

  FilePieces file;
  std::string header = table.header_with(place(), sections.size(), table.names);
  // The program headers may have been elsewhere.
  const std::size_t at = table.is_64 ? offsetof(Elf64_Ehdr, e_phoff) : offsetof(Elf32_Ehdr, e_phoff);
  const std::size_t width = table.is_64 ? 8 : 4;
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t byte = table.byte_order == std::endian::little ? i : width - 1 - i;
    header[at + i] = byte == 0 && !segments.empty() ? static_cast<char>(table.header_size()) : '\0';
  }
  file.text(std::move(header));
  file.text(table.encode(segments));
  file.append(std::move(body));
  file.text(table.encode(sections));
  return file;
}

std::string find_build_id(const Blob& file, const SectionTable& table) {
  std::uint64_t budget = kMaxNotes;
  const auto look = [&](std::uint64_t offset, std::uint64_t size, std::uint64_t alignment) -> std::string {
    if (size > budget) return "";
    budget -= size;
    return build_id_in(read_range(file, offset, size), alignment, table.byte_order);
  };
  for (const SegmentHeader& segment : table.segments) {
    if (segment.type != PT_NOTE || segment.file_size == 0) continue;
    if (std::string id = look(segment.offset, segment.file_size, segment.alignment); !id.empty()) return id;
  }
  for (const SectionHeader& section : table.sections) {
    if (!section.is_allocated() || !is_note(section)) continue;
    if (std::string id = look(section.offset, section.size, section.alignment); !id.empty()) return id;
  }
  return "";
}

}  // namespace imgslim
