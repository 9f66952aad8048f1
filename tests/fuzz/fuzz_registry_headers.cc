// SPDX-License-Identifier: Apache-2.0
// What a registry may put into its header fields, and the configuration that names its mirrors.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "layers/error.h"
#include "registry/headers.h"
#include "registry/toml.h"
#include "registry/url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const imgslim::Challenge& challenge : imgslim::parse_challenges(text)) {
    if (challenge.scheme.empty()) std::abort();
    const std::string realm = challenge.parameter("realm");
    // What was read from a URL reads the same again.
    if (const auto url = imgslim::Url::parse(realm)) {
      const auto again = imgslim::Url::parse(url->text());
      if (!again || again->host != url->host || again->path != url->path) std::abort();
    }
  }
  if (const auto link = imgslim::parse_next_link(text); link && link->size() > size) std::abort();
  if (const auto range = imgslim::parse_content_range(text); range && range->last < range->first)
    std::abort();
  imgslim::parse_upload_range(text);
  imgslim::parse_retry_after(text, 0);
  try {
    imgslim::parse_toml(text, "t");
  } catch (const imgslim::Error&) {
    // Most texts are no TOML.
  }
  return 0;
}
