// SPDX-License-Identifier: Apache-2.0
// The text of a pre-push file with imgslim's part in it. What was there before goes on working: a shell
// script gets the part in front of its own lines, anything else is carried behind it and started from a copy.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imgslim {

// `earlier`: the file's bytes, nothing if there is none; an earlier part of ours in it is replaced. `program`
// is what is started where imgslim is not on PATH.
std::string with_hook(const std::optional<std::string>& earlier, std::string_view program);
// The file without it: nothing if then nothing is left. `present` says whether there was one.
std::optional<std::string> without_hook(const std::string& text, bool& present);

}  // namespace imgslim
