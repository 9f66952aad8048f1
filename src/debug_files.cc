// SPDX-License-Identifier: Apache-2.0
#include "src/debug_files.h"

#include "layers/error.h"
#include "layers/tar_header.h"

namespace imgslim {
namespace {

// Writes on, and keeps what a table says of the content.
class MeasuringSink : public Sink {
 public:
  explicit MeasuringSink(Sink& next) : next_(next) {}
  void write(std::span<const std::byte> bytes) override {
    hasher_.update(bytes);
    crc_ = crc64_of(crc_, as_text(bytes));
    next_.write(bytes);
  }
  Digest digest() { return hasher_.finish(); }
  std::uint64_t crc() const { return crc_; }

 private:
  Sink& next_;
  Hasher hasher_;
  std::uint64_t crc_ = 0;
};

}  // namespace

DebugFiles::DebugFiles(const std::string& spool_directory, bool split, bool symbols)
    : split_(split),
      symbols_(symbols),
      input_(spool_directory),
      slim_(spool_directory),
      companion_bytes_(spool_directory) {}

std::optional<DebugFileReport> DebugFiles::take(const Contents& contents, EntryRef file, std::string path,
                                                std::optional<Replacement>& replacement) {
  DebugFileReport report;
  report.path = std::move(path);
  input_.clear();
  Hasher hasher;
  const auto read = sink_to([&](std::span<const std::byte> bytes) {
    hasher.update(bytes);
    input_.write(bytes);
  });
  contents.write_to(file, *read);
  const Digest source = hasher.finish();
  const BlobPtr before = input_.range(0, input_.size());
  report.size.before = report.size.after = before->size();

  const DebugInfoPlan plan = take_out_debug_info(*before, {symbols_, split_});
  if (plan.left_alone == LeftAlone::kNothingToTake || plan.left_alone == LeftAlone::kNotElf)
    return std::nullopt;
  // Headers and alignment can outweigh what is next to nothing.
  if (!plan.left_alone && plan.slim.size() >= before->size()) return std::nullopt;
  if (plan.left_alone) {
    report.left_alone = name_of(*plan.left_alone);
    report.detail = plan.detail;
    return report;
  }
  if (split_ && !add_companion(plan, *before, source)) {
    report.left_alone = name_of(LeftAlone::kOtherCompanion);
    return report;
  }
  Replacement place;
  place.offset = slim_.size();
  MeasuringSink written(slim_);
  plan.slim.write_to(*before, written);
  place.size = slim_.size() - place.offset;
  place.crc = written.crc();
  if (loaded_digest(*slim_.range(place.offset, place.size)) != plan.loaded) {
    throw Error(Failure::kVerification,
                printable(report.path) + ": without its debug information it would be loaded otherwise");
  }
  report.size.after = place.size;
  report.source_digest = source.text();
  report.result_digest = written.digest().text();
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
  place.offset = companion_bytes_.size();
  const auto written = sink_to([&](std::span<const std::byte> bytes) {
    place.crc = crc64_of(place.crc, as_text(bytes));
    companion_bytes_.write(bytes);
  });
  plan.companion.write_to(file, *written);
  place.size = companion_bytes_.size() - place.offset;
  if (known != companions_.end())
    return digest_of_companion(known->second.place) == digest_of_companion(place);
  companions_.emplace(plan.companion_path(), Companion{source, place});
  return true;
}

Digest DebugFiles::digest_of_companion(const Replacement& place) const {
  Hasher hasher;
  for_each_chunk(*companion_bytes_.range(place.offset, place.size), 0, place.size,
                 [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
  return hasher.finish();
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
