// SPDX-License-Identifier: Apache-2.0
#include "src/debug_info_observer.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "layers/bytes.h"
#include "layers/error.h"
#include "layers/stream.h"
#include "src/debug_info/debug_info.h"
#include "src/debug_info/section_table.h"

namespace imgslim {
namespace {

constexpr std::string_view kKind = "debug-info";
constexpr std::uint64_t kFront = 4096;                       // file header and program headers
constexpr std::uint64_t kBefore = std::uint64_t{64} << 10;   // names stand in front of the section headers
constexpr std::uint64_t kMaxNames = std::uint64_t{1} << 20;  // or behind them

// The parts of a file that were kept.
class KeptParts : public Blob {
 public:
  explicit KeptParts(std::uint64_t size) : size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    for (const Part& part : parts_) {
      if (offset < part.start) continue;
      const auto bytes = slice(part.bytes, offset - part.start, into.size());
      if (!bytes) continue;
      std::copy_n(as_bytes(*bytes).begin(), into.size(), into.begin());
      return;
    }
    throw Error(Failure::kIo, "not kept");
  }

  void want(std::uint64_t start, std::uint64_t end) { parts_.push_back({start, std::min(end, size_), {}}); }
  // Bytes that pass at `offset`, in order.
  void pass(std::uint64_t offset, std::string_view bytes) {
    for (Part& part : parts_) {
      const std::uint64_t from = std::max(offset, part.start + part.bytes.size());
      const std::uint64_t to = std::min(offset + bytes.size(), part.end);
      if (from < to)
        part.bytes +=
            bytes.substr(static_cast<std::size_t>(from - offset), static_cast<std::size_t>(to - from));
    }
  }
  std::string_view front() const { return parts_.front().bytes; }
  bool all_of_front() const { return parts_.front().bytes.size() == parts_.front().end; }

 private:
  struct Part {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::string bytes;
  };
  std::uint64_t size_;
  std::vector<Part> parts_;
};

class DebugInfoObserver : public EntryObserver {
 public:
  std::string_view kind() const override { return kKind; }

  bool wants(const Entry& entry) override {
    if (entry.type != EntryType::kRegular || entry.size < sizeof(Elf32_Ehdr)) return false;
    parts_ = std::make_unique<KeptParts>(entry.size);
    parts_->want(0, kFront);
    at_ = 0;
    step_ = Step::kFront;
    return true;
  }

  void data(std::span<const std::byte> bytes) override {
    if (step_ == Step::kIgnored) return;
    std::string_view text = as_text(bytes);
    if (at_ == 0 && !text.empty() && text[0] != ELFMAG[0]) {
      step_ = Step::kIgnored;
      return;
    }
    // A step may ask for bytes that are in this piece already.
    while (step_ == Step::kFront && !text.empty()) {
      const std::string_view piece = text.substr(0, static_cast<std::size_t>(kFront - std::min(at_, kFront)));
      pass(piece);
      text.remove_prefix(piece.size());
      if (parts_->all_of_front()) read_front();
    }
    if (step_ == Step::kHeaders) {
      const std::uint64_t left = headers_end_ > at_ ? headers_end_ - at_ : 0;
      const std::string_view piece =
          text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, text.size())));
      pass(piece);
      text.remove_prefix(piece.size());
      if (at_ >= headers_end_) want_names();
    }
    pass(text);
  }

  std::optional<std::string> end(const Entry&) override {
    const std::unique_ptr<KeptParts> parts = std::move(parts_);
    if (step_ == Step::kIgnored || !parts->front().starts_with(ELFMAG)) return std::nullopt;
    try {
      const SectionTableResult read = read_section_table(*parts);
      if (!read.is_elf) return std::nullopt;
      if (!read.table) return "?";
      const DebugInfoSize size = debug_info_size(*read.table);
      const bool symbols =
          std::any_of(read.table->sections.begin(), read.table->sections.end(),
                      [](const SectionHeader& section) { return section.type == SHT_SYMTAB; });
      if (size.bytes == 0 && !symbols) return std::nullopt;
      return fmt::format("{} {} {}", size.bytes, size.compressed, symbols ? 1 : 0);
    } catch (const Error&) {
      return "?";
    }
  }

 private:
  enum class Step { kFront, kHeaders, kRest, kIgnored };

  void pass(std::string_view bytes) {
    parts_->pass(at_, bytes);
    at_ += bytes.size();
  }

  void read_front() {
    const std::string front(parts_->front());
    const bool is_64 = front.size() > EI_CLASS && front[EI_CLASS] == ELFCLASS64;
    if (!front.starts_with(ELFMAG) || front.size() < (is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr))) {
      step_ = Step::kIgnored;
      return;
    }
    order_ = front[EI_DATA] == ELFDATA2MSB ? std::endian::big : std::endian::little;
    is_64_ = is_64;
    const std::size_t names_at = is_64 ? offsetof(Elf64_Ehdr, e_shstrndx) : offsetof(Elf32_Ehdr, e_shstrndx);
    const std::size_t count_at = is_64 ? offsetof(Elf64_Ehdr, e_shnum) : offsetof(Elf32_Ehdr, e_shnum);
    headers_ = is_64 ? *read_integer<std::uint64_t>(front, offsetof(Elf64_Ehdr, e_shoff), order_)
                     : *read_integer<std::uint32_t>(front, offsetof(Elf32_Ehdr, e_shoff), order_);
    names_ = *read_integer<std::uint16_t>(front, names_at, order_);
    const std::uint64_t length =
        std::uint64_t{*read_integer<std::uint16_t>(front, count_at, order_)} * entry_size();
    step_ = Step::kRest;
    if (headers_ == 0 || headers_ > parts_->size() || length > parts_->size() - headers_) return;
    headers_end_ = headers_ + length;
    if (headers_end_ <= front.size()) return want_names();
    // What the front holds of it passes again.
    const std::uint64_t start = headers_ > kBefore ? headers_ - kBefore : 0;
    parts_->want(start, headers_end_);
    if (start < front.size())
      parts_->pass(start, std::string_view(front).substr(static_cast<std::size_t>(start)));
    step_ = Step::kHeaders;
  }

  // The section headers are known; the names may still be to come.
  void want_names() {
    step_ = Step::kRest;
    const std::uint64_t entry = headers_ + names_ * entry_size();
    const std::size_t offset_at = is_64_ ? offsetof(Elf64_Shdr, sh_offset) : offsetof(Elf32_Shdr, sh_offset);
    std::string header(entry_size(), '\0');
    try {
      parts_->read_at(entry, std::as_writable_bytes(std::span(header)));
    } catch (const Error&) {
      return;
    }
    const auto word = [&](std::size_t at) {
      return is_64_ ? *read_integer<std::uint64_t>(header, at, order_)
                    : *read_integer<std::uint32_t>(header, at, order_);
    };
    const std::uint64_t offset = word(offset_at);
    const std::uint64_t length = word(offset_at + (is_64_ ? 8 : 4));
    if (offset >= at_ && length <= kMaxNames) parts_->want(offset, offset + length);
  }

  std::uint64_t entry_size() const { return is_64_ ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr); }

  std::unique_ptr<KeptParts> parts_;
  std::uint64_t at_ = 0;
  Step step_ = Step::kIgnored;
  bool is_64_ = true;
  std::endian order_ = std::endian::little;
  std::uint64_t headers_ = 0;
  std::uint64_t headers_end_ = 0;
  std::uint64_t names_ = 0;
};

}  // namespace

std::unique_ptr<EntryObserver> make_debug_info_observer() {
  return std::make_unique<DebugInfoObserver>();
}

std::optional<ObservedDebugInfo> observed_debug_info(const LayerTable& table, std::uint32_t entry) {
  auto at = std::lower_bound(table.observations.begin(), table.observations.end(), entry,
                             [](const Observation& a, std::uint32_t b) { return a.entry < b; });
  for (; at != table.observations.end() && at->entry == entry; ++at) {
    if (at->kind != kKind) continue;
    ObservedDebugInfo found;
    found.unreadable = true;
    const char* from = at->data.data();
    const char* const end = from + at->data.size();
    std::uint64_t numbers[3] = {0, 0, 0};
    for (std::uint64_t& number : numbers) {
      const auto [rest, error] = std::from_chars(from, end, number);
      if (error != std::errc()) return found;
      from = rest == end ? rest : rest + 1;
    }
    return ObservedDebugInfo{numbers[0], numbers[1], numbers[2] != 0, false};
  }
  return std::nullopt;
}

}  // namespace imgslim
