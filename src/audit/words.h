// SPDX-License-Identifier: Apache-2.0
// How audits and comparisons speak of layers, files and sums, the same in every format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/audit/audit.h"

namespace imgslim {

// A build step on one line, without the shell and BuildKit's own words: "RUN apt-get install -y git".
std::string step_text(std::string_view created_by, std::size_t limit = 80);
// "layer 3 (RUN make)"; "layer 3" if the history does not say.
std::string layer_text(const ImageAudit& audit, std::uint32_t layer, std::size_t limit = 60);
// "/usr/bin/app", printable.
std::string path_text(std::string_view path, std::size_t limit = 200);
// Name of the package of an entry, "" if there is none.
std::string_view package_of(const ImageAudit& audit, EntryRef ref);
// "12.3%"
std::string percent_text(double percent);
// "layer 3 (RUN make), package git, /usr/bin/git": where a file comes from.
std::string origin_text(const ImageAudit& audit, EntryRef ref);
// "3 files", "1 file"
std::string count_text(std::uint64_t count, std::string_view noun);
// Cut to `width` columns.
std::string fit(std::string text, std::size_t width);
// "+1.2 MB", "-3 B", "0 B"
std::string signed_bytes(std::int64_t bytes);
// What a group of hidden content is, as a sentence without subject.
std::string waste_text(const ImageAudit& audit, const WasteGroup& group);

}  // namespace imgslim
