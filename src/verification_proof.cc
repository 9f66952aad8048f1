// SPDX-License-Identifier: Apache-2.0
// The claims of a certificate against the image that it speaks of.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "layers/error.h"
#include "src/proof_builder.h"
#include "src/verification_parts.h"

namespace imgslim {
namespace {

constexpr std::size_t kMaxChain = 32;

class ProofVerifier {
 public:
  ProofVerifier(const ProofPlatform& proof, const Tree& tree, const FileSystem& files,
                const Verification& result, FindingList& findings)
      : proof_(proof), tree_(tree), files_(files), result_(result), findings_(findings) {}

  void run() {
    for (const ProofPath& path : proof_.paths)
      compare(path);
    if (!proof_.paths.empty()) find_strangers();
    find_circles();
    derive();
    roots();
  }

 private:
  // From what the chain begins with to the path, as findings show it.
  std::vector<std::string> chain_to(const ProofPath& path) const {
    std::vector<std::string> chain;
    const std::vector<const ProofPath*> witnesses = witness_chain(proof_, path.path);
    const ProofWitness& first = proof_.witnesses[witnesses.back()->witness];
    if (!first.path && !first.origin.empty()) chain.push_back(printable(first.origin));
    for (std::size_t i = std::min(witnesses.size(), kMaxChain); i-- > 0;)
      chain.push_back(printable(witnesses[i]->path));
    return chain;
  }

  void fail(const ProofPath& path, std::string problem) {
    findings_.failure("proof", path.path, "", chain_to(path), std::move(problem));
  }

  void compare(const ProofPath& path) {
    const NodeId node = tree_.lookup(std::string_view(path.path).substr(1));
    if (node == kNone) return fail(path, "not there; the certificate has it");
    const ProofAttributes& claimed = proof_.attributes[path.attributes];
    const ProofAttributes found = proof_attributes(tree_, node);
    const auto text = [](const ProofAttributes& a) {
      return fmt::format("{} {:04o} of {}:{}{}", a.type, a.mode, a.uid, a.gid,
                         a.xattrs.empty() ? "" : ", " + a.xattrs);
    };
    if (found != claimed)
      return fail(path, fmt::format("{}; in the certificate {}", text(found), text(claimed)));
    const Entry* entry = tree_.attributes(node);
    if (entry == nullptr) return;
    if (claimed.type == 'l' && entry->link != path.link) {
      fail(path, fmt::format("a link to {}; in the certificate to {}", printable(entry->link),
                             printable(path.link)));
    } else if (claimed.type == 'f' && entry->size != path.size) {
      fail(path, fmt::format("{} bytes; in the certificate {}", entry->size, path.size));
    } else if (claimed.type == 'f' && entry->crc != path.crc) {
      fail(path, "its content is not that of the certificate");
    }
  }

  void find_strangers() {
    tree_.walk([&](NodeId node) {
      const std::string path = "/" + tree_.path(node);
      if (proof_.find(path) == nullptr)
        findings_.failure("proof", path, "", {printable(path)}, "not in the certificate");
    });
  }

  // Each chain of witnesses ends.
  void find_circles() {
    enum class State : std::uint8_t { kNew, kOpen, kEnds };
    std::vector<State> states(proof_.paths.size(), State::kNew);
    for (std::size_t start = 0; start < states.size(); ++start) {
      std::vector<std::size_t> open;
      std::size_t at = start;
      while (states[at] == State::kNew) {
        states[at] = State::kOpen;
        open.push_back(at);
        const ProofWitness& witness = proof_.witnesses[proof_.paths[at].witness];
        if (!witness.path) break;
        at = *witness.path;
      }
      const bool circle =
          states[at] == State::kOpen && (open.empty() || proof_.witnesses[proof_.paths[at].witness].path);
      if (circle) {
        findings_.failure("proof", proof_.paths[at].path, "", {printable(proof_.paths[at].path)},
                          "its witnesses go in a circle");
      }
      for (const std::size_t index : open)
        states[index] = State::kEnds;
    }
  }

  // What the image itself says again: libraries, links, folders.
  void derive() {
    for (const ProofPath& path : proof_.paths) {
      const ProofWitness& witness = proof_.witnesses[path.witness];
      if (!witness.path) continue;
      const std::string& because = proof_.paths[*witness.path].path;
      if (witness.rule == "needed" || witness.rule == "preload") {
        const auto from = result_.edges.lower_bound({because, ""});
        const bool searched = from != result_.edges.end() && from->first == because;
        if (searched && !result_.edges.contains({because, path.path})) {
          fail(path,
               fmt::format("{} does not find it; the certificate says that it needs it", printable(because)));
        }
      } else if (witness.rule == "directory" && witness.detail == "above a kept path") {
        if (because.size() <= path.path.size() ||
            (path.path != "/" && !because.starts_with(path.path + "/"))) {
          fail(path, fmt::format("not above {}, as the certificate says", printable(because)));
        }
      } else if (witness.rule == "link" && witness.detail == "its target") {
        if (resolve_path(files_, because) != path.path)
          fail(path, fmt::format("not what {} leads to, as the certificate says", printable(because)));
      }
    }
  }

  // The commands come down to the programs that the certificate names.
  void roots() {
    for (const ProofRoot& root : proof_.roots) {
      std::string command = root.origin;
      for (const std::string& word : root.argv)
        command.append(" ").append(word);
      const auto found = result_.programs.find(command);
      if (found == result_.programs.end() || found->second == root.program) continue;
      findings_.failure("proof", root.program, "", {printable(command)},
                        fmt::format("starts {}; in the certificate {}",
                                    found->second.empty() ? "nothing" : printable(found->second),
                                    root.program.empty() ? "nothing" : printable(root.program)));
    }
  }

  const ProofPlatform& proof_;
  const Tree& tree_;
  const FileSystem& files_;
  const Verification& result_;
  FindingList& findings_;
};

}  // namespace

void verify_proof(const ProofPlatform& proof, const Tree& tree, const FileSystem& files, Verification& result,
                  FindingList& findings) {
  ProofVerifier(proof, tree, files, result, findings).run();
  result.paths_proven = proof.paths.size();
}

}  // namespace imgslim
