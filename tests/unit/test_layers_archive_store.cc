// SPDX-License-Identifier: Apache-2.0
// oci-archive and docker-archive: round trips and the layouts that docker save writes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "layers/archive_store.h"
#include "layers/compression.h"
#include "layers/error.h"
#include "tests/support/outer_tar.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_image.h"

using namespace imgslim;
namespace fs = std::filesystem;

namespace {

std::string gzip(const std::string& plain) {
  std::string out;
  const auto sink = sink_to([&](std::span<const std::byte> bytes) { out += as_text(bytes); });
  const auto encoder = make_encoder(Compression::kGzip, 0, 1, *sink);
  encoder->write(as_bytes(plain));
  encoder->finish();
  return out;
}

std::string config_for(const std::vector<std::string>& layers) {
  std::string ids;
  for (const std::string& layer : layers) {
    ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", digest_of(layer).text());
  }
  return R"({"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[)" + ids + "]}}";
}

// Opens an archive made of `members`.
struct Opened {
  explicit Opened(const std::vector<TarMember>& members,
                  const std::string& transport = "docker-archive:", const std::string& reference = "") {
    write_test_file(dir / "a.tar", outer_tar(members));
    from = open_image_source(parse_source_name(transport + (dir / "a.tar") + reference), dir / "spool");
  }
  Manifest manifest() const {
    return Manifest::parse(from->read_document(from->root()), from->root().media_type, "m");
  }
  TemporaryDirectory dir;
  std::unique_ptr<ImageSource> from;
};

std::string refused(const std::vector<TarMember>& members, Failure failure = Failure::kBadImage,
                    const std::string& transport = "docker-archive:", const std::string& reference = "") {
  return message_of([&] { Opened(members, transport, reference); }, failure);
}

const std::string kLayerA = tar_with_file("a");
const std::string kLayerB = tar_with_file("b");

}  // namespace

TEST_CASE("oci archive: an image written is read back and the bytes are the same each time") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a", "b"});
  write_image("oci-archive:" + (dir / "one.tar") + ":v1", image);
  write_image("oci-archive:" + (dir / "two.tar") + ":v1", image);
  CHECK(read_test_file(dir / "one.tar") == read_test_file(dir / "two.tar"));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2);
  for (const char* suffix : {"", ":v1"}) {
    const auto from =
        open_image_source(parse_source_name("oci-archive:" + (dir / "one.tar") + suffix), "/nonexistent");
    CHECK(from->read_document(from->root()) == image.manifest);
    CHECK(read_all(*from->open(describe(image.layers[1], "x/y")), 4096, "layer") == image.layers[1]);
  }
  const auto sniffed = open_image_source(parse_source_name(dir / "one.tar"), "/nonexistent");
  CHECK(sniffed->name() == "oci-archive:" + (dir / "one.tar"));
  CHECK(sniffed->root().digest == image.root().digest);
}

TEST_CASE("docker archive: what is written is read with its own manifest") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a", "b"});
  const std::string path = dir / "out.tar";
  write_image("docker-archive:" + path + ":app:v1", image);
  for (const std::string name : {"", ":app:v1", ":docker.io/library/app:v1"}) {
    const auto from = open_image_source(parse_source_name("docker-archive:" + path + name), "/nonexistent");
    CHECK(from->root().digest == image.root().digest);
    CHECK(from->read_document(from->root()) == image.manifest);
  }
  CHECK(contains(read_test_file(path), R"("RepoTags":["app:v1"])"));
  const auto sniffed = open_image_source(parse_source_name(path), "/nonexistent");
  CHECK(sniffed->name() == "docker-archive:" + path);
  const auto oci = open_image_source(parse_source_name("oci-archive:" + path), "/nonexistent");
  CHECK(oci->root().digest == image.root().digest);
  // No blob is there twice.
  CHECK(fs::file_size(path) < 1536 * 2 + 14000);
  CHECK(contains(
      message_of([&] { open_image_source(parse_source_name("docker-archive:" + path + ":none"), ""); },
                 Failure::kUsage),
      "app:v1"));
}

TEST_CASE("docker archive: what it cannot hold is refused before any work") {
  const TemporaryDirectory dir;
  const ImageName name = parse_destination_name("docker-archive:" + (dir / "x.tar"));
  CHECK(contains(message_of(
                     [&] {
                       open_image_destination(name, {true, false});
                     },
                     Failure::kUsage),
                 "platforms"));
  CHECK(contains(message_of([&] { open_image_destination(name, {false, true}); }, Failure::kUsage), "zstd"));
  CHECK(message_of([&] { destination("docker-archive:" + (dir / "no/x.tar")); }, Failure::kIo) != "no error");
  CHECK(message_of([&] { destination("docker-archive:" + dir.path()); }, Failure::kUsage) != "no error");
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("docker archive: an archive is replaced whole or not at all") {
  const TemporaryDirectory dir;
  const std::string path = dir / "out.tar";
  write_test_file(path, "old");
  fs::create_symlink("out.tar", dir / "link.tar");
  const TestImage image = make_test_image({"a"});
  {
    auto to = destination("docker-archive:" + (dir / "link.tar"));
    put_test_image(*to, image);
    CHECK(read_test_file(path) == "old");
    const Descriptor absent = describe("absent", media_type::kOciManifest);
    CHECK(contains(message_of([&] { to->publish(absent); }, Failure::kBadImage), "was not written"));
    CHECK_FALSE(to->publish_referrer(image.root()));
  }
  CHECK(read_test_file(path) == "old");
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2);
  write_image("docker-archive:" + (dir / "link.tar"), image);
  CHECK(fs::is_symlink(dir / "link.tar"));
  CHECK(read_test_file(path).size() > 3);
}

TEST_CASE("docker archive: the old layout with linked layers") {
  const std::string config = config_for({kLayerA, kLayerB, kLayerA});
  const std::string hex(digest_of(config).hex());
  const Opened old({{"one/", "", '5'},
                    {"one/layer.tar", kLayerA},
                    {"two/layer.tar", kLayerB},
                    {"three/layer.tar", "", '2', "../one/layer.tar"},
                    {hex + ".json", config},
                    {"repositories", "{}"},
                    {"manifest.json", R"([{"Config":")" + hex +
                                          R"(.json","RepoTags":["app:1"],"Layers":["one/layer.tar",)"
                                          R"("two/layer.tar","three/layer.tar"]}])"}});
  const Manifest manifest = old.manifest();
  CHECK(manifest.is_docker());
  REQUIRE(manifest.layers.size() == 3);
  CHECK(manifest.config.digest == digest_of(config));
  CHECK(manifest.layers[2].descriptor.digest == digest_of(kLayerA));
  CHECK(manifest.layers[1].descriptor.media_type == media_type::kDockerLayer);
  CHECK(read_all(*old.from->open(manifest.layers[1].descriptor), 4096, "b") == kLayerB);
  CHECK(old.from->read_document(manifest.config) == config);
}

TEST_CASE("docker archive: compressed layers have a digest of their own") {
  const std::string packed = gzip(kLayerA);
  const std::string config = config_for({kLayerA, kLayerA});
  const Opened with_gzip({{"a.tar.gz", packed},
                          {"c.json", config},
                          {"manifest.json", R"([{"Config":"c.json","Layers":["a.tar.gz","./a.tar.gz"]}])"}});
  const Manifest manifest = with_gzip.manifest();
  CHECK(manifest.layers[1].descriptor.media_type == media_type::kDockerLayerGzip);
  CHECK(manifest.layers[1].descriptor.digest == digest_of(packed));
  CHECK(read_all(*with_gzip.from->open(manifest.layers[0].descriptor), 4096, "a") == packed);
}

TEST_CASE("docker archive: several images are told apart by name") {
  const std::string one = config_for({kLayerA});
  const std::string two = config_for({kLayerB});
  const std::vector<TarMember> members = {
      {"a.tar", kLayerA},
      {"b.tar", kLayerB},
      {"1.json", one},
      {"2.json", two},
      {"manifest.json", R"([{"Config":"1.json","RepoTags":["app:latest"],"Layers":["a.tar"]},)"
                        R"({"Config":"2.json","RepoTags":["quay.io/x/app:2"],"Layers":["b.tar"]}])"}};
  CHECK(Opened(members, "docker-archive:", ":app").manifest().config.digest == digest_of(one));
  CHECK(Opened(members, "docker-archive:", ":quay.io/x/app:2").manifest().config.digest == digest_of(two));
  CHECK(contains(refused(members, Failure::kUsage), "app:latest, quay.io/x/app:2"));
  CHECK(contains(refused(members, Failure::kUsage, "docker-archive:", ":other"), "no image has that name"));
}

TEST_CASE("docker archive: long names and large members keep their offsets") {
  const std::string folder(300, 'd');
  const std::string config = config_for({kLayerA, kLayerB});
  for (const bool pax : {false, true}) {
    CAPTURE(pax);
    const Opened opened({{folder + "/layer.tar", kLayerA, '0', "", pax},
                         {"filler", std::string(300001, 'x')},
                         {folder + "/second.tar", "", '1', "b.tar", pax},
                         {"b.tar", kLayerB},
                         {"c.json", config},
                         {"manifest.json", R"([{"Config":"c.json","Layers":[")" + folder +
                                               R"(/layer.tar",")" + folder + R"(/second.tar"]}])"}});
    const Manifest manifest = opened.manifest();
    CHECK(read_all(*opened.from->open(manifest.layers[0].descriptor), 4096, "a") == kLayerA);
    CHECK(read_all(*opened.from->open(manifest.layers[1].descriptor), 4096, "b") == kLayerB);
  }
}

TEST_CASE("docker archive: compressed archives and pipes are copied to an unlinked file") {
  const TemporaryDirectory dir;
  const TestImage image = make_test_image({"a"});
  write_image("docker-archive:" + (dir / "plain.tar"), image);
  const std::string plain = read_test_file(dir / "plain.tar");
  write_test_file(dir / "packed.tar.gz", gzip(plain));
  const auto packed = open_image_source(parse_source_name(dir / "packed.tar.gz"), dir / "spool");
  CHECK(packed->root().digest == image.root().digest);
  CHECK(fs::is_empty(dir / "spool"));

  const std::string pipe = dir / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread feeder([&] { write_test_file(pipe, plain); });
  const auto piped = open_image_source(parse_source_name("docker-archive:" + pipe), dir / "spool");
  feeder.join();
  CHECK(piped->root().digest == image.root().digest);
  CHECK(fs::is_empty(dir / "spool"));
}

TEST_CASE("bad input: docker archives that are cut, empty or incomplete") {
  const std::string config = config_for({kLayerA});
  const std::string list = R"([{"Config":"c.json","Layers":["a.tar"]}])";
  const std::vector<TarMember> good = {{"a.tar", kLayerA}, {"c.json", config}, {"manifest.json", list}};
  CHECK(Opened(good).manifest().layers.size() == 1);
  CHECK(contains(refused({{"c.json", config}, {"manifest.json", list}}), "layer a.tar is missing"));
  CHECK(contains(refused({{"a.tar", kLayerA}, {"manifest.json", list}}), "config c.json is missing"));
  CHECK(contains(refused({{"a.tar", kLayerA}}), "no manifest.json"));
  CHECK(contains(refused({{"repositories", "{}"}}), "Docker 1.10"));
  CHECK(contains(refused({{"oci-layout", "{}"}}), "try oci-archive:"));
  CHECK(contains(refused({{"manifest.json", "[]"}}, Failure::kBadImage, "oci-archive:"),
                 "try docker-archive:"));
  CHECK(contains(refused({{"manifest.json", "null"}}), "not a list"));
  CHECK(contains(refused({{"manifest.json", "[]"}}), "lists no image"));
  CHECK(contains(refused({{"manifest.json", "[null]"}}), "not a JSON object"));
  CHECK(contains(refused({{"manifest.json", R"([{"Layers":null}])"}}), "\"Config\" is missing"));
  CHECK(contains(refused({good[0], good[1], good[2], good[2]}), "is in the archive twice"));

  const TemporaryDirectory dir;
  const std::string whole = outer_tar(good);
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{700}, std::size_t{2300}}) {
    CAPTURE(size);
    write_test_file(dir / "cut.tar", whole.substr(0, size));
    CHECK(message_of([&] { open_image_source(parse_source_name(dir / "cut.tar"), dir / "spool"); },
                     Failure::kBadImage) != "no error");
  }
  write_test_file(dir / "cut.gz", gzip(whole).substr(0, 200));
  CHECK(message_of([&] { open_image_source(parse_source_name(dir / "cut.gz"), dir / "spool"); },
                   Failure::kBadImage) != "no error");
  CHECK(fs::is_empty(dir / "spool"));
}

TEST_CASE("bad input: docker archives whose names and links climb out or go round") {
  const std::string config = config_for({kLayerA});
  auto with_layer = [&](const TarMember& layer, const std::string& path) {
    return std::vector<TarMember>{layer,
                                  {"c.json", config},
                                  {"manifest.json", R"([{"Config":"c.json","Layers":[")" + path + R"("]}])"}};
  };
  CHECK(contains(refused(with_layer({"../a.tar", kLayerA}, "a.tar")), "climbs out"));
  CHECK(contains(refused(with_layer({"a/../../a.tar", kLayerA}, "a.tar")), "climbs out"));
  CHECK(contains(refused(with_layer({"a.tar", kLayerA}, "../a.tar")), "climbs out"));
  CHECK(contains(refused(with_layer({"a.tar", "", '2', "/etc/passwd"}, "a.tar")), "climbs out"));
  CHECK(contains(refused(with_layer({"x/a.tar", "", '2', "../../a"}, "x/a.tar")), "climbs out"));
  CHECK(contains(refused(with_layer({"a.tar", "", '2', "a.tar"}, "a.tar")), "a link too"));
  CHECK(contains(refused(with_layer({"a.tar", "", '2', "gone"}, "a.tar")), "which is missing"));
  CHECK(contains(refused(with_layer({"a.tar", "", '6'}, "a.tar")), "not a regular file"));
  CHECK(Opened(with_layer({"/a.tar", kLayerA}, "a.tar")).manifest().layers.size() == 1);
}

TEST_CASE("bad input 55: a docker archive whose config is not what its name says is refused") {
  const std::string hex(digest_of("other").hex());
  CHECK(contains(refused({{hex + ".json", config_for({})},
                          {"manifest.json", R"([{"Config":")" + hex + R"(.json","Layers":null}])"}}),
                 "another digest"));
}

TEST_CASE("bad input 62: an archive blob that is a link is refused") {
  const TestImage image = make_test_image({"a"});
  const std::string index = R"({"schemaVersion":2,"manifests":[)" + descriptor_text(image.root()) + "]}";
  CHECK(contains(refused({{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                          {"index.json", index},
                          {"elsewhere", image.manifest},
                          {blob_path(image.root().digest), "", '2', "../../elsewhere"}},
                         Failure::kBadImage, "oci-archive:"),
                 "not a regular file"));
}
