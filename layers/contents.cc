// SPDX-License-Identifier: Apache-2.0
#include "layers/contents.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "layers/at_once.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;
// Of a file that may be known.
constexpr std::uint64_t kSmall = std::uint64_t{256} << 10;
constexpr std::uint64_t kLarge = std::uint64_t{8} << 20;

void write_zeros(Sink& out, std::uint64_t count) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (count > 0) {
    const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
    out.write(std::span(kZeros).first(step));
    count -= step;
  }
}

void copy_range(const Blob& from, std::uint64_t offset, std::uint64_t length, std::vector<std::byte>& buffer,
                Sink& out) {
  while (length > 0) {
    const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(length, buffer.size()));
    from.read_at(offset, std::span(buffer).first(step));
    out.write(std::span(buffer).first(step));
    offset += step;
    length -= step;
  }
}

}  // namespace

Contents::Contents(std::vector<LayerTablePtr> tables, std::vector<BlobPtr> blobs, std::size_t cache_bytes,
                   std::vector<BlobPtr> replaced, const KnownDigests* digests, const KnownContents* known)
    : tables_(std::move(tables)), replaced_(std::move(replaced)), digests_(digests), known_(known) {
  if (tables_.size() != blobs.size()) throw std::logic_error("contents: tables and blobs differ in number");
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    // A part of the table, which it keeps alive.
    const std::shared_ptr<const std::vector<Checkpoint>> checkpoints(tables_[i], &tables_[i]->checkpoints);
    plain_.push_back(std::make_unique<PlainBlob>(blobs[i], tables_[i]->compression, checkpoints,
                                                 tables_[i]->plain_size, cache_bytes));
  }
}

const Entry& Contents::entry(EntryRef file) const {
  return tables_.at(file.layer)->entries.at(file.entry);
}

std::pair<const Blob*, std::uint64_t> Contents::place_of(EntryRef file) const {
  const std::uint64_t offset = entry(file).data_offset;
  const std::uint64_t plain_size = tables_[file.layer]->plain_size;
  if (offset >= plain_size && file.layer < replaced_.size() && replaced_[file.layer]) {
    return {replaced_[file.layer].get(), offset - plain_size};
  }
  return {plain_[file.layer].get(), offset};
}

void Contents::write_to(EntryRef file, Sink& out) const {
  const std::uint64_t size = entry(file).size;
  if (known_ == nullptr || size == 0 || size > kSmall) return read_into(file, out);
  std::optional<std::string> text = known_->find(file);
  if (!text || text->size() != size) {
    text.emplace();
    const auto sink = sink_to([&](std::span<const std::byte> bytes) { *text += as_text(bytes); });
    read_into(file, *sink);
    known_->add(file, *text);
  }
  out.write(as_bytes(*text));
}

void Contents::read_into(EntryRef file, Sink& out) const {
  const Entry& e = entry(file);
  const auto [blob, start] = place_of(file);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, e.stored_size + 1)));
  if (e.sparse == 0) {
    copy_range(*blob, start, e.size, buffer, out);
    return;
  }
  std::uint64_t at = 0;
  std::uint64_t stored = start;
  for (const auto& [offset, length] : tables_[file.layer]->sparse_maps.at(e.sparse)) {
    write_zeros(out, offset - at);
    copy_range(*blob, stored, length, buffer, out);
    stored += length;
    at = offset + length;
  }
  write_zeros(out, e.size - at);
}

std::string Contents::read(EntryRef file, std::uint64_t limit) const {
  const Entry& e = entry(file);
  if (e.size > limit) {
    throw_bad_image(printable(e.path) + " is larger than " + std::to_string(limit) + " bytes");
  }
  if (threads_ > 1 && e.sparse == 0 && e.size >= kLarge) return read_in_parts(file);
  std::string text;
  text.reserve(static_cast<std::size_t>(e.size));
  const auto sink = sink_to([&](std::span<const std::byte> bytes) { text += as_text(bytes); });
  write_to(file, *sink);
  return text;
}

// Each part begins where a decoder can.
std::string Contents::read_in_parts(EntryRef file) const {
  const std::uint64_t size = entry(file).size;
  const std::pair<const Blob*, std::uint64_t> place = place_of(file);
  const Blob* const blob = place.first;
  const std::uint64_t start = place.second;
  std::vector<std::uint64_t> parts{0};
  if (blob == plain_[file.layer].get()) {
    const std::uint64_t step = std::max(size / threads_, kLarge / 4);
    for (const Checkpoint& checkpoint : tables_[file.layer]->checkpoints) {
      // Up to the next span, which is decoded as one.
      const std::uint64_t at =
          (checkpoint.plain_offset + PlainBlob::kSpan - 1) / PlainBlob::kSpan * PlainBlob::kSpan;
      if (at >= start + parts.back() + step && at + step / 2 <= start + size) parts.push_back(at - start);
    }
  }
  parts.push_back(size);
  std::string text(static_cast<std::size_t>(size), '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
  for_each_at_once(threads_, parts.size() - 1, [&](std::size_t i) {
    blob->read_at(start + parts[i], bytes.subspan(parts[i], parts[i + 1] - parts[i]));
  });
  return text;
}

std::string Contents::read_front(EntryRef file, std::uint64_t length) const {
  const Entry& e = entry(file);
  if (length >= e.size) return read(file, e.size);
  if (e.sparse != 0) return read(file, e.size).substr(0, static_cast<std::size_t>(length));
  std::string text(static_cast<std::size_t>(length), '\0');
  const auto [blob, start] = place_of(file);
  blob->read_at(start, std::as_writable_bytes(std::span(text)));
  return text;
}

void Contents::forget() const {
  for (const auto& layer : plain_)
    layer->forget();
}

std::vector<Digest> Contents::hash(const std::vector<EntryRef>& files) const {
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (files[a].layer != files[b].layer) return files[a].layer < files[b].layer;
    return entry(files[a]).data_offset < entry(files[b]).data_offset;
  });
  std::vector<std::optional<Digest>> found(files.size());
  for (const std::size_t i : order) {
    if (digests_ != nullptr) found[i] = digests_->find_digest(files[i]);
    if (found[i]) continue;
    Hasher hasher;
    const auto sink = sink_to([&](std::span<const std::byte> bytes) { hasher.update(bytes); });
    read_into(files[i], *sink);
    found[i] = hasher.finish();
    if (digests_ != nullptr) digests_->add_digest(files[i], *found[i]);
  }
  std::vector<Digest> digests;
  digests.reserve(files.size());
  for (auto& digest : found)
    digests.push_back(std::move(*digest));
  return digests;
}

}  // namespace imgslim
