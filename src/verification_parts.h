// SPDX-License-Identifier: Apache-2.0
// The parts of verify_closure(), one a concern. Internal to src/verification*.cc.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/verification.h"

namespace imgslim {

// Takes findings; of one check and severity no more than people read.
class FindingList {
 public:
  explicit FindingList(std::vector<Finding>& findings) : findings_(findings) {}
  void failure(std::string_view check, std::string subject, std::string name, std::vector<std::string> chain,
               std::string problem) {
    add(Finding::Severity::kFailure, check, std::move(subject), std::move(name), std::move(chain),
        std::move(problem));
  }
  void note(std::string_view check, std::string subject, std::string name, std::vector<std::string> chain,
            std::string problem) {
    add(Finding::Severity::kNote, check, std::move(subject), std::move(name), std::move(chain),
        std::move(problem));
  }
  void add(Finding::Severity severity, std::string_view check, std::string subject, std::string name,
           std::vector<std::string> chain, std::string problem);
  // Says how many were left out.
  void finish();

 private:
  std::vector<Finding>& findings_;
  std::map<std::pair<std::string_view, Finding::Severity>, std::size_t> counts_;
};

// Commands, programs, interpreters, libraries, versions and scripts; fills all of `result` but properties.
void verify_start(const VerificationInput& input, Verification& result, FindingList& findings);
// USER and WORKDIR.
void verify_user(const FileSystem& files, const ImageConfig& config, FindingList& findings);
void verify_working_directory(const FileSystem& files, const ImageConfig& config, FindingList& findings);
// Layers as all appliers read them (image-spec layer.md).
void verify_encodings(const Tree& tree, const Manifest* manifest, bool strict, FindingList& findings);
// Records of packages against the files that are there.
void verify_packages(const FileSystem& files, const PackageDatabase& packages, FindingList& findings);
// What makes two images the same to whoever starts them: name and JSON text, absent as empty.
std::vector<std::pair<std::string, std::string>> properties_of(const ImageConfig& config);
// What `source` has and `result` has not.
void verify_against(const Verification& source, const FileSystem& files, Verification& result,
                    FindingList& findings);

// Every claim of a certificate that the image can answer.
void verify_proof(const ProofPlatform& proof, const Tree& tree, const FileSystem& files, Verification& result,
                  FindingList& findings);

// Files without debug information that a certificate names; with `source` that all files are as they are
// there, or named so. `proof` may be null.
void verify_contents(const FileContents& files, const FileContents* source, const ProofPlatform* proof,
                     Verification& result, FindingList& findings);

// Whether the process starts as uid 0.
bool runs_as_root(const FileSystem& files, const ImageConfig& config);
// Why a path leads nowhere: "not found", "/bin is a link to usr/bin, which is not there"; "" if it does not.
std::string why_unresolved(const FileSystem& files, std::string_view path);

}  // namespace imgslim
