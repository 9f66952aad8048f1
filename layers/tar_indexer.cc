// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "layers/error.h"
#include "layers/tar.h"
#include "layers/tar_indexer_state.h"

namespace imgslim {
namespace {

bool all_zero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

void TarIndexer::State::write(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t taken = 0;
    switch (step) {
      case Step::kContent:
      case Step::kExtended:
        taken = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
        left -= taken;
        offset += taken;
        if (step == Step::kContent) {
          stored(bytes.substr(0, taken));
          if (left == 0) end_content();
        } else {
          payload += bytes.substr(0, taken);
          if (left == 0) end_extended();
        }
        break;
      case Step::kPadding:
      case Step::kExtendedPadding:
        taken = static_cast<std::size_t>(std::min<std::uint64_t>(padding, bytes.size()));
        padding -= taken;
        offset += taken;
        if (padding == 0) {
          if (step == Step::kPadding) end_entry(offset);
          step = Step::kHeader;
        }
        break;
      case Step::kEnd:
        if (!garbage_seen && !all_zero(bytes)) {
          garbage_seen = true;
          warn("there is data after the end of the archive");
        }
        taken = bytes.size();
        offset += taken;
        break;
      default:
        if (block.empty() && bytes.size() >= kTarBlock) {
          taken = kTarBlock;
          offset += kTarBlock;
          take_block(bytes.substr(0, kTarBlock));
        } else {
          taken = std::min<std::size_t>(kTarBlock - block.size(), bytes.size());
          block += bytes.substr(0, taken);
          if (block.size() == kTarBlock) {
            offset += kTarBlock;
            take_block(block);
            block.clear();
          }
        }
    }
    bytes.remove_prefix(taken);
  }
}

// `offset` is already behind the block.
void TarIndexer::State::take_block(std::string_view bytes) {
  if (step == Step::kSparseBlock) {
    if (!parsed([&] { return parse_old_sparse(bytes, true, limits, &sparse_numbers); })) end_sparse();
    return;
  }
  if (step == Step::kSparseMap) {
    if (entry.stored_size < kTarBlock) fail("the sparse map is longer than the entry");
    entry.stored_size -= kTarBlock;
    if (parsed([&] { return sparse_reader.take(bytes, limits); })) {
      sparse_numbers = std::move(sparse_reader.numbers);
      end_sparse();
    }
    return;
  }
  if (step == Step::kLinkBody) {
    if (!all_zero(bytes) && !tar_checksum_holds(bytes)) {
      warn_entry("the content of a hard link is ignored");
      left -= std::min(left, kTarBlock);
      step = left != 0 ? Step::kContent : Step::kHeader;
      if (left == 0) end_entry(offset);
      return;
    }
    end_entry(offset - kTarBlock);
    step = Step::kHeader;
  }
  if (!all_zero(bytes)) {
    take_header(bytes);
    return;
  }
  if (extended) fail("an extended header without an entry");
  if (zero_block) step = Step::kEnd;
  zero_block = true;
}

void TarIndexer::State::take_header(std::string_view bytes) {
  if (!extended) {
    entry_offset = offset - kTarBlock;
    shown_name.clear();
  }
  if (zero_block) fail("a header behind the end of the archive, of which only one block is there");
  const TarHeader header = parsed([&] { return parse_tar_header(bytes); });
  if (header.size < 0) fail("the size is negative");
  switch (header.type) {
    case 'x':
    case 'g':
    case 'L':
    case 'K':
      begin_extended(header);
      return;
    default:
      begin_entry(header, bytes);
  }
}

void TarIndexer::State::begin_extended(const TarHeader& header) {
  const auto size = static_cast<std::uint64_t>(header.size);
  if (size > limits.max_pax_bytes) {
    fail(fmt::format("an extended header of {} bytes, more than {}", size, limits.max_pax_bytes));
  }
  const bool repeated = (header.type == 'x' && has_pax) || (header.type == 'L' && extensions.long_name) ||
                        (header.type == 'K' && extensions.long_link);
  // Readers disagree on whether the second adds to the first or replaces it.
  if (repeated) fail("two extended headers of one kind");
  extended_type = header.type;
  payload.clear();
  left = size;
  padding = tar_padding(size);
  step = Step::kExtended;
  if (header.type != 'g') extended = true;
  if (left == 0) end_extended();
}

void TarIndexer::State::end_extended() {
  if (extended_type == 'x') {
    has_pax = true;
    parsed([&] { parse_extensions(payload, limits, &extensions); });
  } else if (extended_type == 'g') {
    // Those who apply layers do not apply global headers, so they change nothing that a container sees.
    const auto take = [&](std::string_view key, std::string_view) {
      if (key == "comment") return;
      warn_entry(
          fmt::format("the global record {} is ignored, as by those who apply layers", printable(key)));
    };
    parsed([&] { parse_pax_records(payload, take); });
  } else {
    std::string name = payload.substr(0, payload.find('\0'));
    (extended_type == 'L' ? extensions.long_name : extensions.long_link) = std::move(name);
  }
  step = padding == 0 ? Step::kHeader : Step::kExtendedPadding;
}

void TarIndexer::State::begin_entry(const TarHeader& header, std::string_view bytes) {
  if (table->entries.size() >= limits.max_entries) {
    fail(fmt::format("the layer has more than {} entries", limits.max_entries));
  }
  extended = false;
  has_pax = false;
  ignored = false;
  entry = Entry{};
  entry.header_offset = entry_offset;
  take_names(header);
  for (const std::string& oddity : extensions.oddities)
    warn_entry(oddity);
  take_type(header);
  take_attributes(header);
  charge(entry.path.size() + entry.link.size());
  take_xattrs();

  left = entry.stored_size;
  if (entry.type == EntryType::kHardLink && entry.stored_size != 0) {
    entry.size = entry.stored_size = 0;
    entry.data_offset = offset;
    padding = tar_padding(left);
    step = Step::kLinkBody;
    return;
  }
  const bool sparse = header.type == 'S' || extensions.sparse.present;
  if (sparse && entry.type == EntryType::kRegular) {
    begin_sparse(header, bytes);
  } else {
    begin_content();
  }
}

void TarIndexer::State::begin_sparse(const TarHeader& header, std::string_view bytes) {
  sparse_numbers.clear();
  if (header.type == 'S') {
    const auto size = parse_tar_number(bytes.substr(483, 12));
    if (!size || *size < 0) fail("the sparse file's size is no number");
    entry.size = static_cast<std::uint64_t>(*size);
    if (parsed([&] { return parse_old_sparse(bytes, false, limits, &sparse_numbers); })) {
      step = Step::kSparseBlock;
      return;
    }
  } else {
    entry.size = *extensions.sparse.real_size;
    if (extensions.sparse.map_in_content()) {
      sparse_reader = SparseMapReader();
      step = Step::kSparseMap;
      return;
    }
    sparse_numbers = std::move(extensions.sparse.numbers);
  }
  end_sparse();
}

void TarIndexer::State::end_sparse() {
  SparseMap map = parsed([&] { return make_sparse_map(sparse_numbers, entry.size, entry.stored_size); });
  if (entry.size > limits.max_sparse_bytes - sparse_bytes) {
    fail(fmt::format("the layer's sparse files hold more than {} bytes", limits.max_sparse_bytes));
  }
  sparse_bytes += entry.size;
  charge(map.size() * sizeof(map[0]));
  left = entry.stored_size;
  if (!ignored) {
    entry.sparse = static_cast<std::uint32_t>(table->sparse_maps.size());
    table->sparse_maps.push_back(std::move(map));
  }
  begin_content();
}

void TarIndexer::State::begin_content() {
  entry.data_offset = offset;
  padding = tar_padding(left);
  file_offset = 0;
  region = 0;
  watching.clear();
  if (!ignored && entry.type == EntryType::kRegular) {
    for (const auto& observer : observers) {
      if (observer->wants(entry)) watching.push_back(observer.get());
    }
  }
  step = Step::kContent;
  if (left == 0) end_content();
}

// Bytes of the stream, laid out over the file's holes.
void TarIndexer::State::stored(std::string_view bytes) {
  if (ignored || entry.type != EntryType::kRegular) return;
  if (entry.sparse == 0) {
    content(bytes);
    return;
  }
  const SparseMap& map = table->sparse_maps[entry.sparse];
  while (!bytes.empty()) {
    const auto& [start, length] = map[region];
    if (file_offset < start) hole(start - file_offset);
    const auto taken =
        static_cast<std::size_t>(std::min<std::uint64_t>(start + length - file_offset, bytes.size()));
    content(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (file_offset == start + length) ++region;
  }
}

void TarIndexer::State::content(std::string_view bytes) {
  for (std::size_t i = 0; file_offset + i < 8 && i < bytes.size(); ++i) {
    entry.head |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * (file_offset + i));
  }
  file_offset += bytes.size();
  entry.crc = crc64_of(entry.crc, bytes);
  for (EntryObserver* observer : watching)
    observer->data(as_bytes(bytes));
}

void TarIndexer::State::hole(std::uint64_t length) {
  hole_bytes += length;
  if (hole_bytes > limits.hole_floor && hole_bytes / limits.max_hole_ratio > offset) {
    fail(fmt::format("the holes of sparse files are more than {} times the layer", limits.max_hole_ratio));
  }
  file_offset += length;
  entry.crc = crc64_of_zeros(entry.crc, length);
  if (watching.empty()) return;
  static constexpr std::array<char, 4096> kZeros{};
  while (length != 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(length, kZeros.size()));
    for (EntryObserver* observer : watching)
      observer->data(as_bytes({kZeros.data(), piece}));
    length -= piece;
  }
}

void TarIndexer::State::end_content() {
  if (entry.sparse != 0 && file_offset < entry.size) hole(entry.size - file_offset);
  if (padding != 0) {
    step = Step::kPadding;
    return;
  }
  end_entry(offset);
  step = Step::kHeader;
}

// `end` is the offset behind the entry.
void TarIndexer::State::end_entry(std::uint64_t end) {
  entry.tar_bytes = end - entry.header_offset;
  if (entry.type == EntryType::kWhiteout || entry.type == EntryType::kOpaqueWhiteout) {
    entry.stored_size = 0;
  }
  for (EntryObserver* observer : watching) {
    if (auto found = observer->end(entry)) {
      const auto index = static_cast<std::uint32_t>(table->entries.size());
      table->observations.push_back({index, std::string(observer->kind()), std::move(*found)});
    }
  }
  watching.clear();
  if (!ignored) table->entries.push_back(entry);
  extensions = TarExtensions{};
}

TarIndexer::TarIndexer(Observers observers, TarLimits limits)
    : state_(std::make_unique<State>(std::move(observers), limits)) {}

TarIndexer::~TarIndexer() = default;

void TarIndexer::write(std::span<const std::byte> bytes) {
  state_->write(as_text(bytes));
}

std::unique_ptr<LayerTable> TarIndexer::finish() {
  State& state = *state_;
  using Step = State::Step;
  if (state.step == Step::kLinkBody) {
    if (!all_zero(state.block)) state.fail("the layer ends inside the entry");
    state.end_entry(state.offset);
    state.step = Step::kHeader;
  }
  const bool between = state.step == Step::kHeader && !state.extended;
  if (between && all_zero(state.block)) {
    state.warn("the end of the archive is not marked");
  } else if (state.step == Step::kPadding) {
    state.end_entry(state.offset);
    state.warn("the end of the archive is not marked");
  } else if (state.step != Step::kEnd) {
    if (between) {
      state.entry_offset = state.offset;
      state.shown_name.clear();
    }
    state.fail("the layer ends inside the entry");
  }
  if (state.warnings_left_out != 0) {
    state.table->warnings.push_back(fmt::format("{} more warnings", state.warnings_left_out));
  }
  return std::move(state.table);
}

}  // namespace imgslim
