// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>

#include "layers/compression.h"
#include "layers/error.h"

namespace imgslim {
namespace {

// The plain bytes are cut into spans of this size; a cached span is whole.
constexpr std::uint64_t kSpan = std::uint64_t{256} << 10;
constexpr std::size_t kMinSpans = 4;

struct Span {
  std::uint64_t index = 0;
  std::vector<std::byte> bytes;
};

// A decoder that stands at the beginning of a span.
struct Cursor {
  std::unique_ptr<Decoder> decoder;
  std::uint64_t span = 0;
};

}  // namespace

struct PlainBlob::State {
  BlobPtr blob;
  Compression compression = Compression::kNone;
  std::vector<Checkpoint> checkpoints;  // by plain offset
  std::uint64_t size = 0;
  std::size_t max_spans = kMinSpans;
  std::size_t max_cursors = 1;

  std::mutex mutex;       // guards what follows
  std::list<Span> spans;  // most recently used first
  std::unordered_map<std::uint64_t, std::list<Span>::iterator> by_index;
  std::list<Cursor> cursors;  // most recently used first

  const Span& span(std::uint64_t index);
  Cursor& cursor_for(std::uint64_t index);
  const Span& decode_next(Cursor& cursor);
  static void read_fully(Decoder& decoder, std::span<std::byte> into);
};

void PlainBlob::State::read_fully(Decoder& decoder, std::span<std::byte> into) {
  while (!into.empty()) {
    const std::size_t count = decoder.read(into);
    if (count == 0) throw Error(Failure::kIo, "blob holds fewer plain bytes than its table says");
    into = into.subspan(count);
  }
}

// Decodes the span before which the cursor stands, and caches it.
const Span& PlainBlob::State::decode_next(Cursor& cursor) {
  const std::uint64_t start = cursor.span * kSpan;
  std::vector<std::byte> bytes;
  if (spans.size() >= max_spans) {
    bytes = std::move(spans.back().bytes);
    by_index.erase(spans.back().index);
    spans.pop_back();
  }
  bytes.resize(static_cast<std::size_t>(std::min(kSpan, size - start)));
  try {
    read_fully(*cursor.decoder, bytes);
  } catch (...) {
    cursors.remove_if([&](const Cursor& other) { return &other == &cursor; });
    throw;
  }
  const std::uint64_t index = cursor.span++;
  if (const auto known = by_index.find(index); known != by_index.end()) {
    known->second->bytes = std::move(bytes);
    spans.splice(spans.begin(), spans, known->second);
    return spans.front();
  }
  spans.push_front({index, std::move(bytes)});
  by_index[index] = spans.begin();
  return spans.front();
}

// The cursor from which the span is reached with the least decoding, made anew if a checkpoint is nearer
// than all there are.
Cursor& PlainBlob::State::cursor_for(std::uint64_t index) {
  const std::uint64_t start = index * kSpan;
  Checkpoint beginning;
  const auto behind =
      std::upper_bound(checkpoints.begin(), checkpoints.end(), start,
                       [](std::uint64_t at, const Checkpoint& c) { return at < c.plain_offset; });
  const Checkpoint& nearest = behind == checkpoints.begin() ? beginning : *std::prev(behind);
  auto best = cursors.end();
  for (auto it = cursors.begin(); it != cursors.end(); ++it) {
    if (it->span > index || it->span * kSpan < nearest.plain_offset) continue;
    if (best == cursors.end() || it->span > best->span) best = it;
  }
  if (best != cursors.end()) {
    cursors.splice(cursors.begin(), cursors, best);
    return cursors.front();
  }
  if (cursors.size() >= max_cursors) cursors.pop_back();
  Cursor cursor{std::make_unique<Decoder>(blob, compression, nearest), 0};
  // A checkpoint lies inside a span: what is left of it is passed over.
  cursor.span = (nearest.plain_offset + kSpan - 1) / kSpan;
  std::vector<std::byte> skipped(static_cast<std::size_t>(cursor.span * kSpan - nearest.plain_offset));
  read_fully(*cursor.decoder, skipped);
  cursors.push_front(std::move(cursor));
  return cursors.front();
}

const Span& PlainBlob::State::span(std::uint64_t index) {
  if (const auto known = by_index.find(index); known != by_index.end()) {
    spans.splice(spans.begin(), spans, known->second);
    return spans.front();
  }
  Cursor& cursor = cursor_for(index);
  while (true) {
    const bool wanted = cursor.span == index;
    const Span& decoded = decode_next(cursor);
    if (wanted) return decoded;
  }
}

PlainBlob::PlainBlob(BlobPtr blob, Compression compression, std::vector<Checkpoint> checkpoints,
                     std::uint64_t plain_size, std::size_t cache_bytes)
    : state_(std::make_unique<State>()) {
  state_->blob = std::move(blob);
  state_->compression = compression;
  state_->checkpoints = std::move(checkpoints);
  state_->size = plain_size;
  // A zstd decoder holds its window, which may be large.
  state_->max_cursors = compression == Compression::kZstd ? 2 : 4;
  state_->max_spans = std::max(kMinSpans, static_cast<std::size_t>(cache_bytes / kSpan));
}

PlainBlob::~PlainBlob() = default;

std::uint64_t PlainBlob::size() const {
  return state_->size;
}

void PlainBlob::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > state_->size || into.size() > state_->size - offset) {
    throw Error(Failure::kIo, "read past the end of the plain bytes");
  }
  if (state_->compression == Compression::kNone) return state_->blob->read_at(offset, into);
  const std::lock_guard lock(state_->mutex);
  while (!into.empty()) {
    const Span& span = state_->span(offset / kSpan);
    const auto from = static_cast<std::size_t>(offset % kSpan);
    const std::size_t count = std::min(into.size(), span.bytes.size() - from);
    std::memcpy(into.data(), span.bytes.data() + from, count);
    offset += count;
    into = into.subspan(count);
  }
}

}  // namespace imgslim
