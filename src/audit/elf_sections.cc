// SPDX-License-Identifier: Apache-2.0
#include "src/audit/elf_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "layers/bytes.h"

namespace imgslim {
namespace {

constexpr std::uint32_t kNoBits = 8;  // SHT_NOBITS
constexpr std::size_t kMaxSections = 4096;

// Integers at offsets of a file of which only parts are there.
class WindowReader {
 public:
  WindowReader(const std::vector<FileWindow>& windows, std::endian order)
      : windows_(windows), order_(order) {}

  template <class T>
  std::optional<T> integer(std::uint64_t offset) const {
    for (const FileWindow& window : windows_) {
      if (offset < window.offset) continue;
      if (const auto value = read_integer<T>(window.bytes, offset - window.offset, order_)) return value;
    }
    return std::nullopt;
  }
  std::optional<std::uint64_t> word(std::uint64_t offset, bool is_64) const {
    if (is_64) return integer<std::uint64_t>(offset);
    return integer<std::uint32_t>(offset);
  }
  std::string_view text(std::uint64_t offset) const {
    for (const FileWindow& window : windows_) {
      if (offset < window.offset || offset - window.offset >= window.bytes.size()) continue;
      const std::string_view rest = window.bytes.substr(offset - window.offset, 64);
      return rest.substr(0, rest.find('\0'));
    }
    return {};
  }

 private:
  const std::vector<FileWindow>& windows_;
  std::endian order_;
};

SectionUse use_of(std::string_view name, std::uint64_t flags) {
  constexpr std::uint64_t kWrite = 1, kAlloc = 2, kExecute = 4;
  for (const std::string_view start : {".debug_", ".zdebug_", ".gdb_index", ".gnu_debugdata", ".stab"}) {
    if (name.starts_with(start)) return SectionUse::kDebug;
  }
  if (name == ".symtab" || name == ".strtab" || name == ".symtab_shndx") return SectionUse::kSymbols;
  if (name.ends_with(".gopclntab")) return SectionUse::kFunctionTable;
  if ((flags & kAlloc) == 0) return SectionUse::kOther;
  if ((flags & kExecute) != 0) return SectionUse::kCode;
  if ((flags & kWrite) != 0 && !name.starts_with(".data.rel.ro")) return SectionUse::kData;
  return SectionUse::kReadOnly;
}

// Enough for the section headers and names that linkers put at the end of a file.
constexpr std::size_t kTail = 32u << 10;
constexpr std::string_view kGoMark = "\xff Go buildinf:";

class ElfBytesObserver : public EntryObserver {
 public:
  std::string_view kind() const override { return kElfBytesKind; }

  bool wants(const Entry& entry) override {
    head_.clear();
    tail_.clear();
    seen_ = 0;
    found_ = ElfBytes{};
    is_elf_ = true;
    return entry.size >= 64 && entry.sparse == 0;
  }

  void data(std::span<const std::byte> bytes) override {
    if (!is_elf_) return;
    const std::string_view text = as_text(bytes);
    if (head_.size() < 64) {
      head_ += text.substr(0, 64 - head_.size());
      if (head_.size() >= 4 && !head_.starts_with("\x7f"
                                                  "ELF")) {
        is_elf_ = false;
        return;
      }
    }
    if (!found_.go) found_.go = has_mark(text);
    if (text.size() >= kTail) {
      tail_ = text.substr(text.size() - kTail);
    } else {
      tail_ += text;
      if (tail_.size() > 4 * kTail) tail_.erase(0, tail_.size() - kTail);
    }
    seen_ += text.size();
  }

  std::optional<std::string> end(const Entry&) override {
    if (!is_elf_ || head_.size() < 64) return std::nullopt;
    const std::vector<FileWindow> windows{{0, head_}, {seen_ - tail_.size(), tail_}};
    for (const ElfSection& section : read_elf_sections(windows, seen_)) {
      if (section.use == SectionUse::kDebug) found_.debug += section.size;
      if (section.use == SectionUse::kSymbols) found_.symbols += section.size;
    }
    return fmt::format("{} {} {}", found_.go ? 1 : 0, found_.debug, found_.symbols);
  }

 private:
  // A mark may lie across two pieces.
  bool has_mark(std::string_view text) const {
    if (memmem(text.data(), text.size(), kGoMark.data(), kGoMark.size()) != nullptr) return true;
    const std::size_t overlap = kGoMark.size() - 1;
    if (tail_.empty()) return false;
    std::string seam = tail_.substr(tail_.size() - std::min(overlap, tail_.size()));
    seam += text.substr(0, overlap);
    return seam.find(kGoMark) != std::string::npos;
  }

  std::string head_;
  std::string tail_;
  std::uint64_t seen_ = 0;
  ElfBytes found_;
  bool is_elf_ = true;
};

}  // namespace

std::string_view name_of(SectionUse use) {
  switch (use) {
    case SectionUse::kCode:
      return "code";
    case SectionUse::kFunctionTable:
      return "function table (pclntab)";
    case SectionUse::kDebug:
      return "debug information";
    case SectionUse::kSymbols:
      return "symbol table";
    case SectionUse::kReadOnly:
      return "read-only data";
    case SectionUse::kData:
      return "data";
    case SectionUse::kOther:
      return "headers and notes";
  }
  return "";
}

std::vector<ElfSection> read_elf_sections(const std::vector<FileWindow>& windows, std::uint64_t file_size) {
  std::vector<ElfSection> sections;
  const WindowReader bytes(windows, std::endian::little);
  const auto word = bytes.integer<std::uint32_t>(4);  // class, data, version, OS ABI
  if (!word) return sections;
  const bool is_64 = (*word & 0xff) == 2;
  const std::endian order = ((*word >> 8) & 0xff) == 2 ? std::endian::big : std::endian::little;
  const WindowReader file(windows, order);
  const auto table = file.word(is_64 ? 0x28 : 0x20, is_64);
  const auto entry_size = file.integer<std::uint16_t>(is_64 ? 0x3a : 0x2e);
  const auto count = file.integer<std::uint16_t>(is_64 ? 0x3c : 0x30);
  const auto names_index = file.integer<std::uint16_t>(is_64 ? 0x3e : 0x32);
  if (!table || !entry_size || !count || !names_index || *table == 0 || *table >= file_size ||
      *entry_size < (is_64 ? 64 : 40) || *count > kMaxSections || *names_index >= *count) {
    return sections;
  }
  const auto field = [&](std::uint64_t index, std::uint64_t offset_32, std::uint64_t offset_64) {
    return file.word(*table + index * *entry_size + (is_64 ? offset_64 : offset_32), is_64);
  };
  const auto names = field(*names_index, 0x10, 0x18);
  if (!names || *names >= file_size) return sections;
  for (std::uint64_t i = 1; i < *count; ++i) {
    const auto name = file.integer<std::uint32_t>(*table + i * *entry_size);
    const auto type = file.integer<std::uint32_t>(*table + i * *entry_size + 4);
    const auto flags = field(i, 0x08, 0x08);
    const auto offset = field(i, 0x10, 0x18);
    const auto size = field(i, 0x14, 0x20);
    if (!name || !type || !flags || !offset || !size) return {};
    if (*type == kNoBits || *size == 0 || *offset >= file_size || *size > file_size - *offset) continue;
    sections.push_back({*offset, *size, use_of(file.text(*names + *name), *flags)});
  }
  std::sort(sections.begin(), sections.end(), [](const ElfSection& a, const ElfSection& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.size > b.size;
  });
  std::uint64_t end = 0;
  for (ElfSection& section : sections) {
    const std::uint64_t stop = section.offset + section.size;
    section.offset = std::max(section.offset, end);
    section.size = stop > section.offset ? stop - section.offset : 0;
    end = std::max(end, stop);
  }
  return sections;
}

std::unique_ptr<EntryObserver> make_elf_bytes_observer() {
  return std::make_unique<ElfBytesObserver>();
}

ElfBytes parse_elf_bytes(const Observation& observation) {
  ElfBytes bytes;
  unsigned go = 0;
  unsigned long long debug = 0;
  unsigned long long symbols = 0;
  if (std::sscanf(observation.data.c_str(), "%u %llu %llu", &go, &debug, &symbols) == 3)
    bytes = {go == 1, debug, symbols};
  return bytes;
}

}  // namespace imgslim
