// SPDX-License-Identifier: Apache-2.0
#include "src/image_facts.h"

#include <fmt/format.h>

namespace imgslim {
namespace {

// What is remembered as it is: texts of package databases, scripts, settings.
constexpr std::uint64_t kMaxContent = std::uint64_t{8} << 20;
constexpr std::string_view kWhole = "content";
constexpr std::string_view kDigest = "sha256";
constexpr std::uint32_t kElf = 0x464c457f;  // the first bytes of an ELF file

}  // namespace

LayerFindings* ImageFacts::facts_of(EntryRef entry) const {
  if (entry.layer >= layers_.size()) return nullptr;
  const LayerTable& table = *tables_[entry.layer];
  const Entry& e = table.entries.at(entry.entry);
  // Its content was replaced.
  if (e.size > 0 && e.data_offset >= table.plain_size) return nullptr;
  return layers_[entry.layer].get();
}

std::optional<std::string> ImageFacts::recall(EntryRef entry, std::string_view fact) const {
  const LayerFindings* facts = facts_of(entry);
  return facts == nullptr ? std::nullopt : facts->find(entry.entry, fact);
}

void ImageFacts::remember(EntryRef entry, std::string_view fact, std::string_view data) const {
  if (LayerFindings* facts = facts_of(entry)) facts->add(entry.entry, fact, data);
}

std::optional<std::string> ImageFacts::find(EntryRef file) const {
  return recall(file, kWhole);
}

void ImageFacts::add(EntryRef file, std::string_view content) const {
  if (!content.starts_with("\177ELF")) remember(file, kWhole, content);
}

std::optional<Digest> ImageFacts::find_digest(EntryRef file) const {
  const auto text = recall(file, kDigest);
  return text ? Digest::parse(*text) : std::nullopt;
}

void ImageFacts::add_digest(EntryRef file, const Digest& digest) const {
  remember(file, kDigest, digest.text());
}

std::string ImageFacts::content(EntryRef file, std::uint64_t length, const ContentReader& read) const {
  LayerFindings* facts = facts_of(file);
  if (facts == nullptr) return read(file, length);
  const Entry& entry = tables_[file.layer]->entries[file.entry];
  const bool is_whole = length >= entry.size;
  if (std::min(length, entry.size) > kMaxContent || (is_whole && (entry.head & 0xffffffff) == kElf))
    return read(file, length);
  const std::string fact = is_whole ? std::string(kWhole) : fmt::format("first {}", length);
  if (auto known = facts->find(file.entry, fact)) return *std::move(known);
  std::string content = read(file, length);
  facts->add(file.entry, fact, content);
  return content;
}

std::optional<std::string> MappedFacts::recall(EntryRef entry, std::string_view fact) const {
  const EntryRef place = place_(entry);
  return place ? facts_.recall(place, fact) : std::nullopt;
}

void MappedFacts::remember(EntryRef entry, std::string_view fact, std::string_view data) const {
  if (const EntryRef place = place_(entry)) facts_.remember(place, fact, data);
}

}  // namespace imgslim
