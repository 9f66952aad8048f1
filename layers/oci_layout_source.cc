// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/oci_layout.h"

namespace imgslim {
namespace {

constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr const char* kContainerdName = "io.containerd.image.name";
constexpr std::uint64_t kMaxLayoutFile = 4096;
// More images than this are not told apart any more: no message lists them all.
constexpr std::size_t kMaxImages = 64;
constexpr std::size_t kMaxListed = 20;
// Manifests read to find the referrers of one image.
constexpr std::size_t kMaxReferrers = 1000;

class DirectoryFiles : public LayoutFiles {
 public:
  explicit DirectoryFiles(std::string directory) : directory_(std::move(directory)) {}
  BlobPtr open(const std::string& path) const override {
    const std::string full = directory_ + "/" + path;
    struct stat info;
    if (::lstat(full.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR)) return nullptr;
    return open_file_blob(full);
  }

 private:
  std::string directory_;
};

std::string annotation(const Descriptor& entry, const char* key) {
  const auto found = entry.annotations.find(key);
  return found == entry.annotations.end() ? std::string() : found->second;
}

std::string list_of(const std::vector<Descriptor>& entries) {
  std::string out;
  for (std::size_t i = 0; i < entries.size() && i < kMaxListed; ++i) {
    const std::string name = annotation(entries[i], kRefName);
    if (!out.empty()) out += ", ";
    out += name.empty() ? "@" + entries[i].digest.text() : printable(name);
  }
  if (entries.size() > kMaxListed) out += fmt::format(" and {} more", entries.size() - kMaxListed);
  return out;
}

class LayoutSource : public ImageSource {
 public:
  LayoutSource(std::string name, std::unique_ptr<LayoutFiles> files, const std::string& reference)
      : name_(std::move(name)), files_(std::move(files)) {
    check_layout_version(*files_, name_);
    const BlobPtr blob = files_->open("index.json");
    if (!blob) throw_bad_image(name_ + ": no index.json");
    const std::string what = name_ + ": index.json";
    entries_ = Index::parse(read_all(*blob, kMaxIndexBytes, what), "", what).manifests;
    root_ = choose(entries_, reference);
  }

  std::string name() const override { return name_; }
  Descriptor root() const override { return *root_; }

  BlobPtr open(const Descriptor& descriptor) const override {
    const BlobPtr blob = files_->open(blob_path(descriptor.digest));
    if (!blob) throw_bad_image(fmt::format("{}: blob {} is missing", name_, descriptor.digest.text()));
    if (blob->size() != descriptor.size) {
      throw_bad_image(fmt::format("{}: blob {} has {} bytes instead of {}", name_, descriptor.digest.text(),
                                  blob->size(), descriptor.size));
    }
    return blob;
  }

  std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type) const override {
    std::vector<Descriptor> out;
    std::set<Digest> seen;
    for (const Descriptor& entry : entries_) {
      if (entry.media_type != media_type::kOciManifest || entry.digest == subject) continue;
      // Those who write referrers repeat the type beside the digest; some do not.
      const bool typed = !entry.artifact_type.empty();
      if (typed && !artifact_type.empty() && entry.artifact_type != artifact_type) continue;
      if (!typed && !annotation(entry, kRefName).empty()) continue;
      if (!seen.insert(entry.digest).second) continue;
      if (seen.size() > kMaxReferrers) {
        throw_bad_image(fmt::format("{}: index.json has more than {} referrers", name_, kMaxReferrers));
      }
      if (auto found = referrer_of(entry, subject, artifact_type)) out.push_back(std::move(*found));
    }
    return out;
  }

 private:
  // The entry with the type of its artifact, if that and the subject are those.
  std::optional<Descriptor> referrer_of(const Descriptor& entry, const Digest& subject,
                                        std::string_view artifact_type) const {
    const std::string what = fmt::format("{}: {}", name_, entry.digest.text());
    const Manifest manifest = Manifest::parse(read_document(entry), entry.media_type, what);
    const Json* found = find_member(manifest.json, "subject");
    if (found == nullptr || Descriptor::from_json(*found, what + ": subject").digest != subject) return {};
    Descriptor out = entry;
    out.artifact_type = string_member(manifest.json, "artifactType", what);
    if (out.artifact_type.empty()) out.artifact_type = manifest.config.media_type;
    if (!artifact_type.empty() && out.artifact_type != artifact_type) return {};
    return out;
  }

  Descriptor choose(const std::vector<Descriptor>& entries, const std::string& reference) const {
    if (reference.starts_with('@')) {
      for (const Descriptor& entry : entries) {
        if (entry.digest.text() == reference.substr(1)) return entry;
      }
      throw_usage(
          fmt::format("{}: index.json has no entry with that digest, it has {}", name_, list_of(entries)));
    }
    const std::string wanted = reference.empty() ? "latest" : reference;
    std::vector<Descriptor> named;
    for (const char* key : {kRefName, kContainerdName}) {
      for (const Descriptor& entry : entries) {
        const bool known = std::any_of(named.begin(), named.end(),
                                       [&](const Descriptor& other) { return other.digest == entry.digest; });
        if (annotation(entry, key) == wanted && !known) named.push_back(entry);
      }
      if (!named.empty()) break;
    }
    // Artifacts may have names too.
    const auto is_artifact = [](const Descriptor& entry) { return !entry.artifact_type.empty(); };
    if (named.size() > 1 && !std::all_of(named.begin(), named.end(), is_artifact)) {
      std::erase_if(named, is_artifact);
    }
    if (named.size() == 1) return named.front();
    if (named.size() > 1) {
      for (Descriptor& entry : named)
        entry.annotations.clear();
      throw_usage(fmt::format("{}: several entries have the name {}: {}", name_, wanted, list_of(named)));
    }
    if (entries.empty()) throw_bad_image(name_ + ": the layout holds no image");
    if (!reference.empty()) {
      std::vector<Descriptor> others = entries;
      std::erase_if(others, is_artifact);
      throw_usage(fmt::format("{}: no entry has that name, there are {}", name_,
                              list_of(others.empty() ? entries : others)));
    }
    std::vector<Descriptor> images;
    for (const Descriptor& entry : entries) {
      const bool known = std::any_of(images.begin(), images.end(),
                                     [&](const Descriptor& other) { return other.digest == entry.digest; });
      if (!known && images.size() <= kMaxImages && may_be_image(entry)) images.push_back(entry);
    }
    if (images.size() == 1) return images.front();
    throw_usage(fmt::format("{}: {}, choose one: {}", name_,
                            images.empty() ? "no entry is an image" : "several images and none is \"latest\"",
                            list_of(images.empty() ? entries : images)));
  }

  // Attestations and documents that refer to an image stand beside it in index.json.
  bool may_be_image(const Descriptor& entry) const {
    if (is_attestation(entry) || !entry.artifact_type.empty()) return false;
    if (entry.media_type == media_type::kOciIndex || entry.media_type == media_type::kDockerIndex)
      return true;
    if (!annotation(entry, kRefName).empty()) return true;
    const std::string what = fmt::format("{}: {}", name_, entry.digest.text());
    const Json document = parse_json(read_document(entry), what);
    if (find_member(document, "subject") != nullptr || document.contains("artifactType")) return false;
    return true;
  }

  std::string name_;
  std::unique_ptr<LayoutFiles> files_;
  std::vector<Descriptor> entries_;  // of index.json
  std::optional<Descriptor> root_;
};

}  // namespace

std::string blob_path(const Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm(), digest.hex());
}

void check_layout_version(const LayoutFiles& files, const std::string& name) {
  const BlobPtr blob = files.open("oci-layout");
  if (!blob) throw_bad_image(name + ": not an OCI layout, there is no oci-layout file");
  const std::string what = name + ": oci-layout";
  const Json document = parse_json(read_all(*blob, kMaxLayoutFile, what), what);
  require_object(document, what);
  const std::string version = string_member(document, "imageLayoutVersion", what);
  if (!version.starts_with("1.")) {
    throw_bad_image(fmt::format("{}: version \"{}\" is not 1.x", what, printable(version)));
  }
}

std::unique_ptr<ImageSource> make_layout_source(std::string name, std::unique_ptr<LayoutFiles> files,
                                                const std::string& reference) {
  return std::make_unique<LayoutSource>(std::move(name), std::move(files), reference);
}

std::unique_ptr<ImageSource> open_layout_source(const ImageName& name) {
  struct stat info;
  if (::stat(name.location.c_str(), &info) != 0) throw_io(name.text() + ": cannot open", errno);
  if (!S_ISDIR(info.st_mode)) throw_usage(name.text() + ": not a directory");
  return make_layout_source(name.text(), std::make_unique<DirectoryFiles>(name.location), name.reference);
}

}  // namespace imgslim
