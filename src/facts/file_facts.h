// SPDX-License-Identifier: Apache-2.0
// What was found in the contents of files, kept beyond the run that read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "layers/tree.h"

namespace imgslim {

// Thread safe.
class FileFacts {
 public:
  virtual ~FileFacts() = default;
  // `fact` names what `data` says of the entry's content; it holds for as long as the same code reads it.
  virtual std::optional<std::string> recall(EntryRef entry, std::string_view fact) const = 0;
  virtual void remember(EntryRef entry, std::string_view fact, std::string_view data) const = 0;
};

}  // namespace imgslim
