// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "layers/durable_file.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "layers/oci_layout.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_image.h"

using namespace imgslim;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> all_files(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& item : fs::recursive_directory_iterator(directory)) {
    if (!item.is_directory()) out.push_back(fs::relative(item.path(), directory).string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

TEST_CASE("oci layout: an image written is read back") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a", "b"});
  write_image("oci:" + (dir / "out") + ":v1", image);
  const auto from = source("oci:" + (dir / "out") + ":v1");
  CHECK(from->root().digest == image.root().digest);
  CHECK(from->read_document(from->root()) == image.manifest);
  const auto layer = describe(image.layers[1], media_type::kOciLayer);
  CHECK(read_all(*from->open(layer), 4096, "layer") == image.layers[1]);
  CHECK(all_files(dir / "out").size() == 6);
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("oci layout: another name is added and one name replaced, the rest survives") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage one = make_test_image({"a"});
  const TestImage two = make_test_image({"a", "b"});
  write_image("oci:" + out + ":one", one);
  std::string index = read_test_file(out + "/index.json");
  index.insert(index.size() - 1, R"(,"x-unknown":12345678901234567890123)");
  write_test_file(out + "/index.json", index);
  write_image("oci:" + out + ":two", two);
  CHECK(source("oci:" + out + ":one")->root().digest == one.root().digest);
  CHECK(source("oci:" + out + ":two")->root().digest == two.root().digest);
  write_image("oci:" + out + ":one", two);
  CHECK(source("oci:" + out + ":one")->root().digest == two.root().digest);
  CHECK(contains(read_test_file(out + "/index.json"), "12345678901234567890123"));
  CHECK(Index::parse(read_test_file(out + "/index.json"), "", "index").manifests.size() == 2);
}

TEST_CASE("oci layout: without a name latest or else the only image is taken") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage one = make_test_image({"a"});
  const TestImage two = make_test_image({"b"});
  write_image("oci:" + out + ":one", one);
  CHECK(source(out)->root().digest == one.root().digest);
  write_image("oci:" + out + ":two", two);
  const std::string message = message_of([&] { source(out); }, Failure::kUsage);
  CHECK(contains(message, "one, two"));
  write_image("oci:" + out, two);
  CHECK(source("oci:" + out)->root().digest == two.root().digest);
  CHECK(source("oci:" + out + "@" + one.root().digest.text())->root().digest == one.root().digest);
  CHECK(source("oci:" + out + ":@" + one.root().digest.text())->root().digest == one.root().digest);
  CHECK(contains(message_of([&] { source("oci:" + out + ":none"); }, Failure::kUsage), "one, two"));
}

TEST_CASE("oci layout: a referrer stands in the index without a name") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage image = make_test_image({"a"});
  for (const bool before : {true, false}) {
    CAPTURE(before);
    const TestImage proof = make_test_image({before ? "p" : "q"});
    Json json = parse_json(proof.manifest, "proof");
    json["subject"] = image.root().to_json();
    const std::string text = dump_json(json);
    auto to = destination("oci:" + out);
    put_test_image(*to, image);
    if (!before) to->publish(image.root());
    put_test_image(*to, proof);
    to->put(describe(text, media_type::kOciManifest), text);
    CHECK(to->publish_referrer(describe(text, media_type::kOciManifest)));
    if (before) to->publish(image.root());
    const auto from = source("oci:" + out);
    CHECK(from->root().digest == image.root().digest);
    CHECK(from->read_document(describe(text, media_type::kOciManifest)) == text);
  }
  const auto entries = Index::parse(read_test_file(out + "/index.json"), "", "index").manifests;
  CHECK(entries.size() == 3);
  CHECK(entries[1].annotations.empty());
}

TEST_CASE("oci layout: what is not published leaves no trace") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  put_test_image(*destination("oci:" + out), make_test_image({"a"}));
  CHECK(fs::is_empty(dir.path()));
  write_image("oci:" + out, make_test_image({"a"}));
  const auto before = all_files(out);
  put_test_image(*destination("oci:" + out), make_test_image({"b"}));
  CHECK(all_files(out) == before);
}

TEST_CASE("oci layout: a blob that is not what it should be is not taken") {
  const TemporaryDirectory dir;
  auto to = destination("oci:" + (dir / "out"));
  const Descriptor other = describe("other", media_type::kOciLayer);
  CHECK(contains(message_of([&] { to->put(other, "wrong"); }, Failure::kBadImage),
                 "the content has the digest"));
  CHECK(contains(message_of([&] { to->put(other, "longer"); }, Failure::kBadImage), "6 bytes instead of 5"));
  CHECK(
      contains(message_of([&] { to->copy(other, *memory_blob("longer")); }, Failure::kBadImage), "6 bytes"));
  CHECK_FALSE(to->has(other));
}

TEST_CASE("oci layout: a damaged blob at the destination is written again") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  const TestImage image = make_test_image({"a"});
  write_image("oci:" + out, image);
  const std::string path = out + "/" + blob_path(digest_of(image.layers[0]));
  std::string damaged = image.layers[0];
  damaged[0] = 'z';
  write_test_file(path, damaged);
  write_image("oci:" + out + ":again", image);
  CHECK(read_test_file(path) == image.layers[0]);
}

TEST_CASE("oci layout: directories that are no layout are left alone") {
  const TemporaryDirectory dir;
  write_test_file(dir / "full/file", "x");
  CHECK(
      contains(message_of([&] { destination("oci:" + (dir / "full")); }, Failure::kUsage), "no OCI layout"));
  CHECK(all_files(dir.path()) == std::vector<std::string>{"full/file"});
  fs::create_directory(dir / "empty");
  write_image("oci:" + (dir / "empty"), make_test_image({"a"}));
  CHECK(source(dir / "empty")->root().size > 0);
  CHECK(message_of([&] { destination("oci:" + (dir / "full/file")); }, Failure::kUsage) != "no error");
  CHECK(message_of([&] { destination("oci:" + (dir / "no/such")); }, Failure::kIo) != "no error");
}

TEST_CASE("bad input 54: a blob of another size is refused") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a"});
  write_image("oci:" + (dir / "out"), image);
  const Descriptor layer = describe(image.layers[0], media_type::kOciLayer);
  write_test_file((dir / "out/") + blob_path(layer.digest), "short");
  const auto from = source(dir / "out");
  CHECK(contains(message_of([&] { from->open(layer); }, Failure::kBadImage), "has 5 bytes instead of 1536"));
  fs::remove((dir / "out/") + blob_path(layer.digest));
  CHECK(contains(message_of([&] { from->open(layer); }, Failure::kBadImage), "is missing"));
}

TEST_CASE("bad input 55: a document with another digest is refused") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a"});
  write_image("oci:" + (dir / "out"), image);
  std::string text = image.manifest;
  text[text.size() - 2] = ' ';
  write_test_file((dir / "out/") + blob_path(image.root().digest), text);
  const auto from = source(dir / "out");
  CHECK(
      contains(message_of([&] { from->read_document(from->root()); }, Failure::kBadImage), "another digest"));
}

TEST_CASE("bad input 62: a blob that is a link, a pipe or a directory is refused") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a"});
  write_image("oci:" + (dir / "out"), image);
  const Descriptor layer = describe(image.layers[0], media_type::kOciLayer);
  const std::string path = (dir / "out/") + blob_path(layer.digest);
  const auto from = source(dir / "out");
  auto refused = [&] {
    return contains(message_of([&] { from->open(layer); }, Failure::kBadImage), "not a regular file");
  };
  fs::rename(path, dir / "elsewhere");
  fs::create_symlink(dir / "elsewhere", path);
  CHECK(refused());
  fs::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(refused());
  fs::remove(path);
  fs::create_directory(path);
  CHECK(refused());
}

TEST_CASE("bad input: a layout without its files or of another version") {
  const TemporaryDirectory dir;
  write_image("oci:" + (dir / "out"), make_test_image({"a"}));
  write_test_file(dir / "out/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  CHECK(contains(message_of([&] { source(dir / "out"); }, Failure::kBadImage), "not 1.x"));
  write_test_file(dir / "out/oci-layout", std::string(5000, ' '));
  CHECK(contains(message_of([&] { source(dir / "out"); }, Failure::kBadImage), "larger than"));
  fs::remove(dir / "out/oci-layout");
  CHECK(contains(message_of([&] { source(dir / "out"); }, Failure::kBadImage), "not an OCI layout"));
  write_test_file(dir / "out/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  fs::resize_file(dir / "out/index.json", 5u << 20);
  CHECK(contains(message_of([&] { source(dir / "out"); }, Failure::kBadImage), "larger than"));
  fs::remove(dir / "out/index.json");
  CHECK(contains(message_of([&] { source(dir / "out"); }, Failure::kBadImage), "no index.json"));
}

TEST_CASE("oci layout: writers at the same time lose nothing") {
  const TemporaryDirectory dir;
  const std::string out = dir / "out";
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&out, i] {
      write_image(fmt::format("oci:{}:v{}", out, i), make_test_image({"shared", fmt::format("file{}", i)}));
    });
  }
  for (auto& writer : writers)
    writer.join();
  for (int i = 0; i < 8; ++i) {
    const TestImage image = make_test_image({"shared", fmt::format("file{}", i)});
    const auto from = source(fmt::format("oci:{}:v{}", out, i));
    CHECK(from->read_document(from->root()) == image.manifest);
    CHECK(from->open(describe(image.layers[0], media_type::kOciLayer))->size() == 1536);
  }
  CHECK(all_files(out).size() == 2 + 1 + 8 * 3);
}
