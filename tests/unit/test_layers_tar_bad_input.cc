// SPDX-License-Identifier: Apache-2.0
// Hostile and odd layers by the numbers of the list that the project keeps: refused, naming the entry and
// the offset, or accepted, saying what is odd.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "layers/error.h"
#include "layers/tree.h"
#include "tests/support/tree_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

// Indexes and applies a layer on top of nothing.
Tree applied(const std::string& bytes, const TarLimits& limits = {}) {
  Tree tree;
  tree.apply(index_tar(bytes, 0, {}, limits));
  return tree;
}

std::string refusal(const std::string& bytes, const TarLimits& limits = {}) {
  try {
    applied(bytes, limits);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

std::string warnings(const std::string& bytes) {
  std::string out;
  const LayerTablePtr table = index_tar(bytes);
  for (const std::string& warning : table->warnings) {
    out += warning;
    out += '\n';
  }
  return out;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TarAttributes with_pax(const PaxRecords& records) {
  TarAttributes attributes;
  attributes.pax = records;
  return attributes;
}

RawHeader file_of(const std::string& size_field) {
  RawHeader header;
  header.name = "a";
  header.size = size_field;
  return header;
}

}  // namespace

TEST_CASE("bad input 01: a name that climbs out is refused") {
  CHECK(refusal(TarBuilder().file("ok", "").file("../x", "1").closed()) ==
        "entry ../x at offset 512: the name climbs out of the image");
}

TEST_CASE("bad input 02: an absolute name is accepted") {
  CHECK(list_tree(applied(TarBuilder().file("/abs/x", "1").closed())) == "d abs\nf abs/x : 1\n");
}

TEST_CASE("bad input 03: a name that climbs out on the way is refused") {
  CHECK(contains(refusal(TarBuilder().file("a/../../x", "1").closed()), "climbs out"));
  CHECK(list_tree(applied(TarBuilder().file("a/../x", "1").closed())) == "f x : 1\n");
}

TEST_CASE("bad input 04: the root as a symbolic link is refused") {
  for (const char* name : {".", "./", "/"}) {
    CHECK(contains(refusal(TarBuilder().symlink(name, "/etc").closed()),
                   "the root of the image is not a directory"));
  }
}

TEST_CASE("bad input 05: the root as a file is refused") {
  CHECK(contains(refusal(TarBuilder().file("/", "1").closed()), "the root of the image is not a directory"));
  CHECK(contains(refusal(TarBuilder().file("x", "1").hard_link(".", "x").closed()), "is not a directory"));
  // The parser says so already, not only the tree.
  CHECK_THROWS_AS(index_tar(TarBuilder().file("./", "1").closed()), Error);
}

TEST_CASE("bad input 06: a child through a symbolic link is accepted and stays inside the image") {
  CHECK(list_tree(applied(TarBuilder().symlink("s", "/etc").file("s/passwd", "1").closed())) ==
        "d etc\nf etc/passwd : 1\nl s -> /etc\n");
  CHECK(list_tree(applied(TarBuilder().symlink("s", "../../../etc").file("s/x", "1").closed())) ==
        "d etc\nf etc/x : 1\nl s -> ../../../etc\n");
}

TEST_CASE("bad input 07: a link loop in a parent is refused") {
  CHECK(refusal(TarBuilder().symlink("a", "b").symlink("b", "a").file("a/x", "1").closed()) ==
        "entry a/x at offset 1024: its path leads through too many symbolic links");
}

TEST_CASE("bad input 08: a chain of 40 links is accepted and one of 41 refused") {
  const auto chain = [](int links) {
    TarBuilder builder;
    builder.dir("d");
    for (int i = 1; i < links; ++i)
      builder.symlink(fmt::format("l{}", i), fmt::format("l{}", i + 1));
    builder.symlink(fmt::format("l{}", links), "d");
    return builder.file("l1/x", "1");
  };
  const Tree tree = applied(chain(40).closed());
  CHECK(tree.lookup("d/x") != kNone);
  CHECK(tree.resolve("l1/x") == tree.lookup("d/x"));
  CHECK(contains(refusal(chain(41).closed()), "too many symbolic links"));
}

TEST_CASE("bad input 09: a hard link to nothing is refused") {
  CHECK(refusal(TarBuilder().hard_link("a", "missing").closed()) ==
        "entry a at offset 0: a hard link to missing, which is not there before it");
}

TEST_CASE("bad input 10: a hard link that climbs out is refused") {
  CHECK(refusal(TarBuilder().hard_link("a", "../../etc/passwd").closed()) ==
        "entry a at offset 0: hard link to \"../../etc/passwd\": the name climbs out of the image");
}

TEST_CASE("bad input 11: a forward hard link is refused") {
  CHECK(contains(refusal(TarBuilder().hard_link("a", "b").file("b", "1").closed()),
                 "which is not there before it"));
}

TEST_CASE("bad input 12: a hard link to itself is refused") {
  CHECK(contains(refusal(TarBuilder().hard_link("a", "a").closed()), "not there"));
  CHECK(contains(refusal(TarBuilder().file("a", "1").hard_link("a", "a").closed()), "a hard link to itself"));
  CHECK(
      contains(refusal(TarBuilder().dir("d").file("d/f", "1").hard_link("d", "d/f").closed()), "not there"));
}

TEST_CASE("bad input 13: a hard link to a directory is refused") {
  CHECK(contains(refusal(TarBuilder().dir("d").hard_link("a", "d").closed()),
                 "a hard link to the directory d"));
  CHECK(contains(refusal(TarBuilder().hard_link("a", "/").closed()), "a hard link to the directory"));
}

TEST_CASE("bad input 14: a hard link to a symbolic link is accepted as another name of it") {
  CHECK(list_tree(applied(TarBuilder().symlink("s", "/etc/passwd").hard_link("h", "s").closed())) ==
        "l h -> /etc/passwd\nl s -> /etc/passwd = h\n");
}

TEST_CASE("bad input 15: a child of a file is refused") {
  CHECK(refusal(TarBuilder().file("a", "1").file("a/b", "1").closed()) ==
        "entry a/b at offset 1024: a is not a directory");
}

TEST_CASE("bad input 16: a component of 256 bytes is refused") {
  CHECK(contains(refusal(TarBuilder().file(fmt::format("d/{}", std::string(256, 'n')), "").closed()),
                 "component of the name is too long"));
  CHECK(refusal(TarBuilder().file(fmt::format("d/{}", std::string(255, 'n')), "").closed()) == "accepted");
}

TEST_CASE("bad input 17: a path of more than 4096 bytes is refused") {
  std::string path;
  while (path.size() < 4000)
    path += "12345678/";
  CHECK(refusal(TarBuilder().file(path + "x", "").closed()) == "accepted");
  const std::string text = refusal(TarBuilder().file(path + std::string(100, 'x'), "").closed());
  CHECK(contains(text, "the name is too long"));
  CHECK(text.size() < 400);
  // A link does not help either.
  CHECK(contains(refusal(TarBuilder()
                             .dir(path)
                             .symlink("s", path)
                             .file(fmt::format("s/{}", std::string(200, 'x')), "")
                             .closed()),
                 "resolved path is too long"));
}

TEST_CASE("bad input 18: a NUL in a PAX path is refused") {
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{"path", std::string("a\0b", 3)}})).closed()),
                 "the path record holds a NUL byte"));
  CHECK(contains(
      refusal(TarBuilder().entry('2', "a", "x", with_pax({{"linkpath", std::string("a\0b", 3)}})).closed()),
      "the linkpath record holds a NUL byte"));
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{std::string("a\0b", 3), "x"}})).closed()),
                 "NUL"));
}

TEST_CASE("bad input 19: an empty name is refused") {
  CHECK(refusal(TarBuilder().file("", "").closed()) == "entry at offset 0: the name is empty");
  CHECK(contains(refusal(TarBuilder().entry('2', "a", "", {}).closed()), "a symbolic link to nothing"));
  CHECK(contains(refusal(TarBuilder().entry('1', "a", "", {}).closed()), "the name is empty"));
}

TEST_CASE("bad input 20: a whiteout of no name is refused") {
  CHECK(refusal(TarBuilder().file("d/.wh.", "").closed()) ==
        "entry d/.wh. at offset 0: a whiteout of no name");
}

TEST_CASE("bad input 21: a whiteout of dot or dot dot is refused") {
  CHECK(contains(refusal(TarBuilder().file(".wh..", "").closed()), "a whiteout of no name"));
  CHECK(contains(refusal(TarBuilder().file("d/.wh...", "").closed()), "a whiteout of no name"));
  CHECK(list_tree(applied(TarBuilder().file("a", "1").file(".wh....", "").closed())) == "f a : 1\n");
}

TEST_CASE("bad input 22: AUFS metadata is accepted and shows nothing") {
  const std::string bytes = TarBuilder()
                                .dir(".wh..wh.plnk/")
                                .file(".wh..wh.plnk/123.456", "content")
                                .file(".wh..wh.aufs", "")
                                .file("x", "1")
                                .closed();
  CHECK(list_tree(applied(bytes)) == "f x : 1\n");
  CHECK(contains(warnings(bytes), "entry .wh..wh.plnk/123.456 at offset 512: metadata of AUFS is ignored"));
  CHECK(contains(refusal(TarBuilder().file(".wh.a/b", "").closed()), "an entry below a whiteout"));
}

TEST_CASE("bad input 23: a wrong checksum is refused") {
  RawHeader header = file_of("00000000000");
  header.checksum_off_by = 1;
  CHECK(refusal(TarBuilder().file("x", "").raw(header).closed()) ==
        "entry at offset 512: the header's checksum is wrong");
}

TEST_CASE("bad input 24: a header that is cut is refused") {
  const std::string bytes = TarBuilder().file("x", "").file("y", "").open();
  CHECK(refusal(bytes.substr(0, 512 + 300)) == "entry at offset 512: the layer ends inside the entry");
}

TEST_CASE("bad input 25: content that is cut is refused") {
  const std::string bytes = TarBuilder().file("x", std::string(1000, 'x')).open();
  CHECK(refusal(bytes.substr(0, 512 + 999)) == "entry x at offset 0: the layer ends inside the entry");
  // Only padding is missing.
  CHECK(refusal(bytes.substr(0, 512 + 1000)) == "accepted");
  CHECK(contains(warnings(bytes.substr(0, 512 + 1000)), "the end of the archive is not marked"));
}

TEST_CASE("bad input 26: a missing end of the archive is accepted with a warning") {
  const std::string bytes = TarBuilder().file("x", "1").open();
  CHECK(list_tree(applied(bytes)) == "f x : 1\n");
  CHECK(warnings(bytes) == "the end of the archive is not marked\n");
  CHECK(warnings(bytes + std::string(512, '\0')) == "the end of the archive is not marked\n");
  CHECK(warnings(bytes + std::string(1024, '\0')) == "");
  CHECK(warnings("") == "the end of the archive is not marked\n");
}

TEST_CASE("bad input 27: data after the end is accepted with a warning, zeros without") {
  const std::string bytes = TarBuilder().file("x", "1").closed();
  CHECK(warnings(bytes + std::string(100000, '\0')) == "");
  CHECK(warnings(bytes + std::string(700, '\0') + "junk") == "there is data after the end of the archive\n");
  CHECK(warnings(bytes + TarBuilder().file("y", "").closed()) ==
        "there is data after the end of the archive\n");
  // One zero block alone is no end: readers disagree on what follows.
  const std::string one = TarBuilder().file("x", "1").open() + std::string(512, '\0');
  CHECK(
      contains(refusal(one + TarBuilder().file("y", "").closed()), "a header behind the end of the archive"));
}

TEST_CASE("bad input 28: negative and overflowing numbers are refused") {
  CHECK(contains(refusal(TarBuilder().raw(file_of(tar_base256(-1, 12))).closed()), "the size is negative"));
  CHECK(contains(refusal(TarBuilder().raw(file_of("-0000000001")).closed()), "size is no number"));
  CHECK(contains(
      refusal(TarBuilder().raw(file_of("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")).closed()),
      "size is no number"));
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{"size", "-1"}})).closed()), "is no number"));
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{"size", "9223372036854775808"}})).closed()),
                 "is no number"));
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{"size", "9223372036854775807"}})).closed()),
                 "ends inside the entry"));
  CHECK(contains(refusal(TarBuilder().file("a", "", with_pax({{"uid", "4294967296"}})).closed()),
                 "the uid 4294967296 does not fit into 32 bits"));
  RawHeader negative = file_of("00000000000");
  negative.gid = tar_base256(-1, 8);
  CHECK(contains(refusal(TarBuilder().raw(negative).closed()), "the gid is negative"));
}

TEST_CASE("bad input 29: sizes in conflict are accepted with a warning, the extended header counts") {
  RawHeader header = file_of("00000000777");
  const std::string bytes =
      TarBuilder().pax({{"size", "3"}}).raw(header).bytes(tar_padded("abc")).file("b", "2").closed();
  CHECK(list_tree(applied(bytes)) == "f a : abc\nf b : 2\n");
  CHECK(contains(warnings(bytes), "say different sizes"));
}

TEST_CASE("bad input 30: an extended header of 1 GiB is refused before it is read") {
  for (const char type : {'x', 'g', 'L', 'K'}) {
    RawHeader header = file_of("10000000000");
    header.type = type;
    CHECK(contains(refusal(TarBuilder().raw(header).open()), "an extended header of 1073741824 bytes"));
  }
}

TEST_CASE("bad input 31: PAX records of wrong length or form are refused") {
  for (const char* payload :
       {"99 path=a\n", "3 a\n", "path=a\n", "9 path=a", "x path=a\n", "10 pathaaa\n", "5 =b\n",
        "99999999999999999999999 path=a\n", "0 path=a\n", "8 path=a\n\n", " "}) {
    CAPTURE(payload);
    CHECK(contains(refusal(TarBuilder().extended('x', payload).file("a", "").closed()), "extended header"));
  }
}

TEST_CASE("bad input 32: duplicated PAX keys are accepted with a warning, the last counts") {
  const std::string bytes =
      TarBuilder()
          .file("a", "",
                with_pax({{"path", "b"}, {"path", "c"}, {"SCHILY.xattr.u", "1"}, {"SCHILY.xattr.u", "2"}}))
          .closed();
  const LayerTablePtr table = index_tar(bytes);
  CHECK(table->entries[0].path == "c");
  CHECK(table->xattr_sets[table->entries[0].xattrs] == Xattrs{{"u", "2"}});
  CHECK(contains(warnings(bytes), "the path record is there twice"));
  CHECK(contains(warnings(bytes), "the extended attribute u is there twice"));
  CHECK(contains(refusal(TarBuilder().pax({{"uid", "1"}}).pax({{"gid", "1"}}).file("a", "").closed()),
                 "two extended headers of one kind"));
}

TEST_CASE("bad input 33: global PAX headers are accepted and change nothing") {
  const std::string bytes = TarBuilder()
                                .pax({{"comment", "0123"}}, 'g')
                                .pax({{"uid", "7"}}, 'g')
                                .file("a", "1", with_pax({{"gid", "8"}}))
                                .closed();
  const LayerTablePtr table = index_tar(bytes);
  CHECK(table->entries[0].uid == 0);
  CHECK(table->entries[0].gid == 8);
  CHECK(warnings(bytes) ==
        "entry at offset 1024: the global record uid is ignored, as by those who apply layers\n");
}

TEST_CASE("bad input 34: a GNU long name that is cut is refused") {
  const std::string bytes = TarBuilder().extended('L', std::string(300, 'a')).open();
  CHECK(contains(refusal(bytes.substr(0, 600)), "entry at offset 0: the layer ends inside the entry"));
  CHECK(contains(refusal(bytes), "the layer ends inside the entry"));
  CHECK(contains(refusal(bytes + std::string(1024, '\0')), "an extended header without an entry"));
}

TEST_CASE("bad input 35: an old GNU sparse map of a million regions is refused") {
  RawHeader header = file_of("00000000000");
  header.type = 'S';
  header.magic = std::string("ustar  \0", 8);
  header.patches = {{386, "00000000000"}, {398, "00000000000"}, {482, "\x01"}, {483, "00000000000"}};
  std::string block;
  for (int i = 0; i < 21; ++i)
    block += std::string(
        "00000000000\0"
        "00000000000\0",
        24);
  block += std::string("\x01\0\0\0\0\0\0\0", 8);
  TarBuilder builder;
  builder.raw(header);
  for (int i = 0; i < 1000000 / 21; ++i)
    builder.bytes(block);
  CHECK(contains(refusal(builder.closed()), "the sparse map has more than 65536 regions"));
}

TEST_CASE("bad input 36: a sparse map bomb in front of the content is refused") {
  const auto sparse = [](const std::string& map, const std::string& size) {
    return refusal(
        TarBuilder()
            .file("a", map,
                  with_pax(
                      {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", size}}))
            .closed());
  };
  CHECK(
      contains(sparse(fmt::format("10000000\n{}", std::string(5000, '1')), "5"), "more than 65536 regions"));
  CHECK(contains(sparse(tar_padded("18446744073709551616\n"), "5"), "is no number"));
  CHECK(contains(sparse(std::string(600, '1'), "5"), "sparse map holds no number"));
  CHECK(contains(sparse(tar_padded("1\n"), "5"), "sparse map holds no number"));
  CHECK(contains(sparse("9\n", "5"), "the sparse map is longer than the entry"));
  CHECK(contains(sparse(tar_padded("1\n0\n9\n") + "123456789", "8"), "overlap or leave the file"));
  CHECK(contains(sparse(tar_padded("2\n4\n2\n3\n2\n") + "1234", "8"), "overlap or leave the file"));
  CHECK(contains(sparse(tar_padded("1\n0\n4\n") + "12345678", "8"), "4 bytes of data, the entry 8"));
  CHECK(contains(sparse(tar_padded("0\n"), "9000000000000000000"), "sparse files hold more than"));
  CHECK(sparse(tar_padded("1\n0\n4\n") + "1234", "8") == "accepted");
  // A hole before the content and one after it; 2^30 bytes each.
  CHECK(contains(sparse(tar_padded("1\n1073741824\n4\n") + "1234", "1073741828"),
                 "entry a at offset 0: the holes of sparse files are more than 1000 times the layer"));
  CHECK(contains(sparse(tar_padded("1\n0\n4\n") + "1234", "1073741828"), "more than 1000 times the layer"));
  CHECK(sparse(tar_padded("1\n0\n4\n") + "1234", "268435456") == "accepted");
  const std::string content(1 << 20, 'x');
  CHECK(sparse(tar_padded("1\n0\n1048576\n") + content, "1000000000") == "accepted");
}

TEST_CASE("bad input 37: an unknown type flag and a socket are refused") {
  for (const char type : {'s', '8', 'V', 'M', 'D', 'X', '\x1b'}) {
    RawHeader header = file_of("00000000000");
    header.type = type;
    CHECK(contains(refusal(TarBuilder().raw(header).closed()), "entry a at offset 0: the type \""));
  }
}

TEST_CASE("bad input 38: more entries than the limit are refused") {
  TarLimits limits;
  limits.max_entries = 100;
  TarBuilder builder;
  for (int i = 0; i < 100; ++i)
    builder.file(std::to_string(i), "");
  CHECK(refusal(builder.closed(), limits) == "accepted");
  CHECK(contains(refusal(builder.file("more", "").closed(), limits), "more than 100 entries"));
  limits = {};
  limits.max_text_bytes = 1000;
  CHECK(contains(refusal(TarBuilder()
                             .file(fmt::format("a/{}", std::string(200, 'n')), "")
                             .file(std::string(900, '/') + fmt::format("a/{}", std::string(250, 'n')), "")
                             .symlink("s", std::string(600, 't'))
                             .closed(),
                         limits),
                 "take more than 1000 bytes"));
}

TEST_CASE("bad input 39: duplicate paths in one layer are accepted with a notice, the last counts") {
  const Tree tree = applied(TarBuilder().file("a", "1").file("./a", "2").closed());
  CHECK(list_tree(tree) == "f a : 2\n");
  REQUIRE(tree.notices().size() == 1);
  CHECK(tree.notices()[0].text == "a: the name is there twice in one layer: the last counts");
}

TEST_CASE("bad input 40: extended attributes that Linux cannot hold are refused") {
  const auto xattr = [](const std::string& name, const std::string& value) {
    return refusal(TarBuilder().file("a", "", with_pax({{"SCHILY.xattr." + name, value}})).closed());
  };
  CHECK(contains(xattr("", "x"), "has 0 bytes, 1 to 255 are allowed"));
  CHECK(contains(xattr(std::string(256, 'n'), "x"), "has 256 bytes"));
  CHECK(xattr(std::string(255, 'n'), "x") == "accepted");
  CHECK(contains(xattr("user.a", std::string(65537, 'v')), "has 65537 bytes, more than 65536"));
  CHECK(xattr("user.a", std::string(65536, 'v')) == "accepted");
}

TEST_CASE("bad input: a character device 0,0 is refused, also one that a kernel would cut to it") {
  CHECK(contains(refusal(TarBuilder().device("a", '3', 0, 0).closed()), "a character device 0,0"));
  CHECK(contains(refusal(TarBuilder().device("a", '3', 4096, 0).closed()), "out of range"));
  CHECK(refusal(TarBuilder().device("a", '4', 0, 0).closed()) == "accepted");
}

TEST_CASE("bad input: warnings and notices are bounded") {
  TarBuilder builder;
  for (int i = 0; i < 1500; ++i)
    builder.file("a", "", with_pax({{"uid", "4294967295"}}));
  const LayerTablePtr table = index_tar(builder.closed());
  CHECK(table->warnings.size() == 201);
  CHECK(table->warnings.back() == "1300 more warnings");
  Tree tree;
  tree.apply(table);
  CHECK(tree.notices().size() == 1000);
}
