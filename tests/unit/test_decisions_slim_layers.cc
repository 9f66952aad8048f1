// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "src/decisions/slim_layers.h"
#include "tests/support/keep_image.h"

namespace imgslim {
namespace {

using testing::build_elf;
using testing::KeepImage;
using testing::needing;

// "NAME: PATH PATH .." of each layer.
std::vector<std::string> layers_of(const SlimPlan& plan) {
  std::vector<std::string> lines;
  for (const SlimLayer& layer : plan.layers) {
    std::string line = layer.name + ":";
    for (const Entry& entry : layer.layer.table->entries) {
      if (entry.type != EntryType::kDirectory) line += " " + std::string(entry.path);
    }
    lines.push_back(line);
  }
  return lines;
}

const SlimLayer* layer_named(const SlimPlan& plan, std::string_view name) {
  const auto found = std::find_if(plan.layers.begin(), plan.layers.end(),
                                  [&](const SlimLayer& layer) { return layer.name == name; });
  return found == plan.layers.end() ? nullptr : &*found;
}

KeepImage small_image() {
  KeepImage image;
  image.program(needing({"libuse.so.1"}));
  image.owned("libc6", "lib64/ld-linux-x86-64.so.2", testing::build_glibc_loader(), 0755);
  image.owned("libuse", "usr/lib/libuse.so.1", build_elf(needing({}, "libuse.so.1")));
  image.owned("libuse", "usr/share/doc/libuse/copyright", "terms");
  image.owned("zones", "usr/share/zoneinfo/UTC", "TZif");
  image.config.env = {"TZ=UTC"};
  image.owned("other", "usr/bin/other", "x");
  return image;
}

std::string text_of(const SlimPlan& plan, std::string_view path) {
  for (std::size_t i = 0; i < plan.generated->entries.size(); ++i) {
    const Entry& entry = plan.generated->entries[i];
    if (entry.path == path) return plan.generated_bytes.substr(entry.data_offset, entry.size);
  }
  return "none";
}

TEST_CASE("slim layers: data, packages by name, the application last") {
  KeepImage image = small_image();
  const KeepResult kept = image.find();
  const SlimPlan plan = plan_slim_layers(image.input(), kept);
  INFO(fmt::format("{}", fmt::join(layers_of(plan), "\n")));
  CHECK(layers_of(plan) ==
        std::vector<std::string>{
            "data: usr/share/zoneinfo/UTC", "libc6: lib64/ld-linux-x86-64.so.2",
            "libuse: usr/lib/libuse.so.1 usr/share/doc/libuse/copyright",
            "application: app etc/ld.so.cache var/lib/dpkg/info/libc6.list var/lib/dpkg/info/libuse.list "
            "var/lib/dpkg/info/zones.list var/lib/dpkg/status.d/libc6 var/lib/dpkg/status.d/libc6.md5sums "
            "var/lib/dpkg/status.d/libuse var/lib/dpkg/status.d/libuse.md5sums var/lib/dpkg/status.d/zones "
            "var/lib/dpkg/status.d/zones.md5sums"});
  // usr/bin/other, dpkg's database and the list of the package that goes.
  CHECK(plan.dropped == 3);
}

TEST_CASE("slim layers: directories and generated files have no time below the last layer") {
  KeepImage image = small_image();
  image.folder("usr/lib", 0750, 3);
  const KeepResult kept = image.find();
  const SlimPlan plan = plan_slim_layers(image.input(), kept);
  for (const SlimLayer& layer : plan.layers) {
    for (const Entry& entry : layer.layer.table->entries) {
      CAPTURE(layer.name);
      CAPTURE(entry.path);
      const bool last = layer.name == "application";
      if (entry.type == EntryType::kDirectory) {
        if (!last) CHECK(entry.mtime == 0);
        if (entry.path == "usr/lib") {
          CHECK(entry.mode == 0750);
          CHECK(entry.uid == 3);
        }
      } else if (!last) {
        CHECK(entry.mtime == 1700000000);
      } else if (entry.path.starts_with("var/lib/dpkg/")) {
        CHECK(entry.mtime == 0);
      }
    }
  }
}

TEST_CASE("slim layers: with many source packages the largest and glibc have a layer of their own") {
  KeepImage image;
  std::vector<std::string> needed;
  for (int i = 0; i < 14; ++i) {
    const std::string name = "lib" + std::string(1, static_cast<char>('a' + i)) + ".so";
    needed.push_back(name);
    auto library = needing({}, name);
    library.read_only = std::string(static_cast<std::size_t>(i) * 8192, 'x');
    image.owned("p" + std::string(1, static_cast<char>('a' + i)), "usr/lib/" + name, build_elf(library));
  }
  image.owned("glibc", "lib64/ld-linux-x86-64.so.2", testing::build_glibc_loader(), 0755);
  image.program(needing(needed));
  const KeepResult kept = image.find();
  const SlimPlan plan = plan_slim_layers(image.input(), kept);
  std::string names;
  for (const SlimLayer& layer : plan.layers)
    names += layer.name + " ";
  CHECK(names == "glibc pg ph pi pj pk pl pm pn other packages application ");
}

TEST_CASE("slim layers: records hold what is left") {
  KeepImage image = small_image();
  const KeepResult kept = image.find();
  const SlimPlan plan = plan_slim_layers(image.input(), kept);
  const std::string record = text_of(plan, "var/lib/dpkg/status.d/libuse");
  CHECK(record.starts_with("Package: libuse\nMaintainer: "));
  CHECK(record.find("Status:") == std::string::npos);
  CHECK(text_of(plan, "var/lib/dpkg/info/libuse.list") ==
        "/usr/lib/libuse.so.1\n/usr/share/doc/libuse/copyright\n");
  CHECK(text_of(plan, "var/lib/dpkg/status.d/other") == "none");
}

TEST_CASE("slim layers: a folder that is a link where usr is merged keeps no package") {
  KeepImage image = small_image();
  image.link("bin", "usr/bin").file("usr/bin/gone", "x").listed("merged", "bin").listed("merged", "bin/gone");
  image.config.cmd = {"/bin/other"};
  const KeepResult kept = image.find();
  CHECK(image.rule("bin") == "link");
  const SlimPlan plan = plan_slim_layers(image.input(), kept);
  CHECK(text_of(plan, "var/lib/dpkg/status.d/other") != "none");
  CHECK(text_of(plan, "var/lib/dpkg/status.d/merged") == "none");
}

TEST_CASE("slim layers: equal files of one layer are stored once where that is allowed") {
  KeepImage image = small_image();
  image.owned("libuse", "usr/lib/libuse.so.2", build_elf(needing({}, "libuse.so.1")));
  image.keep.emplace_back("/usr/lib/libuse.so.2");
  const KeepResult kept = image.find();
  const auto equal = [&](const std::function<std::optional<std::uint32_t>(NodeId)>& layer_of) {
    std::vector<InodeId> same(image.tree->inode_limit());
    for (InodeId id = 0; id < same.size(); ++id)
      same[id] = id;
    const NodeId one = image.tree->lookup("usr/lib/libuse.so.1");
    const NodeId two = image.tree->lookup("usr/lib/libuse.so.2");
    CHECK(layer_of(one) == layer_of(two));
    CHECK(layer_of(one) != layer_of(image.tree->lookup("app")));
    CHECK_FALSE(layer_of(image.tree->lookup("usr/bin/other")));
    same[image.tree->node(two).inode] = image.tree->node(one).inode;
    return same;
  };
  const SlimPlan plan = plan_slim_layers(image.input(), kept, equal);
  const SlimLayer* layer = layer_named(plan, "libuse");
  REQUIRE(layer != nullptr);
  bool linked = false;
  for (const Entry& entry : layer->layer.table->entries) {
    if (entry.path != "usr/lib/libuse.so.2") continue;
    linked = entry.type == EntryType::kHardLink && entry.link == "usr/lib/libuse.so.1";
  }
  CHECK(linked);
}

TEST_CASE("slim layers: what a base shows is not written again, what was deleted of it is") {
  testing::TarBuilder lower;
  lower.file("usr/bin/tool", "x").file("usr/share/gone", "x").file("usr/share/changed", "old");
  const std::string lower_bytes = lower.closed();
  const LayerTablePtr base = testing::index_tar(lower_bytes);
  testing::TarBuilder upper;
  upper.whiteout("usr/share/gone").file("usr/share/changed", "new").file("app", build_elf(needing({})));
  const std::string upper_bytes = upper.closed();
  Tree tree;
  tree.apply(base);
  tree.apply(testing::index_tar(upper_bytes));
  const ContentReader content = [&](EntryRef ref, std::uint64_t length) {
    const Entry& entry = tree.entry(ref);
    return (ref.layer == 0 ? lower_bytes : upper_bytes)
        .substr(entry.data_offset, std::min(length, entry.stored_size));
  };
  const TreeFileSystem files(tree, content);
  const PackageDatabase packages = PackageDatabase::read(files);
  ImageConfig config;
  config.entrypoint = {"/app"};
  const std::vector<Command> commands;
  const Leftovers leftovers;
  const std::vector<Glob> none;
  const KeepInput input{files, packages, config, commands, leftovers, none, none, {}};
  const KeepResult kept = find_kept(input);
  const SlimPlan plan = plan_slim_layers(input, kept, nullptr, {base});
  REQUIRE(plan.layers.size() == 1);
  std::vector<std::string> entries;
  for (const Entry& entry : plan.layers[0].layer.table->entries) {
    if (entry.type == EntryType::kDirectory) continue;
    entries.push_back((entry.type == EntryType::kWhiteout ? "-" : "") + std::string(entry.path));
  }
  CHECK(entries == std::vector<std::string>{"app", "-usr/share/gone", "usr/share/changed"});
}

}  // namespace
}  // namespace imgslim
