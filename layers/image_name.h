// SPDX-License-Identifier: Apache-2.0
// Image names as the command line takes them (imgslim(1), IMAGE NAMES).
#pragma once

#include <string>
#include <string_view>

namespace imgslim {

enum class Transport { kOci, kOciArchive, kDockerArchive, kDocker, kDockerDaemon };

struct ImageName {
  Transport transport = Transport::kOci;
  std::string location;   // directory, file ("-" = stdin or stdout), or HOST/REPO
  std::string reference;  // REF, NAME or tag; empty: the transport's default
  std::string digest;     // docker:// only
  std::string text() const;  // canonical spelling
};

// A source: with a transport, or an existing directory (oci), an existing file (sniffed: oci-archive or
// docker-archive), or a registry name. Throws Error{kUsage} that shows the three spellings.
ImageName parse_source_name(std::string_view text);
// A destination always has a transport.
ImageName parse_destination_name(std::string_view text);

}  // namespace imgslim
