// SPDX-License-Identifier: Apache-2.0
// Any bytes as a layer: the same table or refusal in whatever pieces they come; what is accepted can be
// written in the canonical encoding, which is exactly as long as announced and read back the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "layers/error.h"
#include "tests/support/tar_builder.h"

namespace {

using namespace imgslim;

constexpr std::uint64_t kMaxBytes = 1 << 20;  // of a sparse file that is written out

// Keeps contents, for writing them again.
class Contents : public EntryObserver {
 public:
  explicit Contents(std::vector<std::string>* out) : out_(out) {}
  std::string_view kind() const override { return "content"; }
  bool wants(const Entry& entry) override {
    current_.clear();
    return entry.size <= kMaxBytes;
  }
  void data(std::span<const std::byte> bytes) override { current_ += as_text(bytes); }
  std::optional<std::string> end(const Entry& entry) override {
    if (current_.size() != entry.size) std::abort();
    out_->push_back(current_);
    return std::to_string(out_->size() - 1);
  }

 private:
  std::vector<std::string>* out_;
  std::string current_;
};

struct Result {
  LayerTablePtr table;
  std::string refusal;
  std::vector<std::string> contents;
};

Result index(std::string_view bytes, std::size_t piece) {
  Result result;
  Observers observers;
  observers.push_back(std::make_unique<Contents>(&result.contents));
  TarLimits limits;
  limits.max_sparse_bytes = kMaxBytes * 16;
  try {
    result.table = testing::index_tar(bytes, piece, std::move(observers), limits);
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) std::abort();
    result.refusal = error.what();
  }
  return result;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void write_again(const Result& result) {
  const LayerTable& table = *result.table;
  std::string bytes;
  const auto out = sink_to([&](std::span<const std::byte> part) { bytes += as_text(part); });
  TarWriter writer(*out);
  std::size_t observation = 0;
  for (std::uint32_t i = 0; i < table.entries.size(); ++i) {
    const Entry& entry = table.entries[i];
    const bool kept = observation < table.observations.size() && table.observations[observation].entry == i;
    if (entry.type == EntryType::kRegular && !kept) return;  // too large to be written
    const std::size_t before = bytes.size();
    writer.header(entry, table);
    if (kept) writer.content(as_bytes(result.contents[observation++]));
    require(bytes.size() - before == TarWriter::bytes_of(entry, table), "bytes_of is not exact");
  }
  writer.finish();
  const Result again = index(bytes, 0);
  require(again.table != nullptr, "the canonical encoding is refused");
  require(testing::dump_table(table) == testing::dump_table(*again.table),
          "the canonical encoding reads as another table");
  require(result.contents == again.contents, "contents differ");
}

// Puts the right checksum into each header, so that mutations get past it.
std::string repaired(std::string_view bytes) {
  std::string out(bytes);
  for (std::size_t at = 0; at + 512 <= out.size(); at += 512) {
    if (out.compare(at + 257, 5, "ustar") != 0) continue;
    out.replace(at + 148, 8, "        ");
    unsigned sum = 0;
    for (std::size_t i = at; i < at + 512; ++i)
      sum += static_cast<unsigned char>(out[i]);
    out.replace(at + 148, 6, testing::tar_octal(sum, 6));
  }
  return out;
}

void check(std::string_view bytes) {
  const Result whole = index(bytes, 0);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{511}, std::size_t{1000}}) {
    const Result parts = index(bytes, piece);
    require(whole.refusal == parts.refusal, "pieces give another refusal");
    if (whole.table == nullptr) continue;
    require(testing::dump_table(*whole.table) == testing::dump_table(*parts.table),
            "pieces give another table");
    require(whole.table->warnings == parts.table->warnings, "pieces give other warnings");
    require(whole.contents == parts.contents, "pieces give other contents");
  }
  if (whole.table != nullptr) write_again(whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  check(repaired(bytes));
  return 0;
}
