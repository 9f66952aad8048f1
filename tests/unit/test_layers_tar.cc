// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "layers/error.h"
#include "layers/tar.h"
#include "layers/tar_header.h"
#include "tests/support/tar_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

TEST_CASE("tar: paths are cleaned") {
  CHECK(clean_path("/a//./b/") == "a/b");
  CHECK(clean_path("./") == "");
  CHECK(clean_path("/") == "");
  CHECK(clean_path("a/../b") == "b");
  CHECK(clean_path("..a/b..") == "..a/b..");
  std::string reason;
  CHECK_FALSE(clean_path("", &reason));
  CHECK(reason == "the name is empty");
  CHECK_FALSE(clean_path("../x", &reason));
  CHECK(reason == "the name climbs out of the image");
  CHECK_FALSE(clean_path("a/../../x"));
  CHECK_FALSE(clean_path(std::string(256, 'a')));
  CHECK(clean_path(std::string(255, 'a')));
}

TEST_CASE("tar: a directory is ordered right before what is in it") {
  std::vector<std::string> paths{"a-b", "a", "ab", "a/z", "a/b/c", "", "a.b", "a/b", "\xff"};
  std::sort(paths.begin(), paths.end(), path_less);
  CHECK(paths == std::vector<std::string>{"", "a", "a/b", "a/b/c", "a/z", "a-b", "a.b", "ab", "\xff"});
  CHECK_FALSE(path_less("a", "a"));
}

TEST_CASE("tar: numbers are octal or base-256") {
  CHECK(parse_tar_number("0000644\0") == 0644);
  CHECK(parse_tar_number(std::string("  644 \0\0", 8)) == 0644);
  CHECK(parse_tar_number(std::string(8, '\0')) == 0);
  CHECK_FALSE(parse_tar_number("0000684"));
  CHECK_FALSE(parse_tar_number("-000001"));
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{5}, std::int64_t{-1}, std::int64_t{-1000000},
                                   std::int64_t{1} << 62, -(std::int64_t{1} << 62)}) {
    CHECK(parse_tar_number(tar_base256(value, 12)) == value);
  }
  CHECK_FALSE(parse_tar_number("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
}

TEST_CASE("tar: times keep their fraction and their sign") {
  CHECK(parse_pax_time("12.5") == TarTime{12, 500000000});
  CHECK(parse_pax_time("-0.5") == TarTime{-1, 500000000});
  CHECK(parse_pax_time("-3") == TarTime{-3, 0});
  CHECK(parse_pax_time("1.1234567899") == TarTime{1, 123456789});
  CHECK_FALSE(parse_pax_time(""));
  CHECK_FALSE(parse_pax_time("1e3"));
  CHECK_FALSE(parse_pax_time("--1"));
  CHECK_FALSE(parse_pax_time("99999999999999999999"));
  for (const char* text : {"12.5", "-0.5", "-3", "0", "0.000000001", "-1.999999999"}) {
    CHECK(format_pax_time(*parse_pax_time(text)) == text);
  }
}

TEST_CASE("tar: the checksum of a hole is that of its zeros") {
  const std::uint64_t crc = crc64_of(0, "abc");
  CHECK(crc64_of(crc64_of(0, "ab"), "c") == crc);
  CHECK(crc64_of(0, "123456789") == 0x995dc9bbdf1939fau);  // CRC-64/XZ
  for (const std::size_t count : {0u, 1u, 7u, 4096u, 100003u}) {
    CHECK(crc64_of_zeros(crc, count) == crc64_of(crc, std::string(count, '\0')));
  }
}

TEST_CASE("tar: entries say what they are and where their content lies") {
  const auto table = layer_of_lines(R"(
    d usr mode=2755 uid=3 gid=4 mtime=5
    f usr/file mode=4711 xattr.user.a=1 xattr.security.b=2 : hello
    l usr/link -> ../x
    h usr/hard -> usr/file
    c dev/null major=1 minor=3
    p fifo
    w usr/gone
    o usr
  )");
  REQUIRE(table->entries.size() == 8);
  const auto& dir = table->entries[0];
  CHECK(dir.type == EntryType::kDirectory);
  CHECK(dir.path == "usr");
  CHECK(dir.mode == 02755);
  CHECK(dir.uid == 3);
  CHECK(dir.gid == 4);
  CHECK(dir.mtime == 5);
  CHECK(dir.tar_bytes == 512);
  const auto& file = table->entries[1];
  CHECK(file.type == EntryType::kRegular);
  CHECK(file.header_offset == 512);
  CHECK(file.data_offset == 512 * 4);
  CHECK(file.size == 5);
  CHECK(file.tar_bytes == 512 * 4);
  CHECK(file.crc == crc64_of(0, "hello"));
  CHECK(file.head == 0x6f6c6c6568u);
  CHECK(table->xattr_sets[file.xattrs] == Xattrs{{"security.b", "2"}, {"user.a", "1"}});
  CHECK(table->entries[2].link == "../x");
  CHECK(table->entries[3].link == "usr/file");
  CHECK(table->entries[4].device_major == 1);
  CHECK(table->entries[4].device_minor == 3);
  CHECK(table->entries[5].type == EntryType::kFifo);
  CHECK(table->entries[6].type == EntryType::kWhiteout);
  CHECK(table->entries[6].path == "usr/gone");
  CHECK(table->entries[7].type == EntryType::kOpaqueWhiteout);
  CHECK(table->entries[7].path == "usr");
  CHECK(table->warnings.empty());
}
