// SPDX-License-Identifier: Apache-2.0
#include "src/debug_info/section_table.h"

#include <elf.h>
#include <fmt/format.h>

#include "layers/bytes.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxNames = std::uint64_t{16} << 20;  // bytes of all section names
constexpr std::size_t kMaxName = 256;
constexpr std::uint64_t kMaxAlignment = std::uint64_t{1} << 20;  // of a section that may move

// Reads fields one after the other.
class Fields {
 public:
  Fields(std::string_view bytes, bool is_64, std::endian order)
      : bytes_(bytes), is_64_(is_64), order_(order) {}
  std::uint16_t half() { return next<std::uint16_t>(); }
  std::uint32_t u32() { return next<std::uint32_t>(); }
  std::uint64_t word() { return is_64_ ? next<std::uint64_t>() : next<std::uint32_t>(); }
  void skip(std::size_t bytes) { at_ += bytes; }

 private:
  template <class T>
  T next() {
    const T value = read_integer<T>(bytes_, at_, order_).value_or(0);
    at_ += sizeof(T);
    return value;
  }
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool is_64_;
  std::endian order_;
};

// Writes fields one after the other.
class FieldWriter {
 public:
  FieldWriter(bool is_64, std::endian order) : is_64_(is_64), order_(order) {}
  void number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t byte = order_ == std::endian::little ? i : size - 1 - i;
      bytes += static_cast<char>(static_cast<unsigned char>(value >> (8 * byte)));
    }
  }
  void u32(std::uint64_t value) { number(value, 4); }
  void word(std::uint64_t value) { number(value, is_64_ ? 8 : 4); }

  std::string bytes;

 private:
  bool is_64_;
  std::endian order_;
};

bool inside(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

// Reads one file; a step that fails leaves the reason in problem_.
class Reader {
 public:
  explicit Reader(const Blob& file) : file_(file) {}

  SectionTableResult run() {
    SectionTableResult result;
    result.is_elf = read_header();
    if (result.is_elf && read_segments() && read_sections() && read_names()) result.table = std::move(table_);
    result.problem = std::move(problem_);
    return result;
  }

 private:
  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool read_header() {
    table_.file_size = file_.size();
    if (table_.file_size < sizeof(Elf32_Ehdr)) return fail("not an ELF file");
    const std::string front =
        read_range(file_, 0, std::min<std::uint64_t>(table_.file_size, sizeof(Elf64_Ehdr)));
    if (!front.starts_with(ELFMAG)) return fail("not an ELF file");
    const auto elf_class = static_cast<unsigned char>(front[EI_CLASS]);
    const auto data = static_cast<unsigned char>(front[EI_DATA]);
    if (elf_class != ELFCLASS32 && elf_class != ELFCLASS64) return fail("not an ELF file");
    if (data != ELFDATA2LSB && data != ELFDATA2MSB) return fail("not an ELF file");
    table_.is_64 = elf_class == ELFCLASS64;
    table_.byte_order = data == ELFDATA2LSB ? std::endian::little : std::endian::big;
    if (front.size() < table_.header_size()) return fail("not an ELF file");
    table_.header = front.substr(0, table_.header_size());

    Fields fields(table_.header, table_.is_64, table_.byte_order);
    fields.skip(EI_NIDENT);
    table_.type = fields.half();
    fields.skip(2 + 4);  // machine, version
    fields.word();       // entry
    table_.program_headers_offset = fields.word();
    table_.section_headers_offset = fields.word();
    fields.u32();  // flags
    header_bytes_ = fields.half();
    segment_bytes_ = fields.half();
    segment_count_ = fields.half();
    section_bytes_ = fields.half();
    section_count_ = fields.half();
    table_.names = fields.half();
    return true;
  }

  bool read_segments() {
    if (header_bytes_ != table_.header_size()) return fail("its header has another size than its class");
    if (segment_count_ == 0) return true;
    if (segment_count_ == PN_XNUM) return fail("more program headers than its header can count");
    if (segment_bytes_ != table_.segment_entry_size()) return fail("program headers of an unknown size");
    const std::uint64_t length = segment_count_ * table_.segment_entry_size();
    if (table_.program_headers_offset < table_.header_size() ||
        !inside(table_.program_headers_offset, length, table_.file_size)) {
      return fail("program headers outside the file");
    }
    const std::string bytes = read_range(file_, table_.program_headers_offset, length);
    for (std::size_t i = 0; i < segment_count_; ++i) {
      Fields fields(std::string_view(bytes).substr(i * table_.segment_entry_size()), table_.is_64,
                    table_.byte_order);
      SegmentHeader segment;
      segment.type = fields.u32();
      if (table_.is_64) segment.flags = fields.u32();
      segment.offset = fields.word();
      segment.address = fields.word();
      segment.physical_address = fields.word();
      segment.file_size = fields.word();
      segment.memory_size = fields.word();
      if (!table_.is_64) segment.flags = fields.u32();
      segment.alignment = fields.word();
      if (segment.file_size > 0 && !inside(segment.offset, segment.file_size, table_.file_size)) {
        return fail(fmt::format("program header {} names bytes outside the file", i));
      }
      table_.segments.push_back(segment);
    }
    return true;
  }

  bool read_sections() {
    if (section_count_ == 0) {
      return table_.section_headers_offset == 0 ||
             fail("more sections than its header can count, or a damaged one");
    }
    if (section_count_ >= SHN_LORESERVE) return fail("more sections than its header can count");
    if (section_bytes_ != table_.section_entry_size()) return fail("section headers of an unknown size");
    const std::uint64_t length = section_count_ * table_.section_entry_size();
    if (table_.section_headers_offset < table_.header_size() ||
        !inside(table_.section_headers_offset, length, table_.file_size)) {
      return fail("section headers outside the file");
    }
    const std::string bytes = read_range(file_, table_.section_headers_offset, length);
    for (std::size_t i = 0; i < section_count_; ++i) {
      Fields fields(std::string_view(bytes).substr(i * table_.section_entry_size()), table_.is_64,
                    table_.byte_order);
      SectionHeader section;
      section.name_offset = fields.u32();
      section.type = fields.u32();
      section.flags = fields.word();
      section.address = fields.word();
      section.offset = fields.word();
      section.size = fields.word();
      section.link = fields.u32();
      section.info = fields.u32();
      section.alignment = fields.word();
      section.entry_size = fields.word();
      if (i == 0 && section.type != SHT_NULL) return fail("its first section is not the empty one");
      if (section.has_bytes() && !inside(section.offset, section.size, table_.file_size)) {
        return fail(fmt::format("section {} names bytes outside the file", i));
      }
      if (section.alignment > 1 && !std::has_single_bit(section.alignment)) {
        return fail(fmt::format("section {} has an alignment that is no power of two", i));
      }
      if (section.alignment > kMaxAlignment && !section.is_allocated()) {
        return fail(fmt::format("section {} has an alignment without reason", i));
      }
      if (section.link >= section_count_)
        return fail(fmt::format("section {} is linked to one that is not there", i));
      table_.sections.push_back(section);
    }
    return true;
  }

  bool read_names() {
    if (table_.sections.empty()) return true;
    if (table_.names == 0 || table_.names >= table_.sections.size())
      return fail("section names are not there");
    const SectionHeader& names = table_.sections[table_.names];
    if (names.type != SHT_STRTAB || names.size == 0 || names.size > kMaxNames ||
        (names.flags & SHF_COMPRESSED) != 0) {
      return fail("section names are in no table of strings");
    }
    const std::string bytes = read_range(file_, names.offset, names.size);
    for (std::size_t i = 0; i < table_.sections.size(); ++i) {
      SectionHeader& section = table_.sections[i];
      const auto name = c_string(bytes, section.name_offset, kMaxName);
      if (!name) return fail(fmt::format("section {} has a name outside the table of names", i));
      section.name = *name;
    }
    return true;
  }

  const Blob& file_;
  SectionTable table_;
  std::size_t header_bytes_ = 0;
  std::size_t segment_bytes_ = 0;
  std::size_t segment_count_ = 0;
  std::size_t section_bytes_ = 0;
  std::size_t section_count_ = 0;
  std::string problem_;
};

}  // namespace

bool SectionHeader::is_allocated() const {
  return (flags & SHF_ALLOC) != 0;
}

bool SectionHeader::has_bytes() const {
  return type != SHT_NOBITS && type != SHT_NULL && size > 0;
}

std::string SectionTable::header_with(std::uint64_t offset, std::size_t count,
                                      std::uint32_t names_index) const {
  FieldWriter offset_field(is_64, byte_order);
  offset_field.word(offset);
  FieldWriter count_fields(is_64, byte_order);
  count_fields.number(count, 2);
  count_fields.number(names_index, 2);
  std::string bytes = header;
  const std::size_t offset_at = is_64 ? offsetof(Elf64_Ehdr, e_shoff) : offsetof(Elf32_Ehdr, e_shoff);
  const std::size_t count_at = is_64 ? offsetof(Elf64_Ehdr, e_shnum) : offsetof(Elf32_Ehdr, e_shnum);
  bytes.replace(offset_at, offset_field.bytes.size(), offset_field.bytes);
  bytes.replace(count_at, count_fields.bytes.size(), count_fields.bytes);
  return bytes;
}

std::string SectionTable::encode(const std::vector<SegmentHeader>& headers) const {
  FieldWriter out(is_64, byte_order);
  for (const SegmentHeader& segment : headers) {
    out.u32(segment.type);
    if (is_64) out.u32(segment.flags);
    out.word(segment.offset);
    out.word(segment.address);
    out.word(segment.physical_address);
    out.word(segment.file_size);
    out.word(segment.memory_size);
    if (!is_64) out.u32(segment.flags);
    out.word(segment.alignment);
  }
  return std::move(out.bytes);
}

std::string SectionTable::encode(const std::vector<SectionHeader>& headers) const {
  FieldWriter out(is_64, byte_order);
  for (const SectionHeader& section : headers) {
    out.u32(section.name_offset);
    out.u32(section.type);
    out.word(section.flags);
    out.word(section.address);
    out.word(section.offset);
    out.word(section.size);
    out.u32(section.link);
    out.u32(section.info);
    out.word(section.alignment);
    out.word(section.entry_size);
  }
  return std::move(out.bytes);
}

SectionTableResult read_section_table(const Blob& file) {
  return Reader(file).run();
}

std::string read_range(const Blob& file, std::uint64_t offset, std::uint64_t length) {
  std::string bytes(static_cast<std::size_t>(length), '\0');
  if (length > 0) file.read_at(offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace imgslim
