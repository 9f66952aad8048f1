// SPDX-License-Identifier: Apache-2.0
// Debug information of an ELF file: whether it can go, the file without it, and the companion that a debugger
// finds it in (.build-id/xx/yyyy.debug, as gdb's debug-file-directory, delve and elfutils look for it). What
// the loader and the program see stays byte for byte; loaded_digest() is the proof.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers/digest.h"
#include "layers/stream.h"
#include "src/debug_info/file_pieces.h"

namespace imgslim {

enum class DebugInfoMode : std::uint8_t {
  kKeep,   // it stays in the files
  kSplit,  // it goes into companions
  kDrop,   // it goes
};
std::string_view name_of(DebugInfoMode mode);

// Why a file stays as it is.
enum class LeftAlone : std::uint8_t {
  kNotElf,
  kNothingToTake,    // no debug information
  kNotLoaded,        // no program or library: an object file, a core, a companion
  kDamaged,          // header or section table
  kAppended,         // bytes that no header describes
  kInsideSegment,    // debug sections are part of what is loaded
  kReadsItself,      // the program reads debug information, perhaps its own
  kNoBuildId,        // and a companion could not be found
  kPackageChecksum,  // its package records its checksum
  kIntegrityXattr,   // security.ima or security.evm
  kIntegrityFile,    // .NAME.hmac beside it
  kCopiedLayer,      // its layer is copied as it is: a hard link ties it to another one, or it was asked for
  kOtherCompanion,   // another file has the same build id and other debug information
};
std::string_view name_of(LeftAlone reason);  // "package-checksum"

struct DebugInfoRequest {
  bool symbols = false;    // .symtab and .strtab go too
  bool companion = false;  // a build id is needed
};

// A section that goes, or of which only the empty beginning of a symbol table is left.
struct TakenSection {
  std::string name;
  std::uint64_t bytes = 0;  // of the file that it gives back
  bool operator==(const TakenSection&) const = default;
};

struct DebugInfoPlan {
  std::optional<LeftAlone> left_alone;
  std::string detail;  // one line behind the reason; may be empty

  // All that follows only if the file is not left alone.
  std::vector<TakenSection> sections;  // in the file's order
  std::uint64_t file_size = 0;
  std::string build_id;  // hex; empty: none
  std::optional<Digest> loaded;
  FilePieces slim;
  FilePieces companion;  // empty if there is no build id
  // ".build-id/xx/yyyy.debug"
  std::string companion_path() const;
};

// Whether a path has the form of DebugInfoPlan::companion_path().
bool is_companion_path(std::string_view path);

// Plans the file without its debug information. Nothing is written, and the file is read only where it must
// be: the headers, notes and symbol table, and, if there is something to take, the loaded bytes once.
DebugInfoPlan take_out_debug_info(const Blob& file, const DebugInfoRequest& request);

// What of a file is debug information, from its section headers alone.
struct DebugInfoSize {
  std::uint64_t bytes = 0;       // in the file
  std::uint64_t compressed = 0;  // of these, compressed already
};
struct SectionTable;
DebugInfoSize debug_info_size(const SectionTable& table);

// The digest over the loaded bytes, nothing if the file is no ELF file that is loaded. SHA-256 over
//   "imgslim loaded bytes 1" and a NUL,
//   the file header, in which e_shoff, e_shnum and e_shstrndx (where the section headers are) read as zero,
//   the program headers,
//   the file bytes of each PT_LOAD, in the order of the program headers,
//   the file bytes of each other program header that does not lie in a PT_LOAD,
// where those three fields read as zero wherever a segment holds the file header. Two files of equal digest
// have the same entry point, interpreter, dynamic section, notes and memory.
std::optional<Digest> loaded_digest(const Blob& file);

}  // namespace imgslim
