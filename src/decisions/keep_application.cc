// SPDX-License-Identifier: Apache-2.0
// The image's own files: what no package lists and no leftover or generated row claims, package files that
// were edited, packages that are not the distribution's; and what those name.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "layers/at_once.h"
#include "layers/bytes.h"
#include "layers/error.h"
#include "layers/hex.h"
#include "src/decisions/keep_search.h"
#include "src/facts/wrappers.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxConfigurationBytes = 1 << 20;
constexpr std::size_t kMaxNamedFiles = 10000;
constexpr std::size_t kLongestName = 256;
constexpr int kDeepest = 64;

std::string hex_digest(const EVP_MD* algorithm, std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, algorithm, nullptr) != 1) return {};
  return hex_of(std::span(digest).first(size));
}

// A row's globs, each with the text in front of its first pattern byte: most paths are told apart by that.
struct GeneratedGlob {
  const GeneratedRow* row;
  std::string_view start;
  Glob glob;
};

const std::vector<GeneratedGlob>& generated_globs() {
  static const std::vector<GeneratedGlob> globs = [] {
    std::vector<GeneratedGlob> all;
    for (const GeneratedRow& row : generated_rows()) {
      for (const std::string_view glob : row.globs)
        all.push_back({&row, glob.substr(0, std::min(glob.find_first_of("*?["), glob.size())), Glob(glob)});
    }
    return all;
  }();
  return globs;
}

bool is_path_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("._-+@%/~", c) != nullptr;
}

// Words of a text that are absolute paths.
std::set<std::string> absolute_paths(std::string_view text) {
  std::set<std::string> paths;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = text.find('/', at);
    if (start == std::string_view::npos || paths.size() >= kMaxNamedFiles) break;
    std::size_t end = start;
    while (end < text.size() && end - start < 4096 && text[end] != '\0' && is_path_byte(text[end]))
      ++end;
    const bool begins = start == 0 || (!is_path_byte(text[start - 1]) && text[start - 1] != ':') ||
                        (text[start - 1] == ':' && (start + 1 < text.size() && text[start + 1] != '/'));
    std::string word(text.substr(start, end - start));
    while (word.size() > 1 && (word.back() == '.' || word.back() == '/'))
      word.pop_back();
    if (begins && word.size() > 1) paths.insert(std::move(word));
    at = std::max(end, start + 1);
  }
  return paths;
}

// "de_DE.ISO-8859-1", "de_DE@euro", "ja_JP": locales whose characters are not those of UTF-8 (locale(7)).
bool names_other_character_set(std::string_view locale) {
  if (locale.empty() || locale == "C" || locale == "POSIX") return false;
  std::string name;
  for (const char c : locale)
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name.find(".utf-8") == std::string::npos && name.find(".utf8") == std::string::npos;
}

bool is_text(std::string_view bytes) {
  return bytes.substr(0, 4096).find('\0') == std::string_view::npos;
}

// Where the function table's names, files and pc values lie in the file: [begin, end). Names of source files
// are no names of run-time files (Go's internal/abi symtab, runtime/symtab.go pcHeader).
std::pair<std::size_t, std::size_t> function_table(std::string_view bytes, const GoFacts* go) {
  if (go == nullptr || go->functions.empty()) return {0, 0};
  const char* first = nullptr;
  for (const GoFunction& function : go->functions) {
    if (function.name.data() >= bytes.data() && function.name.data() < bytes.data() + bytes.size() &&
        (first == nullptr || function.name.data() < first)) {
      first = function.name.data();
    }
  }
  if (first == nullptr) return {0, 0};
  const auto names = static_cast<std::size_t>(first - bytes.data());
  const std::size_t lowest = names < 4096 ? 0 : names - 4096;
  for (std::size_t at = names / 4 * 4 + 4; at-- > lowest;) {
    if (at + 80 > bytes.size()) continue;
    const std::string_view head = bytes.substr(at, 8);
    const bool big = head[0] == '\xff';
    const unsigned char tag = static_cast<unsigned char>(big ? head[3] : head[0]);
    if (tag != 0xf0 && tag != 0xf1 && tag != 0xfa) continue;
    const std::string_view rest = big ? head.substr(0, 3) : head.substr(1, 3);
    if (rest != "\xff\xff\xff" || head[4] != 0 || head[5] != 0) continue;
    const auto word = static_cast<unsigned char>(head[7]);
    if (word != 4 && word != 8) continue;
    const std::size_t field = at + 8 + word * (tag == 0xfa ? 6u : 7u);
    std::uint64_t functions = 0;
    for (unsigned i = 0; i < word; ++i) {
      const auto byte = static_cast<unsigned char>(bytes[field + (big ? i : word - 1 - i)]);
      functions = functions << 8 | byte;
    }
    if (functions > bytes.size() - at || at + functions <= names) continue;
    return {at, at + static_cast<std::size_t>(functions)};
  }
  return {0, 0};
}

}  // namespace

bool KeepSearch::is_generated(NodeId node, const std::string& path) const {
  const bool is_link = tree().type(node) == EntryType::kSymlink;
  const Entry* entry = tree().attributes(node);
  for (const GeneratedGlob& candidate : generated_globs()) {
    const GeneratedRow& row = *candidate.row;
    if (!path.starts_with(candidate.start) || (row.links_only && !is_link)) continue;
    if (!row.link_prefix.empty() && (!is_link || !entry->link.starts_with(row.link_prefix))) continue;
    if (!candidate.glob.covers(path)) continue;
    if (row.id != "bytecode") return true;
    // DIR/__pycache__/NAME.TAG.pyc is made from DIR/NAME.py: whose that is, that it is.
    const std::string folder = folder_of(folder_of(path));
    const std::string_view name = file_name(path);
    if (input_.packages.owner(folder + "/" + std::string(name.substr(0, name.find('.'))) + ".py"))
      return true;
  }
  return false;
}

// Marks what is the image's own and keeps it.
void KeepSearch::find_application() {
  for (const Leftover& leftover : input_.leftovers.claimed) {
    if (leftover.node < leftover_.size()) leftover_[leftover.node] = true;
  }
  std::vector<std::pair<NodeId, std::string>> own;
  tree().walk([&](NodeId node) {
    if (node == Tree::kRoot || tree().type(node) == EntryType::kDirectory || leftover_[node]) return;
    std::string path = path_of(node);
    if (!input_.packages.owners(path).empty()) return;
    if (is_generated(node, path)) {
      generated_[node] = true;
      return;
    }
    application_[node] = true;
    own.emplace_back(node, std::move(path));
  });
  keep_changed_files();
  for (auto& [node, path] : own) {
    put(node, {"application", path, "no package lists it and no leftover rule claims it", Evidence::kExact});
  }
}

// A package's files were unpacked together: by far the most have one layer and a time not later than the
// package's most common one. What differs in either was written afterwards, or may have been; that and every
// conffile is compared with the package's checksum. Where times say nothing (all zero) every file is.
void KeepSearch::keep_changed_files() {
  struct Suspect {
    const OwnedPath* owned;
    NodeId node;
    EntryRef content;
    bool is_changed;
  };
  std::vector<Suspect> suspects;
  const auto& packages = input_.packages.packages();
  for (PackageId id = 0; id < packages.size(); ++id) {
    std::map<std::int64_t, std::size_t> times;
    std::map<std::uint32_t, std::size_t> layers;
    std::vector<std::pair<const OwnedPath*, NodeId>> files;
    for (const std::uint32_t index : input_.packages.paths_of(id)) {
      const OwnedPath& owned = input_.packages.paths()[index];
      if (owned.checksum_kind == OwnedPath::Checksum::kAbsent) continue;
      const NodeId node = node_of(owned.path);
      if (node == kNone || tree().type(node) != EntryType::kRegular) continue;
      const Entry* entry = tree().attributes(node);
      if (entry == nullptr) continue;
      files.emplace_back(&owned, node);
      ++times[entry->mtime];
      ++layers[tree().inode_of(node).attributes.layer];
    }
    const auto most = [](const auto& counts) {
      return std::max_element(counts.begin(), counts.end(),
                              [](const auto& a, const auto& b) { return a.second < b.second; });
    };
    if (files.empty()) continue;
    const std::int64_t time = most(times)->first;
    const std::uint32_t layer = most(layers)->first;
    constexpr std::int64_t kDay = 86400;
    for (const auto& [owned, node] : files) {
      const Entry& entry = *tree().attributes(node);
      const bool is_suspect = owned->conffile || time < kDay || entry.mtime > time ||
                              tree().inode_of(node).attributes.layer != layer;
      if (!is_suspect || leftover_[node]) continue;
      suspects.push_back({owned, node, tree().inode_of(node).attributes, false});
    }
  }
  // Compared in the order of the layers' bytes, as they are read from there; kept in the order of packages.
  std::vector<Suspect*> order;
  for (Suspect& suspect : suspects)
    order.push_back(&suspect);
  std::stable_sort(order.begin(), order.end(),
                   [](const Suspect* a, const Suspect* b) { return a->content < b->content; });
  for_each_at_once(input_.threads, order.size(),
                   [&](std::size_t at) { order[at]->is_changed = is_changed(*order[at]->owned); });
  for (const Suspect& suspect : suspects) {
    if (!suspect.is_changed) continue;
    application_[suspect.node] = true;
    const Package& package = packages[suspect.owned->package];
    put(suspect.node,
        {"application", std::string(suspect.owned->path),
         fmt::format("differs from the file of package {}", printable(package.name)), Evidence::kExact});
  }
}

bool KeepSearch::is_changed(const OwnedPath& owned) const {
  const bool is_md5 = owned.checksum_kind == OwnedPath::Checksum::kMd5;
  const std::string_view fact = is_md5 ? "md5" : "sha1";
  if (const auto known = input_.files.recall(owned.path, fact)) return *known != owned.checksum;
  const auto content = input_.files.read(owned.path, std::uint64_t{1} << 30);
  if (!content) return true;
  const std::string sum = hex_digest(is_md5 ? EVP_md5() : EVP_sha1(), content->bytes());
  input_.files.remember(owned.path, fact, sum);
  return sum != owned.checksum;
}

// By the maintainer's address, at one of the distribution's own domains, or the package's stated origin.
// Packages kept by somebody with another address count as foreign: then more is kept and less is taken for
// granted.
bool KeepSearch::is_distribution(PackageId package) const {
  const Package& record = input_.packages.packages()[package];
  if (record.kind == PackageKind::kDpkg &&
      (record.origin == "Debian" || record.origin == "Ubuntu" || record.origin == "Raspbian")) {
    return true;
  }
  std::string_view maintainer = record.maintainer;
  const std::size_t at = maintainer.rfind('@');
  if (at == std::string_view::npos) return false;
  std::string_view domain = maintainer.substr(at + 1);
  domain = domain.substr(0, domain.find_first_of("> \t"));
  for (const std::string_view own :
       {"debian.org", "ubuntu.com", "canonical.com", "debian.net", "alpinelinux.org"}) {
    if (domain == own || (domain.size() > own.size() && domain.ends_with(own) &&
                          domain[domain.size() - own.size() - 1] == '.')) {
      return true;
    }
  }
  return false;
}

// Many of a distribution's maintainers write under addresses of their own. A package of Debian's archive
// lists a changelog.Debian.gz; one of a company that does so too and owns a root is application before this
// is asked.
bool KeepSearch::is_from_archive(PackageId package) const {
  if (is_distribution(package)) return true;
  const Package& record = input_.packages.packages()[package];
  if (record.kind == PackageKind::kApk) return false;
  if (!record.origin.empty()) return false;
  const std::string start = "/usr/share/doc/" + record.name + "/changelog.Debian";
  for (const std::uint32_t index : input_.packages.paths_of(package)) {
    if (input_.packages.paths()[index].path.starts_with(start)) return true;
  }
  return false;
}

void KeepSearch::keep_root_packages(const Roots& roots) {
  for (const Root& root : roots.roots) {
    if (root.program.empty() || !root.command.application) continue;
    const auto owner = input_.packages.owner(root.program);
    if (!owner || is_distribution(*owner)) continue;
    const std::string& name = input_.packages.packages()[*owner].name;
    for (const std::uint32_t index : input_.packages.paths_of(*owner)) {
      const std::string path(input_.packages.paths()[index].path);
      const NodeId node = node_of(path);
      if (node == kNone) continue;
      if (tree().type(node) != EntryType::kDirectory) application_[node] = true;
      put(node, {"package", root.program,
                 fmt::format("package {} is not the distribution's", printable(name)), Evidence::kExact});
    }
  }
}

// Not those that only an init system, cron or logrotate reads: they start nothing in a container.
void KeepSearch::keep_conffiles(PackageId package, const std::string& because, Evidence evidence) {
  if (!conffiles_of_.insert(package).second) return;
  const std::string& name = input_.packages.packages()[package].name;
  for (const std::uint32_t index : input_.packages.paths_of(package)) {
    const OwnedPath& owned = input_.packages.paths()[index];
    if (!owned.conffile) continue;
    bool is_for_host = false;
    for (const std::string_view folder :
         {"/etc/init.d/", "/etc/cron.", "/etc/logrotate.d/", "/etc/rc", "/etc/init/", "/etc/network/if-",
          "/etc/dhcp/", "/etc/bash_completion.d/", "/etc/apt/", "/etc/kernel/", "/etc/ufw/",
          "/etc/apparmor.d/"}) {
      is_for_host = is_for_host || owned.path.starts_with(folder);
    }
    if (is_for_host) continue;
    reach(owned.path, {"conffile", because, "configuration of package " + printable(name), evidence});
  }
}

// A directory of several packages, or one of the system's own: naming it does not mean all that is in it.
bool KeepSearch::is_shared_directory(NodeId directory) const {
  const std::string path = path_of(directory);
  if (std::count(path.begin(), path.end(), '/') < 2) {
    static constexpr std::string_view kSystem[] = {"/",      "/bin",   "/boot", "/dev",  "/etc",  "/lib",
                                                   "/lib32", "/lib64", "/proc", "/run",  "/sbin", "/sys",
                                                   "/tmp",   "/usr",   "/var",  "/root", "/home", "/libx32"};
    if (std::find(std::begin(kSystem), std::end(kSystem), path) != std::end(kSystem)) return true;
  }
  return input_.packages.owners(path).size() > 1;
}

void KeepSearch::keep_environment() {
  for (const std::string& line : input_.config.env) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = line.substr(0, equals);
    fire({DataTrigger::Kind::kEnvironment, name}, "ENV " + printable(name), Evidence::kExact);
    if ((name == "LANG" || name.starts_with("LC_")) &&
        names_other_character_set(std::string_view(line).substr(equals + 1))) {
      fire({DataTrigger::Kind::kCharacterSet, {}}, "ENV " + printable(name), Evidence::kExact);
    }
    // These are searched by name, not read as a whole.
    if (name == "PATH" || name == "LD_LIBRARY_PATH") continue;
    for (const std::string& path : absolute_paths(std::string_view(line).substr(equals + 1))) {
      const Witness witness{"environment", "ENV " + printable(name), "named by it", Evidence::kCandidate};
      reach(path, witness, Whole::kUnlessShared);
    }
  }
  const Witness witness{"config", "image configuration", "", Evidence::kExact};
  if (!input_.config.working_dir.empty()) {
    reach(input_.config.working_dir, {witness.rule, "WORKDIR", "the working directory", witness.evidence});
  }
  for (const std::string& volume : input_.config.volumes)
    reach(volume, {witness.rule, "VOLUME", "a volume", witness.evidence}, Whole::kUnlessShared);
}

// Paths in a text file of the application: a configuration may name what the service reads.
void KeepSearch::read_configuration(NodeId node, const std::string& path, const Witness& witness) {
  static constexpr std::string_view kEnds[] = {".yaml", ".yml",    ".json",       ".toml", ".ini",
                                               ".conf", ".cfg",    ".properties", ".env",  ".xml",
                                               ".cnf",  ".config", ".hcl",        ".rules"};
  const std::string_view name = file_name(path);
  const bool named = std::any_of(std::begin(kEnds), std::end(kEnds),
                                 [&](std::string_view end) { return name.ends_with(end); });
  if (!named && !path.starts_with("/etc/")) return;
  const Entry* entry = tree().attributes(node);
  if (entry == nullptr || entry->size > kMaxConfigurationBytes) return;
  const auto content = recent_->read(path, kMaxConfigurationBytes);
  if (!content || !is_text(content->bytes())) return;
  for (const std::string& file : absolute_paths(content->bytes())) {
    reach(file, {"configuration", path, "named in it", std::max(witness.evidence, Evidence::kCandidate)},
          Whole::kUnlessShared);
  }
}

std::vector<std::string> KeepSearch::tops() const {
  std::vector<std::string> names;
  for (const NodeId child : tree().children(Tree::kRoot))
    names.emplace_back(tree().node(child).name);
  std::sort(names.begin(), names.end());
  return names;
}

// Strings of a program need not end where a name does (Go keeps them end to end): from each '/' as far as a
// path can go.
PathTexts KeepSearch::path_texts_in(const ElfFacts& facts, std::string_view bytes, const GoFacts* go) const {
  const auto table = function_table(bytes, go);
  PathTexts found{tops(), {}};
  std::set<std::string_view> texts;
  const auto scan = [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end;) {
      const void* slash = std::memchr(bytes.data() + at, '/', end - at);
      if (slash == nullptr) break;
      const auto start = static_cast<std::size_t>(static_cast<const char*>(slash) - bytes.data());
      at = start + 1;
      std::size_t stop = start;
      for (int depth = 0; depth < kDeepest && stop < end && bytes[stop] == '/'; ++depth) {
        const std::size_t component = ++stop;
        while (stop < end && stop - component < kLongestName && is_path_byte(bytes[stop]) &&
               bytes[stop] != '/')
          ++stop;
        if (stop == component) break;
        const std::string_view name = bytes.substr(component, stop - component);
        if (depth == 0 && !std::binary_search(found.tops.begin(), found.tops.end(), name)) break;
      }
      const std::string_view text = bytes.substr(start, stop - start);
      if (std::count(text.begin(), text.end(), '/') > 1) texts.insert(text);
    }
  };
  for (const ElfSegment& segment : facts.segments) {
    if (segment.type != 1) continue;  // PT_LOAD
    const std::size_t begin = std::min<std::uint64_t>(segment.offset, bytes.size());
    const std::size_t end = std::min<std::uint64_t>(segment.offset + segment.file_size, bytes.size());
    if (table.second <= begin || table.first >= end) {
      scan(begin, end);
    } else {
      scan(begin, std::max(begin, table.first));
      scan(std::min(end, table.second), end);
    }
  }
  found.texts.assign(texts.begin(), texts.end());
  return found;
}

// Directories by whole components, then every name that the text goes on with. Programs and libraries are
// left to what the code starts and loads.
std::vector<std::string> KeepSearch::files_named_in(const PathTexts& paths) const {
  std::set<std::string> found;
  for (const std::string_view text : paths.texts) {
    if (found.size() >= kMaxNamedFiles) break;
    NodeId directory = Tree::kRoot;
    for (std::size_t start = 1; start < text.size() && directory != kNone;) {
      const std::size_t stop = std::min(text.find('/', start), text.size());
      const std::string_view run = text.substr(start, stop - start);
      if (run.empty()) break;
      if (start > 1) {
        for (std::size_t length = 1; length <= run.size(); ++length) {
          const NodeId file = tree().child(directory, run.substr(0, length));
          if (file != kNone && tree().type(file) != EntryType::kDirectory) found.insert(path_of(file));
        }
      }
      if (stop >= text.size()) break;
      const NodeId next = tree().child(directory, run);
      directory = next == kNone ? kNone : tree().resolve_at(directory, run);
      if (directory != kNone && tree().type(directory) != EntryType::kDirectory) break;
      start = stop + 1;
    }
  }
  std::vector<std::string> files;
  for (const std::string& path : found) {
    const auto resolved = resolve_path(input_.files, path);
    if (!resolved) continue;
    const auto status = input_.files.status(*resolved);
    if (!status || status->kind != FileKind::kRegular || (status->mode & 0111) != 0) continue;
    if (input_.files.head(*resolved).starts_with("\177ELF")) continue;
    const NodeId node = node_of(*resolved);
    if (node == kNone || leftover_[node]) continue;
    files.push_back(path);
  }
  return files;
}

}  // namespace imgslim
