// SPDX-License-Identifier: Apache-2.0
// The state of the tar parser: how it steps through the stream is in tar_indexer.cc, what it makes of a
// header in tar_entry.cc. For these two only.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "layers/error.h"
#include "layers/tar.h"
#include "layers/tar_extensions.h"
#include "layers/tar_header.h"

namespace imgslim {

struct TarIndexer::State {
  enum class Step : std::uint8_t {
    kHeader,
    kExtended,         // the payload of an extended header
    kExtendedPadding,  // after it
    kSparseBlock,      // extension blocks of an old GNU sparse header
    kSparseMap,        // the map in front of a version 1.0 sparse file
    kLinkBody,         // a hard link with a size: a body or the next header
    kContent,
    kPadding,  // after it
    kEnd,      // behind the end-of-archive
  };

  State(Observers the_observers, TarLimits the_limits)
      : observers(std::move(the_observers)), limits(the_limits), table(std::make_unique<LayerTable>()) {
    std::stable_sort(observers.begin(), observers.end(),
                     [](const auto& a, const auto& b) { return a->kind() < b->kind(); });
  }

  Observers observers;
  TarLimits limits;
  std::unique_ptr<LayerTable> table;

  Step step = Step::kHeader;
  std::uint64_t offset = 0;  // of the next byte
  std::string block;         // the part of a block that has come
  bool zero_block = false;   // the last block was the first of the end-of-archive
  bool garbage_seen = false;

  // The entry being read.
  std::uint64_t entry_offset = 0;
  std::string shown_name;  // for messages
  bool extended = false;   // extended headers have come, their entry not
  bool has_pax = false;
  char extended_type = 0;
  std::string payload;
  TarExtensions extensions;
  Entry entry;
  bool ignored = false;  // its content is passed over and it is not in the table
  std::vector<std::uint64_t> sparse_numbers;
  SparseMapReader sparse_reader;
  std::uint64_t left = 0;  // bytes of this step still to come
  std::uint64_t padding = 0;
  std::uint64_t file_offset = 0;
  std::size_t region = 0;
  std::vector<EntryObserver*> watching;

  std::uint64_t text_bytes = 0;
  std::uint64_t sparse_bytes = 0;
  std::uint64_t hole_bytes = 0;
  std::uint64_t warnings_left_out = 0;
  std::unordered_map<std::string, std::uint32_t> xattr_index;

  std::string where() const {
    return shown_name.empty() ? fmt::format("entry at offset {}", entry_offset)
                              : fmt::format("entry {} at offset {}", printable(shown_name), entry_offset);
  }
  [[noreturn]] void fail(const std::string& why) const { throw_bad_image(where() + ": " + why); }
  void warn(const std::string& what) {
    if (table->warnings.size() < limits.max_warnings) {
      table->warnings.push_back(what);
    } else {
      ++warnings_left_out;
    }
  }
  void warn_entry(const std::string& what) { warn(where() + ": " + what); }
  // Runs a parser that does not know the entry.
  template <class Parse>
  decltype(auto) parsed(Parse&& parse) const {
    return with_context(where(), std::forward<Parse>(parse));
  }

  void write(std::string_view bytes);
  void take_block(std::string_view bytes);
  void take_header(std::string_view bytes);
  void begin_extended(const TarHeader& header);
  void end_extended();
  void begin_entry(const TarHeader& header, std::string_view bytes);
  void take_names(const TarHeader& header);
  void take_type(const TarHeader& header);
  void take_attributes(const TarHeader& header);
  void take_whiteout();
  void take_xattrs();
  void charge(std::uint64_t bytes);
  void begin_sparse(const TarHeader& header, std::string_view bytes);
  void end_sparse();
  void begin_content();
  void stored(std::string_view bytes);
  void content(std::string_view bytes);
  void hole(std::uint64_t length);
  void end_content();
  void end_entry(std::uint64_t end);
};

}  // namespace imgslim
