// SPDX-License-Identifier: Apache-2.0
// mutants LAYOUT SEED COUNT: takes files of a result away, one at a time, and asks the verification. COUNT:
// how many besides the kinds that are taken whole; 0: all. One line a mutant: KIND RULE ALONE PROOF PATH,
// where ALONE is the check that found it without the certificate (or "missed") and PROOF is "named" if the
// certificate named the path.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "src/certificate.h"
#include "src/decisions/keep_data.h"
#include "src/facts/tree_file_system.h"
#include "src/image_set.h"
#include "src/progress.h"
#include "src/scanned_layers.h"
#include "src/verification_parts.h"

using namespace imgslim;

namespace {

// The image's files without one of them; contents that were read once stay.
class Without : public FileSystem {
 public:
  explicit Without(const FileSystem& files) : files_(files) {}
  void hide(const std::string& path) { hidden_ = path; }

  std::optional<FileStatus> status(std::string_view path) const override {
    if (is_hidden(path)) return std::nullopt;
    return files_.status(path);
  }
  std::optional<std::string> read_link(std::string_view path) const override {
    if (is_hidden(path)) return std::nullopt;
    return files_.read_link(path);
  }
  std::vector<std::string> list(std::string_view path) const override {
    if (is_hidden(path)) return {};
    std::vector<std::string> names = files_.list(path);
    std::erase_if(names, [&](const std::string& name) { return is_hidden(join_path(path, name)); });
    return names;
  }
  std::shared_ptr<const FileBytes> read(std::string_view path, std::uint64_t limit) const override {
    if (is_hidden(path)) return nullptr;
    const std::lock_guard guard(mutex_);
    auto& bytes = read_[std::string(path)];
    if (!bytes) bytes = files_.read(path, limit);
    return bytes && bytes->bytes().size() <= limit ? bytes : nullptr;
  }
  std::string head(std::string_view path) const override {
    return is_hidden(path) ? std::string() : files_.head(path);
  }

 private:
  bool is_hidden(std::string_view path) const {
    return !hidden_.empty() && path.starts_with(hidden_) &&
           (path.size() == hidden_.size() || path[hidden_.size()] == '/');
  }
  const FileSystem& files_;
  std::string hidden_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const FileBytes>, std::less<>> read_;
};

// A layer that takes one path away.
LayerTablePtr whiteout_of(const std::string& path) {
  auto table = std::make_shared<LayerTable>();
  Entry entry;
  entry.type = EntryType::kWhiteout;
  entry.path = table->keep(std::string_view(path).substr(1));
  table->entries.push_back(entry);
  return table;
}

struct Mutant {
  std::string kind;
  const ProofPath* path;
};

std::string kind_of(const ProofPath& path, const ProofPlatform& proof, const FileSystem& files) {
  const char type = proof.attributes[path.attributes].type;
  if (type == 'd') return "directory";
  if (type == 'l') return "link";
  const std::string head = files.head(path.path);
  if (head.starts_with("\177ELF")) return "elf";
  const auto status = files.status(path.path);
  if (head.starts_with("#!") && status && (status->mode & 0111) != 0) return "script";
  return "file";
}

bool is_fixed(std::string_view path) {
  for (const DataRow& row : data_rows()) {
    if (std::find(row.keeps.begin(), row.keeps.end(), path) != row.keeps.end()) return true;
  }
  return false;
}

// All ELF objects, scripts, links and fixed paths of data rules, the first of each data rule, and some of the
// rest.
std::vector<Mutant> choose(const ProofPlatform& proof, const FileSystem& files, unsigned seed,
                           std::size_t count) {
  std::vector<Mutant> chosen;
  std::vector<Mutant> rest;
  std::set<std::string> rules;
  for (const ProofPath& path : proof.paths) {
    if (path.path == "/") continue;
    const std::string kind = kind_of(path, proof, files);
    const std::string& rule = proof.witnesses[path.witness].rule;
    const bool whole = kind == "elf" || kind == "script" || kind == "link";
    // A path that a rule names as such, and one of those that its globs and folders bring.
    const bool fixed = kind == "file" && rule.starts_with("data:") && is_fixed(path.path);
    const bool first_of_rule = kind == "file" && rule.starts_with("data:") && rules.insert(rule).second;
    (whole || fixed || first_of_rule ? chosen : rest).push_back({fixed ? "data" : kind, &path});
  }
  std::mt19937 random(seed);  // its numbers are fixed by the standard, std::shuffle's use of them is not
  for (std::size_t i = 0; i < rest.size() && (count == 0 || i < count); ++i) {
    std::swap(rest[i], rest[i + random() % (rest.size() - i)]);
    chosen.push_back(rest[i]);
  }
  return chosen;
}

std::string check_that_failed(const Verification& verification) {
  for (const Finding& finding : verification.findings) {
    if (finding.severity == Finding::Severity::kFailure) return std::string(finding.check);
  }
  return "missed";
}

int run(const std::string& layout, unsigned seed, std::size_t count) {
  const auto source = open_image_source(parse_source_name("oci:" + layout), ".");
  const ImageSet set = read_image_set(*source, {});
  Progress progress(Progress::Detail::kQuiet);
  const ScannedLayers layers(*source, set, 1, progress);
  const auto certificate = find_certificate(*source, source->root().digest);
  if (!certificate) throw Error(Failure::kUsage, layout + ": no certificate");
  const Proof all = read_proof(certificate->text, "certificate");
  for (const SourceImage& image : set.images) {
    const ProofPlatform* proof = all.find(image.descriptor.digest.text());
    if (proof == nullptr || proof->paths.empty()) continue;
    const std::vector<LayerTablePtr> tables = layers.tables_of(image);
    const Tree tree = merge_layers(image, tables);
    const Contents contents(tables, layers.blobs_of(image), kContentCacheBytes);
    const TreeFileSystem real(
        tree, [&](EntryRef file, std::uint64_t length) { return contents.read_front(file, length); });
    Without files(real);
    const auto verify = [&] {
      const PackageDatabase packages = PackageDatabase::read(files);
      return verify_closure(VerificationInput{files, image.config, packages});
    };
    const Verification whole = verify();
    if (!whole.ok()) throw Error(Failure::kVerification, layout + ": " + whole.findings.front().line());
    for (const Mutant& mutant : choose(*proof, real, seed, count)) {
      files.hide(mutant.path->path);
      Tree mutated = merge_layers(image, tables);
      mutated.apply(whiteout_of(mutant.path->path));
      Verification result = verify();
      const std::string alone = check_that_failed(result);
      std::vector<Finding> findings;
      FindingList list(findings);
      verify_proof(*proof, mutated, files, result, list);
      const bool named = std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
        return finding.severity == Finding::Severity::kFailure && finding.subject == mutant.path->path;
      });
      fmt::print("{} {} {} {} {}\n", mutant.kind, proof->witnesses[mutant.path->witness].rule, alone,
                 named ? "named" : "unnamed", printable(mutant.path->path, 4096));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: mutants LAYOUT SEED COUNT\n";
    return 2;
  }
  try {
    return run(argv[1], static_cast<unsigned>(std::stoul(argv[2])), std::stoul(argv[3]));
  } catch (const std::exception& error) {
    std::cerr << "mutants: " << error.what() << "\n";
    return 1;
  }
}
