// SPDX-License-Identifier: Apache-2.0
// Reading what docker save writes (moby image/tarexport): manifest.json names configs and layers by path.
// Since Docker 25 an OCI layout lies in the same archive. If its manifest describes the chosen image, that
// manifest is the image; otherwise a Docker schema 2 manifest is made from config and layers.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "layers/archive_store.h"
#include "layers/blob_file.h"
#include "layers/error.h"
#include "layers/json_fields.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxDocument = std::uint64_t{4} << 20;
constexpr int kMaxIndexDepth = 8;
constexpr std::size_t kMaxDocumentsRead = 1000;

struct Item {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;
};

class DockerArchiveSource : public ImageSource {
 public:
  DockerArchiveSource(std::string name, std::shared_ptr<const ArchiveMembers> members,
                      const std::string& reference)
      : name_(std::move(name)), members_(std::move(members)) {
    const Item item = choose(read_items(), reference);
    const std::string config_text = read_config(item.config);
    const ImageConfig config = ImageConfig::parse(config_text, item.layers.size(),
                                                  fmt::format("{}: {}", name_, printable(item.config)));
    const Descriptor config_descriptor{std::string(media_type::kDockerConfig),
                                       digest_of(config_text),
                                       config_text.size(),
                                       std::nullopt,
                                       {},
                                       {}};
    blobs_.emplace(config_descriptor.digest, memory_blob(config_text));
    root_ = find_manifest(config_descriptor.digest, item);
    made_root_ = !root_;
    if (!root_) root_ = make_manifest(config_descriptor, config, item);
  }

  std::string name() const override { return name_; }
  Descriptor root() const override { return *root_; }
  bool made_root() const override { return made_root_; }

  BlobPtr open(const Descriptor& descriptor) const override {
    const auto found = blobs_.find(descriptor.digest);
    const BlobPtr blob =
        found != blobs_.end() ? found->second : members_->open(blob_path(descriptor.digest), false);
    if (!blob) throw_bad_image(fmt::format("{}: blob {} is missing", name_, descriptor.digest.text()));
    if (blob->size() != descriptor.size) {
      throw_bad_image(fmt::format("{}: blob {} has {} bytes instead of {}", name_, descriptor.digest.text(),
                                  blob->size(), descriptor.size));
    }
    return blob;
  }

 private:
  // A path that manifest.json gives, as a member's name.
  std::string member_path(const std::string& text) const {
    const auto path = archive_path("", text);
    if (!path || path->empty() || ("/" + text + "/").find("/../") != std::string::npos) {
      throw_bad_image(
          fmt::format("{}: manifest.json: path {} climbs out of the archive", name_, printable(text)));
    }
    return *path;
  }

  std::vector<Item> read_items() const {
    const std::string what = name_ + ": manifest.json";
    const Json document =
        parse_json(read_all(*members_->open("manifest.json", false), kMaxDocument, what), what);
    if (!document.is_array()) throw_bad_image(what + ": not a list of images");
    if (document.empty()) throw_bad_image(what + ": lists no image");
    std::vector<Item> out;
    for (const Json& image : document) {
      require_object(image, what);
      refuse_other_case(image, {"Config", "RepoTags", "Layers"}, what);
      Item item{string_member(image, "Config", what), strings_member(image, "RepoTags", what), {}};
      if (item.config.empty()) throw_bad_image(what + ": \"Config\" is missing");
      item.config = member_path(item.config);
      for (const std::string& layer : strings_member(image, "Layers", what)) {
        item.layers.push_back(member_path(layer));
      }
      out.push_back(std::move(item));
    }
    return out;
  }

  Item choose(std::vector<Item> items, const std::string& reference) const {
    std::string listed;
    std::vector<Item> chosen;
    for (Item& item : items) {
      bool named = reference.empty();
      for (const std::string& tag : item.tags) {
        if (!listed.empty()) listed += ", ";
        listed += printable(tag);
        named = named || full_docker_name(tag) == full_docker_name(reference);
      }
      if (named) chosen.push_back(std::move(item));
    }
    if (chosen.size() == 1) return chosen.front();
    if (listed.empty()) listed = "none of them has a name";
    if (chosen.empty()) {
      throw_usage(
          fmt::format("{}: no image has that name, the archive holds: {}", name_, printable(listed, 2000)));
    }
    throw_usage(
        fmt::format("{}: {} images, choose one by name: {}", name_, chosen.size(), printable(listed, 2000)));
  }

  std::string read_config(const std::string& path) const {
    const BlobPtr blob = members_->open(path, true);
    const std::string what = fmt::format("{}: config {}", name_, printable(path));
    if (!blob) throw_bad_image(what + " is missing");
    std::string text = read_all(*blob, kMaxDocument, what);
    // Docker names configs by their digest.
    std::string stem = path.substr(path.rfind('/') + 1);
    if (stem.ends_with(".json")) stem.resize(stem.size() - 5);
    const auto named = Digest::parse("sha256:" + stem);
    if (named && *named != digest_of(text)) throw_bad_image(what + ": the content has another digest");
    return text;
  }

  // The manifest of the OCI layout inside that describes the same config and the same layers.
  std::optional<Descriptor> find_manifest(const Digest& config, const Item& item) const {
    const BlobPtr blob = members_->open("index.json", false);
    if (!blob || !members_->has("oci-layout")) return std::nullopt;
    const std::string what = name_ + ": index.json";
    std::vector<std::pair<Descriptor, int>> queue;
    std::set<Digest> seen;
    auto enqueue = [&](const std::vector<Descriptor>& entries, int depth) {
      for (const Descriptor& entry : entries) {
        if (!is_attestation(entry) && seen.insert(entry.digest).second) queue.emplace_back(entry, depth);
      }
    };
    enqueue(Index::parse(read_all(*blob, kMaxDocument, what), "", what).manifests, 1);
    for (std::size_t next = 0; next < queue.size() && next < kMaxDocumentsRead; ++next) {
      const auto [entry, depth] = queue[next];
      // Of an image for several platforms, the archive may hold one only.
      if (!members_->has(blob_path(entry.digest))) continue;
      const std::string where = fmt::format("{}: {}", name_, entry.digest.text());
      const std::string text = read_document(entry, kMaxDocument);
      if (classify_document(parse_json(text, where), entry.media_type, where) == DocumentKind::kIndex) {
        if (depth >= kMaxIndexDepth) throw_bad_image(where + ": indexes are nested too deeply");
        enqueue(Index::parse(text, entry.media_type, where).manifests, depth + 1);
        continue;
      }
      const Manifest manifest = Manifest::parse(text, entry.media_type, where);
      if (manifest.config.digest == config && same_layers(manifest, item)) {
        return Descriptor{manifest.media_type, entry.digest, entry.size, std::nullopt, {}, {}};
      }
    }
    return std::nullopt;
  }

  bool same_layers(const Manifest& manifest, const Item& item) const {
    if (manifest.layers.size() != item.layers.size()) return false;
    for (std::size_t i = 0; i < item.layers.size(); ++i) {
      const std::string path = blob_path(manifest.layers[i].descriptor.digest);
      if (!members_->has(path) || !members_->has(item.layers[i])) return false;
      if (members_->offset_of(path) != members_->offset_of(item.layers[i])) return false;
    }
    return true;
  }

  Descriptor make_manifest(const Descriptor& config, const ImageConfig& parsed, const Item& item) {
    std::map<std::uint64_t, Descriptor> hashed;  // by offset: layers may share a member
    Json layers = Json::array();
    for (std::size_t i = 0; i < item.layers.size(); ++i) {
      const BlobPtr blob = members_->open(item.layers[i], true);
      const std::string what = fmt::format("{}: layer {}", name_, printable(item.layers[i]));
      if (!blob) throw_bad_image(what + " is missing");
      const Digest& diff_id = parsed.diff_ids[i];
      std::array<std::byte, 64> head;
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), blob->size()));
      blob->read_at(0, std::span(head).first(count));
      const Compression compression =
          with_context(what, [&] { return sniff_compression(std::span(head).first(count)); });
      Descriptor layer{std::string(layer_media_type(media_type::kDockerManifest, compression)),
                       diff_id,
                       blob->size(),
                       std::nullopt,
                       {},
                       {}};
      if (compression != Compression::kNone) {
        const std::uint64_t offset = members_->offset_of(item.layers[i]);
        auto known = hashed.find(offset);
        if (known == hashed.end()) {
          layer.digest = hash_blob(*blob, config.digest);
          known = hashed.emplace(offset, layer).first;
        }
        layer = known->second;
      }
      const auto [place, added] = blobs_.emplace(layer.digest, blob);
      if (!added && place->second->size() != blob->size()) {
        throw_bad_image(fmt::format("{}: has {} bytes, another layer of its digest {}", what, blob->size(),
                                    place->second->size()));
      }
      layers.push_back(layer.to_json());
    }
    Json document = Json::object();
    document["schemaVersion"] = 2;
    document["mediaType"] = media_type::kDockerManifest;
    document["config"] = config.to_json();
    document["layers"] = std::move(layers);
    std::string text = dump_json(document);
    const Descriptor root{
        std::string(media_type::kDockerManifest), digest_of(text), text.size(), std::nullopt, {}, {}};
    blobs_.emplace(root.digest, memory_blob(std::move(text)));
    return root;
  }

  std::string name_;
  std::shared_ptr<const ArchiveMembers> members_;
  std::map<Digest, BlobPtr> blobs_;  // what is not found under blobs/
  std::optional<Descriptor> root_;
  bool made_root_ = false;
};

}  // namespace

std::string full_docker_name(const std::string& name) {
  try {
    const ImageName parsed = parse_destination_name("docker://" + name);
    return parsed.location + ":" + (parsed.reference.empty() ? "latest" : parsed.reference);
  } catch (const Error&) {
    return name;
  }
}

std::unique_ptr<ImageSource> make_docker_archive_source(std::string name,
                                                        std::shared_ptr<const ArchiveMembers> members,
                                                        const std::string& reference) {
  return std::make_unique<DockerArchiveSource>(std::move(name), std::move(members), reference);
}

}  // namespace imgslim
