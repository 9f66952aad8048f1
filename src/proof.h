// SPDX-License-Identifier: Apache-2.0
// The certificate of a result: what is in it and why, what of the source is gone and by which rule, what was
// found of dlopen and exec, and what all this does not cover (imgslim-proof(5)). A value: it holds no
// reference to an image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/manifest.h"
#include "src/debug_info/debug_info.h"
#include "src/decisions/form.h"
#include "src/facts/evidence.h"

namespace imgslim {

// The rule by which debug information is gone from files that are kept.
inline constexpr std::string_view kDebugInfoRule = "debug-info";

inline constexpr std::string_view kProofType = "application/vnd.imgslim.proof.v1+json";

// Why paths are there: because of another one, or of what a chain begins with ("ENTRYPOINT and CMD").
struct ProofWitness {
  std::string rule;
  std::optional<std::uint32_t> path;  // index into ProofPlatform::paths
  std::string origin;                 // what it is without one
  std::string detail;
  Evidence evidence = Evidence::kExact;
  bool operator==(const ProofWitness&) const = default;
};

// What a container sees at a path.
struct ProofAttributes {
  char type = 'f';  // f, d, l, c, b, p
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string xattrs;  // "" for none, else the digest of names and values
  auto operator<=>(const ProofAttributes&) const = default;
};

struct ProofPath {
  std::string path;              // absolute, any bytes; "/" for the root
  std::uint32_t attributes = 0;  // index into ProofPlatform::attributes
  std::uint32_t witness = 0;     // index into ProofPlatform::witnesses
  std::uint64_t size = 0;        // of a file
  std::uint64_t crc = 0;         // CRC-64 of its content (Entry::crc)
  std::string link;              // text of a symbolic link
  bool operator==(const ProofPath&) const = default;
};

// A rule by which entries of the source's layers are gone, and what they cost in its plain layers.
struct ProofRule {
  std::string id;
  std::string reason;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  bool operator==(const ProofRule&) const = default;
};

// All that the source showed at `path` and below went by this rule, as far as no deeper group says
// otherwise and it is not kept.
struct ProofGroup {
  std::string path;
  std::uint32_t rule = 0;  // index into ProofPlatform::rules
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  bool operator==(const ProofGroup&) const = default;
};

// What an object loads or starts.
struct ProofFinding {
  enum class Kind : std::uint8_t { kLoad, kStart };
  Kind kind = Kind::kLoad;
  std::string path;
  std::uint64_t site = 0;
  std::string callee;
  std::string function;
  std::string package;  // of Go
  std::vector<std::string> names;
  std::vector<std::string> symbols;
  std::vector<std::string> found;  // kept for it
  Evidence evidence = Evidence::kUnknown;
  bool may_be_missing = false;  // nothing needs to be there for it
  std::string reason;
  bool operator==(const ProofFinding&) const = default;
};

struct ProofRoot {
  std::string origin;
  std::vector<std::string> argv;
  std::string program;
  bool operator==(const ProofRoot&) const = default;
};

// A file that lost debug information, under one of its names: the same program in memory.
struct ProofDebugFile {
  std::string path;
  std::string source_digest;  // of its content
  std::string result_digest;
  std::string loaded_digest;  // over its loaded bytes, equal before and after (loaded_digest())
  std::uint64_t source_size = 0;
  std::uint64_t result_size = 0;
  std::vector<TakenSection> sections;
  std::string companion;  // ".build-id/xx/yyyy.debug", empty: dropped
  std::uint64_t section_bytes() const;
  bool operator==(const ProofDebugFile&) const = default;
};

struct ProofPlatform {
  std::string platform;
  std::string source_digest;
  std::string result_digest;
  Evidence weakest = Evidence::kExact;  // on which the form rests
  // Bytes of the source's plain layers: source = kept + padding + all rules'.
  std::uint64_t source_bytes = 0;
  std::uint64_t kept_bytes = 0;
  std::uint64_t padding_bytes = 0;  // behind the last entries
  std::vector<ProofRoot> roots;
  std::vector<ProofAttributes> attributes;
  std::vector<ProofWitness> witnesses;
  std::vector<ProofPath> paths;             // of the form distroless: each directory before what is in it
  std::vector<ProofRule> rules;             // by id
  std::vector<ProofGroup> groups;           // by path
  std::vector<ProofDebugFile> debug_files;  // by path; their bytes are those of the rule kDebugInfoRule
  std::vector<ProofFinding> findings;
  std::vector<std::string> not_covered;

  // The kept path, null if it is none; binary search.
  const ProofPath* find(std::string_view path) const;
  // The group that says by which rule a path is gone; null if none does.
  const ProofGroup* group_of(std::string_view path) const;
  // What a file lost of debug information; null if nothing.
  const ProofDebugFile* find_debug_file(std::string_view path) const;
  bool operator==(const ProofPlatform&) const = default;
};

struct Proof {
  std::string version;  // of imgslim
  std::string rules;    // digest of all rules and of the knowledge base
  std::vector<std::pair<std::string, std::string>> libraries;  // name, version
  Form form = Form::kLossless;
  Evidence accept = Evidence::kCandidate;
  std::vector<std::string> options;  // that changed what is kept: "--keep /etc/app"
  std::string source_digest;
  std::string result_digest;
  std::vector<ProofPlatform> platforms;
  // The platform whose image has that digest; null if none has.
  const ProofPlatform* find(std::string_view result_digest) const;
  bool operator==(const Proof&) const = default;
};

// The chain of witnesses from a kept path to what it begins with, the path's own first.
std::vector<const ProofPath*> witness_chain(const ProofPlatform& platform, std::string_view path);

// Writes and reads the document. The same value gives the same bytes. Reading throws Error{kBadImage}
// naming `what`: no such document, another version, indices or sums that do not fit, a limit.
std::string write_proof(const Proof& proof);
Proof read_proof(std::string_view text, std::string_view what);
inline constexpr std::uint64_t kMaxProofBytes = std::uint64_t{32} << 20;

// Text of any bytes as a JSON string: control bytes, backslash and invalid UTF-8 as \xNN, and back. Nothing
// if it is no such text.
std::string escape_bytes(std::string_view bytes);
std::optional<std::string> unescape_bytes(std::string_view text);

}  // namespace imgslim
