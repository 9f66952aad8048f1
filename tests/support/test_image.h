// SPDX-License-Identifier: Apache-2.0
// Small images for tests of the stores: documents made from text, put into any destination.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layers/error.h"
#include "layers/image_store.h"

namespace imgslim {

inline Descriptor describe(const std::string& bytes, std::string_view type) {
  return {std::string(type), digest_of(bytes), bytes.size(), std::nullopt, {}, {}};
}

inline std::string descriptor_text(const Descriptor& descriptor) {
  return dump_json(descriptor.to_json());
}

// One empty file in a ustar archive: a layer that clients accept.
inline std::string tar_with_file(const std::string& name) {
  std::string header(512, '\0');
  auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char c : header)
    sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  return header + std::string(1024, '\0');
}

struct TestImage {
  std::vector<std::string> layers;
  std::string config;
  std::string manifest;
  Descriptor root() const { return describe(manifest, media_type::kOciManifest); }
};

// An OCI image of plain layers.
inline TestImage make_image_of_layers(const std::vector<std::string>& tars) {
  TestImage out;
  std::string ids;
  std::string descriptors;
  for (const std::string& tar : tars) {
    out.layers.push_back(tar);
    const Descriptor layer = describe(tar, media_type::kOciLayer);
    ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", layer.digest.text());
    descriptors += fmt::format("{}{}", descriptors.empty() ? "" : ",", descriptor_text(layer));
  }
  out.config =
      R"({"architecture":"amd64","os":"linux","config":{"Cmd":["/x"]},"rootfs":{"type":"layers","diff_ids":[)" +
      ids + "]}}";
  out.manifest = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
                 descriptor_text(describe(out.config, media_type::kOciConfig)) + R"(,"layers":[)" +
                 descriptors + "]}";
  return out;
}

// Each layer with one file.
inline TestImage make_test_image(const std::vector<std::string>& files) {
  std::vector<std::string> tars;
  for (const std::string& file : files)
    tars.push_back(tar_with_file(file));
  return make_image_of_layers(tars);
}

inline void put_test_image(ImageDestination& destination, const TestImage& image) {
  for (const std::string& layer : image.layers) {
    destination.copy(describe(layer, media_type::kOciLayer), *memory_blob(layer));
  }
  destination.put(describe(image.config, media_type::kOciConfig), image.config);
  destination.put(image.root(), image.manifest);
}

inline std::unique_ptr<ImageDestination> destination(const std::string& text) {
  return open_image_destination(parse_destination_name(text), {});
}

inline std::unique_ptr<ImageSource> source(const std::string& text) {
  return open_image_source(parse_source_name(text), "/nonexistent");
}

inline void write_image(const std::string& name, const TestImage& image) {
  auto to = destination(name);
  put_test_image(*to, image);
  to->publish(image.root());
}

// The message of the error that `body` throws, which must be of the kind expected; "no error" if none.
inline std::string message_of(const std::function<void()>& body, Failure expected = Failure::kBadImage) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.failure() == expected);
    return error.what();
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace imgslim
