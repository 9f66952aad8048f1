// SPDX-License-Identifier: Apache-2.0
// Contents of files against those of the source, and against what a certificate says of files that lost debug
// information: they must be the same program in memory.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/spool.h"
#include "layers/tar.h"
#include "src/debug_info/debug_info.h"
#include "src/debug_info/section_table.h"
#include "src/decisions/package_records.h"
#include "src/proof.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

// What is made for each result, and checked by what it says.
bool is_made_anew(std::string_view path) {
  return path == "/etc/ld.so.cache" || is_package_record(path);
}

// Bytes in the file of all sections of a name.
using SectionSizes = std::map<std::string, std::uint64_t>;

struct FileFacts {
  std::string digest;
  std::string loaded;  // empty: no ELF file that is loaded
  SectionSizes sections;
};

class ContentVerifier {
 public:
  ContentVerifier(const FileContents& files, const FileContents* source, const ProofPlatform* proof,
                  Verification& result, FindingList& findings)
      : files_(files),
        source_(source),
        proof_(proof),
        result_(result),
        findings_(findings),
        spool_(files.spool_directory) {}

  void run() {
    if (proof_ != nullptr) {
      for (const ProofDebugFile& file : proof_->debug_files)
        check(file);
    }
    if (source_ != nullptr) compare_all();
  }

 private:
  void fail(std::string_view check, const std::string& path, std::string problem) {
    findings_.failure(check, path, "", {printable(path)}, std::move(problem));
  }

  FileFacts read(const FileContents& files, EntryRef file) {
    spool_.clear();
    Hasher hasher;
    const auto sink = sink_to([&](std::span<const std::byte> bytes) {
      hasher.update(bytes);
      spool_.write(bytes);
    });
    files.contents.write_to(file, *sink);
    FileFacts facts;
    facts.digest = hasher.finish().text();
    const BlobPtr blob = spool_.range(0, spool_.size());
    if (const auto loaded = loaded_digest(*blob)) facts.loaded = loaded->text();
    const SectionTableResult sections = read_section_table(*blob);
    if (!sections.table) return facts;
    for (const SectionHeader& section : sections.table->sections)
      facts.sections[section.name] += section.has_bytes() ? section.size : 0;
    return facts;
  }

  // The regular file at a path, none if there is none.
  static EntryRef file_at(const Tree& tree, std::string_view path) {
    const NodeId node = tree.lookup(path.substr(1));
    if (node == kNone || tree.type(node) != EntryType::kRegular) return {};
    return tree.inode_of(node).attributes;
  }

  static std::string shown(const std::string& loaded) {
    return loaded.empty() ? "none, it is no ELF file that is loaded" : loaded;
  }

  // One file of the certificate. Its digests are those of what is there, and with the source at hand it holds
  // all that the source's file shows in memory.
  void check(const ProofDebugFile& file) {
    const EntryRef entry = file_at(files_.tree, file.path);
    if (!entry) return fail("proof", file.path, "no file is there; the certificate has one");
    const FileFacts after = read(files_, entry);
    if (after.digest != file.result_digest) {
      fail("proof", file.path,
           fmt::format("its content is {}; in the certificate {}", after.digest, file.result_digest));
    }
    if (after.loaded != file.loaded_digest) {
      fail("proof", file.path,
           fmt::format("its loaded bytes are {}; in the certificate {}", shown(after.loaded),
                       file.loaded_digest));
    }
    ++result_.debug_files;
    if (source_ == nullptr) return;
    const EntryRef was = file_at(source_->tree, file.path);
    if (!was) return fail("proof", file.path, "the source has no such file; the certificate says it has");
    const FileFacts before = read(*source_, was);
    if (before.digest != file.source_digest) {
      fail("proof", file.path,
           fmt::format("the source's content is {}; in the certificate {}", before.digest,
                       file.source_digest));
    }
    if (before.loaded != file.loaded_digest) {
      fail("proof", file.path,
           fmt::format("the source's loaded bytes are {}; in the certificate {}", shown(before.loaded),
                       file.loaded_digest));
    }
    if (before.loaded != after.loaded)
      fail("against", file.path, "its loaded bytes are not those of the source");
    compare_sections(file, before.sections, after.sections);
  }

  // What went is what the certificate says.
  void compare_sections(const ProofDebugFile& file, const SectionSizes& before, const SectionSizes& after) {
    SectionSizes claimed;
    for (const TakenSection& section : file.sections)
      claimed[section.name] += section.bytes;
    const auto size_in = [](const SectionSizes& sizes, const std::string& name) {
      const auto found = sizes.find(name);
      return found == sizes.end() ? 0 : found->second;
    };
    for (const auto& [name, size] : before) {
      if (!after.contains(name) && !claimed.contains(name)) {
        fail("proof", file.path,
             fmt::format("its section {} went; the certificate does not say so", printable(name)));
      }
    }
    for (const auto& [name, size] : claimed) {
      const std::uint64_t had = size_in(before, name);
      const std::uint64_t has = size_in(after, name);
      if (had >= has && had - has == size) continue;
      fail("proof", file.path,
           fmt::format("its section {} has {} bytes, {} in the source; in the certificate it lost {}",
                       printable(name), has, had, size));
    }
  }

  void compare_all() {
    struct Pair {
      std::string path;
      EntryRef file;
      EntryRef was;
    };
    std::vector<Pair> differ;
    std::vector<Pair> alike;
    files_.tree.walk([&](NodeId node) {
      if (files_.tree.type(node) != EntryType::kRegular) return;
      Pair pair{"/" + files_.tree.path(node), files_.tree.inode_of(node).attributes, {}};
      pair.was = file_at(source_->tree, pair.path);
      if (!pair.was || is_made_anew(pair.path) || is_proven(pair.path)) return;
      const Entry& is = files_.tree.entry(pair.file);
      const Entry& was = source_->tree.entry(pair.was);
      if (is.size != was.size || is.crc != was.crc) return differ.push_back(std::move(pair));
      const auto& diff_id = files_.tree.layer(pair.file.layer).diff_id;
      const bool same_layer = pair.file.entry == pair.was.entry && diff_id &&
                              diff_id == source_->tree.layer(pair.was.layer).diff_id;
      if (!same_layer) alike.push_back(std::move(pair));
    });
    std::vector<EntryRef> is;
    std::vector<EntryRef> was;
    for (const Pair& pair : alike) {
      is.push_back(pair.file);
      was.push_back(pair.was);
    }
    const std::vector<Digest> now = files_.contents.hash(is);
    const std::vector<Digest> then = source_->contents.hash(was);
    for (std::size_t i = 0; i < alike.size(); ++i) {
      if (now[i] != then[i]) differ.push_back(alike[i]);
    }
    for (const Pair& pair : differ)
      explain_difference(pair.path, pair.file, pair.was);
  }

  bool is_proven(std::string_view path) const {
    return proof_ != nullptr && proof_->find_debug_file(path) != nullptr;
  }

  void explain_difference(const std::string& path, EntryRef file, EntryRef was) {
    const std::string before = read(*source_, was).loaded;
    const std::string after = read(files_, file).loaded;
    if (before.empty() || after.empty())
      return fail("against", path, "its content is not that of the source");
    if (before != after) return fail("against", path, "its loaded bytes are not those of the source");
    if (proof_ != nullptr) {
      return fail("against", path,
                  "its content is not that of the source, and the certificate does not name it");
    }
    findings_.note("against", path, "", {printable(path)},
                   "its content is not that of the source, its loaded bytes are; no certificate says why");
    ++result_.debug_files;
  }

  const FileContents& files_;
  const FileContents* source_;
  const ProofPlatform* proof_;
  Verification& result_;
  FindingList& findings_;
  Spool spool_;
};

}  // namespace

void verify_contents(const FileContents& files, const FileContents* source, const ProofPlatform* proof,
                     Verification& result, FindingList& findings) {
  ContentVerifier(files, source, proof, result, findings).run();
}

}  // namespace imgslim
