// SPDX-License-Identifier: Apache-2.0
// The traps of applying layers, one test for each: what the image-spec says (layer.md), and where those who
// apply layers differ, what imgslim(1) says it shows.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "layers/error.h"
#include "layers/tree.h"
#include "tests/support/tree_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

namespace {

std::string listing(std::initializer_list<std::string_view> layers) {
  return list_tree(tree_of(layers));
}

bool noticed(const Tree& tree, const std::string& text) {
  return std::any_of(tree.notices().begin(), tree.notices().end(),
                     [&](const TreeNotice& notice) { return notice.text.find(text) != std::string::npos; });
}

std::string refusal(std::initializer_list<std::string_view> layers) {
  try {
    tree_of(layers);
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

TEST_CASE("tree row: whiteout and directory of one name in one layer replace") {
  const char* below = "d foo\nf foo/old : 1";
  CHECK(listing({below, "w foo\nd foo\nf foo/new : 2"}) == "d foo\nf foo/new : 2\n");
  CHECK(listing({below, "d foo\nf foo/new : 2\nw foo"}) == "d foo\nf foo/new : 2\n");
}

TEST_CASE("tree row: an entry before its whiteout stays") {
  CHECK(listing({"f a : 1", "f a : 2\nw a"}) == "f a : 2\n");
  CHECK(listing({"d a\nf a/x : 1", "d a\nf a/y : 2\nw a"}) == "d a\nf a/y : 2\n");
  CHECK(listing({"f a : 1", "f a : 2\nw a", "w a"}) == "");
}

TEST_CASE("tree row: opaque marker first, last, without an entry of its directory") {
  const char* below = "d a mode=700 uid=7\nf a/x : 1\nd a/b\nf a/b/y : 1";
  for (const char* layer :
       {"o a\nf a/z : 2", "f a/z : 2\no a", "d a mode=750\nf a/z : 2\no a", "o a\nd a\nf a/z : 2"}) {
    CHECK(listing({below, layer}) == "d a\nf a/z : 2\n");
  }
  const Tree tree = tree_of({below, "o a\nf a/z : 2"});
  CHECK(tree.attributes(tree.lookup("a"))->mode == 0700);
  CHECK(tree.attributes(tree.lookup("a"))->uid == 7);
}

TEST_CASE("tree row: opaque marker at the root of a layer empties what is below") {
  const Tree tree = tree_of({"d . mode=711\nd a\nf a/x : 1\nf b : 1", "f c : 2\no ."});
  CHECK(list_tree(tree) == "f c : 2\n");
  CHECK(tree.attributes(Tree::kRoot)->mode == 0711);
}

TEST_CASE("tree row: opaque marker and whiteout inside the same directory") {
  CHECK(listing({"d a\nf a/x : 1\nf a/y : 1", "d a\no a\nw a/x"}) == "d a\n");
}

TEST_CASE("tree row: whiteout in a directory that does not exist creates nothing") {
  CHECK(listing({"f x : 1", "w a/b/c\no d/e"}) == "f x : 1\n");
}

TEST_CASE("tree row: whiteout of a missing path, whiteout of type directory") {
  CHECK(listing({"f x : 1", "w y"}) == "f x : 1\n");
  Tree tree;
  tree.apply(layer_of_lines("d a\nf a/x : 1\nf b : 1"));
  tree.apply(index_tar(TarBuilder().dir(".wh.a/").closed()));
  CHECK(list_tree(tree) == "f b : 1\n");
}

TEST_CASE("tree row: repeated opaque markers cost their own length only") {
  std::string below = "d a\n";
  for (int i = 0; i < 20000; ++i)
    below += fmt::format("f a/{} : 1\n", i);
  std::string above;
  for (int i = 0; i < 20000; ++i)
    above += fmt::format("f a/{} : 2\no a\n", i);
  const LayerTablePtr first = layer_of_lines(below);
  const LayerTablePtr second = layer_of_lines(above);
  const auto begin = std::chrono::steady_clock::now();
  Tree tree;
  tree.apply(first);
  for (int i = 0; i < 5; ++i)
    tree.apply(second);
  // A walk of the directory for each marker would take minutes.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK(tree.node_count() == 20002);
}

TEST_CASE("tree row: a hard link to a file of a lower layer is accepted with a notice") {
  const Tree tree = tree_of({"f a : 1", "h b -> a"});
  CHECK(list_tree(tree) == "f a : 1\nf b : 1 = a\n");
  CHECK(noticed(tree, "a hard link to a, which a layer below put there"));
}

TEST_CASE("tree row: a hard link whose target the same layer hides is refused") {
  CHECK(contains(refusal({"f a : 1", "w a\nh b -> a"}), "entry b at offset 512: a hard link to a, which"));
  CHECK(contains(refusal({"f a : 1", "h b -> a\nw a"}), "a hard link to a, which is not there"));
  CHECK(contains(refusal({"d d\nf d/a : 1", "o d\nh b -> d/a"}), "a hard link to d/a"));
}

TEST_CASE("tree row: a hard link keeps its bytes when the partner goes or changes") {
  CHECK(listing({"f a : 1\nh b -> a", "w a"}) == "f b : 1\n");
  CHECK(listing({"f a : 1\nh b -> a", "f a : 2"}) == "f a : 2\nf b : 1\n");
  CHECK(listing({"f a : 1\nh b -> a\nh c -> b", "d a"}) == "d a\nf b : 1\nf c : 1 = b\n");
}

TEST_CASE("tree row: a forward hard link is refused") {
  CHECK(contains(refusal({"h b -> a\nf a : 1"}), "entry b at offset 0: a hard link to a"));
}

TEST_CASE("tree row: a hard link to a symbolic link links the link") {
  CHECK(listing({"f t : 1\nl s -> t\nh h -> s"}) == "l h -> t\nl s -> t = h\nf t : 1\n");
  CHECK(listing({"l s -> nowhere\nh h -> s"}) == "l h -> nowhere\nl s -> nowhere = h\n");
}

TEST_CASE("tree row: directory, link and file replace each other") {
  const std::string dir = "d a\nf a/x : 1\nd a/b\nf a/b/y : 1";
  CHECK(listing({dir, "f a : 2"}) == "f a : 2\n");
  CHECK(listing({dir, "l a -> b"}) == "l a -> b\n");
  CHECK(listing({"f a : 1", "d a"}) == "d a\n");
  CHECK(listing({"l a -> b\nd b\nf b/x : 1", "d a"}) == "d a\nd b\nf b/x : 1\n");
  CHECK(listing({"l a -> b", "f a : 1"}) == "f a : 1\n");
  CHECK(listing({"f a : 1", "l a -> b"}) == "l a -> b\n");
  CHECK(listing({dir, "d a mode=700"}) == "d a\nd a/b\nf a/b/y : 1\nf a/x : 1\n");
  CHECK(listing({dir, "f a : 2", "d a"}) == "d a\n");
}

TEST_CASE("tree row: an entry through a link of a lower layer makes a real directory") {
  const Tree tree = tree_of({"d usr\nd usr/lib\nf usr/lib/x : 1\nl lib -> usr/lib", "f lib/new : 2"});
  CHECK(list_tree(tree) == "d lib\nf lib/new : 2\nd usr\nd usr/lib\nf usr/lib/x : 1\n");
  CHECK(noticed(tree, "its path leads through lib, a symbolic link of a layer below"));
  CHECK(tree.attributes(tree.lookup("lib")) == nullptr);
  // The same for the path of a marker.
  CHECK(listing({"d usr\nf usr/x : 1\nl lib -> usr", "w lib/x"}) == "d lib\nd usr\nf usr/x : 1\n");
  CHECK(listing({"d usr\nf usr/x : 1\nl lib -> usr", "o lib"}) == "d lib\nd usr\nf usr/x : 1\n");
  CHECK(listing({"d usr\nf usr/x : 1\nl lib -> usr", "w lib\nw lib/x"}) == "d usr\nf usr/x : 1\n");
}

TEST_CASE("tree row: an entry through a link of its own layer goes where the link leads") {
  const char* layer =
      "d usr\nd usr/lib\nl lib -> usr/lib\nf lib/x : 1\nl abs -> /lib\nf abs/y : 2\nl up -> ../../usr\nf "
      "up/z : 3";
  const Tree tree = tree_of({layer});
  CHECK(
      list_tree(tree) ==
      "l abs -> /lib\nl lib -> usr/lib\nl up -> ../../usr\nd usr\nd usr/lib\nf usr/lib/x : 1\nf usr/lib/y : "
      "2\nf usr/z : 3\n");
  CHECK(tree.notices().empty());
  CHECK(listing({"l a -> missing/dir\nf a/x : 1"}) ==
        "l a -> missing/dir\nd missing\nd missing/dir\nf missing/dir/x : 1\n");
}

TEST_CASE("tree row: the text of a link that climbs above the root is data") {
  const Tree tree = tree_of({"d a\nl a/s -> ../../../x\nf x : 1"});
  CHECK(tree.attributes(tree.lookup("a/s"))->link == "../../../x");
  CHECK(tree.resolve("a/s") == tree.lookup("x"));
}

TEST_CASE("tree row: missing parents are directories without attributes") {
  const Tree tree = tree_of({"f a/b/c : 1"});
  CHECK(list_tree(tree) == "d a\nd a/b\nf a/b/c : 1\n");
  CHECK(tree.attributes(tree.lookup("a")) == nullptr);
  CHECK_FALSE(tree.node(tree.lookup("a")).shown_by);
  const Tree later = tree_of({"f a/b/c : 1\nd a mode=700"});
  CHECK(later.attributes(later.lookup("a"))->mode == 0700);
  CHECK(later.notices().empty());
}

TEST_CASE("tree row: an entry for the root sets its attributes") {
  const Tree tree = tree_of({"d . mode=751 uid=9"});
  CHECK(tree.attributes(Tree::kRoot)->mode == 0751);
  CHECK(tree.attributes(Tree::kRoot)->uid == 9);
  CHECK(Tree().attributes(Tree::kRoot) == nullptr);
}

TEST_CASE("tree row: dots and slashes around names do not count") {
  CHECK(listing({"f ./a : 1\nd ./b/\nf /b//c : 2\nf b/./d : 3"}) == "f a : 1\nd b\nf b/c : 2\nf b/d : 3\n");
}

TEST_CASE("tree row: of several entries of one name in a layer the last counts") {
  const Tree tree = tree_of({"f a : 1\nf a : 2\nd a\nf a/x : 1\nf a : 3"});
  CHECK(list_tree(tree) == "f a : 3\n");
  CHECK(noticed(tree, "a: the name is there twice in one layer"));
  CHECK(tree.inode_of(tree.lookup("a")).links == 1);
  CHECK(tree.node_of({0, 0}) == kNone);
}

TEST_CASE("tree row: a hard link entry with another mode is noticed, the file's mode stays") {
  const Tree tree = tree_of({"f a mode=644 : 1\nh b mode=755 -> a"});
  CHECK(tree.attributes(tree.lookup("b"))->mode == 0644);
  CHECK(noticed(tree, "a hard link with mode 0755 to a, which has 0644"));
}

TEST_CASE("tree row: a folder of ko's own layer replaces Debian's link") {
  const Tree tree =
      tree_of({"d var\nd run\nl var/run -> /run\nf run/x : 1",
               "d /var mode=555\nd /var/run mode=555\nd /var/run/ko mode=555\nf /var/run/ko/a : 2"});
  CHECK(list_tree(tree) == "d run\nf run/x : 1\nd var\nd var/run\nd var/run/ko\nf var/run/ko/a : 2\n");
}

TEST_CASE("tree row: flatten bug 2002 - a link keeps its content when its target is written again") {
  CHECK(listing({"f bin/a : old\nh bin/b -> bin/a", "f bin/a : new"}) ==
        "d bin\nf bin/a : new\nf bin/b : old\n");
}

TEST_CASE("tree row: flatten bug 977 - a link outlives its target") {
  const Tree tree = tree_of({"f a : 1\nh b -> a", "w a"});
  CHECK(list_tree(tree) == "f b : 1\n");
  CHECK(tree.type(tree.lookup("b")) == EntryType::kRegular);
  CHECK(tree.inode_of(tree.lookup("b")).attributes == EntryRef{0, 0});
}

TEST_CASE("tree row: flatten bugs 2029 and 1623 - an opaque marker hides lower layers, not its own") {
  CHECK(listing({"f d/old : 1", "f d/mid : 2", "o d\nf d/new : 3"}) == "d d\nf d/new : 3\n");
  CHECK(listing({"f d/old : 1", "o d\nf d/new : 3", "f d/old : 4"}) == "d d\nf d/new : 3\nf d/old : 4\n");
}

TEST_CASE("tree row: flatten bug 2238 - absolute symbolic links stay") {
  CHECK(listing({"l etc/mtab -> /proc/mounts"}) == "d etc\nl etc/mtab -> /proc/mounts\n");
}

TEST_CASE("tree row: flatten bug 2399 - a root entry named dot is fine") {
  CHECK(listing({"d .\nf ./usr/x : 1"}) == "d usr\nf usr/x : 1\n");
}

TEST_CASE("tree row: flatten - the file of a group can be told whatever the order of names") {
  const Tree tree = tree_of({"f z : 1\nh a -> z", "h m -> a"});
  CHECK(list_tree(tree) == "f a : 1\nf m : 1 = a\nf z : 1 = a\n");
  CHECK(tree.inode_of(tree.lookup("a")).attributes == EntryRef{0, 0});
}
