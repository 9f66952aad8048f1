// SPDX-License-Identifier: Apache-2.0
// Whether an image can start, derived again from the image alone: its commands, their interpreters,
// libraries and symbol versions as its own loader searches them, scripts, USER and WORKDIR; package records
// that say what is there; layers that all appliers read alike. Nothing is executed.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/json.h"
#include "layers/manifest.h"
#include "layers/tree.h"
#include "src/facts/file_system.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"

namespace imgslim {

class Contents;
struct ProofPlatform;

// Something that does not hold, or that people should know.
struct Finding {
  enum class Severity { kFailure, kNote };
  Severity severity = Severity::kFailure;
  std::string_view check;          // "command", "interpreter", "library", .. (imgslim-verify(1))
  std::string subject;             // the path it is about, "" for none
  std::string name;                // what is asked for there: a library, a version, a user
  std::vector<std::string> chain;  // from a command to the place that breaks, printable
  std::string problem;             // one line, printable
  // "ENTRYPOINT -> /app -> DT_NEEDED libfoo.so.1: not found"
  std::string line() const;
};

// A path that the commands reach, and what is there.
struct VerifiedPath {
  std::vector<std::string> chain;
  FileStatus status;
  std::string link;  // text of a symbolic link
};

// What was derived. A value: it holds no reference to the image.
struct Verification {
  std::vector<Finding> findings;  // failures first, then in the order found
  std::map<std::string, VerifiedPath> reached;
  // Program, requester and name of each request for a library -> resolved path, on the plainest CPU.
  std::map<std::array<std::string, 3>, std::string> libraries;
  // Who finds whom, on any CPU: resolved paths of objects and their libraries.
  std::set<std::pair<std::string, std::string>> edges;
  std::map<std::string, std::string> programs;                  // command (origin and words) -> program
  std::vector<std::pair<std::string, std::string>> properties;  // of the config: name, JSON text
  std::size_t commands = 0;
  std::size_t programs_checked = 0;
  std::size_t libraries_checked = 0;
  std::size_t scripts_checked = 0;
  std::size_t paths_proven = 0;  // of the certificate
  std::size_t debug_files = 0;   // without debug information, whose loaded bytes were compared

  std::size_t failures() const;
  bool ok() const { return failures() == 0; }
};

// What the files of an image hold.
struct FileContents {
  const Tree& tree;
  const Contents& contents;
  std::string spool_directory;  // takes one file at a time
};

struct VerificationInput {
  const FileSystem& files;
  const ImageConfig& config;
  const PackageDatabase& packages;
  std::vector<Command> more_commands = {};  // besides those of the config
  const Tree* tree = nullptr;               // the layers, to look at their encodings
  const Manifest* manifest = nullptr;       // to compare media types with the layers
  // Every program, script and link of the image, not only what the commands reach.
  bool all = false;
  // The certificate that speaks of this image, whose claims are checked too; needs `tree`.
  const ProofPlatform* proof = nullptr;
  // Contents to compare: with a certificate those of its files without debug information, with
  // `source_contents` all.
  const FileContents* contents = nullptr;
  const FileContents* source_contents = nullptr;
  // What appliers may read differently is a failure, not a note: for images that we write.
  bool strict = false;
};

// Derives the closure of the image's commands and checks it. With `source`, the verification of the image
// that this one was made from: what `source` reaches must be here as it was there, the configs must agree,
// and a failure that `source` has as well becomes a note. Linear in what is reached; reads its ELF files.
Verification verify_closure(const VerificationInput& input, const Verification* source = nullptr);

// One platform of `imgslim verify`.
struct VerifiedImage {
  std::string platform;
  std::string digest;
  Verification verification;
};

// Failures and the verdict of each platform, a line each.
std::string to_text(const std::vector<VerifiedImage>& images);
// The document that imgslim-verify(1) describes.
Json to_json(const std::vector<VerifiedImage>& images, const std::string& image, const std::string& against,
             const std::string& proof = "");

}  // namespace imgslim
