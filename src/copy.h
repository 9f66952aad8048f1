// SPDX-License-Identifier: Apache-2.0
// An image from one place to another, byte for byte.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers/image_name.h"
#include "layers/manifest.h"
#include "registry/transfers.h"
#include "src/open_image.h"
#include "src/progress.h"

namespace imgslim {

struct CopyOptions {
  ImageName source;
  ImageName destination;
  std::vector<Platform> platforms;  // of an index; empty: all
  bool referrers = false;           // what refers to the image goes along
  NetworkArguments network;
  std::string spool_directory;
};

struct CopyReport {
  std::string source;
  std::string source_digest;
  std::string destination;
  std::string result_digest;
  std::vector<std::string> left_out;  // platforms
  std::uint64_t referrers = 0;
  TransferReport transfers;
};

// Throws Error; the destination is then as it was.
CopyReport copy_image(const CopyOptions& options, Progress& progress);

Json to_json(const TransferReport& transfers);
Json to_json(const CopyReport& report);
// "pulled 3 blobs, 1.2 MB; skipped 4 blobs, 30 MB": what is not nothing.
std::string to_text(const TransferReport& transfers);

}  // namespace imgslim
