// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "layers/error.h"
#include "layers/manifest.h"
#include "registry/remote_blob.h"
#include "registry/remote_names.h"
#include "registry/remote_store.h"

namespace imgslim {
namespace {

constexpr std::size_t kFetches = 4;  // at once

// Hands bytes on in order, those that came before a restart once only.
class OnceReceiver : public BlobReceiver {
 public:
  explicit OnceReceiver(Sink& sink) : sink_(sink) {}
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::uint64_t end = offset + bytes.size();
    if (end <= done_) return;
    sink_.write(bytes.subspan(static_cast<std::size_t>(done_ - offset)));
    done_ = end;
  }

 private:
  Sink& sink_;
  std::uint64_t done_ = 0;
};

class RegistrySource : public ImageSource {
 public:
  RegistrySource(const ImageName& name, const SessionPtr& session)
      : name_(name.text()),
        client_(std::make_shared<RegistryClient>(session, host_of(name), repository_of(name),
                                                 RegistryClient::Access::kPull)) {
    const std::string reference = !name.digest.empty()     ? name.digest
                                  : name.reference.empty() ? "latest"
                                                           : name.reference;
    auto found = client_->find_manifest(reference);
    if (!found) throw Error(Failure::kNetwork, name_ + ": the registry has no image of that name");
    root_ = std::make_unique<Descriptor>(found->descriptor);
    const std::string what = name_ + ": " + found->descriptor.digest.short_text();
    classify_document(parse_json(found->bytes, what), root_->media_type, what);
    if (!is_document_type(root_->media_type)) {
      throw_bad_image(
          fmt::format("{}: comes as \"{}\", which is no image", what, printable(root_->media_type, 80)));
    }
    documents_.emplace(root_->digest, memory_blob(std::move(found->bytes)));
  }

  ~RegistrySource() override {
    stop_ = true;
    fetchers_.clear();
  }

  std::string name() const override { return name_; }
  Descriptor root() const override { return *root_; }
  bool is_remote() const override { return true; }

  BlobPtr open(const Descriptor& descriptor) const override {
    if (is_document_type(descriptor.media_type)) return open_document(descriptor);
    return blob(descriptor);
  }

  void will_read(const std::vector<Descriptor>& descriptors) const override {
    std::vector<std::shared_ptr<const RemoteBlob>> wanted;
    for (const Descriptor& descriptor : descriptors) {
      wanted.push_back(blob(descriptor));
      wanted.back()->want_all();
    }
    // As they are read: what takes longest first.
    std::stable_sort(wanted.begin(), wanted.end(),
                     [](const auto& a, const auto& b) { return a->size() > b->size(); });
    const std::lock_guard guard(mutex_);
    queue_.insert(queue_.end(), wanted.begin(), wanted.end());
    while (fetchers_.size() < std::min(kFetches, queue_.size()))
      fetchers_.emplace_back([this] { fetch_queue(); });
  }

  void read_into(const Descriptor& descriptor, Sink& sink) const override {
    if (is_document_type(descriptor.media_type)) return ImageSource::read_into(descriptor, sink);
    if (blob(descriptor)->whole()) return ImageSource::read_into(descriptor, sink);
    OnceReceiver receiver(sink);
    client_->fetch_blob(descriptor, receiver);
    client_->session().transfers().came_whole();
  }

  std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type) const override {
    std::vector<Descriptor> out;
    for (Descriptor& entry : client_->referrers(subject)) {
      if (artifact_type.empty() || entry.artifact_type == artifact_type) out.push_back(std::move(entry));
    }
    return out;
  }

 private:
  BlobPtr open_document(const Descriptor& descriptor) const {
    const std::lock_guard guard(documents_mutex_);
    auto known = documents_.find(descriptor.digest);
    if (known == documents_.end()) {
      auto found = client_->find_manifest(descriptor.digest.text());
      if (!found) throw_bad_image(fmt::format("{}: manifest {} is missing", name_, descriptor.digest.text()));
      known = documents_.emplace(descriptor.digest, memory_blob(std::move(found->bytes))).first;
    }
    if (known->second->size() != descriptor.size) {
      throw_bad_image(fmt::format("{}: manifest {} has {} bytes instead of {}", name_,
                                  descriptor.digest.text(), known->second->size(), descriptor.size));
    }
    return known->second;
  }

  std::shared_ptr<const RemoteBlob> blob(const Descriptor& descriptor) const {
    const std::lock_guard guard(mutex_);
    const auto key = std::pair(descriptor.digest, descriptor.size);
    auto known = blobs_.find(key);
    if (known == blobs_.end()) {
      known = blobs_
                  .emplace(key, std::make_shared<const RemoteBlob>(
                                    client_, descriptor, client_->session().options().spool_directory))
                  .first;
    }
    return known->second;
  }

  void fetch_queue() const {
    while (!stop_) {
      std::shared_ptr<const RemoteBlob> next;
      {
        const std::lock_guard guard(mutex_);
        if (next_ >= queue_.size()) return;
        next = queue_[next_++];
      }
      try {
        next->fetch(&stop_);
      } catch (const std::exception&) {
        // Whoever reads the blob meets the error himself.
      }
    }
  }

  std::string name_;
  std::shared_ptr<const RegistryClient> client_;
  std::unique_ptr<Descriptor> root_;
  mutable std::mutex documents_mutex_;
  mutable std::map<Digest, BlobPtr> documents_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<Digest, std::uint64_t>, std::shared_ptr<const RemoteBlob>> blobs_;
  mutable std::vector<std::shared_ptr<const RemoteBlob>> queue_;
  mutable std::size_t next_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::vector<std::jthread> fetchers_;
};

}  // namespace

std::string host_of(const ImageName& name) {
  return name.location.substr(0, name.location.find('/'));
}

std::string repository_of(const ImageName& name) {
  return name.location.substr(name.location.find('/') + 1);
}

std::unique_ptr<ImageSource> open_registry_source(const ImageName& name, const SessionPtr& session) {
  return std::make_unique<RegistrySource>(name, session);
}

}  // namespace imgslim
