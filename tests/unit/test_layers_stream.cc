// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "layers/error.h"
#include "layers/stream.h"

using namespace imgslim;

namespace {

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "imgslim-stream-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

Failure failure_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.failure();
  }
  FAIL("no error");
  return Failure::kIo;
}

std::string read_from(const Blob& blob, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  blob.read_at(offset, std::as_writable_bytes(std::span<char>(bytes)));
  return bytes;
}

}  // namespace

TEST_CASE("stream: a file is read at offsets and no further") {
  const Folder folder;
  const std::string path = folder.path + "/blob";
  std::ofstream(path) << "0123456789";
  const BlobPtr blob = open_file_blob(path);
  CHECK(blob->size() == 10);
  CHECK(read_from(*blob, 3, 4) == "3456");
  CHECK(read_from(*blob, 10, 0).empty());
  CHECK(failure_of([&] { read_from(*blob, 8, 3); }) == Failure::kIo);
  CHECK(failure_of([&] { read_from(*blob, ~std::uint64_t{0}, 2); }) == Failure::kIo);
  std::filesystem::resize_file(path, 5);
  CHECK(failure_of([&] { read_from(*blob, 3, 4); }) == Failure::kIo);
}

TEST_CASE("stream: only regular files are blobs") {
  const Folder folder;
  std::ofstream(folder.path + "/file") << "x";
  REQUIRE(::symlink("file", (folder.path + "/link").c_str()) == 0);
  REQUIRE(::mkfifo((folder.path + "/fifo").c_str(), 0600) == 0);
  for (const char* name : {"/link", "/fifo", "/."}) {
    CAPTURE(name);
    CHECK(failure_of([&] { open_file_blob(folder.path + name); }) == Failure::kBadImage);
  }
  CHECK(failure_of([&] { open_file_blob("/dev/null"); }) == Failure::kBadImage);
  CHECK(failure_of([&] { open_file_blob(folder.path + "/none"); }) == Failure::kIo);
}

TEST_CASE("stream: parts of a blob stay inside it") {
  const BlobPtr whole = memory_blob("0123456789");
  const BlobPtr part = sub_blob(whole, 2, 5);
  CHECK(part->size() == 5);
  CHECK(read_from(*part, 1, 4) == "3456");
  CHECK(failure_of([&] { read_from(*part, 1, 5); }) == Failure::kIo);
  CHECK(failure_of([&] { sub_blob(whole, 5, 6); }) == Failure::kBadImage);
  CHECK(failure_of([&] { sub_blob(whole, 2, ~std::uint64_t{0}); }) == Failure::kBadImage);
}

TEST_CASE("stream: reading all of a blob") {
  CHECK(read_all(*memory_blob("abc"), 3, "x") == "abc");
  CHECK_THROWS_WITH_AS(read_all(*memory_blob("abc"), 2, "index.json"), "index.json is larger than 2 bytes",
                       Error);
  const auto source = read_blob(memory_blob("0123456789"));
  std::string seen;
  std::string buffer(4, '\0');
  while (const std::size_t count = source->read(std::as_writable_bytes(std::span<char>(buffer)))) {
    sink_to([&](auto bytes) { seen += as_text(bytes); })->write(as_bytes(buffer).first(count));
  }
  CHECK(seen == "0123456789");
}
