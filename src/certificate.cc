// SPDX-License-Identifier: Apache-2.0
#include "src/certificate.h"

#include <fmt/format.h>

#include "layers/blob_file.h"
#include "layers/compression.h"
#include "layers/error.h"
#include "layers/referrer.h"
#include "src/proof_builder.h"
#include "src/version.h"

namespace imgslim {
namespace {

// "zlib 1.2.13, zstd 1.5.4" as pairs.
std::vector<std::pair<std::string, std::string>> library_versions() {
  std::vector<std::pair<std::string, std::string>> out;
  std::string rest = encoder_versions();
  while (!rest.empty()) {
    const std::string item = rest.substr(0, rest.find(", "));
    rest.erase(0, std::min(rest.size(), item.size() + 2));
    const std::size_t space = item.find(' ');
    out.emplace_back(item.substr(0, space), space == std::string::npos ? "" : item.substr(space + 1));
  }
  return out;
}

}  // namespace

Proof make_proof(const OptimizeOptions& options, Form form, const std::string& source_digest,
                 const Descriptor& result, const std::vector<std::unique_ptr<ImageWork>>& works,
                 const std::vector<std::string>& result_digests) {
  Proof proof;
  proof.version = kVersion;
  proof.rules = rules_digest();
  proof.libraries = library_versions();
  proof.form = form;
  proof.accept = options.accept;
  for (const Glob& glob : options.keep)
    proof.options.push_back("--keep " + glob.text());
  for (const Glob& glob : options.drop)
    proof.options.push_back("--drop " + glob.text());
  for (const std::string& command : options.also_run)
    proof.options.push_back("--also-run " + command);
  for (const std::string& package : options.keep_packages)
    proof.options.push_back("--keep-package " + package);
  if (options.keep_base > 0) proof.options.push_back(fmt::format("--keep-base {}", options.keep_base));
  if (options.debug_info != DebugInfoMode::kKeep) {
    proof.options.push_back(fmt::format("--debug-info {}{}", name_of(options.debug_info),
                                        options.debug_symbols ? ",symbols" : ""));
  }
  proof.source_digest = source_digest;
  proof.result_digest = result.digest.text();
  for (std::size_t i = 0; i < works.size(); ++i) {
    proof.platforms.push_back(works[i]->prove(form));
    proof.platforms.back().result_digest = result_digests[i];
  }
  return proof;
}

std::optional<Certificate> find_certificate(const ImageSource& source, const Digest& image) {
  const std::vector<Descriptor> found = source.referrers(image, kProofType);
  if (found.empty()) return std::nullopt;
  return Certificate{read_referrer(source, found.back(), kMaxProofBytes), found.back().digest.text()};
}

Proof read_proof_file(const std::string& path) {
  const std::string what = printable(path);
  return read_proof(read_all(*open_file_blob(path), kMaxProofBytes, what), what);
}

bool speaks_of(const Certificate& certificate, const Digest& image) {
  try {
    return read_proof(certificate.text, certificate.referrer).result_digest == image.text();
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) throw;
    return false;
  }
}

void copy_referrers(const ImageSource& source, const Digest& image, ImageDestination& destination) {
  for (const Descriptor& referrer : source.referrers(image, ""))
    copy_referrer(source, referrer, destination);
}

bool attach_certificate(ImageDestination& destination, const Descriptor& image, Certificate& certificate) {
  const ReferrerManifest manifest = make_referrer(image, kProofType, kProofType, certificate.text);
  if (!put_referrer(destination, manifest, certificate.text)) return false;
  certificate.referrer = manifest.descriptor.digest.text();
  return true;
}

}  // namespace imgslim
