// SPDX-License-Identifier: Apache-2.0
// What a run that dies or fails at any step leaves behind: the images as they were, and nothing that the
// next run does not remove.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "layers/durable_file.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_image.h"

using namespace imgslim;
namespace fs = std::filesystem;

namespace {

constexpr int kMaxSteps = 200;

// Whether all of the image can be read under that name.
bool is_whole(const std::string& name, const TestImage& image) {
  try {
    const auto from = open_image_source(parse_source_name(name), "/nonexistent");
    if (from->read_document(from->root()) != image.manifest) return false;
    from->read_document(describe(image.config, media_type::kOciConfig));
    for (const std::string& layer : image.layers)
      from->read_document(describe(layer, media_type::kOciLayer));
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Every path below `directory`, with the content of files.
std::vector<std::string> everything(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& item : fs::recursive_directory_iterator(directory)) {
    const std::string path = item.path().string();
    out.push_back(path + (item.is_regular_file() ? "=" + read_test_file(path) : "/"));
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool has_scratch(const std::string& directory) {
  for (const auto& item : fs::recursive_directory_iterator(directory)) {
    if (item.path().filename().string().find(".imgslim-") != std::string::npos) return true;
  }
  return false;
}

// Runs `body` in a child that is killed at the given step; whether it came to its end before.
bool ends_before_step(int step, const std::function<void()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int seen = 0;
    set_disk_step_hook([&](std::string_view) {
      if (++seen == step) ::_exit(9);
    });
    body();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE((WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
  return WEXITSTATUS(status) == 0;
}

const TestImage kOld = make_test_image({"shared", "old"});
const TestImage kNew = make_test_image({"shared", "new", "more"});

struct Case {
  const char* name;  // of the destination, behind its transport and the directory
  const char* transport;
  bool filled;             // whether the old image is there already
  const char* old_suffix;  // the name of the old image at the destination, of the new one
  const char* new_suffix;
};

const Case kCases[] = {
    {"layout with another name", "oci:", true, ":old", ":new"},
    {"layout with the same name", "oci:", true, ":v", ":v"},
    {"new layout", "oci:", false, ":old", ":new"},
    {"oci archive", "oci-archive:", true, "", ""},
    {"docker archive", "docker-archive:", true, ":a:1", ":a:1"},
    {"new docker archive", "docker-archive:", false, "", ""},
};

}  // namespace

TEST_CASE("store crash: a killed run leaves the old image and the next run succeeds") {
  for (const Case& test : kCases) {
    CAPTURE(test.name);
    int step = 1;
    for (bool ended = false; !ended; ++step) {
      REQUIRE(step < kMaxSteps);
      CAPTURE(step);
      const TemporaryDirectory dir;
      const std::string base = test.transport + (dir / "out");
      if (test.filled) write_image(base + test.old_suffix, kOld);
      ended = ends_before_step(step, [&] { write_image(base + test.new_suffix, kNew); });
      const bool replaced = is_whole(base + test.new_suffix, kNew);
      if (ended) REQUIRE(replaced);
      const bool same_name = std::string_view(test.old_suffix) == test.new_suffix;
      if (test.filled && !(same_name && replaced)) REQUIRE(is_whole(base + test.old_suffix, kOld));
      if (!test.filled && !replaced) REQUIRE_FALSE(fs::exists(dir / "out"));
      write_image(base + test.new_suffix, kNew);
      REQUIRE(is_whole(base + test.new_suffix, kNew));
      REQUIRE_FALSE(has_scratch(dir.path()));
    }
    CHECK(step > 8);
  }
}

TEST_CASE("store crash: a failed run leaves nothing") {
  for (const Case& test : kCases) {
    CAPTURE(test.name);
    int step = 1;
    for (bool ended = false; !ended; ++step) {
      REQUIRE(step < kMaxSteps);
      CAPTURE(step);
      const TemporaryDirectory dir;
      const std::string base = test.transport + (dir / "out");
      if (test.filled) write_image(base + test.old_suffix, kOld);
      const auto before = everything(dir.path());
      int seen = 0;
      std::string failed_at;
      set_disk_step_hook([&](std::string_view name) {
        if (++seen != step) return;
        failed_at = name;
        throw_io("cannot write", ENOSPC);
      });
      try {
        write_image(base + test.new_suffix, kNew);
        ended = true;
      } catch (const Error& error) {
        CHECK(error.failure() == Failure::kIo);
      }
      set_disk_step_hook(nullptr);
      CAPTURE(failed_at);
      // Once the last rename is done only the sync of its directory can fail: then the new image is there.
      const bool replaced = is_whole(base + test.new_suffix, kNew);
      if (ended) REQUIRE(replaced);
      if (replaced && !ended) REQUIRE(failed_at == "sync directory");
      if (!replaced) REQUIRE(everything(dir.path()) == before);
      REQUIRE_FALSE(has_scratch(dir.path()));
    }
    CHECK(step > 8);
  }
}

TEST_CASE("store crash: scratch of a run that lives is left alone") {
  const TemporaryDirectory dir;
  const std::string out = "oci:" + (dir / "out");
  auto living = open_image_destination(parse_destination_name(out + ":living"), {});
  put_test_image(*living, kNew);
  write_image(out + ":other", kOld);
  living->publish(kNew.root());
  CHECK(is_whole(out + ":living", kNew));
  CHECK(is_whole(out + ":other", kOld));
  CHECK_FALSE(has_scratch(dir.path()));
}

TEST_CASE("store crash: an existing empty directory can be tried again") {
  int step = 1;
  for (bool ended = false; !ended; ++step) {
    REQUIRE(step < kMaxSteps);
    CAPTURE(step);
    const TemporaryDirectory dir;
    fs::create_directory(dir / "out");
    ended = ends_before_step(step, [&] { write_image("oci:" + (dir / "out"), kNew); });
    write_image("oci:" + (dir / "out"), kNew);
    REQUIRE(is_whole("oci:" + (dir / "out"), kNew));
    REQUIRE_FALSE(has_scratch(dir.path()));
  }
}
