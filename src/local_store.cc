// SPDX-License-Identifier: Apache-2.0
#include "src/local_store.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>
#include <vector>

#include "layers/error.h"
#include "layers/json.h"
#include "layers/manifest.h"
#include "src/cache/cache_store.h"

namespace imgslim {
namespace {

constexpr std::string_view kDocuments = "documents";
constexpr std::string_view kNames = "names";
constexpr std::string_view kReferrers = "referrers";
constexpr std::uint64_t kMaxDocument = std::uint64_t{4} << 20;
constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxFiles = 20000;

// Manifests, indexes, configs, and what refers to images: all that is JSON.
bool is_document(const Descriptor& descriptor) {
  return descriptor.size <= kMaxDocument && descriptor.media_type.ends_with("json");
}

class KeepingSource : public ImageSource {
 public:
  KeepingSource(std::unique_ptr<ImageSource> source, const ImageName& name, const std::string& directory)
      : source_(std::move(source)),
        documents_(directory, kDocuments),
        names_(directory, kNames),
        referrers_(directory, kReferrers) {
    store(names_, name.text(), dump_json(source_->root().to_json()));
  }

  std::string name() const override { return source_->name(); }
  Descriptor root() const override { return source_->root(); }
  bool made_root() const override { return source_->made_root(); }
  bool is_remote() const override { return source_->is_remote(); }

  BlobPtr open(const Descriptor& descriptor) const override {
    BlobPtr blob = source_->open(descriptor);
    if (!is_document(descriptor)) return blob;
    const std::string text = read_all(*blob, kMaxDocument, descriptor.digest.text());
    if (digest_of(text) == descriptor.digest) store(documents_, descriptor.digest.text(), text);
    return blob;
  }

  void will_read(const std::vector<Descriptor>& descriptors) const override {
    source_->will_read(descriptors);
  }
  void read_into(const Descriptor& descriptor, Sink& sink) const override {
    source_->read_into(descriptor, sink);
  }

  std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type) const override {
    std::vector<Descriptor> found = source_->referrers(subject, artifact_type);
    Json list = Json::array();
    for (const Descriptor& descriptor : found)
      list.push_back(descriptor.to_json());
    store(referrers_, fmt::format("{} {} {}", name(), subject.text(), artifact_type), dump_json(list));
    return found;
  }

 private:
  static void store(const CacheStore& store, const std::string& key, const std::string& text) {
    if (store.find(key) == text) return;
    store.store(key, text);
    store.trim(kMaxBytes, kMaxFiles);
  }

  std::unique_ptr<ImageSource> source_;
  CacheStore documents_;
  CacheStore names_;
  CacheStore referrers_;
};

[[noreturn]] void throw_not_kept(const std::string& what) {
  throw Error(Failure::kNetwork, what + " is not in the local store; run once without --offline");
}

// A blob that is known by its size alone.
class AbsentBlob : public Blob {
 public:
  AbsentBlob(std::string what, std::uint64_t size) : what_(std::move(what)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t, std::span<std::byte>) const override { throw_not_kept(what_); }

 private:
  std::string what_;
  std::uint64_t size_;
};

class OfflineSource : public ImageSource {
 public:
  OfflineSource(const ImageName& name, const std::string& directory)
      : name_(name.text()), documents_(directory, kDocuments), referrers_(directory, kReferrers) {
    const auto text = CacheStore(directory, kNames).find(name_);
    if (!text) throw_not_kept(name_);
    root_ = std::make_unique<Descriptor>(Descriptor::from_json(parse_json(*text, name_), name_));
  }

  std::string name() const override { return name_; }
  Descriptor root() const override { return *root_; }
  bool is_remote() const override { return true; }

  BlobPtr open(const Descriptor& descriptor) const override {
    if (auto text = documents_.find(descriptor.digest.text())) return memory_blob(*std::move(text));
    return std::make_shared<AbsentBlob>(fmt::format("{}: blob {}", name_, descriptor.digest.text()),
                                        descriptor.size);
  }

  std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type) const override {
    const auto text = referrers_.find(fmt::format("{} {} {}", name_, subject.text(), artifact_type));
    if (!text) throw_not_kept(fmt::format("{}: what refers to {}", name_, subject.short_text()));
    std::vector<Descriptor> found;
    for (const Json& descriptor : parse_json(*text, name_))
      found.push_back(Descriptor::from_json(descriptor, name_));
    return found;
  }

 private:
  std::string name_;
  CacheStore documents_;
  CacheStore referrers_;
  std::unique_ptr<Descriptor> root_;
};

}  // namespace

std::unique_ptr<ImageSource> keep_documents(std::unique_ptr<ImageSource> source, const ImageName& name,
                                            const std::string& directory) {
  return std::make_unique<KeepingSource>(std::move(source), name, directory);
}

std::unique_ptr<ImageSource> open_offline(const ImageName& name, const std::string& directory) {
  return std::make_unique<OfflineSource>(name, directory);
}

}  // namespace imgslim
