// SPDX-License-Identifier: Apache-2.0
// The certificate of a run, beside the image and in a file.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/image_store.h"
#include "src/decisions/form.h"
#include "src/image_work.h"
#include "src/optimize.h"
#include "src/proof.h"

namespace imgslim {

struct Certificate {
  std::string text;
  std::string referrer;  // digest of its manifest at the destination, "" if it is not there
};

// States what a run did. `result_digests` of the works' images, in their order.
Proof make_proof(const OptimizeOptions& options, Form form, const std::string& source_digest,
                 const Descriptor& result, const std::vector<std::unique_ptr<ImageWork>>& works,
                 const std::vector<std::string>& result_digests);

// The newest certificate of an image in its store: its referrer's digest and the document. Nothing if there
// is none. Throws Error{kBadImage} if it cannot be read.
std::optional<Certificate> find_certificate(const ImageSource& source, const Digest& image);

// Reads a certificate from a file. Throws Error{kIo, kBadImage}.
Proof read_proof_file(const std::string& path);

// Whether it can be read and its result is that image.
bool speaks_of(const Certificate& certificate, const Digest& image);

// Copies all that refers to an image that is written as it was.
void copy_referrers(const ImageSource& source, const Digest& image, ImageDestination& destination);

// Puts a certificate beside the image; call it before publish(). False if the destination has no place for
// it.
bool attach_certificate(ImageDestination& destination, const Descriptor& image, Certificate& certificate);

}  // namespace imgslim
