// SPDX-License-Identifier: Apache-2.0
#include "src/debug_files.h"

#include "layers/at_once.h"
#include "layers/error.h"
#include "layers/tar_header.h"

namespace imgslim {
namespace {

Digest digest_of_blob(const Blob& blob) {
  Hasher hasher;
  for_each_chunk(blob, 0, blob.size(), [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
  return hasher.finish();
}

// Appends to `out`, and says where and what it is.
void write_pieces(const FilePieces& pieces, const Blob& source, Spool& out, DebugFiles::Replacement& place) {
  place.offset = out.size();
  const auto written = sink_to([&](std::span<const std::byte> bytes) {
    place.crc = crc64_of(place.crc, as_text(bytes));
    out.write(bytes);
  });
  pieces.write_to(source, *written);
  place.size = out.size() - place.offset;
}

}  // namespace

DebugFiles::DebugFiles(const std::string& spool_directory, bool split, bool symbols, unsigned threads)
    : split_(split),
      symbols_(symbols),
      threads_(threads),
      input_(spool_directory),
      slim_(spool_directory),
      companion_bytes_(spool_directory) {}

std::optional<DebugFileReport> DebugFiles::take(const Contents& contents, EntryRef file, std::string path,
                                                std::optional<Replacement>& replacement) {
  DebugFileReport report;
  report.path = std::move(path);
  input_.clear();
  contents.write_to(file, input_);
  const BlobPtr before = input_.range(0, input_.size());
  report.size.before = report.size.after = before->size();

  // A large program is what a user waits for here: what can go on beside each other does.
  DebugInfoPlan plan;
  std::optional<Digest> source;
  for_each_at_once(threads_, 2, [&](std::size_t at) {
    if (at == 0) plan = take_out_debug_info(*before, {symbols_, split_});
    if (at == 1) source = digest_of_blob(*before);
  });
  if (plan.left_alone == LeftAlone::kNothingToTake || plan.left_alone == LeftAlone::kNotElf)
    return std::nullopt;
  // Headers and alignment can outweigh what is next to nothing.
  if (!plan.left_alone && plan.slim.size() >= before->size()) return std::nullopt;
  if (plan.left_alone) {
    report.left_alone = name_of(*plan.left_alone);
    report.detail = plan.detail;
    return report;
  }
  bool only_companion = true;
  Replacement place;
  for_each_at_once(threads_, 2, [&](std::size_t at) {
    if (at == 0) write_pieces(plan.slim, *before, slim_, place);
    if (at == 1 && split_) only_companion = add_companion(plan, *before, *source);
  });
  if (!only_companion) {
    report.left_alone = name_of(LeftAlone::kOtherCompanion);
    return report;
  }
  // What was written, read again.
  const BlobPtr after = slim_.range(place.offset, place.size);
  std::optional<Digest> result;
  std::optional<Digest> loaded;
  for_each_at_once(threads_, 2, [&](std::size_t at) {
    if (at == 0) result = digest_of_blob(*after);
    if (at == 1) loaded = loaded_digest(*after);
  });
  if (loaded != plan.loaded) {
    throw Error(Failure::kVerification,
                printable(report.path) + ": without its debug information it would be loaded otherwise");
  }
  report.size.after = place.size;
  report.source_digest = source->text();
  report.result_digest = result->text();
  report.loaded_digest = plan.loaded->text();
  report.sections = plan.sections;
  if (split_) report.companion = plan.companion_path();
  replacement = place;
  return report;
}

bool DebugFiles::add_companion(const DebugInfoPlan& plan, const Blob& file, const Digest& source) {
  const auto known = companions_.find(plan.companion_path());
  if (known != companions_.end() && known->second.source == source) return true;
  Replacement place;
  write_pieces(plan.companion, file, companion_bytes_, place);
  const auto digest_at = [&](const Replacement& at) {
    return digest_of_blob(*companion_bytes_.range(at.offset, at.size));
  };
  if (known != companions_.end()) return digest_at(known->second.place) == digest_at(place);
  companions_.emplace(plan.companion_path(), Companion{source, place});
  return true;
}

BlobPtr DebugFiles::contents_from(std::uint64_t offset) const {
  return slim_.range(offset, slim_.size() - offset);
}

DebugFiles::CompanionLayer DebugFiles::companion_layer() const {
  // A layer that has no stream of its own: all contents are beside it.
  auto origin = std::make_shared<LayerTable>();
  std::vector<PlannedEntry> entries;
  std::string last;
  const auto add_directory = [&](const std::string& path) {
    PlannedEntry item;
    item.path = path;
    item.entry = plain_directory();
    entries.push_back(std::move(item));
  };
  Hasher all;
  for (const auto& [path, companion] : companions_) {
    const std::string directory = path.substr(0, path.rfind('/'));
    if (entries.empty()) add_directory(directory.substr(0, directory.find('/')));
    if (directory != last) add_directory(directory);
    last = directory;
    Entry entry;
    entry.mode = 0644;
    entry.size = entry.stored_size = companion.place.size;
    entry.crc = companion.place.crc;
    entry.data_offset = companion.place.offset;
    PlannedEntry item;
    item.path = path;
    item.entry = entry;
    item.content = {0, static_cast<std::uint32_t>(origin->entries.size())};
    origin->entries.push_back(entry);
    entries.push_back(std::move(item));
    all.update(path);
    all.update(companion.source.text());
  }
  origin->diff_id = all.finish();  // what the written layer is known by
  CompanionLayer result;
  result.layer = build_layer(std::move(entries));
  result.tables = {origin};
  result.contents =
      std::make_unique<Contents>(result.tables, std::vector<BlobPtr>{memory_blob("")}, std::size_t{1} << 20,
                                 std::vector<BlobPtr>{companion_bytes_.range(0, companion_bytes_.size())});
  return result;
}

}  // namespace imgslim
