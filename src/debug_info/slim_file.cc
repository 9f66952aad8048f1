// SPDX-License-Identifier: Apache-2.0
// The file without some of its sections. All up to the end of the last segment stays where it is; the
// sections behind it move up, and the section headers are written anew at the end, where no segment can hold
// them.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "src/debug_info/parts.h"

namespace imgslim {
namespace {

class Writer {
 public:
  Writer(const Blob& file, const SectionTable& table, const std::vector<Fate>& fates)
      : file_(file), table_(table), fates_(fates), headers_(table.sections) {}

  SlimResult run() {
    if (number_sections() && check_ranges() && write_symbols()) {
      write_front();
      write_sections();
      write_headers();
    }
    return std::move(result_);
  }

 private:
  bool refuse(LeftAlone reason, std::string detail) {
    result_.left_alone = reason;
    result_.detail = std::move(detail);
    return false;
  }
  const SectionHeader& section(std::size_t i) const { return table_.sections[i]; }
  bool gone(std::size_t i) const { return fates_[i] == Fate::kGoes; }

  // New numbers, and that whoever names a section that goes is gone as well.
  bool number_sections() {
    number_.assign(table_.sections.size(), 0);
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < table_.sections.size(); ++i) {
      if (!gone(i)) number_[i] = next++;
    }
    for (std::size_t i = 1; i < table_.sections.size(); ++i) {
      if (gone(i)) continue;
      if (gone(section(i).link) ||
          (info_is_section(i) && (section(i).info >= fates_.size() || gone(section(i).info)))) {
        return refuse(LeftAlone::kDamaged,
                      fmt::format("section {} stays and refers to one that would go", i));
      }
    }
    return true;
  }

  bool is_relocation(std::size_t i) const {
    return section(i).type == SHT_REL || section(i).type == SHT_RELA;
  }
  bool info_is_section(std::size_t i) const {
    return ((section(i).flags & SHF_INFO_LINK) != 0 || is_relocation(i)) && section(i).info != 0;
  }

  // Sets fixed_end_ and moving_; what goes must share bytes with nothing that stays.
  bool check_ranges() {
    std::vector<FileRange> staying{{0, table_.header_size()},
                                   {table_.program_headers_offset, table_.program_headers_end()}};
    fixed_end_ = std::max<std::uint64_t>(table_.header_size(), table_.program_headers_end());
    for (const SegmentHeader& segment : table_.segments) {
      if (segment.file_size == 0) continue;
      staying.push_back({segment.offset, segment.end()});
      fixed_end_ = std::max(fixed_end_, segment.end());
    }
    for (std::size_t i = 1; i < table_.sections.size(); ++i) {
      if (gone(i) || !section(i).has_bytes()) continue;
      staying.push_back({section(i).offset, section(i).end()});
      if (section(i).is_allocated()) fixed_end_ = std::max(fixed_end_, section(i).end());
    }
    staying = merge_ranges(std::move(staying));

    std::vector<std::size_t> order(table_.sections.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return section(a).offset < section(b).offset; });
    std::uint64_t gone_end = 0;
    std::uint64_t moving_end = fixed_end_;
    std::vector<FileRange> described = staying;
    described.push_back(
        {table_.section_headers_offset,
         table_.section_headers_offset + table_.sections.size() * table_.section_entry_size()});
    for (const std::size_t i : order) {
      if (!section(i).has_bytes()) continue;
      if (gone(i)) {
        if (overlaps_ranges(staying, section(i).offset, section(i).end()) || section(i).offset < gone_end) {
          return refuse(LeftAlone::kDamaged,
                        fmt::format("the bytes of section {} are also something else's", i));
        }
        gone_end = section(i).end();
        described.push_back({section(i).offset, section(i).end()});
        if (section(i).offset < fixed_end_) {
          if (section(i).end() > fixed_end_)
            return refuse(LeftAlone::kDamaged, "sections and segments overlap");
          blanked_.push_back({section(i).offset, section(i).end()});
        }
        continue;
      }
      if (section(i).end() <= fixed_end_) continue;
      if (section(i).offset < moving_end) {
        return refuse(LeftAlone::kDamaged,
                      fmt::format("the bytes of section {} are also something else's", i));
      }
      moving_.push_back(i);
      moving_end = section(i).end();
    }
    return check_rest(merge_ranges(std::move(described)));
  }

  // Bytes behind the segments that no header describes would be lost: an archive that a program carries, a
  // signature. Linkers leave zeros there.
  bool check_rest(const std::vector<FileRange>& described) {
    std::uint64_t at = fixed_end_;
    for (std::size_t k = 0; k <= described.size(); ++k) {
      const bool last = k == described.size();
      const std::uint64_t start = last ? table_.file_size : described[k].start;
      if (start > at) {
        bool zero = true;
        for_each_chunk(file_, at, start - at, [&](std::span<const std::byte> bytes) {
          zero =
              zero && std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
        });
        constexpr std::uint64_t kPadding = 4096;
        if (!zero || (last && start - at > kPadding)) {
          return refuse(LeftAlone::kAppended,
                        last ? fmt::format("{} bytes stand behind the ELF file", start - at)
                             : fmt::format("{} bytes at offset {} are no section's", start - at, at));
        }
      }
      if (!last) at = std::max(at, described[k].end);
    }
    return true;
  }

  bool write_symbols() {
    bool seen[2] = {false, false};
    for (std::size_t i = 1; i < table_.sections.size(); ++i) {
      if (fates_[i] == Fate::kEmptied) {
        if (!empty(i)) return false;
        continue;
      }
      const bool dynamic = section(i).type == SHT_DYNSYM;
      if (gone(i) || (section(i).type != SHT_SYMTAB && !dynamic) || !section(i).has_bytes()) continue;
      if (seen[dynamic]) return refuse(LeftAlone::kDamaged, "more than one symbol table");
      seen[dynamic] = true;
      SymbolsResult result = renumber_symbols(file_, table_, i, number_);
      if (!result.problem.empty()) return refuse(LeftAlone::kDamaged, std::move(result.problem));
      if (!result.changed) continue;
      if (std::find(moving_.begin(), moving_.end(), i) == moving_.end()) {
        return refuse(LeftAlone::kInsideSegment, "loaded symbols name sections by numbers that would change");
      }
      if (result.symbols.dropped > 0 && symbols_are_named(i)) {
        return refuse(LeftAlone::kDamaged, "a section that stays names symbols of debug sections by number");
      }
      headers_[i].info = result.symbols.first_global;
      headers_[i].size = result.symbols.bytes.size();
      symbols_[i] = std::move(result.symbols.bytes);
    }
    return true;
  }

  // Leaves the null symbol of a symbol table, the empty string of its strings.
  bool empty(std::size_t i) {
    if (std::find(moving_.begin(), moving_.end(), i) == moving_.end()) {
      return refuse(LeftAlone::kInsideSegment, "its symbol table stands between segments");
    }
    const bool strings = section(i).type == SHT_STRTAB;
    symbols_[i] = std::string(strings ? 1 : table_.symbol_entry_size(), '\0');
    headers_[i].size = symbols_[i].size();
    if (!strings) headers_[i].info = 1;
    return true;
  }

  bool symbols_are_named(std::size_t symbols) const {
    std::size_t relocations = 0;
    for (std::size_t i = 1; i < table_.sections.size(); ++i) {
      if (gone(i) || section(i).link != symbols) continue;
      constexpr std::size_t kMaxRelocations = 8;
      if (++relocations > kMaxRelocations || !names_no_symbols(file_, table_, section(i))) return true;
    }
    return false;
  }

  void write_front() {
    const std::uint64_t head = table_.header_size();
    // Its place for the section headers is known at the end.
    std::uint64_t at = head;
    for (const FileRange& range : blanked_) {
      front_.copy(at, range.start - at);
      front_.zeros(range.end - range.start);
      at = range.end;
    }
    front_.copy(at, fixed_end_ - at);
  }

  // Names are written anew, each once, where the table of names can move.
  void write_names() {
    const SectionHeader& names = section(table_.names);
    names_move_ = std::find(moving_.begin(), moving_.end(), std::size_t{table_.names}) != moving_.end();
    for (std::size_t i = 1; i < table_.sections.size() && names_move_; ++i) {
      // A table that also names symbols stays as it is.
      if (!gone(i) && i != table_.names && section(i).link == table_.names) names_move_ = false;
    }
    if ((names.flags & SHF_COMPRESSED) != 0) names_move_ = false;
    if (!names_move_) return;
    std::map<std::string_view, std::uint32_t> known{{"", 0}};
    names_ = std::string(1, '\0');
    headers_[0].name_offset = 0;
    for (std::size_t i = 1; i < table_.sections.size(); ++i) {
      if (gone(i)) continue;
      const auto [at, is_new] = known.emplace(section(i).name, static_cast<std::uint32_t>(names_.size()));
      if (is_new) names_ += section(i).name + '\0';
      headers_[i].name_offset = at->second;
    }
    headers_[table_.names].size = names_.size();
  }

  void write_sections() {
    write_names();
    const std::uint64_t base = table_.header_size();
    FilePieces body = std::move(front_);
    const auto align = [&](std::uint64_t alignment) {
      if (alignment > 1) body.zeros((alignment - (base + body.size()) % alignment) % alignment);
    };
    for (const std::size_t i : moving_) {
      align(section(i).alignment);
      headers_[i].offset = base + body.size();
      if (const auto rewritten = symbols_.find(i); rewritten != symbols_.end()) {
        body.text(std::move(rewritten->second));
      } else if (names_move_ && i == table_.names) {
        body.text(std::move(names_));
      } else {
        body.copy(section(i).offset, section(i).size);
      }
    }
    align(table_.is_64 ? 8 : 4);
    body_ = std::move(body);
  }

  void write_headers() {
    const std::uint64_t place = table_.header_size() + body_.size();
    std::vector<SectionHeader> headers;
    for (std::size_t i = 0; i < headers_.size(); ++i) {
      if (gone(i)) continue;
      SectionHeader header = headers_[i];
      header.link = number_[header.link];
      if (info_is_section(i)) header.info = number_[header.info];
      // Without bytes, and beyond what is left of the file.
      if (!header.has_bytes() && !header.is_allocated() && i != 0) {
        header.offset = std::min(header.offset, place);
      }
      headers.push_back(std::move(header));
    }
    result_.pieces.text(table_.header_with(place, headers.size(), number_[table_.names]));
    result_.pieces.append(std::move(body_));
    result_.pieces.text(table_.encode(headers));
  }

  const Blob& file_;
  const SectionTable& table_;
  const std::vector<Fate>& fates_;
  std::vector<SectionHeader> headers_;  // as they will be, under the old numbers
  std::vector<std::uint32_t> number_;   // by old number; 0: gone
  std::uint64_t fixed_end_ = 0;         // up to here nothing moves
  std::vector<std::size_t> moving_;     // sections behind it, by offset
  std::vector<FileRange> blanked_;      // sections that go from between segments, by offset
  std::map<std::size_t, std::string> symbols_;
  std::string names_;
  bool names_move_ = false;
  FilePieces front_;
  FilePieces body_;
  SlimResult result_;
};

}  // namespace

SlimResult make_slim(const Blob& file, const SectionTable& table, const std::vector<Fate>& fates) {
  return Writer(file, table, fates).run();
}

}  // namespace imgslim
