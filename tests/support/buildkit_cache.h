// SPDX-License-Identifier: Apache-2.0
// Small BuildKit caches for tests, whole until a test breaks them.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/image_store.h"
#include "src/buildkit_cache/cache_documents.h"
#include "src/buildkit_cache/cache_examination.h"
#include "src/buildkit_cache/cache_source.h"
#include "src/buildkit_cache/normal_cache.h"
#include "tests/support/test_image.h"

namespace imgslim {

// Blobs in memory.
class MemorySource : public ImageSource {
 public:
  std::string name() const override { return "memory"; }
  Descriptor root() const override { return *root_; }
  BlobPtr open(const Descriptor& descriptor) const override {
    const auto found = blobs_.find(descriptor.digest);
    if (found == blobs_.end()) throw_bad_image("memory: blob " + descriptor.digest.text() + " is missing");
    if (found->second.size() != descriptor.size) throw_bad_image("memory: the blob has another size");
    return memory_blob(found->second);
  }
  Descriptor add(const std::string& bytes, std::string_view type) {
    const Descriptor descriptor = describe(bytes, type);
    blobs_[descriptor.digest] = bytes;
    return descriptor;
  }
  void remove(const Digest& digest) { blobs_.erase(digest); }
  // Other bytes under the same digest.
  void damage(const Digest& digest) { blobs_.at(digest).back() ^= 1; }
  void set_root(const Descriptor& root) { root_ = std::make_unique<Descriptor>(root); }

 private:
  std::map<Digest, std::string> blobs_;
  std::unique_ptr<Descriptor> root_;
};

// The key of a record.
inline std::string test_key(const std::string& name) {
  return digest_of("key " + name).text();
}

inline constexpr const char* kTestTime = "2026-11-22T10:00:00.123456789Z";

// COPY a; RUN true; RUN true; COPY --from=build b. Of the build stage only keys are known.
struct TestCache {
  std::vector<std::string> layers{tar_with_file("a"), std::string(1024, '\0'), tar_with_file("b")};
  Json config;
  Json descriptors = Json::array();
  CacheForm form = CacheForm::kManifest;
  // Changes to what the documents say after they were made; digests follow.
  std::function<void(Json&)> change_manifest;
  std::function<void(MemorySource&)> change_blobs;

  TestCache() {
    const std::string a = digest_of(layers[0]).text();
    const std::string empty = digest_of(layers[1]).text();
    const std::string b = digest_of(layers[2]).text();
    config = parse_json(
        fmt::format(
            R"({{"layers":[{{"blob":"{0}","parent":-1}},{{"blob":"{1}"}},{{"blob":"{1}","parent":1}},{{"blob":"{2}","parent":2}}],)"
            R"("records":[{{"digest":"{3}"}},{{"layers":[{{"layer":0,"createdAt":"{9}"}}],"digest":"{4}","inputs":[[{{"link":0}}]]}},)"
            R"({{"layers":[{{"layer":1,"createdAt":"{9}"}}],"digest":"{5}","inputs":[[{{"link":1}}]]}},)"
            R"({{"layers":[{{"layer":2,"createdAt":"{9}"}}],"digest":"{5}","inputs":[[{{"link":2}}]]}},{{"digest":"{6}"}},)"
            R"({{"layers":[{{"layer":3,"createdAt":"{9}"}}],"digest":"{7}","inputs":[[{{"link":3}}],)"
            R"([{{"selector":"{8}","link":4}},{{"link":6}}]]}},{{"digest":"{4}","inputs":[[{{"link":4}}]]}}]}})",
            a, empty, b, test_key("local"), test_key("copy"), test_key("run"), test_key("stage"),
            test_key("copy from"), test_key("selector"), kTestTime),
        "test");
    for (const std::string& layer : layers) {
      Descriptor descriptor = describe(layer, media_type::kOciLayer);
      descriptor.annotations.emplace("containerd.io/uncompressed", descriptor.digest.text());
      descriptor.annotations.emplace("buildkit/createdat", kTestTime);
      descriptors.push_back(descriptor.to_json());
    }
  }

  MemorySource source(std::string config_text = "") const {
    MemorySource out;
    for (const std::string& layer : layers)
      out.add(layer, "");
    if (config_text.empty()) config_text = dump_json(config);
    const Json named = out.add(config_text, media_type::kBuildkitCacheConfig).to_json();
    Json manifest;
    manifest["schemaVersion"] = 2;
    if (form == CacheForm::kIndex) {
      manifest["manifests"] = descriptors;
      manifest["manifests"].push_back(named);
    } else {
      manifest["config"] = named;
      manifest["layers"] = descriptors;
    }
    if (change_manifest) change_manifest(manifest);
    out.set_root(out.add(dump_json(manifest),
                         form == CacheForm::kIndex ? media_type::kOciIndex : media_type::kOciManifest));
    if (change_blobs) change_blobs(out);
    return out;
  }
};

// What would be published of a cache.
struct TestPublication {
  BuildkitCache cache;
  Examination examination;
  NormalCache normal;
  CacheDocuments documents;
};

inline TestPublication publish_test_cache(const ImageSource& source, BuildkitCache cache,
                                          CacheForm form = CacheForm::kManifest,
                                          const ExaminationOptions& options = {}) {
  Examination examination = examine_layers(source, cache, options);
  std::vector<const CacheConfig*> configs;
  for (const CachePart& part : cache.parts)
    configs.push_back(&part.config);
  NormalCache normal =
      make_normal(configs, [&](const Digest& blob) { return examination.layers.count(blob) != 0; });
  std::map<Digest, Descriptor> layers;
  for (const auto& [blob, layer] : examination.layers)
    layers.emplace(blob, layer.descriptor);
  CacheDocuments documents = make_cache_documents(normal.config, layers, form, "memory");
  return {std::move(cache), std::move(examination), std::move(normal), std::move(documents)};
}

inline TestPublication publish_test_cache(const ImageSource& source, CacheForm form = CacheForm::kManifest) {
  return publish_test_cache(source, read_separate_cache(source).value(), form);
}

}  // namespace imgslim
