// SPDX-License-Identifier: Apache-2.0
#include "layers/layer_writer.h"

#include <fmt/format.h>

#include "layers/dedupe.h"
#include "layers/error.h"
#include "layers/scan.h"
#include "layers/tar.h"

namespace imgslim {
namespace {

// Hashes and counts what passes.
class HashingSink : public Sink {
 public:
  explicit HashingSink(Sink* next) : next_(next) {}
  void write(std::span<const std::byte> bytes) override {
    hasher_.update(bytes);
    size_ += bytes.size();
    if (next_ != nullptr) next_->write(bytes);
  }
  Digest finish() { return hasher_.finish(); }
  std::uint64_t size() const { return size_; }

 private:
  Sink* next_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
};

}  // namespace

Digest layer_key(const PlannedLayer& layer, const std::vector<LayerTablePtr>& tables,
                 const LayerFormat& format) {
  Hasher hasher;
  const auto add = [&](std::string_view text) {
    hasher.update(fmt::format("{}:", text.size()));
    hasher.update(text);
  };
  add(fmt::format("{} {} {}", name_of(format.compression), format.level, encoder_versions()));
  for (std::size_t i = 0; i < layer.table->entries.size(); ++i) {
    const Entry& e = layer.table->entries[i];
    add(e.path);
    add(e.link);
    add(fmt::format("{} {} {} {} {} {} {} {} {}", static_cast<int>(e.type), e.size, e.mode, e.uid, e.gid,
                    e.mtime, e.mtime_nanoseconds, e.device_major, e.device_minor));
    for (const auto& [name, value] : layer.table->xattr_sets[e.xattrs]) {
      add(name);
      add(value);
    }
    const EntryRef content = layer.contents[i];
    if (!content) continue;
    const LayerTable& origin = *tables[content.layer];
    add(fmt::format("{} {}", origin.diff_id ? origin.diff_id->text() : "",
                    origin.entries[content.entry].data_offset));
  }
  return hasher.finish();
}

WrittenLayer write_layer(const PlannedLayer& layer, const Contents& contents, const LayerFormat& format,
                         Sink& out) {
  HashingSink blob(&out);
  const std::unique_ptr<Encoder> encoder =
      make_encoder(format.compression, format.level, format.threads, blob);
  HashingSink plain(encoder.get());
  TarWriter tar(plain);
  const auto content = sink_to([&](std::span<const std::byte> bytes) { tar.content(bytes); });
  for (std::size_t i = 0; i < layer.table->entries.size(); ++i) {
    const Entry& entry = layer.table->entries[i];
    tar.header(entry, *layer.table);
    if (entry.type == EntryType::kRegular && entry.size > 0) contents.write_to(layer.contents[i], *content);
  }
  tar.finish();
  encoder->finish();
  const std::uint64_t plain_size = plain.size();
  Digest diff_id = plain.finish();
  const std::uint64_t size = blob.size();
  return WrittenLayer{blob.finish(), std::move(diff_id), size, plain_size, format.compression};
}

void check_written_layer(const BlobPtr& blob, const WrittenLayer& written, const PlannedLayer& planned) {
  const std::string what = "layer " + written.digest.short_text() + " as written";
  const auto fail = [&](const std::string& message) {
    throw Error(Failure::kVerification, what + ": " + message);
  };
  std::vector<LayerTablePtr> scanned;
  try {
    ScanOptions options;
    options.threads = 2;
    ScanJob job{blob, written.digest, written.size, written.diff_id, what};
    scanned = scan_layers({job}, options);
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) throw;
    throw Error(Failure::kVerification, error.what());
  }
  const LayerTable& have = *scanned.front();
  const LayerTable& want = *planned.table;
  if (have.entries.size() != want.entries.size()) fail("it has another number of entries than planned");
  for (std::size_t i = 0; i < want.entries.size(); ++i) {
    const Entry& a = have.entries[i];
    const Entry& b = want.entries[i];
    const bool linked = b.type == EntryType::kHardLink && a.link != b.link;
    const bool whiteout = b.type == EntryType::kWhiteout || b.type == EntryType::kOpaqueWhiteout;
    const bool content = b.type == EntryType::kRegular && (a.crc != b.crc || a.size != b.size);
    if (a.path != b.path || a.type != b.type || linked || content ||
        (!whiteout && !same_attributes(a, have, b, want))) {
      fail("'" + printable(b.path) + "' is not as planned");
    }
  }
}

}  // namespace imgslim
