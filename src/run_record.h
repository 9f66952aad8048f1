// SPDX-License-Identifier: Apache-2.0
// The report of an earlier run that did just what is asked for now, for as long as its result is still there.
#pragma once

#include <optional>
#include <string>

#include "layers/image_store.h"
#include "src/open_image.h"
#include "src/optimize.h"
#include "src/report.h"

namespace imgslim {

class RunRecord {
 public:
  // All must outlive it.
  RunRecord(const OptimizeOptions& options, const ImageSource& source, ImageStores& stores);

  // Nothing unless the source and the destination are as they were: the names' documents, and of files of
  // this machine all blobs.
  std::optional<Report> find() const;
  // After the result was published.
  void store(const Report& report) const;

 private:
  // What tells that both are as they were.
  std::string state(const std::string& result_digest) const;

  const OptimizeOptions& options_;
  const ImageSource& source_;
  ImageStores& stores_;
  std::string key_;  // empty: no run is like another
};

}  // namespace imgslim
