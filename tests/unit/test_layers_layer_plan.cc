// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "layers/contents.h"
#include "layers/dedupe.h"
#include "layers/layer_plan.h"
#include "layers/tar.h"

using namespace imgslim;

namespace {

// Layers from lines: "d PATH", "f PATH CONTENT", "s PATH TARGET", "h PATH TARGET", "w PATH", "o PATH"; "@N"
// at the end of a line is the time, "m0600" a mode.
struct Image {
  std::vector<LayerTablePtr> tables;
  std::vector<BlobPtr> blobs;

  void layer(const std::vector<std::string>& lines) {
    std::string plain;
    const auto out = sink_to([&](std::span<const std::byte> bytes) { plain += as_text(bytes); });
    TarWriter writer(*out);
    LayerTable texts;
    for (const std::string& line : lines) {
      std::vector<std::string> words;
      for (std::size_t at = 0; at < line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end + 1;
      }
      Entry entry;
      entry.mtime = 1000;
      entry.mode = words[0] == "d" ? 0755 : 0644;
      std::vector<std::string> rest;
      for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i][0] == '@') {
          entry.mtime = std::stoll(words[i].substr(1));
        } else if (words[i][0] == 'm' && words[i].size() == 5) {
          entry.mode = static_cast<std::uint32_t>(std::stoul(words[i].substr(1), nullptr, 8));
        } else {
          rest.push_back(words[i]);
        }
      }
      const std::string path = rest[0] == "." ? "" : rest[0];
      entry.path = texts.keep(path);
      const std::string text = rest.size() > 1 ? rest[1] : "";
      switch (words[0][0]) {
        case 'd':
          entry.type = EntryType::kDirectory;
          break;
        case 'f':
          entry.type = EntryType::kRegular;
          entry.size = text.size();
          break;
        case 's':
          entry.type = EntryType::kSymlink;
          entry.link = texts.keep(text);
          break;
        case 'h':
          entry.type = EntryType::kHardLink;
          entry.link = texts.keep(text);
          break;
        case 'w':
          entry.type = EntryType::kWhiteout;
          break;
        default:
          entry.type = EntryType::kOpaqueWhiteout;
      }
      writer.header(entry, texts);
      if (entry.type == EntryType::kRegular) writer.content(as_bytes(text));
    }
    writer.finish();
    TarIndexer indexer;
    indexer.write(as_bytes(plain));
    auto table = indexer.finish();
    table->blob_size = plain.size();
    table->plain_size = plain.size();
    tables.push_back(std::move(table));
    blobs.push_back(memory_blob(plain));
  }

  Tree tree() const {
    Tree result;
    for (const LayerTablePtr& table : tables)
      result.apply(table);
    return result;
  }
};

struct Outcome {
  ImagePlan plan;
  std::string before;  // of what is to be kept
  std::string after;
};

// Plans, and dumps the source's and the planned tree with contents.
Outcome plan_image(const Image& image, const std::set<std::string>& drop = {}, bool link = false,
                   std::vector<bool> pinned = {}) {
  const Tree tree = image.tree();
  const Contents contents(image.tables, image.blobs, 1 << 20);
  PlanRequest request;
  request.repeats = find_repeats(tree, contents);
  request.dropped.assign(tree.node_limit(), false);
  for (const std::string& path : drop) {
    REQUIRE(tree.lookup(path) != kNone);
    request.dropped[tree.lookup(path)] = true;
  }
  if (link)
    request.same_as =
        find_equal_files(tree, contents, [&](NodeId node) { return layer_it_came_from(tree, node); });
  request.pinned = std::move(pinned);
  Outcome outcome{plan_layers(tree, image.tables, request), "", ""};
  outcome.before = dump_tree(tree, [&](EntryRef ref) { return contents.read(ref, 1 << 20); });

  std::vector<LayerTablePtr> tables;
  for (const PlannedLayer& layer : outcome.plan.layers)
    tables.push_back(layer.table);
  Tree after;
  for (const LayerTablePtr& table : tables)
    after.apply(table);
  outcome.after = dump_tree(after, [&](EntryRef ref) {
    const PlannedLayer& layer = outcome.plan.layers[ref.layer];
    return contents.read(layer.rewritten ? layer.contents[ref.entry] : ref, 1 << 20);
  });
  return outcome;
}

// The entries of a planned layer: "d etc", "f etc/a", "w etc/b" ...
std::string entries(const PlannedLayer& layer) {
  std::string text;
  for (const Entry& entry : layer.table->entries) {
    static constexpr const char* kLetters = "fhscbdpwo";
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", kLetters[static_cast<int>(entry.type)], entry.path);
  }
  return text;
}

}  // namespace

TEST_CASE("layer plan: an image in which nothing goes is left alone") {
  Image image;
  image.layer({"d etc", "f etc/a one"});
  image.layer({"d etc @2000", "f etc/b two"});
  const Outcome outcome = plan_image(image);
  CHECK_FALSE(outcome.plan.changes());
  CHECK(outcome.plan.gone.empty());
}

TEST_CASE("layer plan: a replaced file goes from the layer below") {
  Image image;
  image.layer({"d etc", "f etc/a one", "f etc/b two"});
  image.layer({"d etc", "f etc/a three"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[0]) == "d etc, f etc/b");
  CHECK_FALSE(outcome.plan.layers[1].rewritten);
  REQUIRE(outcome.plan.gone.size() == 1);
  CHECK(outcome.plan.gone[0].reason == Gone::kReplaced);
  CHECK(outcome.plan.gone[0].bytes == 1024);
}

TEST_CASE("layer plan: a file written again unchanged stays below") {
  Image image;
  image.layer({"d etc", "f etc/a one"});
  image.layer({"d etc", "f etc/a one", "f etc/c new"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK_FALSE(outcome.plan.layers[0].rewritten);
  CHECK(entries(outcome.plan.layers[1]) == "d etc, f etc/c");
  REQUIRE(outcome.plan.gone.size() == 1);
  CHECK(outcome.plan.gone[0].reason == Gone::kRepeated);
}

TEST_CASE("layer plan: chmod and touch copies are stored once in the layer that shows them") {
  Image image;
  image.layer({"d etc", "f etc/a one", "f etc/b two", "f etc/c three"});
  image.layer({"d etc", "f etc/a one m0600", "f etc/b two @2000"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[0]) == "d etc, f etc/c");
  CHECK_FALSE(outcome.plan.layers[1].rewritten);
}

TEST_CASE("layer plan: a deleted file goes with its whiteout, and an empty layer with it") {
  Image image;
  image.layer({"d etc", "f etc/a one", "f etc/b two"});
  image.layer({"w etc/a"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[0]) == "d etc, f etc/b");
  CHECK(outcome.plan.layers[1].empty());
  CHECK(outcome.plan.gone[0].reason == Gone::kDeleted);
}

TEST_CASE("layer plan: a whiteout stays while a copied layer still shows the file") {
  Image image;
  image.layer({"d etc", "f etc/a one", "f etc/b two"});
  image.layer({"d etc", "w etc/a", "f etc/x one"});
  image.layer({"d etc", "f etc/x two"});
  const Outcome outcome = plan_image(image, {}, false, {true, false, false});
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[1]) == "d etc, w etc/a");
}

TEST_CASE("layer plan: a dropped file that hid one of a copied layer leaves a whiteout") {
  Image image;
  image.layer({"d etc", "f etc/a old"});
  image.layer({"d etc", "f etc/a new", "f etc/b two"});
  const Outcome outcome = plan_image(image, {"etc/a"}, false, {true, false});
  CHECK(entries(outcome.plan.layers[1]) == "d etc, w etc/a, f etc/b");
  CHECK(outcome.after.find("etc/a") == std::string::npos);
}

TEST_CASE("layer plan: a directory that came back hides what it had below") {
  Image image;
  image.layer({"d foo", "f foo/old one", "f keep x"});
  image.layer({"w foo", "d foo", "f foo/new two", "f gone y"});
  image.layer({"w gone"});
  const Outcome pinned = plan_image(image, {}, false, {true, false, false});
  CHECK(pinned.before == pinned.after);
  CHECK(entries(pinned.plan.layers[1]) == "d foo, o foo, f foo/new");
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[1]) == "d foo, f foo/new");
}

TEST_CASE("layer plan: an opaque root becomes whiteouts") {
  Image image;
  image.layer({"d a", "f a/x one", "f b two"});
  image.layer({"o .", "f c three", "f d gone"});
  image.layer({"f d new"});
  const Outcome outcome = plan_image(image, {}, false, {true, false, false});
  CHECK(outcome.before == outcome.after);
  CHECK(entries(outcome.plan.layers[1]) == "w a, w b, f c");
}

TEST_CASE("layer plan: a file that replaced a directory for a while still hides it") {
  Image image;
  image.layer({"d foo", "f foo/a one"});
  image.layer({"f foo two", "f bar gone"});
  image.layer({"w foo", "d foo", "f foo/b three", "f bar x"});
  const Outcome outcome = plan_image(image, {}, false, {true, false, false});
  CHECK(outcome.before == outcome.after);
}

TEST_CASE("layer plan: hard links keep their content when their first name is deleted") {
  Image image;
  image.layer({"f a content", "h b a", "h c a"});
  image.layer({"w a"});
  const Outcome outcome = plan_image(image, {}, false, {});
  CHECK(outcome.before == outcome.after);
  const Outcome one_name = plan_image(image, {"b"});
  CHECK(entries(one_name.plan.layers[0]) == "f c");
}

TEST_CASE("layer plan: layers tied by a hard link are left alone") {
  Image image;
  image.layer({"f a content", "f x one"});
  image.layer({"h b a", "f x two"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK_FALSE(outcome.plan.changes());
}

TEST_CASE("layer plan: equal files of one layer are stored once") {
  Image image;
  image.layer({"f a same", "f b same", "f c same @5", "f d same m0600", "f e other"});
  const Outcome outcome = plan_image(image, {}, true);
  CHECK(entries(outcome.plan.layers[0]) == "f a, h b, f c, f d, f e");
  REQUIRE(outcome.plan.gone.size() == 1);
  CHECK(outcome.plan.gone[0].reason == Gone::kLinked);
  CHECK(outcome.plan.gone[0].bytes == 512);
}

TEST_CASE("layer plan: directories keep the attributes that are seen, and parents are written whole") {
  Image image;
  image.layer({"d a @1", "d a/b @2", "f a/b/f old", "f a/b/g old"});
  image.layer({"d a @3", "d a/b @4", "f a/b/f new"});
  image.layer({"d a @1", "f a/b/g new"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.before == outcome.after);
  CHECK(outcome.plan.layers[0].empty());
}

TEST_CASE("layer plan: a directory that no entry describes outlives what was in it") {
  Image image;
  image.layer({"f a/b/c one", "f x/y two"});
  image.layer({"w a/b/c"});
  const Outcome outcome = plan_image(image);
  CHECK(outcome.after.find("a/b") != std::string::npos);
  CHECK(outcome.after.find("a/b/c") == std::string::npos);
}

TEST_CASE("layer plan: a plan of its own result changes nothing") {
  Image image;
  image.layer({"d etc", "f etc/a one", "f etc/b two", "h etc/c etc/b"});
  image.layer({"d etc @2000", "f etc/a three", "w etc/b"});
  const Outcome first = plan_image(image, {}, true);
  Image again;
  for (const PlannedLayer& layer : first.plan.layers) {
    if (layer.empty()) continue;
    again.tables.push_back(layer.table);
  }
  Tree tree;
  for (const LayerTablePtr& table : again.tables)
    tree.apply(table);
  PlanRequest request;
  CHECK_FALSE(plan_layers(tree, again.tables, request).changes());
}

// Random stacks of layers: whatever they do, the tree that is seen stays the same, also if some layers must
// be copied. (plan_layers checks itself; this compares the dumps with contents besides.)
TEST_CASE("layer plan: random images keep their tree") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t n) { return random() % n; };
    const std::vector<std::string> names = {"a", "b", "c"};
    Image image;
    Tree tree;
    const std::size_t layers = 2 + pick(5);
    for (std::size_t k = 0; k < layers; ++k) {
      std::vector<std::string> lines;
      std::set<std::string> used;
      std::set<std::string> files;
      for (std::size_t i = 0; i < 1 + pick(8); ++i) {
        std::string path = names[pick(3)];
        for (std::size_t depth = pick(3); depth > 0; --depth)
          path += "/" + names[pick(3)];
        const auto blocked = [&] {
          for (const std::string& other : used) {
            if (other == path || other.starts_with(path + "/") || path.starts_with(other + "/")) return true;
          }
          return false;
        };
        const std::string attributes = fmt::format(" @{} {}", pick(3), pick(4) == 0 ? "m0700" : "m0644");
        switch (pick(7)) {
          case 0:
            if (!used.contains(path)) lines.push_back("d " + path + attributes);
            // A directory does not stand in the way of what is below it.
            break;
          case 1:
            if (tree.lookup(path) != kNone && !blocked()) {
              lines.push_back("w " + path);
              used.insert(path);
            }
            break;
          case 2:
            if (tree.lookup(path) != kNone && tree.type(tree.lookup(path)) == EntryType::kDirectory &&
                !blocked()) {
              lines.push_back("o " + path);
              used.insert(path);
            }
            break;
          case 3:
            if (!files.empty() && !blocked()) {
              lines.push_back("h " + path + " " + *files.begin());
              used.insert(path);
            }
            break;
          default:
            if (!blocked()) {
              lines.push_back(fmt::format("f {} {}{}", path, pick(2) == 0 ? "same" : "other", attributes));
              used.insert(path);
              files.insert(path);
            }
        }
      }
      if (lines.empty()) lines.push_back("f z z");
      Image attempt = image;
      attempt.layer(lines);
      try {
        tree = attempt.tree();
      } catch (const std::exception&) {
        tree = image.tree();
        continue;  // what no applier can do
      }
      image = attempt;
    }
    std::vector<bool> pinned;
    for (std::size_t k = 0; k < image.tables.size(); ++k)
      pinned.push_back(seed % 3 == 0 && pick(3) == 0);
    CAPTURE(seed);
    const Outcome outcome = plan_image(image, {}, false, pinned);
    CHECK(outcome.before == outcome.after);
    const Outcome linked = plan_image(image, {}, true, pinned);
    std::set<std::string> drop;
    tree.walk([&](NodeId node) {
      if (tree.type(node) == EntryType::kRegular && pick(4) == 0) drop.insert(tree.path(node));
    });
    const Outcome dropped = plan_image(image, drop, pick(2) == 0, pinned);
  }
}
