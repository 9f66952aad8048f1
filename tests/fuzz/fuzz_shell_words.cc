// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string_view>

#include "layers/error.h"
#include "src/facts/shell_words.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const imgslim::ShellScript script = imgslim::parse_shell(text);
  for (const imgslim::ShellCommand& command : script.commands) {
    for (const imgslim::ShellWord& word : command.words)
      imgslim::expand(word, {{"A", "a"}});
  }
  try {
    imgslim::split_words(text);
  } catch (const imgslim::Error&) {
    // an open quote
  }
  return 0;
}
