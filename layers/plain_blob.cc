// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>

#include "layers/compression.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kSpan = PlainBlob::kSpan;
constexpr std::size_t kMinSpans = 4;

using Bytes = std::shared_ptr<const std::vector<std::byte>>;

struct Span {
  std::uint64_t index = 0;
  Bytes bytes;
};

// A decoder that stands at the beginning of a span.
struct Cursor {
  std::unique_ptr<Decoder> decoder;
  std::uint64_t span = 0;
};

void read_fully(Decoder& decoder, std::span<std::byte> into) {
  while (!into.empty()) {
    const std::size_t count = decoder.read(into);
    if (count == 0) throw Error(Failure::kIo, "blob holds fewer plain bytes than its table says");
    into = into.subspan(count);
  }
}

}  // namespace

struct PlainBlob::State {
  BlobPtr blob;
  Compression compression = Compression::kNone;
  std::shared_ptr<const std::vector<Checkpoint>> checkpoints;  // by plain offset
  std::uint64_t size = 0;
  std::size_t max_spans = kMinSpans;
  std::size_t max_cursors = 1;

  std::mutex mutex;  // guards what follows; nobody decodes while holding it
  std::condition_variable arrived;
  std::list<Span> spans;  // most recently used first
  std::unordered_map<std::uint64_t, std::list<Span>::iterator> by_index;
  std::list<Cursor> idle;  // most recently used first
  // Cursors that somebody decodes with: the span each began at.
  std::list<std::uint64_t> busy;

  Bytes span(std::uint64_t index);

 private:
  Bytes cached(std::uint64_t index);
  void add(std::uint64_t index, Bytes bytes);
  const Checkpoint* nearest(std::uint64_t index) const;
  Cursor start_at(const Checkpoint* checkpoint) const;
};

Bytes PlainBlob::State::cached(std::uint64_t index) {
  const auto known = by_index.find(index);
  if (known == by_index.end()) return nullptr;
  spans.splice(spans.begin(), spans, known->second);
  return spans.front().bytes;
}

void PlainBlob::State::add(std::uint64_t index, Bytes bytes) {
  if (by_index.contains(index)) return;
  if (spans.size() >= max_spans) {
    by_index.erase(spans.back().index);
    spans.pop_back();
  }
  spans.push_front({index, std::move(bytes)});
  by_index[index] = spans.begin();
}

// The last checkpoint before a span; null for the blob's beginning.
const Checkpoint* PlainBlob::State::nearest(std::uint64_t index) const {
  const auto behind =
      std::upper_bound(checkpoints->begin(), checkpoints->end(), index * kSpan,
                       [](std::uint64_t at, const Checkpoint& c) { return at < c.plain_offset; });
  return behind == checkpoints->begin() ? nullptr : &*std::prev(behind);
}

Cursor PlainBlob::State::start_at(const Checkpoint* checkpoint) const {
  const Checkpoint beginning;
  const Checkpoint& from = checkpoint == nullptr ? beginning : *checkpoint;
  Cursor cursor{std::make_unique<Decoder>(blob, compression, from), 0};
  // A checkpoint lies inside a span: what is left of it is passed over.
  cursor.span = (from.plain_offset + kSpan - 1) / kSpan;
  std::vector<std::byte> skipped(static_cast<std::size_t>(cursor.span * kSpan - from.plain_offset));
  read_fully(*cursor.decoder, skipped);
  return cursor;
}

// From the cursor that reaches it with the least decoding, a new one if a checkpoint is nearer than all. If
// the nearest is one that somebody uses, its way is waited for: what it decodes is what is wanted here.
Bytes PlainBlob::State::span(std::uint64_t index) {
  const Checkpoint* const checkpoint = nearest(index);
  const std::uint64_t first = checkpoint == nullptr ? 0 : checkpoint->plain_offset / kSpan;
  std::unique_lock lock(mutex);
  Cursor cursor;
  while (true) {
    if (Bytes known = cached(index)) return known;
    auto best = idle.end();
    for (auto it = idle.begin(); it != idle.end(); ++it) {
      if (it->span > index || it->span < first) continue;
      if (best == idle.end() || it->span > best->span) best = it;
    }
    const bool is_on_its_way = std::any_of(busy.begin(), busy.end(), [&](std::uint64_t from) {
      return from <= index && from >= first && (best == idle.end() || from > best->span);
    });
    if (is_on_its_way) {
      arrived.wait(lock);
      continue;
    }
    if (best != idle.end()) {
      cursor = std::move(*best);
      idle.erase(best);
    }
    break;
  }
  const auto mine = busy.insert(busy.end(), cursor.decoder ? cursor.span : first);
  lock.unlock();
  Bytes found;
  try {
    if (!cursor.decoder) cursor = start_at(checkpoint);
    while (found == nullptr) {
      const std::uint64_t at = cursor.span * kSpan;
      auto bytes =
          std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(std::min(kSpan, size - at)));
      read_fully(*cursor.decoder, *bytes);
      const std::uint64_t decoded = cursor.span++;
      const std::lock_guard again(mutex);
      add(decoded, bytes);
      if (decoded == index) found = std::move(bytes);
    }
  } catch (...) {
    lock.lock();
    busy.erase(mine);
    arrived.notify_all();
    throw;
  }
  lock.lock();
  busy.erase(mine);
  idle.push_front(std::move(cursor));
  if (idle.size() > max_cursors) idle.pop_back();
  arrived.notify_all();
  return found;
}

PlainBlob::PlainBlob(BlobPtr blob, Compression compression, std::vector<Checkpoint> checkpoints,
                     std::uint64_t plain_size, std::size_t cache_bytes)
    : PlainBlob(std::move(blob), compression,
                std::make_shared<const std::vector<Checkpoint>>(std::move(checkpoints)), plain_size,
                cache_bytes) {}

PlainBlob::PlainBlob(BlobPtr blob, Compression compression,
                     std::shared_ptr<const std::vector<Checkpoint>> checkpoints, std::uint64_t plain_size,
                     std::size_t cache_bytes)
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

void PlainBlob::forget() const {
  const std::lock_guard lock(state_->mutex);
  state_->by_index.clear();
  state_->spans.clear();
  state_->idle.clear();
}

std::uint64_t PlainBlob::size() const {
  return state_->size;
}

void PlainBlob::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > state_->size || into.size() > state_->size - offset) {
    throw Error(Failure::kIo, "read past the end of the plain bytes");
  }
  if (state_->compression == Compression::kNone) return state_->blob->read_at(offset, into);
  while (!into.empty()) {
    const Bytes span = state_->span(offset / kSpan);
    const auto from = static_cast<std::size_t>(offset % kSpan);
    const std::size_t count = std::min(into.size(), span->size() - from);
    std::memcpy(into.data(), span->data() + from, count);
    offset += count;
    into = into.subspan(count);
  }
}

}  // namespace imgslim
