// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "layers/blob_file.h"
#include "layers/error.h"
#include "layers/json_fields.h"
#include "layers/manifest.h"
#include "registry/remote_blob.h"
#include "registry/remote_names.h"
#include "registry/remote_store.h"
#include "registry/work_queue.h"

namespace imgslim {
namespace {

constexpr std::size_t kUploads = 4;  // at once
constexpr int kMaxIndexDepth = 8;

class RegistryDestination : public ImageDestination {
 public:
  RegistryDestination(const ImageName& name, const SessionPtr& session, std::string mount_from)
      : name_(name.text()),
        tag_(name.reference.empty() ? "latest" : name.reference),
        mount_from_(std::move(mount_from)),
        client_(std::make_shared<RegistryClient>(session, host_of(name), repository_of(name),
                                                 RegistryClient::Access::kPush)),
        uploads_(kUploads) {
    if (!name.digest.empty()) throw_usage(name_ + ": a destination is named by a tag, not by a digest");
  }

  // A run that fails does not wait for what is on its way.
  ~RegistryDestination() override {
    if (!published_) client_->session().pool().abandon();
  }

  std::string name() const override { return name_; }

  bool has(const Descriptor& descriptor) const override {
    {
      const std::lock_guard guard(mutex_);
      if (documents_.count(descriptor.digest) != 0 || blobs_.count(descriptor.digest) != 0 ||
          present_.count(descriptor.digest) != 0) {
        return true;
      }
    }
    // Manifests are put by publish(), which asks whether they are there.
    if (is_document_type(descriptor.media_type)) return false;
    if (!client_->has_or_mounts(descriptor, mount_from_)) return false;
    const std::lock_guard guard(mutex_);
    present_.insert(descriptor.digest);
    return true;
  }

  BlobPtr open(const Descriptor& descriptor) const override {
    const std::lock_guard guard(mutex_);
    if (const auto found = documents_.find(descriptor.digest); found != documents_.end()) {
      return memory_blob(found->second);
    }
    if (const auto found = blobs_.find(descriptor.digest); found != blobs_.end()) return found->second;
    return std::make_shared<RemoteBlob>(client_, descriptor, spool_directory());
  }

  std::unique_ptr<BlobWriter> start_blob() override {
    make_directories(spool_directory());
    return std::make_unique<FileBlobWriter>(open_unlinked_file(spool_directory()), "a blob to be uploaded",
                                            false,
                                            [this](UniqueFd fd, const Digest& digest, std::uint64_t size) {
                                              committed(fd_blob(std::move(fd), digest.text()), digest, size);
                                            });
  }

  void take(const ImageSource& source, const Descriptor& descriptor) override {
    if (has(descriptor)) return;
    BlobPtr blob = source.open(descriptor);
    if (blob->size() != descriptor.size) {
      throw_bad_image(fmt::format("{}: the blob has {} bytes instead of {}", descriptor.digest.text(),
                                  blob->size(), descriptor.size));
    }
    if (is_document(*blob) || is_document_type(descriptor.media_type)) {
      const std::string bytes = source.read_document(descriptor);
      const std::lock_guard guard(mutex_);
      documents_.emplace(descriptor.digest, bytes);
      return;
    }
    source.will_read({descriptor});
    upload(std::move(blob), descriptor.digest);
  }

  void await_blobs() override { uploads_.wait(); }

  void publish(const Descriptor& root) override {
    uploads_.wait();
    std::set<Digest> done;
    std::vector<Descriptor> order;
    collect(root, 1, done, order);
    for (const Descriptor& referrer : referrers_)
      collect(referrer, 1, done, order);
    // Configs and other small documents, all that the manifests name.
    uploads_.wait();
    for (const Descriptor& descriptor : order) {
      if (descriptor.digest != root.digest) put_manifest(descriptor, descriptor.digest.text());
    }
    published_ = true;
    for (const Descriptor& referrer : std::exchange(referrers_, {}))
      list_referrer(referrer);
    put_manifest(root, tag_);
    const auto now = client_->find_own_manifest(tag_);
    if (!now || now->descriptor.digest != root.digest) {
      throw Error(
          Failure::kNetwork,
          fmt::format("{}: the tag names {} after the push of {}; somebody else pushed to it", name_,
                      now ? now->descriptor.digest.short_text() : "nothing", root.digest.short_text()));
    }
  }

  bool holds_referrers() const override { return true; }

  bool publish_referrer(const Descriptor& manifest) override {
    if (!published_) {
      referrers_.push_back(manifest);
      return true;
    }
    uploads_.wait();
    std::set<Digest> done;
    std::vector<Descriptor> order;
    collect(manifest, 1, done, order);
    uploads_.wait();
    for (const Descriptor& descriptor : order)
      put_manifest(descriptor, descriptor.digest.text());
    list_referrer(manifest);
    return true;
  }

 private:
  std::string spool_directory() const { return client_->session().options().spool_directory; }

  // Whether it may be a manifest or config: these wait until publish(), which knows which is which.
  static bool is_document(const Blob& blob) {
    if (blob.size() == 0 || blob.size() > kMaxManifest) return false;
    std::byte first{};
    blob.read_at(0, std::span(&first, 1));
    return first == std::byte{'{'};
  }

  void committed(BlobPtr blob, const Digest& digest, std::uint64_t size) {
    if (is_document(*blob)) {
      std::string bytes = read_all(*blob, size, digest.text());
      const std::lock_guard guard(mutex_);
      documents_.emplace(digest, std::move(bytes));
      return;
    }
    upload(std::move(blob), digest);
  }

  void upload(BlobPtr blob, const Digest& digest) {
    {
      const std::lock_guard guard(mutex_);
      if (!blobs_.emplace(digest, blob).second) return;
    }
    const Descriptor descriptor{"", digest, blob->size(), {}, {}, {}};
    // What was asked for with has() is known not to be mountable.
    uploads_.add([this, descriptor, blob] { client_->store_blob(descriptor, blob, ""); });
  }

  std::optional<std::string> document(const Digest& digest) const {
    const std::lock_guard guard(mutex_);
    const auto found = documents_.find(digest);
    return found == documents_.end() ? std::nullopt : std::optional(found->second);
  }

  // The manifests below a document, children first, and sends the small blobs they name on their way.
  void collect(const Descriptor& descriptor, int depth, std::set<Digest>& done,
               std::vector<Descriptor>& order) {
    const std::string what = fmt::format("{}: {}", name_, descriptor.digest.short_text());
    if (depth > kMaxIndexDepth) throw_bad_image(what + ": indexes are nested too deeply");
    if (!done.insert(descriptor.digest).second) return;
    const auto text = document(descriptor.digest);
    if (!text) throw_bad_image(what + ": the document was not written");
    if (classify_document(parse_json(*text, what), descriptor.media_type, what) == DocumentKind::kIndex) {
      for (const Descriptor& child : Index::parse(*text, descriptor.media_type, what).manifests) {
        // An index of BuildKit's cache names blobs.
        if (is_document_type(child.media_type)) {
          collect(child, depth + 1, done, order);
        } else {
          send_document(child, done);
        }
      }
    } else {
      const Manifest manifest = Manifest::parse(*text, descriptor.media_type, what);
      send_document(manifest.config, done);
      for (const LayerDescriptor& layer : manifest.layers) {
        if (!layer.foreign) send_document(layer.descriptor, done);
      }
    }
    order.push_back(descriptor);
  }

  void send_document(const Descriptor& descriptor, std::set<Digest>& done) {
    const auto text = document(descriptor.digest);
    if (!text || !done.insert(descriptor.digest).second) return;
    const BlobPtr blob = memory_blob(*text);
    uploads_.add([this, descriptor, blob] { client_->store_blob(descriptor, blob, ""); });
  }

  void put_manifest(const Descriptor& descriptor, const std::string& reference) {
    const auto text = document(descriptor.digest);
    if (!text) throw_bad_image(fmt::format("{}: {} was not written", name_, descriptor.digest.text()));
    Descriptor put = descriptor;
    // The field in the document has the last word on what it is sent as.
    const Json json = parse_json(*text, name_);
    if (const std::string type = string_member(json, "mediaType", name_); !type.empty())
      put.media_type = type;
    const auto there = client_->find_own_manifest(reference);
    if (there && there->descriptor.digest == descriptor.digest) {
      client_->session().transfers().was_there(descriptor.digest, descriptor.size);
      subjects_known_[descriptor.digest] = false;
      return;
    }
    subjects_known_[descriptor.digest] = client_->store_manifest(put, *text, reference);
  }

  void list_referrer(const Descriptor& manifest) {
    // A registry that said OCI-Subject lists it by itself.
    if (subjects_known_[manifest.digest]) return;
    const auto text = document(manifest.digest);
    const std::string what = fmt::format("{}: {}", name_, manifest.digest.short_text());
    const Json json = parse_json(text.value_or("{}"), what);
    const Json* subject = find_member(json, "subject");
    if (subject == nullptr) throw_bad_image(what + ": has no subject");
    const Digest digest = Descriptor::from_json(*subject, what).digest;
    // A manifest that was there already may be listed already.
    const std::vector<Descriptor> listed = client_->referrers(digest);
    if (std::any_of(listed.begin(), listed.end(),
                    [&](const Descriptor& entry) { return entry.digest == manifest.digest; })) {
      return;
    }
    Descriptor entry = manifest;
    if (entry.artifact_type.empty()) {
      entry.artifact_type = string_member(json, "artifactType", what);
      if (entry.artifact_type.empty())
        entry.artifact_type = Manifest::parse(*text, "", what).config.media_type;
    }
    client_->add_to_referrers_tag(digest, entry);
  }

  std::string name_;
  std::string tag_;
  std::string mount_from_;
  std::shared_ptr<const RegistryClient> client_;
  mutable std::mutex mutex_;
  std::map<Digest, std::string> documents_;  // manifests, configs and what may be one
  std::map<Digest, BlobPtr> blobs_;          // uploaded, or on their way
  mutable std::set<Digest> present_;         // found in the registry
  std::vector<Descriptor> referrers_;
  std::map<Digest, bool> subjects_known_;
  bool published_ = false;
  WorkQueue uploads_;  // last: its threads use the others
};

}  // namespace

std::unique_ptr<ImageDestination> open_registry_destination(const ImageName& name, const SessionPtr& session,
                                                            const ImageName* source) {
  std::string mount_from;
  if (source != nullptr && source->transport == Transport::kDocker && host_of(*source) == host_of(name) &&
      repository_of(*source) != repository_of(name)) {
    mount_from = repository_of(*source);
  }
  return std::make_unique<RegistryDestination>(name, session, std::move(mount_from));
}

}  // namespace imgslim
