// SPDX-License-Identifier: Apache-2.0
#include "layers/decode_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::size_t kInputBuffer = std::size_t{256} << 10;
// One call of a library makes at most this much, so that limits are looked at often enough.
constexpr std::size_t kMaxStep = std::size_t{1} << 20;

}  // namespace

CompressedInput::CompressedInput(BlobPtr blob, Sink* tap, std::uint64_t offset)
    : blob_(std::move(blob)), tap_(tap), read_offset_(offset) {
  if (offset == 0) return;
  // A decoder that goes on from a checkpoint may take back bytes from before it.
  const auto back = static_cast<std::size_t>(std::min<std::uint64_t>(offset, kBack));
  buffer_.resize(kInputBuffer + kBack);
  blob_->read_at(offset - back, std::span(buffer_).first(back));
  begin_ = back;
  end_ = back;
}

bool CompressedInput::fill() {
  const std::uint64_t size = blob_->size();
  if (read_offset_ >= size) return false;
  if (buffer_.empty()) {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size - read_offset_, kInputBuffer)) +
                   kBack);
  }
  // What is unread moves to the front, behind the bytes that may be taken back.
  const std::size_t from = begin_ - std::min(begin_, kBack);
  std::memmove(buffer_.data(), buffer_.data() + from, end_ - from);
  begin_ -= from;
  end_ -= from;
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(size - read_offset_, buffer_.size() - end_));
  const std::span<std::byte> fresh = std::span(buffer_).subspan(end_, count);
  blob_->read_at(read_offset_, fresh);
  if (tap_ != nullptr) tap_->write(fresh);
  read_offset_ += count;
  end_ += count;
  return true;
}

void CompressedInput::unread(std::size_t count) {
  if (count > kBack || count > begin_) throw std::logic_error("more bytes taken back than were consumed");
  begin_ -= count;
}

std::optional<unsigned char> CompressedInput::next_byte() {
  if (begin_ == end_ && !fill()) return std::nullopt;
  return static_cast<unsigned char>(buffer_[begin_++]);
}

DecodeEngine::DecodeEngine(CompressedInput input, const DecodeLimits& limits, std::uint64_t plain_offset,
                           std::uint64_t checkpoint_every)
    : input_(std::move(input)),
      limits_(limits),
      plain_offset_(plain_offset),
      checkpoint_every_(checkpoint_every),
      last_checkpoint_(plain_offset) {}

void DecodeEngine::fail(std::string_view reason) const {
  throw_bad_image(fmt::format("{} at offset {}", reason, input_.offset()));
}

void DecodeEngine::count_member() {
  if (++members_ > limits_.max_members) {
    fail(fmt::format("more than {} compressed members", limits_.max_members));
  }
}

void DecodeEngine::produced(std::size_t count) {
  plain_offset_ += count;
  if (plain_offset_ > limits_.max_plain_bytes) {
    fail(fmt::format("grows beyond {} bytes", limits_.max_plain_bytes));
  }
  if (plain_offset_ > limits_.ratio_floor && plain_offset_ / limits_.max_ratio > input_.offset()) {
    fail(fmt::format("grows by more than {} to 1", limits_.max_ratio));
  }
}

std::size_t DecodeEngine::room(std::span<std::byte> into) const {
  std::uint64_t room = std::min(into.size(), kMaxStep);
  if (checkpoint_every_ != 0 && !checkpoint_due()) {
    room = std::min(room, checkpoint_every_ - (plain_offset_ - last_checkpoint_));
  }
  return static_cast<std::size_t>(room);
}

bool DecodeEngine::checkpoint_due() const {
  return checkpoint_every_ != 0 && plain_offset_ - last_checkpoint_ >= checkpoint_every_;
}

void DecodeEngine::add_checkpoint(std::string state, std::size_t bytes_back) {
  checkpoints_.push_back({input_.offset() - bytes_back, plain_offset_, std::move(state)});
  last_checkpoint_ = plain_offset_;
}

void DecodeEngine::skip_zeros() {
  while (true) {
    const auto bytes = input_.available();
    const auto zeros =
        std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
    trailing_zeros_ += static_cast<std::uint64_t>(zeros - bytes.begin());
    input_.consume(static_cast<std::size_t>(zeros - bytes.begin()));
    if (zeros != bytes.end()) fail("garbage after the compressed data");
    if (!input_.fill()) return;
  }
}

}  // namespace imgslim
