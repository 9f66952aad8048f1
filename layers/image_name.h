// SPDX-License-Identifier: Apache-2.0
// Image names as the command line takes them (imgslim(1), IMAGE NAMES).
//
// Where a path ends and a REF or NAME begins: if everything behind "oci:" (or the other transports of
// files) exists as a path, it is the path; otherwise the path ends at the first ':'. So a path holds a
// ':' only if it exists. A digest as REF of a source is written oci:DIR:@sha256:... or
// oci:DIR@sha256:....
#pragma once

#include <string>
#include <string_view>

namespace imgslim {

enum class Transport { kOci, kOciArchive, kDockerArchive, kDocker, kDockerDaemon };

struct ImageName {
  Transport transport = Transport::kOci;
  std::string location;   // directory, file ("-" = stdin or stdout), or HOST/REPO
  std::string reference;  // REF, NAME or tag; "@sha256:.." in a layout; empty: the transport's default
  std::string digest;     // docker:// only
  // An archive named without a transport: opening it decides whether it is oci-archive (then
  // `transport` is wrong) or docker-archive, as only reading it can tell.
  bool sniffed = false;
  std::string text() const;  // canonical spelling
};

// A source: with a transport, or an existing directory (oci), an existing file or "-" (sniffed when it
// is opened: oci-archive or docker-archive), or a registry name. Throws Error{kUsage} that shows the three
// spellings.
ImageName parse_source_name(std::string_view text);
// A destination always has a transport.
ImageName parse_destination_name(std::string_view text);

}  // namespace imgslim
