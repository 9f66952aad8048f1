// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "layers/error.h"
#include "layers/tree.h"
#include "tests/support/tree_builder.h"

using namespace imgslim;
using namespace imgslim::testing;

TEST_CASE("tree: lookup, children and path agree") {
  const Tree tree =
      tree_of({"d usr\nf usr/b : 1\nf usr/a : 2\nd usr/lib\nf usr/lib/x : 3\nl lib -> usr/lib"});
  const NodeId usr = tree.lookup("usr");
  REQUIRE(usr != kNone);
  std::string names;
  for (const NodeId id : tree.children(usr))
    names += tree.path(id) + " ";
  CHECK(names == "usr/a usr/b usr/lib ");
  CHECK(tree.lookup("lib/x") == kNone);
  CHECK(tree.lookup("") == Tree::kRoot);
  CHECK(tree.node_count() == 7);
}

TEST_CASE("tree: a walk sees what was applied since the last one") {
  Tree tree = tree_of({"d usr\nf usr/b : 1\nf usr/a : 2"});
  const auto walked = [&] {
    std::string paths;
    tree.walk([&](NodeId id) { paths += "/" + tree.path(id) + " "; });
    return paths;
  };
  CHECK(walked() == "/ /usr /usr/a /usr/b ");
  tree.apply(layer_of_lines("w usr/a\nf usr/ab : 3\nf bin : 4"));
  CHECK(walked() == "/ /bin /usr /usr/ab /usr/b ");
}

TEST_CASE("tree: paths are resolved as a process in the image sees them") {
  const Tree tree = tree_of({R"(
    d usr
    d usr/lib
    f usr/lib/x : 1
    l lib -> usr/lib
    l abs -> /usr/lib/x
    l up -> ../../../usr/lib/x
    l loop -> loop
    l usr/lib/y -> x
    l slash -> usr/
    l file-as-dir -> usr/lib/x/
  )"});
  const NodeId x = tree.lookup("usr/lib/x");
  CHECK(tree.resolve("lib/x") == x);
  CHECK(tree.resolve("/lib/../lib/x") == x);
  CHECK(tree.resolve("/lib/..") == tree.lookup("usr"));
  CHECK(tree.resolve("abs") == x);
  CHECK(tree.resolve("up") == x);
  CHECK(tree.resolve("lib/y") == x);
  CHECK(tree.resolve("lib/y", false) == tree.lookup("usr/lib/y"));
  CHECK(tree.resolve("lib", false) == tree.lookup("lib"));
  CHECK(tree.resolve("lib/", false) == tree.lookup("usr/lib"));
  CHECK(tree.resolve("slash/lib/x") == x);
  CHECK(tree.resolve("loop") == kNone);
  CHECK(tree.resolve("usr/lib/x/") == kNone);
  CHECK(tree.resolve("usr/lib/x/.") == kNone);
  CHECK(tree.resolve("file-as-dir") == kNone);
  CHECK(tree.resolve("missing/../lib") == kNone);
  CHECK(tree.resolve("/..") == Tree::kRoot);
  CHECK(tree.resolve("") == Tree::kRoot);
  CHECK(tree.resolve_at(tree.lookup("usr"), "lib/x") == x);
  CHECK(tree.resolve_at(tree.lookup("usr"), "/lib/x") == x);
}

TEST_CASE("tree: a file written again says what it replaces") {
  const Tree tree = tree_of({
      "f a : 1\nf b : 1\nh c -> b\nl s -> t\nf g : 1\nf w : 1\nf d : 1\nh e -> d",
      "f a : 2\nf b : 2\nh c -> b\nl s -> t\nl g -> a\nw w\nf w : 2\nf d : 2",
  });
  const Tree below = tree_of({"f a : 1\nf b : 1\nh c -> b\nl s -> t\nf g : 1\nf w : 1\nf d : 1\nh e -> d"});
  const auto replaced = [&](const char* path) { return tree.inode_of(tree.lookup(path)).replaces; };
  const auto old = [&](const char* path) { return below.node(below.lookup(path)).inode; };
  CHECK(replaced("a") == old("a"));
  CHECK(replaced("b") == old("b"));
  CHECK(replaced("c") == old("b"));
  CHECK(replaced("s") == old("s"));
  CHECK(replaced("g") == kNone);  // another type
  CHECK(replaced("w") == kNone);  // removed first
  CHECK(replaced("d") == kNone);  // the old file has another name
}

TEST_CASE("tree: a new name for one more place replaces nothing") {
  const Tree tree = tree_of({"f a : 1", "f a : 2\nh b -> a"});
  CHECK(tree.inode_of(tree.lookup("a")).replaces == kNone);
}

TEST_CASE("tree: entries lead to the nodes that they still show") {
  const Tree tree = tree_of({"d a mode=700\nf a/x : 1\nf y : 1\nd gone", "d a mode=755\nf y : 2\nw gone"});
  CHECK(tree.node_of({0, 0}) == tree.lookup("a"));
  CHECK(tree.node_of({1, 0}) == tree.lookup("a"));
  CHECK(tree.node_of({0, 1}) == tree.lookup("a/x"));
  CHECK(tree.node_of({0, 2}) == kNone);
  CHECK(tree.node_of({1, 1}) == tree.lookup("y"));
  CHECK(tree.node_of({0, 3}) == kNone);
  CHECK(tree.node_of({1, 2}) == kNone);
  CHECK(tree.directory_setters(tree.lookup("a")) == std::vector<EntryRef>{{0, 0}, {1, 0}});
  CHECK(tree.attributes(tree.lookup("a"))->mode == 0755);
}
