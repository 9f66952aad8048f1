// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <functional>

#include "layers/error.h"
#include "layers/manifest.h"

using namespace imgslim;

namespace {

const std::string kId = "sha256:" + std::string(64, 'a');
const std::string kRootfs = R"("rootfs":{"type":"layers","diff_ids":[")" + kId + R"("]})";

std::string refused(const std::string& text, std::size_t layers = 1) {
  try {
    ImageConfig::parse(text, layers, "image a: config");
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "accepted";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("image config: what is read and what is kept") {
  const std::string text =
      R"({"architecture":"arm64","os":"linux","variant":"v8","x-new":1.50,"config":{"Env":["A=1"],)"
      R"("Entrypoint":["/tini","--"],"Cmd":["/app"],"User":"app","WorkingDir":"/w","Volumes":{"/v":{}},)"
      R"("Healthcheck":{"Test":["CMD","/app","-c"],"Interval":1000000000},"Shell":["/bin/sh","-c"],"Labels":{"a":"b"}},)" +
      kRootfs + R"(,"history":[{"created_by":"COPY","x":1},{"created_by":"ENV","empty_layer":true}]})";
  const ImageConfig config = ImageConfig::parse(text, 1, "image a");
  CHECK(config.platform == Platform{"linux", "arm64", "v8"});
  CHECK(config.diff_ids.front().text() == kId);
  CHECK(config.history.size() == 2);
  CHECK(config.history[1].empty_layer);
  CHECK(config.env == std::vector<std::string>{"A=1"});
  CHECK(config.entrypoint == std::vector<std::string>{"/tini", "--"});
  CHECK(config.cmd == std::vector<std::string>{"/app"});
  CHECK(config.healthcheck.size() == 3);
  CHECK(config.shell.size() == 2);
  CHECK(config.volumes == std::vector<std::string>{"/v"});
  CHECK(config.user == "app");
  CHECK(config.working_dir == "/w");
  CHECK(dump_json(config.json) == text);
}

TEST_CASE("image config: what other tools leave out or write as null is accepted") {
  CHECK(refused(R"({"rootfs":{"diff_ids":[")" + kId + R"("]}})") == "accepted");
  CHECK(refused("{" + kRootfs + R"(,"history":null,"config":null})") == "accepted");
  CHECK(refused("{" + kRootfs +
                R"(,"history":[],"config":{"Env":null,"Cmd":null,"Volumes":null,"Entrypoint":"/a"}})") ==
        "accepted");
  CHECK(refused("{}", 0) == "accepted");
}

TEST_CASE("image config: wrong types are refused") {
  CHECK(contains(refused("[]"), "not a JSON object"));
  CHECK(contains(refused("{" + kRootfs + R"(,"config":{"Env":[1]}})"), "\"Env\" is not a list of strings"));
  CHECK(contains(refused("{" + kRootfs + R"(,"config":{"User":0}})"), "\"User\" is not a string"));
  CHECK(contains(refused("{" + kRootfs + R"(,"config":{"Volumes":["/v"]}})"), "not a JSON object"));
  CHECK(contains(refused("{" + kRootfs + R"(,"config":[]})"), "not a JSON object"));
  CHECK(contains(refused("{" + kRootfs + R"(,"os":[]})"), "\"os\" is not a string"));
  CHECK(contains(refused("{" + kRootfs + R"(,"RootFS":{}})"), "mistaken"));
  CHECK(contains(refused(R"({"rootfs":{"type":"base","diff_ids":[]}})", 0), "is not \"layers\""));
  CHECK(contains(refused(R"({"rootfs":{"diff_ids":["sha256:x"]}})"), "DiffID 1 is not a digest"));
  CHECK(contains(refused(R"({"rootfs":{"diff_ids":{}}})"), "not a list"));
  CHECK(contains(refused("{" + kRootfs + R"(,"history":[null]})"), "history item 1"));
}

TEST_CASE("bad input 59: DiffIDs and history that do not fit the layers are refused") {
  CHECK(contains(refused("{" + kRootfs + "}", 2), "1 DiffIDs for 2 layers"));
  CHECK(contains(refused("{}", 1), "0 DiffIDs for 1 layers"));
  CHECK(contains(refused("{" + kRootfs + R"(,"history":[{},{}]})"),
                 "the history has 2 layers, the manifest 1"));
  CHECK(
      contains(refused("{" + kRootfs + R"(,"history":[{"empty_layer":true}]})"), "the history has 0 layers"));
}
